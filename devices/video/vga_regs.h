// The registers of a VGA and what they say, decoded on demand: IBM's "Video Subsystem" reference (PS/2 Hardware
// Interface Technical Reference, 1992), with Bochs' dispi interface beside them. Nothing here has side effects.
#pragma once

#include <array>

#include "cpu/base/archive.h"
#include "cpu/base/bits.h"
#include "cpu/base/types.h"

namespace umbra {

struct VgaRegs {
  u8 misc = 0;     // 3C2 (write), 3CC (read)
  u8 feature = 0;  // 3DA (write), 3CA (read)
  u8 seq_index = 0;
  std::array<u8, 8> seq{};
  u8 gc_index = 0;
  std::array<u8, 16> gc{};
  u8 crtc_index = 0;
  std::array<u8, 0x19> crtc{};
  u8 attr_index = 0;       // bit 5: palette address source, off blanks the screen
  bool attr_data = false;  // the flip-flop: the next write to 3C0 is data
  std::array<u8, 0x15> attr{};
  u8 dac_mask = 0xff;
  u8 dac_read_index = 0, dac_write_index = 0;
  u8 dac_component = 0;  // 0 red, 1 green, 2 blue
  u8 dac_state = 0;      // 3 after 3C7 was written, 0 after 3C8
  std::array<u8, 2> dac_pending{};
  std::array<u8, 768> dac{};
  u32 latch = 0;  // byte n is plane n

  bool graphics() const { return bit(gc[6], 0); }
  bool chain4() const { return bit(seq[4], 3); }
  bool half_dot_clock() const { return bit(seq[1], 3); }
  bool blanked() const { return !bit(attr_index, 5); }
  u32 columns() const { return crtc[1] + 1u; }
  u32 char_dots() const { return !graphics() && !bit(seq[1], 0) ? 9 : 8; }

  u32 vertical(u8 low, unsigned overflow_bit8, unsigned overflow_bit9) const {
    return low | u32{bit(crtc[7], overflow_bit8)} << 8 | u32{bit(crtc[7], overflow_bit9)} << 9;
  }
  u32 vertical_total() const { return vertical(crtc[6], 0, 5) + 2; }
  u32 display_lines() const { return vertical(crtc[0x12], 1, 6) + 1; }
  u32 retrace_start() const { return vertical(crtc[0x10], 2, 7); }
  u32 line_compare() const { return crtc[0x18] | u32{bit(crtc[7], 4)} << 8 | u32{bit(crtc[9], 6)} << 9; }
  u32 start_address() const { return u32{crtc[0x0c]} << 8 | crtc[0x0d]; }
  u32 cursor_address() const { return u32{crtc[0x0e]} << 8 | crtc[0x0f]; }

  void state(Archive& a);
};

// Bochs VBE extensions, "dispi". Limits as in QEMU.
struct VbeRegs {
  enum Index : u16 { kId, kXres, kYres, kBpp, kEnable, kBank, kVirtWidth, kVirtHeight, kXOffset, kYOffset, kMemory64k };
  enum Flag : u16 { kEnabled = 0x01, kGetCaps = 0x02, k8BitDac = 0x20, kLfb = 0x40, kNoClear = 0x80 };
  static constexpr u16 kMaxXres = 16000, kMaxYres = 12000, kFirstId = 0xb0c0, kLastId = 0xb0c5;

  u16 index = 0;
  std::array<u16, 10> reg{kLastId};

  bool enabled() const { return reg[kEnable] & kEnabled; }
  bool wide_dac() const { return reg[kEnable] & k8BitDac; }
  u32 memory_bits() const { return reg[kBpp] == 15 ? 16 : reg[kBpp]; }  // per pixel; 4 means four planes
  u32 line_bytes() const { return reg[kVirtWidth] * memory_bits() / 8; }
  u32 start_byte() const { return reg[kYOffset] * line_bytes() + reg[kXOffset] * memory_bits() / 8; }

  u16 read(u16 which, u32 vram_size) const;
  void legalize(u32 vram_size);  // brings what the guest asked for inside the limits
  void state(Archive& a);
};

}  // namespace umbra
