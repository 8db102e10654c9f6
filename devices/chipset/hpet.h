// The high precision event timer (IA-PC HPET 1.0a): a 64-bit counter at 100 MHz and three timers, timer 0 of which is
// periodic as well; legacy replacement routes timers 0 and 1 in place of the PIT and the RTC. FSB delivery is left out.
#pragma once

#include <array>
#include <functional>

#include "devices/device.h"

namespace umbra {

class Hpet final : public Device, public BusTarget {
 public:
  static constexpr u32 kSize = 0x400;
  static constexpr u64 kHz = 100'000'000;
  static constexpr unsigned kTimers = 3;
  static constexpr u32 kRoutes = 0x00ff0004;  // inputs of the I/O APIC a timer may be routed to

  // `irq(n)`: the line to interrupt n, as the legacy mode (0 and 8) and the routes name it.
  Hpet(Clock& clock, std::function<Line(unsigned)> irq, std::function<void(bool)> legacy_replacement);

  const char* name() const override { return "hpet"; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

  struct TimerRegs {
    u64 config = 0, comparator = ~u64{0}, period = 0;
  };
  struct Regs {
    u64 config = 0, status = 0;
    u64 counter = 0;  // while stopped
    u64 start = 0;    // machine time at which it would have been zero, in ticks, while running
    std::array<TimerRegs, kTimers> timer{};
  };
  const Regs& regs() const { return r_; }
  u64 counter() const;

 private:
  bool enabled() const { return (r_.config & 1) != 0; }
  bool legacy() const { return (r_.config & 2) != 0; }
  Line line_of(unsigned n) const;
  u64 width_mask(unsigned n) const;
  bool is_periodic(unsigned n) const { return (r_.timer[n].config & 8) != 0 && r_.timer[n].period != 0; }
  void schedule(unsigned n);
  void schedule_all();
  void expired(unsigned n);
  void set_status(unsigned n, bool on);
  u64 read_register(u32 reg);
  void write_register(u32 reg, u64 value, u64 mask);
  void write_config(u64 value);
  void write_timer(unsigned n, u32 reg, u64 value, u64 mask);

  Clock& clock_;
  std::function<Line(unsigned)> irq_;
  std::function<void(bool)> legacy_replacement_;
  std::array<Timer, kTimers> timers_;
  Regs r_;
};

}  // namespace umbra
