// The IDE function of the PIIX3 as a device: two channels and the bus master's sixteen I/O registers. Its configuration
// space (8086:7010, BAR 4 for bus_master()) belongs to whoever puts it on the PCI bus.
#pragma once

#include "devices/storage/ide_channel.h"

namespace umbra {

class PiixIde final : public Device {
 public:
  PiixIde(Clock& clock, GuestMemory& memory, Line irq14, Line irq15)
      : channels_{{clock, memory, irq14}, {clock, memory, irq15}} {}

  const char* name() const override { return "ide0"; }
  void reset() override;
  void quiesce() override;
  void state(Archive& a) override;

  IdeChannel& channel(unsigned n) { return channels_[n]; }
  BusTarget& bus_master() { return bus_master_; }  // 16 bytes
  void grant_bus(bool on) {
    for (IdeChannel& channel : channels_) channel.bus_master().set_granted(on);
  }

  // Drives by their usual number: 0 primary master … 3 secondary slave. Null if it is not of that kind.
  AtaDisk* disk(unsigned n) { return channels_[n / 2].disk(n % 2); }
  AtapiDrive* cdrom(unsigned n) { return channels_[n / 2].cdrom(n % 2); }
  AtaDisk& attach_disk(unsigned n, std::unique_ptr<BlockDevice> medium) {
    return channels_[n / 2].attach_disk(n % 2, std::move(medium), n);
  }
  AtapiDrive& attach_cdrom(unsigned n, std::unique_ptr<BlockDevice> medium) {
    return channels_[n / 2].attach_cdrom(n % 2, std::move(medium), n);
  }

 private:
  u32 bus_master_read(u32 offset, unsigned size);
  void bus_master_write(u32 offset, u32 value, unsigned size);

  IdeChannel channels_[2];
  Region<PiixIde> bus_master_{this, &PiixIde::bus_master_read, &PiixIde::bus_master_write};
};

}  // namespace umbra
