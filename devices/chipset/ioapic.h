// The 82093AA I/O APIC: 24 inputs, edge or level, redirected to the local APIC. Polarity is kept but not used: on
// this board all lines are active high.
#pragma once

#include <array>
#include <functional>

#include "devices/chipset/lapic.h"
#include "devices/device.h"

namespace umbra {

class IoApic final : public Device, public BusTarget, public LineSink {
 public:
  static constexpr u32 kSize = 0x1000;
  static constexpr unsigned kPins = 24;
  using Send = std::function<bool(const ApicMessage&)>;  // false: nobody took it

  explicit IoApic(Send send) : send_(std::move(send)) { reset(); }

  const char* name() const override { return "ioapic"; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;
  void set_line(unsigned pin, bool level) override;
  void eoi(u8 vector);

  struct Regs {
    u8 id = 0, select = 0;
    u32 lines = 0;    // the inputs as they are
    u32 pending = 0;  // edges that wait behind a mask
    std::array<u64, kPins> redirection{};
  };
  const Regs& regs() const { return r_; }

 private:
  void service(unsigned pin);
  u32 read_register(u8 index) const;
  void write_register(u8 index, u32 value);

  Send send_;
  Regs r_;
};

}  // namespace umbra
