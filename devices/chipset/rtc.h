// MC146818A real-time clock with 128 bytes of CMOS RAM, as in the PIIX3. The clock is a point in time plus the
// machine's clock; registers are computed when read. Timers run only while an interrupt is enabled; the flags in
// register C follow from the time since it was last read. The square wave pin leads nowhere on a PC.
#pragma once

#include <array>
#include <chrono>

#include "devices/device.h"

namespace umbra {

// A civil date; `weekday` counts from 1 = Sunday, as the chip does.
struct CivilTime {
  i64 year = 1970;
  u32 month = 1, day = 1, hour = 0, minute = 0, second = 0, weekday = 5;
};
CivilTime civil_from_seconds(i64 unix_seconds);
i64 seconds_from_civil(const CivilTime& t);  // fields out of range carry over, as in mktime

class Rtc final : public Device, public BusTarget {
 public:
  // `base` is what the clock shows at power-on, in seconds since 1970 of whatever time zone the guest is to see.
  Rtc(Clock& clock, Line irq8, i64 base);

  const char* name() const override { return "rtc"; }
  void reset() override;  // RESET#: interrupts off; the time and CMOS stay
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

  void set_cmos(u8 index, u8 value) { r_.cmos[index & 0x7f] = value; }
  u8 cmos(u8 index) const { return r_.cmos[index & 0x7f]; }
  void skip(std::chrono::microseconds time);  // the machine was paused so long, the world was not
  i64 seconds() const;                        // what it shows, since 1970

  struct Regs {
    u8 index = 0;
    std::array<u8, 128> cmos{};  // the time registers are meaningful while the clock is stopped; the alarm always
    i64 offset = 0;              // microseconds: the clock shows offset + machine time
    i64 stopped_at = 0;          // what it shows while stopped
    bool stopped = false;        // SET, or the divider held in reset
    u64 period_mark = 0;         // machine time up to which periodic ticks are in register C
    i64 update_mark = 0;         // second up to which updates and alarms are in register C
    u64 next_tick = 0;           // machine time of the periodic tick to deliver
  };

 private:
  i64 machine_micros() const { return static_cast<i64>(clock_.now() / 1000); }
  i64 time_micros() const;
  u64 period() const;  // nanoseconds, 0 for none
  void update_flags();
  bool alarm_between(i64 after, i64 until) const;
  bool alarm_matches(i64 second) const;
  void show_time();
  void take_time();
  u8 encode(u32 value) const;
  u32 decode(u8 value) const;
  u8 encode_hour(u32 hour) const;
  u32 decode_hour(u8 value) const;
  void stop_or_run();
  void schedule();
  void update_irq();
  void periodic_tick();
  u8 selected() const;
  void write_register(u8 index, u8 value);

  Clock& clock_;
  Line irq8_;
  Timer periodic_;
  Timer second_;
  Regs r_;
};

}  // namespace umbra
