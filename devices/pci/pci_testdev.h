// QEMU's pci-testdev (docs/specs/pci-testdev): two BARs, one of memory and one of ports, that each describe three tests
// of single-byte writes in a header of their own. Writing a test's number to the first byte selects it; the header
// then says where to write what, and counts the writes. The tests' names speak of eventfds, which nothing here has: a
// write is a write.
#pragma once

#include "devices/device.h"
#include "devices/pci/pci.h"

namespace umbra {

class PciTestDevice final : public Device, public PciFunction {
 public:
  PciTestDevice();
  const char* name() const override { return "pci-testdev"; }
  void reset() override;
  void state(Archive& a) override;

 private:
  static constexpr unsigned kTests = 3;  // of each BAR
  struct Regs {
    u8 current = 0xff;  // the selected test of both BARs together, or none
    u32 count = 0;
  };
  u8 byte_at(u32 offset) const;
  u32 read(u32 offset, unsigned size);
  void write(unsigned bar, u32 offset, u32 value);
  void write_memory(u32 offset, u32 value, unsigned) { write(0, offset, value); }
  void write_port(u32 offset, u32 value, unsigned) { write(1, offset, value); }

  Regs r_;
  Region<PciTestDevice> memory_{this, &PciTestDevice::read, &PciTestDevice::write_memory};
  Region<PciTestDevice> ports_{this, &PciTestDevice::read, &PciTestDevice::write_port};
};

}  // namespace umbra
