#include "devices/chipset/rtc.h"

#include "cpu/base/bits.h"
#include "devices/chipset/catch_up.h"

namespace umbra {
namespace {

enum : u8 {
  kSeconds = 0,
  kSecondsAlarm = 1,
  kMinutes = 2,
  kMinutesAlarm = 3,
  kHours = 4,
  kHoursAlarm = 5,
  kWeekday = 6,
  kDay = 7,
  kMonth = 8,
  kYear = 9,
  kA = 10,
  kB = 11,
  kC = 12,
  kD = 13,
  kCentury = 0x32,
  kCenturyPs2 = 0x37,  // the same register, where PS/2s have it
};

constexpr u8 kUip = 0x80;
constexpr u8 kSet = 0x80, kPie = 0x40, kAie = 0x20, kUie = 0x10, kBinary = 0x04, k24Hours = 0x02;
constexpr u8 kIrqf = 0x80, kPf = 0x40, kAf = 0x20, kUf = 0x10;
constexpr u8 kValid = 0x80;

constexpr i64 kSecond = 1'000'000;  // points in time are in microseconds: nanoseconds would end in 2262
constexpr i64 kUipLead = 244;       // UIP rises that long before the update
constexpr i64 kDaySeconds = 86400;
constexpr u64 kTimeBaseHz = 32768;

i64 floor_div(i64 a, i64 b) { return a / b - (a % b < 0 ? 1 : 0); }

bool is_time_register(u8 index) {
  return index == kSeconds || index == kMinutes || index == kHours || (index >= kWeekday && index <= kYear) ||
         index == kCentury;
}

}  // namespace

// Days from civil and back: the proleptic Gregorian calendar in eras of 400 years that start in March.
CivilTime civil_from_seconds(i64 seconds) {
  CivilTime t;
  const i64 days = floor_div(seconds, kDaySeconds);
  const i64 rest = seconds - days * kDaySeconds;
  t.hour = static_cast<u32>(rest / 3600);
  t.minute = static_cast<u32>(rest / 60 % 60);
  t.second = static_cast<u32>(rest % 60);
  t.weekday = static_cast<u32>(((days + 4) % 7 + 7) % 7) + 1;
  const i64 z = days + 719468;
  const i64 era = floor_div(z, 146097);
  const i64 day_of_era = z - era * 146097;
  const i64 year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const i64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const i64 month = (5 * day_of_year + 2) / 153;
  t.day = static_cast<u32>(day_of_year - (153 * month + 2) / 5 + 1);
  t.month = static_cast<u32>(month < 10 ? month + 3 : month - 9);
  t.year = year_of_era + era * 400 + (t.month <= 2 ? 1 : 0);
  return t;
}

i64 seconds_from_civil(const CivilTime& t) {
  const i64 months = static_cast<i64>(t.month) - 1;
  const i64 year = t.year + floor_div(months, 12);
  const i64 month = months % 12 + 1;
  const i64 y = year - (month <= 2 ? 1 : 0);
  const i64 era = floor_div(y, 400);
  const i64 year_of_era = y - era * 400;
  const i64 day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + static_cast<i64>(t.day) - 1;
  const i64 day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  const i64 days = era * 146097 + day_of_era - 719468;
  return days * kDaySeconds + t.hour * 3600 + t.minute * 60 + t.second;
}

Rtc::Rtc(Clock& clock, Line irq8, i64 base)
    : clock_(clock), irq8_(irq8), periodic_(clock, [this] { periodic_tick(); }), second_(clock, [this] {
        update_irq();
        schedule();
      }) {
  r_.cmos[kA] = 0x26;
  r_.cmos[kB] = k24Hours;
  r_.cmos[kD] = kValid;
  r_.offset = base * kSecond - machine_micros();
  r_.update_mark = base;
  show_time();
}

void Rtc::reset() {
  r_.cmos[kB] = static_cast<u8>(r_.cmos[kB] & ~(kPie | kAie | kUie | 8));
  r_.cmos[kC] = 0;
  r_.index = 0;
  stop_or_run();
  schedule();
  irq8_.lower();
}

void Rtc::state(Archive& a) {
  a("index", r_.index)("cmos", r_.cmos)("offset", r_.offset)("stopped_at", r_.stopped_at)("stopped", r_.stopped);
  a("period_mark", r_.period_mark)("update_mark", r_.update_mark)("next_tick", r_.next_tick);
  a("periodic", periodic_)("second", second_);
  constexpr i64 kFar = i64{1} << 61;
  a.require(r_.offset > -kFar && r_.offset < kFar && r_.stopped_at > -kFar && r_.stopped_at < kFar, "rtc time");
  a.require(r_.update_mark > -kFar / kSecond && r_.update_mark < kFar / kSecond, "rtc update mark");
  if (a.failed()) {
    r_.offset = r_.stopped_at = r_.update_mark = 0;
  }
}

i64 Rtc::time_micros() const { return r_.stopped ? r_.stopped_at : r_.offset + machine_micros(); }

i64 Rtc::seconds() const { return floor_div(time_micros(), kSecond); }

void Rtc::skip(std::chrono::microseconds time) {
  if (r_.stopped) return;
  r_.offset += time.count();
  schedule();
}

u64 Rtc::period() const {
  unsigned rate = r_.cmos[kA] & 15;
  if (rate == 0 || (r_.cmos[kA] & 0x70) > 0x20) return 0;
  if (rate <= 2) rate += 7;
  return (kNanosPerSecond << (rate - 1)) / kTimeBaseHz;
}

u8 Rtc::encode(u32 value) const {
  if ((r_.cmos[kB] & kBinary) != 0) return static_cast<u8>(value);
  return static_cast<u8>(value / 10 % 10 << 4 | value % 10);
}

u32 Rtc::decode(u8 value) const { return (r_.cmos[kB] & kBinary) != 0 ? value : (value >> 4) * 10u + (value & 15); }

u8 Rtc::encode_hour(u32 hour) const {
  if ((r_.cmos[kB] & k24Hours) != 0) return encode(hour);
  const u32 twelve = hour % 12 == 0 ? 12 : hour % 12;
  return static_cast<u8>(encode(twelve) | (hour >= 12 ? 0x80 : 0));
}

u32 Rtc::decode_hour(u8 value) const {
  if ((r_.cmos[kB] & k24Hours) != 0) return decode(value);
  return decode(value & 0x7f) % 12 + ((value & 0x80) != 0 ? 12 : 0);
}

void Rtc::show_time() {
  const CivilTime t = civil_from_seconds(floor_div(time_micros(), kSecond));
  auto& c = r_.cmos;
  c[kSeconds] = encode(t.second);
  c[kMinutes] = encode(t.minute);
  c[kHours] = encode_hour(t.hour);
  c[kWeekday] = encode(t.weekday);
  c[kDay] = encode(t.day);
  c[kMonth] = encode(t.month);
  c[kYear] = encode(static_cast<u32>(((t.year % 100) + 100) % 100));
  c[kCentury] = encode(static_cast<u32>(t.year / 100 % 100));
}

// The registers are what the clock shows from now on; the fraction of the second goes on.
void Rtc::take_time() {
  const auto& c = r_.cmos;
  CivilTime t;
  t.second = decode(c[kSeconds]);
  t.minute = decode(c[kMinutes]);
  t.hour = decode_hour(c[kHours]);
  t.day = decode(c[kDay]);
  t.month = decode(c[kMonth]);
  t.year = decode(c[kYear]) + i64{100} * decode(c[kCentury]);
  if (t.month == 0) t.month = 1;
  const i64 before = time_micros();
  const i64 fraction = before - floor_div(before, kSecond) * kSecond;
  const i64 after = seconds_from_civil(t) * kSecond + fraction;
  if (r_.stopped)
    r_.stopped_at = after;
  else
    r_.offset += after - before;
  r_.update_mark = floor_div(after, kSecond);
}

void Rtc::stop_or_run() {
  const bool stop = (r_.cmos[kB] & kSet) != 0 || (r_.cmos[kA] & 0x70) > 0x20;
  if (stop == r_.stopped) return;
  const i64 shown = time_micros();
  r_.stopped = stop;
  if (stop)
    r_.stopped_at = shown;
  else
    r_.offset = shown - machine_micros();
}

bool Rtc::alarm_matches(i64 second) const {
  const CivilTime t = civil_from_seconds(second);
  const auto field = [this](u8 index, u8 now) {
    const u8 alarm = r_.cmos[index];
    return (alarm & 0xc0) == 0xc0 || alarm == now;  // C0h–FFh: don't care
  };
  return field(kSecondsAlarm, encode(t.second)) && field(kMinutesAlarm, encode(t.minute)) &&
         field(kHoursAlarm, encode_hour(t.hour));
}

bool Rtc::alarm_between(i64 after, i64 until) const {
  if (until - after > kDaySeconds) after = until - kDaySeconds;  // the alarm repeats daily
  for (i64 s = after + 1; s <= until; ++s)
    if (alarm_matches(s)) return true;
  return false;
}

// Brings the flags of register C up to now.
void Rtc::update_flags() {
  u8& c = r_.cmos[kC];
  const u64 now = clock_.now();
  if (const u64 p = period(); p != 0) {
    if (now / p > r_.period_mark / p) c |= kPf;
    r_.period_mark = now;
  }
  const i64 second = floor_div(time_micros(), kSecond);
  if (!r_.stopped && second > r_.update_mark) {
    c |= kUf;
    if ((c & kAf) == 0 && alarm_between(r_.update_mark, second)) c |= kAf;
  }
  r_.update_mark = second;
}

void Rtc::update_irq() {
  update_flags();
  u8& c = r_.cmos[kC];
  const bool irq = (c & r_.cmos[kB] & (kPf | kAf | kUf)) != 0;
  c = static_cast<u8>(irq ? c | kIrqf : c & ~kIrqf);
  irq8_.set(irq);
}

void Rtc::schedule() {
  const u8 b = r_.cmos[kB];
  const u64 now = clock_.now();
  if (const u64 p = period(); p != 0 && (b & kPie) != 0) {
    if (!periodic_.armed()) {
      r_.next_tick = (now / p + 1) * p;
      periodic_.at(r_.next_tick);
    }
  } else {
    periodic_.stop();
  }
  if ((b & (kAie | kUie)) != 0 && !r_.stopped) {
    const i64 shown = time_micros();
    second_.at(now + static_cast<u64>((floor_div(shown, kSecond) + 1) * kSecond - shown) * 1000);
  } else {
    second_.stop();
  }
}

void Rtc::periodic_tick() {
  const u64 p = period();
  if (p == 0) return;
  const u64 now = clock_.now();
  r_.cmos[kC] |= kPf;
  update_irq();
  const u64 horizon = now - std::min(now, kCatchUpLimit);
  r_.next_tick = std::max(r_.next_tick + p, horizon);
  periodic_.at(r_.next_tick > now ? r_.next_tick : delivery_time(r_.next_tick, now, p));
}

u8 Rtc::selected() const {
  const u8 index = r_.index & 0x7f;
  return index == kCenturyPs2 ? u8{kCentury} : index;
}

u32 Rtc::read(u32 offset, unsigned) {
  if (offset == 0) return 0xff;  // the index is write-only
  const u8 index = selected();
  if (is_time_register(index)) {
    if (!r_.stopped) show_time();
    return r_.cmos[index];
  }
  if (index == kA) {
    const i64 shown = time_micros();
    const i64 left = (floor_div(shown, kSecond) + 1) * kSecond - shown;
    return r_.cmos[kA] | (!r_.stopped && left <= kUipLead ? kUip : 0);
  }
  if (index == kC) {
    update_irq();
    const u8 value = r_.cmos[kC];
    r_.cmos[kC] = 0;
    irq8_.lower();
    return value;
  }
  return r_.cmos[index];
}

void Rtc::write(u32 offset, u32 value, unsigned) {
  if (offset == 0)
    r_.index = static_cast<u8>(value);
  else
    write_register(selected(), static_cast<u8>(value));
}

void Rtc::write_register(u8 index, u8 value) {
  switch (index) {
    case kA:
    case kB: {
      update_flags();
      if (!r_.stopped) show_time();
      const u64 old_period = period();
      const bool held = (r_.cmos[kA] & 0x70) > 0x20;
      const bool was_set = (r_.cmos[kB] & kSet) != 0;
      if (index == kB && (value & kSet) != 0) value = static_cast<u8>(value & ~kUie);
      r_.cmos[index] = index == kA ? value & 0x7f : value;
      if (was_set && (r_.cmos[kB] & kSet) == 0) take_time();
      // The first update comes half a second after the divider is let go.
      if (held && (r_.cmos[kA] & 0x70) <= 0x20)
        r_.stopped_at = floor_div(r_.stopped_at, kSecond) * kSecond + kSecond / 2;
      stop_or_run();
      if (!r_.stopped) show_time();
      if (period() != old_period) periodic_.stop();
      update_irq();
      schedule();
      break;
    }
    case kC:
    case kD:
      break;  // read-only
    default:
      if (is_time_register(index)) {
        if (!r_.stopped) show_time();
        r_.cmos[index] = value;
        if ((r_.cmos[kB] & kSet) == 0) take_time();
        schedule();
      } else {
        if (index == kSecondsAlarm || index == kMinutesAlarm || index == kHoursAlarm) update_flags();
        r_.cmos[index] = value;
      }
  }
}

}  // namespace umbra
