#include "devices/chipset/system_ports.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr unsigned kSpeakerCounter = 2;
constexpr u64 kRefreshTicks = 18;  // of the PIT: 15.08 µs

}  // namespace

void SystemControlB::reset() {
  r_.control = 0;
  pit_.set_gate(kSpeakerCounter, false);
}

void SystemControlB::state(Archive& a) { a("control", r_.control); }

u32 SystemControlB::read(u32, unsigned) {
  const u64 refreshes = ticks_at(clock_.now(), kPitHz) / kRefreshTicks;
  return r_.control | static_cast<u32>(refreshes & 1) << 4 | (pit_.out(kSpeakerCounter) ? 0x20u : 0u);
}

void SystemControlB::write(u32, u32 value, unsigned) {
  r_.control = value & 0x0f;
  pit_.set_gate(kSpeakerCounter, bit(value, 0));
}

u32 SystemControlB::speaker_hz() const {
  const u32 period = (r_.control & 2) != 0 ? pit_.period_ticks(kSpeakerCounter) : 0;
  return period == 0 ? 0 : static_cast<u32>(kPitHz / period);
}

void SystemControlA::reset() {
  r_.control = 0;
  a20_.lower();
}

void SystemControlA::state(Archive& a) {
  a("control", r_.control);
  if (a.loading() && !a.failed()) a20_.set(bit(r_.control, 1));
}

u32 SystemControlA::read(u32, unsigned) { return r_.control; }

void SystemControlA::write(u32, u32 value, unsigned) {
  const bool reset = bit(value, 0) && !bit(r_.control, 0);
  r_.control = value & 0x0b;
  a20_.set(bit(value, 1));
  if (reset) reset_.pulse();
}

u32 PostCode::read(u32, unsigned) { return code_; }

void PostCode::write(u32, u32 value, unsigned) { code_ = static_cast<u8>(value); }

}  // namespace umbra
