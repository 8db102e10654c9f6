#include "devices/chipset/lapic.h"

#include <bit>

#include "cpu/base/bits.h"
#include "devices/chipset/catch_up.h"

namespace umbra {
namespace {

constexpr u32 kVersion = 0x00050014;  // six LVT entries
constexpr u32 kMasked = 1u << 16, kPending = 1u << 12, kLevel = 1u << 15, kPeriodic = 1u << 17;
constexpr u32 kIllegalSendVector = 1u << 5, kIllegalReceiveVector = 1u << 6, kIllegalRegister = 1u << 7;
constexpr u32 kLvtWritable[6] = {0x300ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
constexpr u64 kTimerMinimum = 2000;  // 2 µs between interrupts is as fast as they come

int highest(const std::array<u32, 8>& bits) {
  for (int i = 7; i >= 0; --i)
    if (bits[static_cast<unsigned>(i)] != 0) return i * 32 + 31 - std::countl_zero(bits[static_cast<unsigned>(i)]);
  return -1;
}

void assign(std::array<u32, 8>& bits, u8 vector, bool on) {
  bits[vector / 32] = with_bit(bits[vector / 32], vector & 31, on);
}
bool test(const std::array<u32, 8>& bits, u8 vector) { return bit(bits[vector / 32], vector & 31); }

}  // namespace

LocalApic::LocalApic(Clock& clock, const Wires& wires)
    : clock_(clock), wires_(wires), timer_(clock, [this] { timer_expired(); }) {
  reset();
}

void LocalApic::reset() {
  const bool lint0 = r_.lint0, lint1 = r_.lint1;
  r_ = Regs{};
  r_.lint0 = lint0;
  r_.lint1 = lint1;
  r_.lvt.fill(kMasked);
  r_.lvt[kLint0] = 0x700;  // ExtINT, as firmware leaves it: the 8259 works before anybody asks for the APIC
  timer_.stop();
  update();
}

void LocalApic::state(Archive& a) {
  a("enabled", r_.enabled)("id", r_.id)("tpr", r_.tpr)("ldr", r_.ldr)("dfr", r_.dfr)("svr", r_.svr);
  a("isr", r_.isr)("tmr", r_.tmr)("irr", r_.irr)("esr", r_.esr)("esr_pending", r_.esr_pending);
  a("icr_low", r_.icr_low)("icr_high", r_.icr_high)("lvt", r_.lvt)("initial_count", r_.initial_count);
  a("divide", r_.divide)("timer_start", r_.timer_start)("start_count", r_.start_count);
  a("lint0", r_.lint0)("lint1", r_.lint1)("extint", r_.extint);
  a("timer", timer_);
  if (a.loading() && !a.failed()) update();
}

u8 LocalApic::ppr() const {
  const int serving = highest(r_.isr);
  const u8 isrv = serving < 0 ? 0 : static_cast<u8>(serving & 0xf0);
  return (r_.tpr & 0xf0) >= isrv ? r_.tpr : isrv;
}

bool LocalApic::has_vector() const {
  if (!software_enabled()) return false;
  const int request = highest(r_.irr);
  return request >= 0 && (request & 0xf0) > (ppr() & 0xf0);
}

// The 8259 reaches the processor when the APIC is off, through LINT0 in ExtINT mode, or through the I/O APIC.
bool LocalApic::wants_extint() const {
  if (!r_.enabled) return r_.lint0;
  const u32 lint0 = r_.lvt[kLint0];
  return (r_.lint0 && (lint0 & kMasked) == 0 && (lint0 >> 8 & 7) == ApicMessage::kExtInt) || (r_.lint0 && r_.extint);
}

void LocalApic::update() { wires_.intr.set(has_vector() || wants_extint()); }

u8 LocalApic::acknowledge() {
  if (!has_vector()) return static_cast<u8>(r_.svr);
  const auto vector = static_cast<u8>(highest(r_.irr));
  assign(r_.irr, vector, false);
  assign(r_.isr, vector, true);
  update();
  return vector;
}

void LocalApic::set_irr(u8 vector, bool level_triggered) {
  if (vector < 16) return error(kIllegalReceiveVector);
  assign(r_.irr, vector, true);
  assign(r_.tmr, vector, level_triggered);
  update();
}

void LocalApic::error(u32 bits) {
  r_.esr_pending |= bits;
  const u32 entry = r_.lvt[kError];
  if ((entry & kMasked) == 0 && (entry & 0xff) >= 16) {  // an error vector that is itself illegal ends here
    assign(r_.irr, static_cast<u8>(entry), true);
    update();
  }
}

bool LocalApic::accepts(const ApicMessage& m) const {
  const bool maskable = m.mode == ApicMessage::kFixed || m.mode == ApicMessage::kLowestPriority;
  if (!r_.enabled || (maskable && !software_enabled())) return false;
  if (!m.logical) return m.destination == 0xff || m.destination == r_.id;
  if ((r_.dfr & 0xf0) == 0xf0) return (m.destination & r_.ldr) != 0;
  return (m.destination >> 4) == (r_.ldr >> 4) && (m.destination & r_.ldr & 15) != 0;
}

void LocalApic::deliver(const ApicMessage& m) {
  switch (m.mode) {
    case ApicMessage::kFixed:
    case ApicMessage::kLowestPriority:
      if (software_enabled()) set_irr(m.vector, m.level_triggered);
      break;
    case ApicMessage::kNmi:
      wires_.nmi.pulse();
      break;
    case ApicMessage::kInit:
      wires_.init.pulse();
      break;
    case ApicMessage::kExtInt:
      r_.extint = true;
      update();
      break;
    default:
      break;  // SMI has no handler here; a start-up message means nothing to a running processor
  }
}

void LocalApic::set_enabled(bool on) {
  if (r_.enabled == on) return;
  r_.enabled = on;
  if (!on) {
    r_.svr = 0xff;
    timer_.stop();
  }
  update();
}

void LocalApic::fire_lvt(Lvt entry) {
  const u32 value = r_.lvt[entry];
  if ((value & kMasked) != 0 || !r_.enabled) return;
  const auto mode = static_cast<ApicMessage::Mode>(value >> 8 & 7);
  const bool level = (entry == kLint0 || entry == kLint1) && (value & kLevel) != 0;
  if (mode != ApicMessage::kExtInt)
    deliver({.mode = entry == kTimer ? ApicMessage::kFixed : mode,
             .vector = static_cast<u8>(value),
             .level_triggered = level});
}

void LocalApic::set_lint0(bool level) {
  const bool rising = level && !r_.lint0;
  r_.lint0 = level;
  if (!level) r_.extint = false;
  if (rising) fire_lvt(kLint0);
  update();
}

void LocalApic::set_lint1(bool level) {
  const bool rising = level && !r_.lint1;
  r_.lint1 = level;
  if (!rising) return;
  if (!r_.enabled)
    wires_.nmi.pulse();
  else
    fire_lvt(kLint1);
}

void LocalApic::eoi() {
  const int vector = highest(r_.isr);
  if (vector < 0) return;
  assign(r_.isr, static_cast<u8>(vector), false);
  if (test(r_.tmr, static_cast<u8>(vector)) && eoi_) eoi_(static_cast<u8>(vector));
  // A level pin in fixed mode asks again for as long as it is up.
  for (const Lvt pin : {kLint0, kLint1}) {
    const bool up = pin == kLint0 ? r_.lint0 : r_.lint1;
    if (up && (r_.lvt[pin] & kLevel) != 0 && (r_.lvt[pin] & 0x7ff) == static_cast<u32>(vector)) fire_lvt(pin);
  }
  update();
}

void LocalApic::send_ipi() {
  const u32 low = r_.icr_low;
  ApicMessage m{.destination = static_cast<u8>(r_.icr_high >> 24),
                .logical = bit(low, 11),
                .mode = static_cast<ApicMessage::Mode>(low >> 8 & 7),
                .vector = static_cast<u8>(low),
                .level_triggered = bit(low, 15)};
  const u32 shorthand = low >> 18 & 3;
  if (m.mode == ApicMessage::kFixed && m.vector < 16) error(kIllegalSendVector);
  if (m.mode == ApicMessage::kInit && bit(low, 15) && !bit(low, 14)) return;  // INIT level de-assert: arbitration only
  m.level_triggered = false;
  // Shorthands: 1 self, 2 all, 3 all but self.
  if (shorthand == 3 || (shorthand == 0 && !accepts(m))) return;
  deliver(m);
}

unsigned LocalApic::timer_shift() const { return (((r_.divide & 3) | (r_.divide >> 1 & 4)) + 1) & 7; }

u64 LocalApic::ticks(u32 counts) const { return u64{counts} << timer_shift(); }

u32 LocalApic::current_count() const {
  if (r_.initial_count == 0 || r_.start_count == 0) return 0;
  const u64 now = clock_.now();
  const u64 elapsed = (now - std::min(now, r_.timer_start)) >> timer_shift();
  if (elapsed < r_.start_count) return r_.start_count - static_cast<u32>(elapsed);
  if ((r_.lvt[kTimer] & kPeriodic) == 0) return 0;
  return r_.initial_count - static_cast<u32>((elapsed - r_.start_count) % r_.initial_count);
}

void LocalApic::count_from(u32 count) {
  r_.timer_start = clock_.now();
  r_.start_count = count;
}

void LocalApic::schedule_timer() {
  if (r_.initial_count == 0 || r_.start_count == 0 || (r_.lvt[kTimer] & kMasked) != 0) return timer_.stop();
  const u64 first = r_.timer_start + ticks(r_.start_count);
  const u64 now = clock_.now();
  const u64 period = ticks(r_.initial_count);
  if (now < first)
    timer_.at(first);
  else if ((r_.lvt[kTimer] & kPeriodic) == 0)
    timer_.stop();
  else
    timer_.at(first + ((now - first) / period + 1) * period);
}

void LocalApic::timer_expired() {
  fire_lvt(kTimer);
  if ((r_.lvt[kTimer] & kPeriodic) == 0 || r_.initial_count == 0) return;
  const u64 period = ticks(r_.initial_count);
  const u64 now = clock_.now();
  r_.timer_start += ticks(r_.start_count);
  r_.start_count = r_.initial_count;
  if (now > r_.timer_start && now - r_.timer_start > kCatchUpLimit)
    r_.timer_start += (now - r_.timer_start) / period * period;
  const u64 due = r_.timer_start + period;
  timer_.at(due > now && period >= kTimerMinimum ? due : std::max(due, now + std::max(period / 4, kTimerMinimum)));
}

void LocalApic::write_lvt(Lvt entry, u32 value) {
  const u32 count = current_count();
  const bool new_mode = entry == kTimer && ((r_.lvt[kTimer] ^ value) & kPeriodic) != 0;
  r_.lvt[entry] = value & kLvtWritable[entry];
  if (!software_enabled()) r_.lvt[entry] |= kMasked;
  if (new_mode) count_from(count);
  if (entry == kTimer) schedule_timer();
  update();
}

u32 LocalApic::read(u32 offset, unsigned) {
  const u32 reg = offset >> 4;
  if ((offset & 15) != 0) return 0;  // only the first dword of each sixteen bytes exists
  switch (reg) {
    case 0x02:
      return static_cast<u32>(r_.id) << 24;
    case 0x03:
      return kVersion;
    case 0x08:
      return r_.tpr;
    case 0x09:
      return 0;  // arbitration priority: of the serial bus only
    case 0x0a:
      return ppr();
    case 0x0b:
      return 0;
    case 0x0d:
      return static_cast<u32>(r_.ldr) << 24;
    case 0x0e:
      return static_cast<u32>(r_.dfr) << 24 | 0x0fffffff;
    case 0x0f:
      return r_.svr;
    case 0x28:
      return r_.esr;
    case 0x30:
      return r_.icr_low;
    case 0x31:
      return r_.icr_high;
    case 0x38:
      return r_.initial_count;
    case 0x39:
      return current_count();
    case 0x3e:
      return r_.divide;
    default:
      break;
  }
  if (reg >= 0x10 && reg < 0x18) return r_.isr[reg & 7];
  if (reg >= 0x18 && reg < 0x20) return r_.tmr[reg & 7];
  if (reg >= 0x20 && reg < 0x28) return r_.irr[reg & 7];
  if (reg >= 0x32 && reg < 0x38) return r_.lvt[reg - 0x32];
  error(kIllegalRegister);
  return 0;
}

void LocalApic::write(u32 offset, u32 value, unsigned) {
  const u32 reg = offset >> 4;
  if ((offset & 15) != 0) return;
  switch (reg) {
    case 0x02:
      r_.id = static_cast<u8>(value >> 24 & 15);
      break;
    case 0x08:
      r_.tpr = static_cast<u8>(value);
      update();
      break;
    case 0x0b:
      eoi();
      break;
    case 0x0d:
      r_.ldr = static_cast<u8>(value >> 24);
      break;
    case 0x0e:
      r_.dfr = static_cast<u8>(value >> 24 | 15);
      break;
    case 0x0f:
      r_.svr = value & 0x1ff;
      if ((value & 0x100) == 0)
        for (u32& entry : r_.lvt) entry |= kMasked;
      schedule_timer();
      update();
      break;
    case 0x28:
      r_.esr = r_.esr_pending;
      r_.esr_pending = 0;
      break;
    case 0x30:
      r_.icr_low = value & 0x000ccfff & ~kPending;
      send_ipi();
      break;
    case 0x31:
      r_.icr_high = value & 0xff000000;
      break;
    case 0x38:
      r_.initial_count = value;
      count_from(value);
      schedule_timer();
      break;
    case 0x3e: {
      const u32 count = current_count();
      r_.divide = value & 0x0b;
      count_from(count);
      schedule_timer();
      break;
    }
    default:
      if (reg >= 0x32 && reg < 0x38)
        write_lvt(static_cast<Lvt>(reg - 0x32), value);
      else if (reg != 0x03 && reg != 0x39 && (reg < 0x10 || reg > 0x27))
        error(kIllegalRegister);
  }
}

}  // namespace umbra
