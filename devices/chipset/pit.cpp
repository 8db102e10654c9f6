#include "devices/chipset/pit.h"

#include <algorithm>

#include "cpu/base/bits.h"
#include "devices/chipset/catch_up.h"

namespace umbra {
namespace {

u32 period_of(u16 written, bool bcd) {
  if (!bcd) return written == 0 ? 0x10000 : written;
  const u32 n = (written & 15) + (written >> 4 & 15) * 10 + (written >> 8 & 15) * 100 + (written >> 12) * 1000u;
  return n == 0 ? 10000 : n;
}

u16 to_bcd(u32 n) {
  n %= 10000;
  return static_cast<u16>(n % 10 | n / 10 % 10 << 4 | n / 100 % 10 << 8 | n / 1000 << 12);
}

u32 modulus(const Pit::Counter& c) { return c.bcd ? 10000 : 0x10000; }

bool periodic(const Pit::Counter& c) { return c.mode == 2 || c.mode == 3; }

}  // namespace

Pit::Pit(Clock& clock, Line irq0) : clock_(clock), irq0_(irq0), timer_(clock, [this] { edge(); }) { reset(); }

void Pit::reset() {
  r_ = Regs{};
  r_.counter[2].gate = false;
  for (Counter& c : r_.counter) {
    c.loaded = true;  // undefined by the datasheet; a PC's firmware has always programmed counter 0 already
    restart(c, 0x10000, now());
  }
  irq0_.lower();
  schedule(now());
}

void Pit::state(Archive& a) {
  for (Counter& c : r_.counter) {
    a("mode", c.mode)("bcd", c.bcd)("access", c.access)("gate", c.gate)("loaded", c.loaded)("triggered", c.triggered);
    a("written", c.written)("low_byte", c.low_byte)("write_high", c.write_high)("read_high", c.read_high);
    a("latched", c.latched)("status_latched", c.status_latched)("latch", c.latch)("status", c.status);
    a("period", c.period)("next_period", c.next_period)("switch_tick", c.switch_tick)("start", c.start)("held", c.held);
    a.require(c.mode < 6 && c.access <= kLowHigh, "pit mode");
    a.require(c.period >= 1 && c.period <= 0x10000 && c.next_period <= 0x10000, "pit count");
    if (a.failed()) {
      c = Counter{};
      return;
    }
  }
  a("irq_tick", r_.irq_tick)("irq_off", r_.irq_off)("timer", timer_);
}

// Modes 2 and 3 go on to a new count at the end of a period.
void Pit::settle(Counter& c) const {
  if (c.next_period == 0 || now() < c.switch_tick) return;
  c.period = c.next_period;
  c.start = c.switch_tick;
  c.next_period = 0;
}

bool Pit::counting(const Counter& c) {
  if (!c.loaded) return false;
  return c.mode == 1 || c.mode == 5 ? c.triggered : c.gate;
}

u64 Pit::elapsed(const Counter& c, u64 tick) {
  if (!c.loaded) return 0;
  const u64 run = counting(c) && tick > c.start ? tick - c.start : 0;
  return c.held + run;
}

u16 Pit::count_at(const Counter& c, u64 tick) {
  const u64 d = elapsed(c, tick);
  u32 count = 0;
  switch (c.mode) {
    case 2:
      count = static_cast<u32>(c.period - d % c.period);
      break;
    case 3: {  // counts down by two, twice a period; an odd count starts at the even number below it
      const u32 half = (c.period + 1) / 2;
      const u32 phase = static_cast<u32>(d % c.period);
      count = (c.period & ~1u) - 2 * (phase < half ? phase : phase - half);
      break;
    }
    default:  // the others count on through zero
      count = static_cast<u32>((c.period % modulus(c) + modulus(c) - d % modulus(c)) % modulus(c));
  }
  return c.bcd ? to_bcd(count) : static_cast<u16>(count);
}

bool Pit::out_at(const Counter& c, u64 tick) {
  const u64 d = elapsed(c, tick);
  switch (c.mode) {
    case 0:
      return c.loaded && d >= c.period;
    case 1:
      return !c.triggered || d >= c.period;
    case 2:
      return !c.gate || !c.loaded || d % c.period != c.period - 1;
    case 3:
      return !c.gate || !c.loaded || d % c.period < (c.period + 1) / 2;
    case 4:
      return !c.loaded || d != c.period;
    default:
      return !c.triggered || d != c.period;
  }
}

// The first tick after `after` at which OUT rises; 0 for never.
u64 Pit::next_rise(const Counter& c, u64 after) {
  if (!counting(c)) return 0;
  const u64 origin = c.start - std::min(c.start, c.held);
  if (periodic(c)) {
    if (c.next_period != 0 && after >= c.switch_tick)
      return c.switch_tick + ((after - c.switch_tick) / c.next_period + 1) * c.next_period;
    if (after < c.start) return c.start + c.period;
    return c.start + ((after - c.start) / c.period + 1) * c.period;
  }
  const u64 rise = origin + c.period + (c.mode >= 4 ? 1 : 0);
  return rise > after ? rise : 0;
}

u32 Pit::period_ticks(unsigned counter) const {
  const Counter& c = r_.counter[counter];
  return periodic(c) && counting(c) ? c.period : 0;
}

void Pit::schedule(u64 after) {
  settle(r_.counter[0]);
  r_.irq_tick = r_.irq_off ? 0 : next_rise(r_.counter[0], after);
  if (r_.irq_tick == 0) return timer_.stop();
  timer_.at(time_of_tick(r_.irq_tick, kPitHz));
}

// OUT of counter 0 rises (perhaps some time ago). Falling edges matter to nobody, so they are shown just before.
void Pit::edge() {
  irq0_.lower();
  irq0_.raise();
  const u64 now_ns = clock_.now();
  const u64 done = r_.irq_tick;
  const Counter& c = r_.counter[0];
  const u64 horizon = ticks_at(now_ns - std::min(now_ns, kCatchUpLimit), kPitHz);
  schedule(std::max(done, horizon));
  if (r_.irq_tick == 0) return;
  const u64 due = time_of_tick(r_.irq_tick, kPitHz);
  const u64 period = periodic(c) ? time_of_tick(c.period, kPitHz) : 0;
  if (due <= now_ns || period < kShortestInterval) timer_.at(delivery_time(due, now_ns, period));
}

// After anything that changes what counter 0 does.
void Pit::changed(unsigned index) {
  if (index != 0) return;
  if (!r_.irq_off) irq0_.set(out(0));
  schedule(now());
}

void Pit::disconnect_irq0(bool off) {
  if (r_.irq_off == off) return;
  r_.irq_off = off;
  if (off) irq0_.lower();
  changed(0);
}

void Pit::restart(Counter& c, u32 period, u64 tick) {
  c.period = period;
  c.start = tick;
  c.held = 0;
  c.next_period = 0;
}

void Pit::load(Counter& c, u16 value) {
  settle(c);
  c.written = value;
  const u32 period = period_of(value, c.bcd);
  const u64 tick = now();
  if (periodic(c) && c.loaded && counting(c)) {
    c.next_period = period;
    c.switch_tick = c.start + (tick - c.start) / c.period * c.period + c.period;
  } else if ((c.mode == 1 || c.mode == 5) && c.triggered) {
    c.next_period = 0;  // CR only: the running shot is not touched, the next trigger loads it
  } else {
    restart(c, period, tick);
  }
  c.loaded = true;
}

void Pit::set_gate(unsigned counter, bool level) {
  Counter& c = r_.counter[counter];
  if (c.gate == level) return;
  settle(c);
  const u64 tick = now();
  const bool rising = level;
  switch (c.mode) {
    case 0:
    case 4:
      if (!rising) c.held = elapsed(c, tick);
      c.gate = level;
      if (rising) c.start = tick;
      break;
    case 1:
    case 5:
      c.gate = level;
      if (rising && c.loaded) {
        c.triggered = true;
        restart(c, period_of(c.written, c.bcd), tick);
      }
      break;
    default:
      c.gate = level;
      if (rising) restart(c, period_of(c.written, c.bcd), tick);
  }
  changed(counter);
}

void Pit::latch_count(Counter& c) {
  if (c.latched) return;
  settle(c);
  c.latch = count_at(c, now());
  c.latched = true;
}

void Pit::read_back(u8 value) {
  for (unsigned i = 0; i < 3; ++i) {
    if (!bit(value, i + 1)) continue;
    Counter& c = r_.counter[i];
    if (!bit(value, 5)) latch_count(c);
    if (!bit(value, 4) && !c.status_latched) {
      settle(c);
      const bool null_count = !c.loaded || c.next_period != 0;
      c.status = static_cast<u8>((out(i) ? 0x80 : 0) | (null_count ? 0x40 : 0) | c.access << 4 | c.mode << 1 | c.bcd);
      c.status_latched = true;
    }
  }
}

void Pit::write_control(u8 value) {
  const unsigned index = value >> 6;
  if (index == 3) return read_back(value);
  Counter& c = r_.counter[index];
  const auto access = static_cast<Access>(value >> 4 & 3);
  if (access == kLatch) return latch_count(c);
  const bool gate = c.gate;
  c = Counter{};
  c.gate = gate;
  c.access = access;
  c.mode = value >> 1 & 7;
  if (c.mode > 5) c.mode &= 3;  // bit 2 is "don't care" for modes 2 and 3
  c.bcd = bit(value, 0);
  changed(index);
}

u32 Pit::read(u32 offset, unsigned) {
  if (offset == 3) return 0xff;  // the control word cannot be read
  Counter& c = r_.counter[offset & 3];
  if (c.status_latched) {
    c.status_latched = false;
    return c.status;
  }
  settle(c);
  const u16 value = c.latched ? c.latch : count_at(c, now());
  bool high = c.access == kHigh;
  if (c.access == kLowHigh) {
    high = c.read_high;
    c.read_high = !c.read_high;
  }
  if (c.access != kLowHigh || high) c.latched = false;
  return high ? value >> 8 : value & 0xff;
}

void Pit::write(u32 offset, u32 value, unsigned) {
  const u8 byte = static_cast<u8>(value);
  if (offset == 3) return write_control(byte);
  Counter& c = r_.counter[offset & 3];
  switch (c.access) {
    case kLow:
      load(c, byte);
      break;
    case kHigh:
      load(c, static_cast<u16>(byte << 8));
      break;
    default:
      if (!c.write_high) {
        c.low_byte = byte;
        c.write_high = true;
        if (c.mode == 0) c.loaded = false;  // the first byte stops mode 0 and lowers OUT
      } else {
        c.write_high = false;
        load(c, static_cast<u16>(byte << 8 | c.low_byte));
      }
  }
  changed(offset & 3);
}

}  // namespace umbra
