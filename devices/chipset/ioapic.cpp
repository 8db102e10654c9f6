#include "devices/chipset/ioapic.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u32 kVersion = 0x00170020;  // 24 entries; version 20h has the EOI register
constexpr u64 kMasked = 1u << 16, kLevel = 1u << 15, kRemoteIrr = 1u << 14, kDeliveryStatus = 1u << 12;
constexpr u64 kReadOnly = kRemoteIrr | kDeliveryStatus;

}  // namespace

void IoApic::reset() {
  const u32 lines = r_.lines;
  r_ = Regs{};
  r_.lines = lines;
  r_.redirection.fill(kMasked);
}

void IoApic::state(Archive& a) {
  a("id", r_.id)("select", r_.select)("lines", r_.lines)("pending", r_.pending)("redirection", r_.redirection);
}

void IoApic::service(unsigned pin) {
  u64& entry = r_.redirection[pin];
  const bool level = (entry & kLevel) != 0;
  const bool asks = level ? bit(r_.lines, pin) && (entry & kRemoteIrr) == 0 : bit(r_.pending, pin);
  if ((entry & kMasked) != 0 || !asks) return;
  const ApicMessage m{.destination = static_cast<u8>(entry >> 56),
                      .logical = bit(entry, 11),
                      .mode = static_cast<ApicMessage::Mode>(entry >> 8 & 7),
                      .vector = static_cast<u8>(entry),
                      .level_triggered = level};
  r_.pending = with_bit(r_.pending, pin, false);
  if (send_(m) && level) entry |= kRemoteIrr;
}

void IoApic::set_line(unsigned pin, bool level) {
  if (pin >= kPins) return;
  const bool rising = level && !bit(r_.lines, pin);
  r_.lines = with_bit(r_.lines, pin, level);
  // 82093AA, "Interrupt Mask": edges at a masked pin are neither delivered nor held.
  if (rising && (r_.redirection[pin] & (kLevel | kMasked)) == 0) r_.pending = with_bit(r_.pending, pin, true);
  if (level) service(pin);
}

void IoApic::eoi(u8 vector) {
  for (unsigned pin = 0; pin < kPins; ++pin) {
    u64& entry = r_.redirection[pin];
    if (static_cast<u8>(entry) != vector || (entry & kLevel) == 0 || (entry & kRemoteIrr) == 0) continue;
    entry &= ~kRemoteIrr;
    service(pin);
  }
}

u32 IoApic::read_register(u8 index) const {
  switch (index) {
    case 0:
      return static_cast<u32>(r_.id) << 24;
    case 1:
      return kVersion;
    case 2:
      return static_cast<u32>(r_.id) << 24;  // arbitration
    default:
      break;
  }
  const unsigned pin = (index - 0x10u) / 2;
  if (index < 0x10 || pin >= kPins) return 0xffffffff;
  return static_cast<u32>(r_.redirection[pin] >> ((index & 1) != 0 ? 32 : 0));
}

void IoApic::write_register(u8 index, u32 value) {
  if (index == 0) r_.id = static_cast<u8>(value >> 24 & 15);
  const unsigned pin = (index - 0x10u) / 2;
  if (index < 0x10 || pin >= kPins) return;
  u64& entry = r_.redirection[pin];
  if ((index & 1) != 0) {
    entry = (entry & 0xffffffff) | static_cast<u64>(value & 0xff000000) << 32;
  } else {
    entry = (entry & ~u64{0xffffffff}) | (entry & kReadOnly) | (value & 0x1ffff & ~kReadOnly);
    if ((entry & kLevel) == 0)
      entry &= ~kRemoteIrr;  // going to edge and back is how old systems clear a stuck IRR
    else
      r_.pending = with_bit(r_.pending, pin, false);
  }
  service(pin);
}

u32 IoApic::read(u32 offset, unsigned) {
  switch (offset & 0xff) {
    case 0x00:
      return r_.select;
    case 0x10:
      return read_register(r_.select);
    default:
      return 0;
  }
}

void IoApic::write(u32 offset, u32 value, unsigned) {
  switch (offset & 0xff) {
    case 0x00:
      r_.select = static_cast<u8>(value);
      break;
    case 0x10:
      write_register(r_.select, value);
      break;
    case 0x40:
      eoi(static_cast<u8>(value));
      break;
    default:
      break;
  }
}

}  // namespace umbra
