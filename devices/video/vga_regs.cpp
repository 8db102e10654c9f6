#include "devices/video/vga_regs.h"

#include <algorithm>

namespace umbra {

void VgaRegs::state(Archive& a) {
  a("misc", misc)("feature", feature)("seq_index", seq_index)("seq", seq)("gc_index", gc_index)("gc", gc);
  a("crtc_index", crtc_index)("crtc", crtc)("attr_index", attr_index)("attr_data", attr_data)("attr", attr);
  a("dac_mask", dac_mask)("dac_read_index", dac_read_index)("dac_write_index", dac_write_index);
  a("dac_component", dac_component)("dac_state", dac_state)("dac_pending", dac_pending)("dac", dac)("latch", latch);
  a.require(seq_index < seq.size() && gc_index < gc.size() && dac_component < 3, "vga register index");
  if (a.failed()) seq_index = gc_index = dac_component = 0;
}

u16 VbeRegs::read(u16 which, u32 vram_size) const {
  if (which == kMemory64k) return static_cast<u16>(vram_size >> 16);
  if (which >= reg.size()) return 0;
  if (reg[kEnable] & kGetCaps) {
    switch (which) {
      case kXres:
        return kMaxXres;
      case kYres:
        return kMaxYres;
      case kBpp:
        return 32;
    }
  }
  return reg[which];
}

void VbeRegs::legalize(u32 vram_size) {
  if (!enabled()) return;
  const auto known = {4, 8, 15, 16, 24, 32};
  if (std::find(known.begin(), known.end(), reg[kBpp]) == known.end()) reg[kBpp] = 8;
  reg[kXres] = std::clamp<u16>(reg[kXres] & ~7, 8, kMaxXres);
  reg[kVirtWidth] = std::clamp<u16>(reg[kVirtWidth] & ~7, reg[kXres], kMaxXres);
  const u32 lines = vram_size / line_bytes();
  reg[kYres] = static_cast<u16>(std::clamp<u32>(reg[kYres], 1, std::min<u32>(lines, kMaxYres)));
  reg[kVirtHeight] = static_cast<u16>(std::min<u32>(lines, 0xffff));
  reg[kXOffset] = std::min(reg[kXOffset], kMaxXres);
  reg[kYOffset] = std::min(reg[kYOffset], kMaxYres);
  const auto fits = [&] { return u64{start_byte()} + u64{reg[kYres]} * line_bytes() <= vram_size; };
  if (!fits()) reg[kYOffset] = 0;
  if (!fits()) reg[kXOffset] = 0;
}

void VbeRegs::state(Archive& a) { a("index", index)("reg", reg); }

}  // namespace umbra
