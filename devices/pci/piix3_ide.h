// The IDE function of the PIIX3 in configuration space. The channels themselves are in devices/storage and decode
// their legacy ports at fixed places; BAR 4 is the bus master.
#pragma once

#include "devices/device.h"
#include "devices/pci/pci.h"

namespace umbra {

class Piix3Ide final : public Device, public PciFunction {
 public:
  explicit Piix3Ide(BusTarget& bus_master)
      : PciFunction({.vendor = 0x8086,
                     .device = 0x7010,
                     .class_code = 0x010180,
                     .subsystem_vendor = 0x1af4,
                     .subsystem = 0x1100}) {
    add_io_bar(4, 16, bus_master, "bus master ide");
    define(0x40, 4, 0x80008000, 0xffffffff);  // IDETIM: both channels decode, timings hold what is written
    define(0x44, 1, 0, 0xff);
    define(0x48, 4, 0, 0x00330000 | 0x0f);
  }
  const char* name() const override { return "piix3-ide"; }
  void reset() override { pci_reset(); }
  void state(Archive& a) override { pci_state(a); }
};

}  // namespace umbra
