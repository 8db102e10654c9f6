// One ATA channel: the command and control block registers that two drives share, selection, reset and the interrupt
// line. A write of the host reaches both drives; a read comes from the selected one. If only device 0 is there it
// answers for device 1 too, with a status of zero; an empty channel reads as zero.
#pragma once

#include <memory>

#include "devices/device.h"
#include "devices/storage/ata_disk.h"
#include "devices/storage/atapi_drive.h"

namespace umbra {

class IdeChannel {
 public:
  IdeChannel(Clock& clock, GuestMemory& memory, Line irq);

  AtaDisk& attach_disk(unsigned unit, std::unique_ptr<BlockDevice> medium, unsigned serial);
  AtapiDrive& attach_cdrom(unsigned unit, std::unique_ptr<BlockDevice> medium, unsigned serial);  // medium may be null
  AtaDisk* disk(unsigned unit) { return disks_[unit]; }
  AtapiDrive* cdrom(unsigned unit) { return cdroms_[unit]; }

  BusTarget& command() { return command_; }  // 8 bytes: 1F0h, 170h
  BusTarget& control() { return control_; }  // 1 byte: 3F6h, 376h
  BusMaster& bus_master() { return bus_master_; }

  void reset();
  void quiesce();
  void state(Archive& a);

 private:
  class CommandBlock final : public BusTarget {
   public:
    explicit CommandBlock(IdeChannel& owner) : owner_(owner) {}
    u32 read(u32 offset, unsigned size) override;
    void write(u32 offset, u32 value, unsigned size) override;
    void read_block(u32 offset, u8* to, u32 count, unsigned size) override;
    void write_block(u32 offset, const u8* from, u32 count, unsigned size) override;

   private:
    IdeChannel& owner_;
  };

  u8 read_register(u32 offset);
  void write_register(u32 offset, u8 value);
  void write_command(u8 code);
  u32 control_read(u32 offset, unsigned size);
  void control_write(u32 offset, u32 value, unsigned size);
  void update_irq();
  bool present(unsigned unit) const { return drives_[unit] != nullptr; }
  IdeDrive* selected() { return drives_[selected_].get(); }

  Line irq_;
  BusMaster bus_master_;
  IdeDrive::Cable cable_;
  std::unique_ptr<IdeDrive> drives_[2];
  AtaDisk* disks_[2] = {};
  AtapiDrive* cdroms_[2] = {};
  CommandBlock command_{*this};
  Region<IdeChannel> control_{this, &IdeChannel::control_read, &IdeChannel::control_write};
  u8 selected_ = 0;
  u8 device_control_ = 0;
  bool irq_level_ = false;
};

}  // namespace umbra
