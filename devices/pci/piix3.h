// The 82371SB (PIIX3) ISA bridge (Intel 290550): routing of PCI interrupts to the ISA ones, reset control (CF9h), and
// registers that hold what is written. Its IDE function is in devices/storage.
#pragma once

#include <array>

#include "devices/device.h"
#include "devices/pci/pci.h"

namespace umbra {

class Piix3 final : public Device, public PciFunction, public LineSink {
 public:
  // `isa_irqs` takes the routed interrupts: inputs 0–15. `reset` is the platform's reset.
  Piix3(LineSink& isa_irqs, Line reset);

  const char* name() const override { return "piix3"; }
  void reset() override;
  void state(Archive& a) override;

  // PIRQA#–PIRQD#. Every function has a wire of its own, `wire * 4 + pirq`, because they share the line.
  static constexpr unsigned kWires = 32;
  void set_line(unsigned input, bool level) override;
  // Where INTx# (0–3) of a device leads: each slot is rotated by one.
  static unsigned pirq_of(unsigned device, unsigned intx) { return (intx + device + 3) & 3; }

  BusTarget& reset_control() { return reset_control_; }  // CF9h

 protected:
  void config_written(u8 reg, unsigned size) override;

 private:
  u32 reset_read(u32 offset, unsigned size);
  void reset_write(u32 offset, u32 value, unsigned size);
  void update();

  LineSink& isa_;
  Line reset_;
  std::array<u32, 4> wires_{};  // which of the wires on each PIRQ are up
  u16 routed_ = 0;              // the ISA interrupts that are up because of us
  u8 rcr_ = 0;
  Region<Piix3> reset_control_{this, &Piix3::reset_read, &Piix3::reset_write};
};

}  // namespace umbra
