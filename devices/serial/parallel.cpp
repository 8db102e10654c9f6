#include "devices/serial/parallel.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

// Status; BUSY and ACK# are active low here.
constexpr u8 kNotBusy = 0x80, kNotAck = 0x40, kPaperOut = 0x20, kSelected = 0x10, kNotError = 0x08;
// Control.
constexpr u8 kStrobe = 0x01, kInit = 0x04, kIrqEnable = 0x10, kInput = 0x20;

}  // namespace

void Parallel::reset() {
  r_ = Regs{};
  irq_.lower();
}

void Parallel::state(Archive& a) { a("data", r_.data)("control", r_.control)("busy", r_.busy); }

u32 Parallel::read(u32 offset, unsigned) {
  switch (offset) {
    case 0:
      return (r_.control & kInput) != 0 ? 0xff : r_.data;
    case 1:
      if (host_ == nullptr) return kNotAck | kNotBusy | kPaperOut | 0x07;  // nothing plugged in
      if (r_.busy) strobe();
      return (r_.busy || host_->full() ? 0 : kNotBusy) | kNotAck | kSelected | kNotError | 0x07;
    case 2:
      return r_.control | 0xc0;
    default:
      return 0xff;
  }
}

void Parallel::strobe() {
  if (host_ == nullptr) return;
  r_.busy = host_->connected() && host_->write({&r_.data, 1}) == 0;
  if (!r_.busy && (r_.control & kIrqEnable) != 0) irq_.pulse();
}

void Parallel::write(u32 offset, u32 value, unsigned) {
  const u8 byte = static_cast<u8>(value);
  if (offset == 0) {
    r_.data = byte;
  } else if (offset == 2) {
    const bool falling = (r_.control & kStrobe) != 0 && (byte & kStrobe) == 0;
    r_.control = byte & 0x3f;
    if (falling && (byte & kInit) != 0) strobe();
  }
}

}  // namespace umbra
