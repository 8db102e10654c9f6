// The processor's side of video memory: the window at A0000, the graphics controller's write and read modes.
#include <algorithm>
#include <bit>
#include <cstring>

#include "devices/video/vga.h"

namespace umbra {
namespace {

// A byte of ones for each bit of a nibble: bit n of a register that says something about plane n.
constexpr u32 spread_planes(u32 nibble) {
  return ((nibble & 1) | (nibble & 2) << 7 | (nibble & 4) << 14 | (nibble & 8) << 21) * 0xff;
}
constexpr u32 in_all_planes(u8 value) { return value * 0x01010101u; }

struct Range {
  u32 first, size;
};
constexpr Range kMaps[4] = {{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000}};

}  // namespace

u32 Vga::load_word(u32 index) const {
  u32 word;
  std::memcpy(&word, memory_ + std::size_t{index} * 4, 4);
  return word;
}

void Vga::store_word(u32 index, u32 word) { std::memcpy(memory_ + std::size_t{index} * 4, &word, 4); }

// What becomes of the data.
void Vga::update_writes() {
  Access& x = access_;
  x.set_reset = spread_planes(r_.gc[0]);
  x.set_reset_enable = spread_planes(r_.gc[1]);
  x.function = bits(r_.gc[3], 4, 3);
  x.rotate = bits(r_.gc[3], 2, 0);
  x.write_mode = r_.gc[5] & 3;
  x.bit_mask = in_all_planes(r_.gc[8]);
  x.plain = x.write_mode == 0 && x.function == 0 && x.rotate == 0 && x.set_reset_enable == 0 && x.bit_mask == ~0u;
  x.pairs = x.plain && x.odd_even_address && x.odd_even_write && !x.chain4;
}

void Vga::update_access() {
  Access& x = access_;
  x.planes = spread_planes(r_.seq[2]);
  const bool vbe = vbe_.enabled(), four_planes = vbe && vbe_.reg[VbeRegs::kBpp] == 4;
  const Range map = kMaps[vbe ? 1 : bits(r_.gc[6], 3, 2)];
  x.first = map.first;
  x.size = bit(r_.misc, 1) || vbe ? map.size : 0;
  x.chain4 = vbe ? !four_planes : r_.chain4();
  x.odd_even_address = !vbe && bit(r_.gc[6], 1);
  x.odd_even_read = !vbe && bit(r_.gc[5], 4);
  x.odd_even_write = !vbe && !bit(r_.seq[4], 2);
  x.bank = vbe ? u32{vbe_.reg[VbeRegs::kBank]} << 16 : 0;
  if (vbe && x.chain4) x.planes = ~0u;
  const u32 limit = vbe ? memory_size_ : 256u << 10;
  x.mask = (x.chain4 ? limit : limit / 4) - 1;
  update_writes();

  if (const auto window = direct_window(); window != last_window_) {
    last_window_ = window;
    if (window_changed_) window_changed_();
  }
}

std::optional<Vga::DirectWindow> Vga::direct_window() const {
  const Access& x = access_;
  if (!x.chain4 || x.size == 0 || x.planes != ~0u) return {};
  return DirectWindow{x.first, x.size, memory_ + (x.bank & x.mask)};
}

u32 Vga::window_read(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) {
    const u32 at = offset + i - access_.first;
    u8 byte = 0xff;
    if (at < access_.size) byte = access_.chain4 ? memory_[(access_.bank + at) & access_.mask] : planar_read(at);
    value |= u32{byte} << (8 * i);
  }
  return value;
}

void Vga::window_write(u32 offset, u32 value, unsigned size) {
  const Access& x = access_;
  if (x.pairs && size == 2 && offset % 2 == 0 && offset - x.first < x.size)
    return store_planes(plane_index(offset - x.first), (value & 0xff) * 0x00010001 | (value >> 8 & 0xff) * 0x01000100,
                        x.planes);
  for (unsigned i = 0; i < size; ++i, value >>= 8) {
    const u32 at = offset + i - x.first;
    if (at >= x.size) continue;
    if (!x.chain4) {
      planar_write(at, static_cast<u8>(value));
    } else if (bit(x.planes, (at & 3) * 8)) {
      memory_[(x.bank + at) & x.mask] = static_cast<u8>(value);
    }
  }
}

// With both halves of the 128 KiB map chained, the address bit that chose the plane is replaced by A16.
u32 Vga::plane_index(u32 at) const {
  const Access& x = access_;
  return ((x.odd_even_address ? (at & 0xfffe) | at >> 16 : at) + x.bank) & x.mask;
}

void Vga::store_planes(u32 index, u32 data, u32 planes) {
  store_word(index, (load_word(index) & ~planes) | (data & planes));
}

u8 Vga::planar_read(u32 at) {
  const Access& x = access_;
  r_.latch = load_word(plane_index(at));
  if (bit(r_.gc[5], 3)) {
    const u32 differ = (r_.latch ^ spread_planes(r_.gc[2])) & spread_planes(r_.gc[7]);
    return static_cast<u8>(~(differ | differ >> 8 | differ >> 16 | differ >> 24));
  }
  const u32 plane = x.odd_even_read ? (r_.gc[4] & 2) | (at & 1) : r_.gc[4];
  return static_cast<u8>(r_.latch >> (8 * plane));
}

void Vga::planar_write(u32 at, u8 value) {
  const Access& x = access_;
  u32 planes = x.planes;
  if (x.odd_even_write) planes &= at & 1 ? 0xff00ff00 : 0x00ff00ff;
  const u32 index = plane_index(at);
  if (x.plain) return store_planes(index, in_all_planes(value), planes);

  u32 data, bits_from_data = x.bit_mask;
  switch (x.write_mode) {
    case 0:
      data = in_all_planes(std::rotr(value, x.rotate));
      data = (data & ~x.set_reset_enable) | (x.set_reset & x.set_reset_enable);
      break;
    case 1:
      data = r_.latch;
      break;
    case 2:
      data = spread_planes(value & 15);
      break;
    default:
      data = x.set_reset;
      bits_from_data &= in_all_planes(std::rotr(value, x.rotate));
  }
  if (x.write_mode != 1) {
    switch (x.function) {
      case 1:
        data &= r_.latch;
        break;
      case 2:
        data |= r_.latch;
        break;
      case 3:
        data ^= r_.latch;
        break;
    }
    data = (data & bits_from_data) | (r_.latch & ~bits_from_data);
  }
  store_planes(index, data, planes);
}

}  // namespace umbra
