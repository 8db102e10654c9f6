#include "devices/chipset/dma.h"

#include <algorithm>

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u8 kDisabled = 0x04;                     // command register
constexpr u8 kAutoInit = 0x10, kDecrement = 0x20;  // mode register
enum : u8 { kVerify = 0, kWriteMemory = 1, kReadMemory = 2 };
constexpr u8 kCascade = 3;

// Which channel the page register at 80h + i belongs to; 8 for none.
constexpr u8 kPageChannel[16] = {8, 2, 3, 1, 8, 8, 8, 0, 8, 6, 7, 5, 8, 8, 8, 4};

constexpr std::size_t kChunk = 4096;

}  // namespace

Dma::Dma(GuestMemory& memory) : memory_(memory) {
  for (unsigned i = 0; i < 8; ++i) {
    lines_[i].owner = this;
    lines_[i].channel = i;
  }
}

void Dma::reset() {
  for (Controller& c : r_.controller) master_clear(c);
  r_.page_latch = {};
  for (Controller& c : r_.controller)
    for (Channel& ch : c.channel) ch = Channel{};
}

void Dma::state(Archive& a) {
  for (Controller& c : r_.controller) {
    a("command", c.command)("mask", c.mask)("request", c.request)("terminal_count", c.terminal_count);
    a("dreq", c.dreq)("flip_flop", c.flip_flop);
    for (Channel& ch : c.channel) {
      a("base_address", ch.base_address)("address", ch.address)("base_count", ch.base_count)("count", ch.count);
      a("mode", ch.mode)("page", ch.page);
    }
  }
  a("page_latch", r_.page_latch);
}

void Dma::master_clear(Controller& c) {
  c.command = 0;
  c.request = 0;
  c.terminal_count = 0;
  c.flip_flop = false;
  c.mask = 15;
}

bool Dma::enabled(unsigned channel) const {
  const Controller& c = r_.controller[channel / 4];
  const Controller& second = r_.controller[1];
  if ((c.command & kDisabled) != 0 || bit(c.mask, channel & 3)) return false;
  // The first controller asks through channel 4, in cascade mode on every PC; a masked cascade holds it back.
  return channel >= 4 || ((second.command & kDisabled) == 0 && !bit(second.mask, 0u));
}

void Dma::set_dreq(unsigned channel, bool level) {
  Controller& c = r_.controller[channel / 4];
  c.dreq = with_bit<u8>(c.dreq, channel & 3, level);
  if (level) run(channel);
}

// A request inside a device's own transfer is served after it, once: devices cannot drive this into a recursion.
void Dma::run(unsigned channel) {
  again_ = with_bit<u8>(again_, channel, true);
  if (running_) return;
  running_ = true;
  for (unsigned rounds = 0; again_ != 0 && rounds < 64; ++rounds) {
    const auto next = static_cast<unsigned>(std::countr_zero(again_));
    again_ = with_bit<u8>(again_, next, false);
    run_round(next);
  }
  again_ = 0;
  running_ = false;
}

void Dma::run_round(unsigned channel) {
  // At most the whole programmed count twice over (autoinit may start again).
  for (unsigned chunks = 0; chunks < 64; ++chunks)
    if (!enabled(channel) || !bit(r_.controller[channel / 4].dreq, channel & 3) || !move(channel)) return;
}

// One block between the device and memory; false when the device took nothing.
bool Dma::move(unsigned channel) {
  Controller& c = r_.controller[channel / 4];
  Channel& ch = c.channel[channel & 3];
  DmaRequester* device = devices_[channel];
  const u8 transfer = ch.mode >> 2 & 3;
  if (device == nullptr || ch.mode >> 6 == kCascade || transfer == 3) return false;
  const bool wide = channel >= 4;
  const unsigned unit = wide ? 2 : 1;
  const bool down = (ch.mode & kDecrement) != 0;
  // Up to the point where the 16-bit address wraps, so that each block is one stretch of memory; downwards by units.
  const u32 left = ch.count + 1u;
  const u32 units = down ? 1 : std::min({left, 0x10000u - ch.address, static_cast<u32>(kChunk / unit)});
  const u32 page = wide ? static_cast<u32>(ch.page & 0xfe) << 16 : static_cast<u32>(ch.page) << 16;
  const Phys at{page | static_cast<u32>(ch.address) << (wide ? 1 : 0)};
  u8 buffer[kChunk];
  const std::size_t size = std::size_t{units} * unit;
  if (transfer == kReadMemory) memory_.read(at, buffer, size);
  const std::size_t moved = std::min(device->dma_transfer(buffer, size, transfer != kReadMemory, units == left), size);
  if (transfer == kWriteMemory && moved != 0) memory_.write(at, buffer, moved);
  const u32 done = static_cast<u32>(moved / unit);
  if (done == 0) return false;
  ch.address = static_cast<u16>(down ? ch.address - done : ch.address + done);
  ch.count = static_cast<u16>(ch.count - done);
  if (done < left) return true;
  c.terminal_count = with_bit<u8>(c.terminal_count, channel & 3, true);
  c.request = with_bit<u8>(c.request, channel & 3, false);
  if ((ch.mode & kAutoInit) != 0) {
    ch.address = ch.base_address;
    ch.count = ch.base_count;
  } else {
    c.mask = with_bit<u8>(c.mask, channel & 3, true);
  }
  return true;
}

void Dma::all_run(unsigned controller) {
  const Controller& c = r_.controller[controller];
  for (unsigned i = 0; i < 4; ++i)
    if (bit(c.dreq, i)) run(controller * 4 + i);
  if (controller == 1) all_run(0);
}

u8 Dma::read_register(Controller& c, u32 reg) {
  if (reg < 8) {
    const Channel& ch = c.channel[reg / 2];
    const u16 value = (reg & 1) != 0 ? ch.count : ch.address;
    c.flip_flop = !c.flip_flop;
    return static_cast<u8>(c.flip_flop ? value : value >> 8);
  }
  switch (reg) {
    case 8: {
      const u8 status = static_cast<u8>(c.terminal_count | (c.dreq | c.request) << 4);
      c.terminal_count = 0;
      return status;
    }
    case 15:
      return c.mask;  // not in the datasheet; the PIIX has it
    default:
      return 0;  // the temporary register, and what cannot be read
  }
}

void Dma::write_register(Controller& c, u32 reg, u8 value) {
  if (reg < 8) {
    Channel& ch = c.channel[reg / 2];
    u16& base = (reg & 1) != 0 ? ch.base_count : ch.base_address;
    u16& current = (reg & 1) != 0 ? ch.count : ch.address;
    base = c.flip_flop ? static_cast<u16>((base & 0x00ff) | value << 8) : static_cast<u16>((base & 0xff00) | value);
    current = base;
    c.flip_flop = !c.flip_flop;
    return;
  }
  switch (reg) {
    case 8:
      c.command = value;
      break;
    case 9:
      c.request = with_bit<u8>(c.request, value & 3, bit(value, 2));
      break;
    case 10:
      c.mask = with_bit<u8>(c.mask, value & 3, bit(value, 2));
      break;
    case 11:
      c.channel[value & 3].mode = value;
      break;
    case 12:
      c.flip_flop = false;
      break;
    case 13:
      master_clear(c);
      break;
    case 14:
      c.mask = 0;
      break;
    default:
      c.mask = value & 15;
  }
  all_run(&c == &r_.controller[1] ? 1 : 0);
}

u32 Dma::low_read(u32 offset, unsigned) { return read_register(r_.controller[0], offset & 15); }
void Dma::low_write(u32 offset, u32 value, unsigned) {
  write_register(r_.controller[0], offset & 15, static_cast<u8>(value));
}
u32 Dma::high_read(u32 offset, unsigned) { return read_register(r_.controller[1], offset / 2 & 15); }
void Dma::high_write(u32 offset, u32 value, unsigned) {
  write_register(r_.controller[1], offset / 2 & 15, static_cast<u8>(value));
}

u32 Dma::page_read(u32 offset, unsigned) { return r_.page_latch[offset & 15]; }

void Dma::page_write(u32 offset, u32 value, unsigned) {
  r_.page_latch[offset & 15] = static_cast<u8>(value);
  const u8 channel = kPageChannel[offset & 15];
  if (channel < 8) r_.controller[channel / 4].channel[channel & 3].page = static_cast<u8>(value);
}

}  // namespace umbra
