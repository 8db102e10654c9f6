// The IDE function of the PIIX3 in configuration space. The channels themselves are in devices/storage and decode
// their legacy ports at fixed places; BAR 4 is the bus master, which moves data while the command register lets it.
#pragma once

#include <functional>

#include "devices/device.h"
#include "devices/pci/pci.h"

namespace umbra {

class Piix3Ide final : public Device, public PciFunction {
 public:
  Piix3Ide(BusTarget& bus_master, std::function<void(bool)> grant_bus)
      : PciFunction({.vendor = 0x8086,
                     .device = 0x7010,
                     .class_code = 0x010180,
                     .subsystem_vendor = 0x1af4,
                     .subsystem = 0x1100,
                     .status = kMediumDevsel | kFastBackToBack}),
        grant_bus_(std::move(grant_bus)) {
    add_io_bar(4, 16, bus_master, "bus master ide");
    define(0x40, 4, 0x80008000, 0xffffffff);  // IDETIM: both channels decode, timings hold what is written
    define(0x44, 1, 0, 0xff);
    define(0x48, 4, 0, 0x00330000 | 0x0f);
  }
  const char* name() const override { return "piix3-ide"; }
  void reset() override {
    pci_reset();
    grant_bus_(bus_master_enabled());
  }
  void state(Archive& a) override {
    pci_state(a);
    if (a.loading()) grant_bus_(bus_master_enabled());
  }

 private:
  void config_written(u8, unsigned) override { grant_bus_(bus_master_enabled()); }

  std::function<void(bool)> grant_bus_;
};

}  // namespace umbra
