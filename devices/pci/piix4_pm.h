// The power management function of the 82371AB (PIIX4; Intel 290562) as QEMU's pc board has it beside a PIIX3: ACPI
// fixed registers at PMBA, the 3.579545 MHz timer, general purpose events at AFE0h, and the APM ports B2h/B3h through
// which firmware and systems hand over. There is no system management mode: the function says that its SMI is set up
// already, so that firmware does not wait for one. The SMBus answers that nobody is on it, and the registers of QEMU's
// PCI hot-plug, which SeaBIOS' DSDT reads, that no slot can be plugged.
#pragma once

#include <functional>

#include "devices/device.h"
#include "devices/pci/pci.h"

namespace umbra {

class Piix4Pm final : public Device, public PciFunction {
 public:
  static constexpr u64 kTimerHz = 3'579'545;
  enum class Sleep : u8 { kOff, kSuspend };

  Piix4Pm(Clock& clock, Line sci, std::function<void(Sleep)> sleep);

  const char* name() const override { return "piix4pm"; }
  void reset() override;
  void state(Archive& a) override;

  struct Ports {
    bool parallel = false, serial_a = false, serial_b = false;
  };
  void set_ports(const Ports& ports);  // that the board has; known from the next reset on

  void power_button();
  void rtc_interrupt();    // IRQ8 goes up
  bool rtc_wakes() const;  // that would end S3
  void wake(u16 pm1_sts);  // out of S3, with what PM1_STS was: for the system to see

  BusTarget& apm_ports() { return apm_ports_; }            // B2h, B3h
  BusTarget& gpe_ports() { return gpe_ports_; }            // AFE0h–AFE3h
  BusTarget& hot_plug_ports() { return hot_plug_ports_; }  // AE00h–AE0Fh

  struct Regs {
    u16 pm1_sts = 0, pm1_en = 0, pm1_cnt = 0;
    u8 gpe_sts[2] = {}, gpe_en[2] = {};
    u8 apmc = 0, apms = 0;
    u64 timer_mark = 0;  // ticks up to which overflows are in PM1_STS
    u8 smbus[16] = {};
  };
  const Regs& regs() const { return r_; }

 protected:
  void add_ranges(std::vector<PciRange>& ranges) override;
  void config_written(u8 reg, unsigned size) override;

 private:
  u32 pm_read(u32 offset, unsigned size);
  void pm_write(u32 offset, u32 value, unsigned size);
  u8 pm_byte(u32 offset);
  u32 apm_read(u32 offset, unsigned size);
  void apm_write(u32 offset, u32 value, unsigned size);
  u32 gpe_read(u32 offset, unsigned size);
  void gpe_write(u32 offset, u32 value, unsigned size);
  u32 hot_plug_read(u32, unsigned) { return 0; }
  void hot_plug_write(u32, u32, unsigned) {}
  u32 smbus_read(u32 offset, unsigned size);
  void smbus_write(u32 offset, u32 value, unsigned size);
  u64 ticks() const { return ticks_at(clock_.now(), kTimerHz); }
  void update();
  void write_control(u16 value);

  Clock& clock_;
  Line sci_;
  std::function<void(Sleep)> sleep_;
  Timer overflow_;
  Regs r_;
  Region<Piix4Pm> pm_{this, &Piix4Pm::pm_read, &Piix4Pm::pm_write};
  Region<Piix4Pm> apm_ports_{this, &Piix4Pm::apm_read, &Piix4Pm::apm_write};
  Region<Piix4Pm> gpe_ports_{this, &Piix4Pm::gpe_read, &Piix4Pm::gpe_write};
  Region<Piix4Pm> hot_plug_ports_{this, &Piix4Pm::hot_plug_read, &Piix4Pm::hot_plug_write};
  Region<Piix4Pm> smbus_{this, &Piix4Pm::smbus_read, &Piix4Pm::smbus_write};
};

}  // namespace umbra
