// The local APIC of a Pentium III class processor (SDM vol. 3, chapter 10), xAPIC mode. The machine has one
// processor: interprocessor interrupts come back to itself or go nowhere. Lowest priority equals fixed.
#pragma once

#include <array>
#include <functional>

#include "devices/device.h"

namespace umbra {

struct ApicMessage {
  enum Mode : u8 { kFixed, kLowestPriority, kSmi, kReserved, kNmi, kInit, kStartup, kExtInt };
  u8 destination = 0;
  bool logical = false;
  Mode mode = kFixed;
  u8 vector = 0;
  bool level_triggered = false;
};

class LocalApic final : public Device, public BusTarget {
 public:
  static constexpr u32 kSize = 0x1000;
  static constexpr u64 kTimerHz = 1'000'000'000;

  struct Wires {
    Line intr;  // something to acknowledge, from here or from the 8259
    Line nmi;
    Line init;
  };
  LocalApic(Clock& clock, const Wires& wires);

  const char* name() const override { return "lapic"; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

  void set_enabled(bool on);   // IA32_APIC_BASE bit 11
  void set_lint0(bool level);  // the 8259's INT
  void set_lint1(bool level);  // NMI

  bool accepts(const ApicMessage& m) const;
  void deliver(const ApicMessage& m);
  void on_eoi(std::function<void(u8 vector)> f) { eoi_ = std::move(f); }  // of level-triggered vectors

  // INTA: the vector of the local APIC's own interrupt, or nothing when the 8259 is to answer. `extint` says that
  // what is wanted is the 8259's.
  bool has_vector() const;
  bool wants_extint() const;
  u8 acknowledge();

  struct Regs {
    bool enabled = true;
    u8 id = 0, tpr = 0, ldr = 0, dfr = 0xff;
    u32 svr = 0xff;
    std::array<u32, 8> isr{}, tmr{}, irr{};
    u32 esr = 0, esr_pending = 0;
    u32 icr_low = 0, icr_high = 0;
    std::array<u32, 6> lvt{};  // timer, thermal, performance, LINT0, LINT1, error
    u32 initial_count = 0, divide = 0;
    u64 timer_start = 0;  // machine time at which the count was start_count
    u32 start_count = 0;  // 0: it has run out, and a change of the mode does not bring it back
    bool lint0 = false, lint1 = false, extint = false;
  };
  const Regs& regs() const { return r_; }

 private:
  enum Lvt { kTimer, kThermal, kPerformance, kLint0, kLint1, kError };
  bool software_enabled() const { return r_.enabled && (r_.svr & 0x100) != 0; }
  u8 ppr() const;
  void set_irr(u8 vector, bool level_triggered);
  void error(u32 bit);
  void eoi();
  void send_ipi();
  void fire_lvt(Lvt entry);
  unsigned timer_shift() const;
  u64 ticks(u32 counts) const;
  u32 current_count() const;
  void count_from(u32 count);
  void timer_expired();
  void schedule_timer();
  void write_lvt(Lvt entry, u32 value);
  void update();

  Clock& clock_;
  Wires wires_;
  std::function<void(u8)> eoi_;
  Timer timer_;
  Regs r_;
};

}  // namespace umbra
