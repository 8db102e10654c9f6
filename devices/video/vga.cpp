// The register side: ports 3B0–3DF and dispi. Memory is in vga_memory.cpp, the picture in vga_render.cpp.
#include "devices/video/vga.h"

#include <bit>
#include <cstring>

namespace umbra {
namespace {

enum Port : u32 {  // offsets from 3B0; the CRTC and input status 1 answer at 3B0 or 3D0, as misc bit 0 says
  kCrtcIndex = 0x04,
  kCrtcData = 0x05,
  kStatus1 = 0x0a,
  kAttr = 0x10,
  kAttrRead = 0x11,
  kMisc = 0x12,
  kSeqIndex = 0x14,
  kSeqData = 0x15,
  kDacMask = 0x16,
  kDacRead = 0x17,
  kDacWrite = 0x18,
  kDacData = 0x19,
  kFeature = 0x1a,
  kMiscRead = 0x1c,
  kGcIndex = 0x1e,
  kGcData = 0x1f,
};

constexpr u8 kGcMode = 5, kGcMisc = 6;  // the others have no say in where memory lies
constexpr u8 kSeqBits[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0x00, 0x00, 0xff};
constexpr u8 kGcBits[16] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
constexpr u8 kAttrBits[5] = {0xef, 0xff, 0x3f, 0x0f, 0x0f};  // of registers 10–14; the palette has six bits

}  // namespace

Vga::Vga(Clock& clock, u8* memory, u32 size) : clock_(clock), memory_(memory), memory_size_(size) {
  CHECK(std::has_single_bit(size) && size >= 256u << 10);
  reset();
}

void Vga::reset() {
  r_ = VgaRegs{};
  vbe_ = VbeRegs{};
  interrupt_armed_frame_ = 0;
  update_access();
}

void Vga::state(Archive& a) {
  a("regs", r_)("vbe", vbe_)("interrupt_armed_frame", interrupt_armed_frame_);
  if (!a.loading()) return;
  vbe_.legalize(memory_size_);
  update_access();
}

u32 Vga::ports_read(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) value |= u32{port_read(offset + i)} << (8 * i);
  return value;
}

void Vga::ports_write(u32 offset, u32 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) port_write(offset + i, static_cast<u8>(value >> (8 * i)));
}

u8 Vga::port_read(u32 offset) {
  const bool relocated = offset < 0x10 || (offset & 0x30) == 0x20;
  if (relocated && (offset >= 0x20) != bit(r_.misc, 0)) return 0xff;
  switch (relocated ? offset & 0x0f : offset) {
    case kCrtcIndex:
      return r_.crtc_index;
    case kCrtcData:
      return crtc_read();
    case kStatus1:
      r_.attr_data = false;
      return status1();
    case kAttr:
      return r_.attr_data ? 0 : r_.attr_index;
    case kAttrRead:
      return (r_.attr_index & 0x1f) < r_.attr.size() ? r_.attr[r_.attr_index & 0x1f] : 0;
    case kMisc:
      return status0();
    case kSeqIndex:
      return r_.seq_index;
    case kSeqData:
      return r_.seq[r_.seq_index];
    case kDacMask:
      return r_.dac_mask;
    case kDacRead:
      return r_.dac_state;
    case kDacWrite:
      return r_.dac_write_index;
    case kDacData:
      return dac_read();
    case kFeature:
      return r_.feature;
    case kMiscRead:
      return r_.misc;
    case kGcIndex:
      return r_.gc_index;
    case kGcData:
      return r_.gc[r_.gc_index];
  }
  return 0xff;
}

void Vga::port_write(u32 offset, u8 value) {
  const bool relocated = offset < 0x10 || (offset & 0x30) == 0x20;
  if (relocated && (offset >= 0x20) != bit(r_.misc, 0)) return;
  switch (relocated ? offset & 0x0f : offset) {
    case kCrtcIndex:
      r_.crtc_index = value & 0x3f;
      break;
    case kCrtcData:
      crtc_write(value);
      break;
    case kStatus1:
      r_.feature = value & 0x10;
      break;
    case kAttr:
      attr_write(value);
      break;
    case kMisc:
      r_.misc = value & ~0x10;
      update_access();
      break;
    case kSeqIndex:
      r_.seq_index = value & 7;
      break;
    case kSeqData:
      r_.seq[r_.seq_index] = value & kSeqBits[r_.seq_index];
      update_access();
      break;
    case kDacMask:
      r_.dac_mask = value;
      break;
    case kDacRead:
      r_.dac_read_index = value;
      r_.dac_component = 0;
      r_.dac_state = 3;
      break;
    case kDacWrite:
      r_.dac_write_index = value;
      r_.dac_component = 0;
      r_.dac_state = 0;
      break;
    case kDacData:
      dac_write(value);
      break;
    case kGcIndex:
      r_.gc_index = value & 15;
      break;
    case kGcData:
      r_.gc[r_.gc_index] = value & kGcBits[r_.gc_index];
      r_.gc_index == kGcMode || r_.gc_index == kGcMisc ? update_access() : update_writes();
      break;
  }
}

u8 Vga::crtc_read() const {
  switch (r_.crtc_index) {  // undocumented, but on every VGA since IBM's
    case 0x22:
      return static_cast<u8>(r_.latch >> (8 * (r_.gc[4] & 3)));
    case 0x24:
      return r_.attr_data ? 0x80 : 0;
    case 0x26:
      return r_.attr_index;
  }
  return r_.crtc_index < r_.crtc.size() ? r_.crtc[r_.crtc_index] : 0;
}

void Vga::crtc_write(u8 value) {
  const u8 index = r_.crtc_index;
  if (index >= r_.crtc.size()) return;
  if (index <= 7 && bit(r_.crtc[0x11], 7)) {  // protected, but for the line compare's bit 8
    if (index == 7) r_.crtc[7] = with_bit(r_.crtc[7], 4, bit(value, 4));
    return;
  }
  if (index == 0x11 && bit(value, 4) && !bit(r_.crtc[0x11], 4))
    interrupt_armed_frame_ = beam_at(crt_timing(r_, vbe_), clock_.now()).frame;
  r_.crtc[index] = value;
}

void Vga::attr_write(u8 value) {
  if (!r_.attr_data) {
    r_.attr_index = value & 0x3f;
  } else if (const u8 index = r_.attr_index & 0x1f; index < r_.attr.size()) {
    r_.attr[index] = value & (index < 0x10 ? 0x3f : kAttrBits[index - 0x10]);
  }
  r_.attr_data = !r_.attr_data;
}

u8 Vga::dac_read() {
  const u8 value = r_.dac[r_.dac_read_index * 3 + r_.dac_component];
  if (++r_.dac_component == 3) {
    r_.dac_component = 0;
    ++r_.dac_read_index;
  }
  return value;
}

void Vga::dac_write(u8 value) {
  if (!vbe_.wide_dac()) value &= 0x3f;
  if (r_.dac_component < 2) {
    r_.dac_pending[r_.dac_component++] = value;
    return;
  }
  u8* entry = &r_.dac[r_.dac_write_index++ * 3];
  entry[0] = r_.dac_pending[0];
  entry[1] = r_.dac_pending[1];
  entry[2] = value;
  r_.dac_component = 0;
}

u8 Vga::status0() const {
  const bool armed = bit(r_.crtc[0x11], 4);
  const bool retraced = armed && beam_at(crt_timing(r_, vbe_), clock_.now()).frame > interrupt_armed_frame_;
  return retraced ? 0x90 : 0x10;  // bit 4: a colour monitor answers the sense switch
}

u8 Vga::status1() const {
  const Beam beam = beam_at(crt_timing(r_, vbe_), clock_.now());
  return static_cast<u8>((beam.shown ? 0 : 1) | (beam.vertical_retrace ? 8 : 0));
}

u32 Vga::dispi_port_read(u32 offset, unsigned size) {
  const u32 value = offset == 0 ? vbe_.index : dispi_read(vbe_.index);
  return size == 1 ? value & 0xff : value;
}

void Vga::dispi_port_write(u32 offset, u32 value, unsigned size) {
  if (size == 1) return;  // 16-bit registers; QEMU ignores bytes too
  if (offset == 0) {
    vbe_.index = static_cast<u16>(value);
  } else {
    dispi_write(vbe_.index, static_cast<u16>(value));
  }
}

u16 Vga::dispi_read(u16 index) const { return vbe_.read(index, memory_size_); }

void Vga::dispi_write(u16 index, u16 value) {
  switch (index) {
    case VbeRegs::kId:
      if (value < VbeRegs::kFirstId || value > VbeRegs::kLastId) return;
      break;
    case VbeRegs::kBank: {
      const u32 banks = memory_size_ >> (vbe_.reg[VbeRegs::kBpp] == 4 ? 18 : 16);
      value = static_cast<u16>(value & (banks - 1));
      break;
    }
    case VbeRegs::kEnable: {
      const bool turned_on = (value & VbeRegs::kEnabled) && !vbe_.enabled();
      vbe_.reg[VbeRegs::kEnable] = value;
      if (turned_on) {
        vbe_.reg[VbeRegs::kVirtWidth] = vbe_.reg[VbeRegs::kXOffset] = vbe_.reg[VbeRegs::kYOffset] = 0;
        vbe_.legalize(memory_size_);
        if (!(value & VbeRegs::kNoClear)) std::memset(memory_, 0, vbe_.reg[VbeRegs::kYres] * vbe_.line_bytes());
      }
      update_access();
      return;
    }
    case VbeRegs::kXres:
    case VbeRegs::kYres:
    case VbeRegs::kBpp:
    case VbeRegs::kVirtWidth:
    case VbeRegs::kXOffset:
    case VbeRegs::kYOffset:
      break;
    default:
      return;
  }
  vbe_.reg[index] = value;
  vbe_.legalize(memory_size_);
  update_access();
}

}  // namespace umbra
