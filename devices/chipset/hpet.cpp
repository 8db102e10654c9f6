#include "devices/chipset/hpet.h"

#include "cpu/base/bits.h"
#include "devices/chipset/catch_up.h"

namespace umbra {
namespace {

constexpr u64 kFemtosecondsPerTick = 10'000'000;
constexpr u64 kCapabilities = kFemtosecondsPerTick << 32 | 0x8086'0000 | 0x8000 | 0x2000 | (Hpet::kTimers - 1) << 8 | 1;

// Timer configuration.
constexpr u64 kLevel = 1 << 1, kEnable = 1 << 2, kPeriodic = 1 << 3, kCanPeriodic = 1 << 4, k64Bit = 1 << 5,
              kSetValue = 1 << 6, k32Mode = 1 << 8;
constexpr u64 kTimerWritable = 0x3e4e | k32Mode;

constexpr u64 kFarTicks = u64{1} << 56;  // 22 years

}  // namespace

Hpet::Hpet(Clock& clock, std::function<Line(unsigned)> irq, std::function<void(bool)> legacy_replacement)
    : clock_(clock),
      irq_(std::move(irq)),
      legacy_replacement_(std::move(legacy_replacement)),
      timers_{Timer{clock, [this] { expired(0); }}, Timer{clock, [this] { expired(1); }},
              Timer{clock, [this] { expired(2); }}} {
  reset();
}

void Hpet::reset() {
  for (unsigned n = 0; n < kTimers; ++n) {
    if (bit(r_.status, n)) set_status(n, false);
    timers_[n].stop();
  }
  const bool was_legacy = legacy();
  r_ = Regs{};
  for (TimerRegs& t : r_.timer) t.config = u64{kRoutes} << 32 | kCanPeriodic | k64Bit;
  if (was_legacy) legacy_replacement_(false);
}

void Hpet::state(Archive& a) {
  a("config", r_.config)("status", r_.status)("counter", r_.counter)("start", r_.start);
  for (TimerRegs& t : r_.timer) {
    a("config", t.config)("comparator", t.comparator)("period", t.period);
    if (a.loading()) t.config = (t.config & kTimerWritable) | u64{kRoutes} << 32 | kCanPeriodic | k64Bit;
  }
  for (Timer& t : timers_) a("timer", t);
  if (a.loading() && !a.failed()) legacy_replacement_(legacy());
}

u64 Hpet::counter() const { return enabled() ? ticks_at(clock_.now(), kHz) - r_.start : r_.counter; }

u64 Hpet::width_mask(unsigned n) const { return (r_.timer[n].config & k32Mode) != 0 ? 0xffffffff : ~u64{0}; }

Line Hpet::line_of(unsigned n) const {
  if (legacy() && n < 2) return irq_(n == 0 ? 0 : 8);
  return irq_(static_cast<unsigned>(r_.timer[n].config >> 9 & 31));
}

// The status bit exists for level-triggered interrupts; edges are pulses.
void Hpet::set_status(unsigned n, bool on) {
  const u64 config = r_.timer[n].config;
  const bool asserts = on && (config & kEnable) != 0;
  if ((config & kLevel) != 0) {
    r_.status = with_bit(r_.status, n, on);
    line_of(n).set(asserts);
  } else if (asserts) {
    line_of(n).pulse();
  } else if (!on) {
    r_.status = with_bit(r_.status, n, false);
    line_of(n).lower();
  }
}

void Hpet::schedule(unsigned n) {
  TimerRegs& t = r_.timer[n];
  if (!enabled() || (t.config & kEnable) == 0) return timers_[n].stop();
  const u64 mask = width_mask(n);
  if (is_periodic(n)) {  // ticks passed while nobody was to be told
    const u64 behind = (counter() - t.comparator) & mask;
    if (behind < mask / 2) t.comparator = (t.comparator + (behind / t.period + 1) * t.period) & mask;
  }
  const u64 left = (t.comparator - counter()) & mask;
  const u64 ticks = left == 0 ? mask : left;  // a match just now was told already: once around
  timers_[n].at(clock_.now() + std::min(ticks, kFarTicks) * (kNanosPerSecond / kHz));
}

void Hpet::schedule_all() {
  for (unsigned n = 0; n < kTimers; ++n) schedule(n);
}

void Hpet::expired(unsigned n) {
  TimerRegs& t = r_.timer[n];
  set_status(n, true);
  if (!is_periodic(n)) return schedule(n);
  const u64 mask = width_mask(n);
  t.comparator = (t.comparator + t.period) & mask;
  const u64 behind = (counter() - t.comparator) & mask;
  const bool late = behind < mask / 2;
  const u64 period = t.period * (kNanosPerSecond / kHz);
  if (!late && period >= kShortestInterval) return schedule(n);
  const u64 limit = ticks_at(kCatchUpLimit, kHz);
  if (late && behind > limit) t.comparator = (t.comparator + (behind - limit) / t.period * t.period) & mask;
  timers_[n].at(clock_.now() + std::max(std::min(period, kCatchUpLimit) / 4, kShortestInterval));
}

u64 Hpet::read_register(u32 reg) {
  switch (reg) {
    case 0x000:
      return kCapabilities;
    case 0x010:
      return r_.config;
    case 0x020:
      return r_.status;
    case 0x0f0:
      return counter();
    default:
      break;
  }
  const unsigned n = (reg - 0x100) / 0x20;
  if (reg < 0x100 || n >= kTimers) return 0;
  switch (reg & 0x1f) {
    case 0x00:
      return r_.timer[n].config;
    case 0x08:
      return r_.timer[n].comparator & width_mask(n);
    default:
      return 0;
  }
}

void Hpet::write_config(u64 value) {
  const bool was_enabled = enabled(), was_legacy = legacy();
  const u64 now_ticks = ticks_at(clock_.now(), kHz);
  const bool on = (value & 1) != 0;
  if (was_enabled && !on) r_.counter = counter();
  r_.config = value & 3;
  if (!was_enabled && on) r_.start = now_ticks - r_.counter;
  if (was_legacy != legacy()) legacy_replacement_(legacy());
  if (!on) {
    for (unsigned n = 0; n < kTimers; ++n) line_of(n).lower();
  }
  schedule_all();
}

void Hpet::write_timer(unsigned n, u32 reg, u64 value, u64 mask) {
  TimerRegs& t = r_.timer[n];
  if (reg == 0x00) {
    const u64 old = t.config;
    mask &= kTimerWritable;
    if (bit(r_.status, n) && ((old ^ value) & mask & (kLevel | kEnable)) != 0) set_status(n, false);
    t.config = (old & ~mask) | (value & mask);
  } else if (reg == 0x08) {
    // In periodic mode the accumulator is set only after kSetValue; every write sets the period.
    const bool periodic = (t.config & kPeriodic) != 0;
    if (!periodic || (t.config & kSetValue) != 0)
      t.comparator = ((t.comparator & ~mask) | (value & mask)) & width_mask(n);
    if (periodic) t.period = ((t.period & ~mask) | (value & mask)) & (width_mask(n) >> 1);
    t.config &= ~kSetValue;
  }
  schedule(n);
}

void Hpet::write_register(u32 reg, u64 value, u64 mask) {
  switch (reg) {
    case 0x010:
      return write_config((r_.config & ~mask) | (value & mask));
    case 0x020:
      for (unsigned n = 0; n < kTimers; ++n)
        if (bit(value & mask, n) && bit(r_.status, n)) set_status(n, false);
      return;
    case 0x0f0: {
      const u64 written = (counter() & ~mask) | (value & mask);
      if (enabled())
        r_.start = ticks_at(clock_.now(), kHz) - written;
      else
        r_.counter = written;
      return schedule_all();
    }
    default:
      break;
  }
  const unsigned n = (reg - 0x100) / 0x20;
  if (reg >= 0x100 && n < kTimers) write_timer(n, reg & 0x1f, value, mask);
}

u32 Hpet::read(u32 offset, unsigned) { return static_cast<u32>(read_register(offset & ~7u) >> ((offset & 7) * 8)); }

void Hpet::write(u32 offset, u32 value, unsigned size) {
  const unsigned shift = (offset & 7) * 8;
  const u64 mask = (size == 4 ? 0xffffffffu : (u64{1} << (size * 8)) - 1) << shift;
  write_register(offset & ~7u, static_cast<u64>(value) << shift, mask);
}

}  // namespace umbra
