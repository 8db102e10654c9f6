// The 8254 interval timer (Intel 231164) at 1.193182 MHz. Nothing ticks: a counter knows the tick at which it was
// started, and count and output follow from the time. Only counter 0's output is a wire (IRQ0); its rising edges are
// timer events, and edges missed while the host was away are made good (catch_up.h).
#pragma once

#include "devices/device.h"

namespace umbra {

inline constexpr u64 kPitHz = 1'193'182;

class Pit final : public Device, public BusTarget {
 public:
  Pit(Clock& clock, Line irq0);

  const char* name() const override { return "pit"; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

  void set_gate(unsigned counter, bool level);
  bool gate(unsigned counter) const { return r_.counter[counter].gate; }
  bool out(unsigned counter) const { return out_at(r_.counter[counter], now()); }
  u32 period_ticks(unsigned counter) const;  // of modes 2 and 3, for the speaker; 0 when it makes no tone
  // HPET legacy replacement takes IRQ0 over.
  void disconnect_irq0(bool off);

  enum Access : u8 { kLatch = 0, kLow = 1, kHigh = 2, kLowHigh = 3 };
  struct Counter {
    u8 mode = 3;
    bool bcd = false;
    Access access = kLowHigh;
    bool gate = true;
    bool loaded = false;     // a count was written since the control word ("null count" is the opposite)
    bool triggered = false;  // modes 1 and 5 wait for the gate
    u16 written = 0;         // the count register CR, as written
    u8 low_byte = 0;         // of a count being written
    bool write_high = false, read_high = false;
    bool latched = false, status_latched = false;
    u16 latch = 0;
    u8 status = 0;
    u32 period = 0x10000;  // in ticks, from CR when counting started
    u32 next_period = 0;   // modes 2 and 3 take a new count at the end of the current period; 0: none waits
    u64 switch_tick = 0;   // when `next_period` takes over
    u64 start = 0;         // tick at which the counting element held `period`
    u64 held = 0;          // ticks already counted when the gate fell (modes 0 and 4)
  };
  struct Regs {
    Counter counter[3];
    u64 irq_tick = 0;  // the tick of the next edge of IRQ0; 0: none
    bool irq_off = false;
  };
  const Regs& regs() const { return r_; }

 private:
  u64 now() const { return ticks_at(clock_.now(), kPitHz); }
  void settle(Counter& c) const;
  static u64 elapsed(const Counter& c, u64 tick);
  static bool counting(const Counter& c);
  static u16 count_at(const Counter& c, u64 tick);
  static bool out_at(const Counter& c, u64 tick);
  static u64 next_rise(const Counter& c, u64 after);
  void write_control(u8 value);
  void read_back(u8 value);
  void latch_count(Counter& c);
  void load(Counter& c, u16 value);
  void restart(Counter& c, u32 period, u64 tick);
  void changed(unsigned index);
  void schedule(u64 after);
  void edge();

  Clock& clock_;
  Line irq0_;
  Timer timer_;
  Regs r_;
};

}  // namespace umbra
