#include "devices/storage/ide_channel.h"

#include <cstring>

namespace umbra {
namespace {

enum Reg : u32 { kData, kErrorFeatures, kCount, kLbaLow, kLbaMid, kLbaHigh, kDevice, kStatusCommand };

constexpr u8 kNien = 0x02, kSrst = 0x04, kHob = 0x80;  // device control

}  // namespace

IdeChannel::IdeChannel(Clock& clock, GuestMemory& memory, Line irq)
    : irq_(irq),
      bus_master_(memory,
                  [this] {
                    for (auto& drive : drives_)
                      if (drive != nullptr) drive->dma_started();
                  }),
      cable_{clock, bus_master_, [this] { update_irq(); }} {}

AtaDisk& IdeChannel::attach_disk(unsigned unit, std::unique_ptr<BlockDevice> medium, unsigned serial) {
  auto disk = std::make_unique<AtaDisk>(cable_, std::move(medium), serial);
  disks_[unit] = disk.get();
  cdroms_[unit] = nullptr;
  drives_[unit] = std::move(disk);
  return *disks_[unit];
}

AtapiDrive& IdeChannel::attach_cdrom(unsigned unit, std::unique_ptr<BlockDevice> medium, unsigned serial) {
  auto drive = std::make_unique<AtapiDrive>(cable_, std::move(medium), serial);
  cdroms_[unit] = drive.get();
  disks_[unit] = nullptr;
  drives_[unit] = std::move(drive);
  return *cdroms_[unit];
}

void IdeChannel::update_irq() {
  const IdeDrive* drive = selected();
  const bool level = drive != nullptr && drive->intrq() && (device_control_ & kNien) == 0;
  if (level == irq_level_) return;
  irq_level_ = level;
  if (level) bus_master_.interrupt();
  irq_.set(level);
}

u32 IdeChannel::CommandBlock::read(u32 offset, unsigned size) {
  if (offset == kData) {
    u8 bytes[4] = {};
    read_block(kData, bytes, 1, size);
    return bytes[0] | u32{bytes[1]} << 8 | u32{bytes[2]} << 16 | u32{bytes[3]} << 24;
  }
  u32 value = 0;  // wider accesses to the 8-bit registers reach their neighbours, as the ISA bus splits them
  for (unsigned i = 0; i < size; ++i)
    value |= u32{offset + i < 8 ? owner_.read_register(offset + i) : u8{0xff}} << (8 * i);
  return value;
}

void IdeChannel::CommandBlock::write(u32 offset, u32 value, unsigned size) {
  if (offset == kData) {
    u8 bytes[4];
    std::memcpy(bytes, &value, 4);
    return write_block(kData, bytes, 1, size);
  }
  for (unsigned i = 0; i < size && offset + i < 8; ++i)
    owner_.write_register(offset + i, static_cast<u8>(value >> (8 * i)));
}

void IdeChannel::CommandBlock::read_block(u32 offset, u8* to, u32 count, unsigned size) {
  if (offset != kData) return BusTarget::read_block(offset, to, count, size);
  if (IdeDrive* drive = owner_.selected()) return drive->data_in(to, std::size_t{count} * size);
  std::memset(to, 0xff, std::size_t{count} * size);
}

void IdeChannel::CommandBlock::write_block(u32 offset, const u8* from, u32 count, unsigned size) {
  if (offset != kData) return BusTarget::write_block(offset, from, count, size);
  if (IdeDrive* drive = owner_.selected()) drive->data_out(from, std::size_t{count} * size);
}

// Of an absent drive everything is zero, as on QEMU's board. Were device 0 to answer for it, as a disk may, the
// signature of a CD-ROM drive that is alone would be seen twice: the BIOS of Bochs takes that for a second drive.
u8 IdeChannel::read_register(u32 offset) {
  IdeDrive* drive = selected();
  if (drive == nullptr) return offset == kData ? 0xff : 0;
  const TaskFile& tf = drive->tf;
  const bool hob = (device_control_ & kHob) != 0;
  switch (offset) {
    case kErrorFeatures:
      return tf.error;
    case kCount:
      return hob ? tf.hob_count : tf.count;
    case kLbaLow:
    case kLbaMid:
    case kLbaHigh:
      return (hob ? tf.hob_lba : tf.lba)[offset - kLbaLow];
    case kDevice:
      return static_cast<u8>((tf.device & ~ata::kDev) | 0xa0 | (selected_ != 0 ? ata::kDev : 0));
    case kStatusCommand:
      drive->clear_intrq();
      return (device_control_ & kSrst) != 0 ? ata::kBsy : tf.status;
    default:
      return 0xff;
  }
}

void IdeChannel::write_register(u32 offset, u8 value) {
  device_control_ &= static_cast<u8>(~kHob);
  if (offset == kStatusCommand) return write_command(value);
  // While the selected drive is at work, the registers are its own.
  if (IdeDrive* drive = selected(); drive != nullptr && (drive->tf.status & ata::kBsy) != 0) return;
  for (auto& drive : drives_) {
    if (drive == nullptr) continue;
    TaskFile& tf = drive->tf;
    switch (offset) {
      case kErrorFeatures:
        tf.hob_features = std::exchange(tf.features, value);
        break;
      case kCount:
        tf.hob_count = std::exchange(tf.count, value);
        break;
      case kLbaLow:
      case kLbaMid:
      case kLbaHigh:
        tf.hob_lba[offset - kLbaLow] = std::exchange(tf.lba[offset - kLbaLow], value);
        break;
      case kDevice:
        tf.device = value;
        break;
      default:
        break;
    }
  }
  if (offset == kDevice) {
    selected_ = (value & ata::kDev) != 0 ? 1 : 0;
    update_irq();
  }
}

void IdeChannel::write_command(u8 code) {
  if ((device_control_ & kSrst) != 0) return;
  if (code != 0x90) {
    if (IdeDrive* drive = selected()) drive->command(code);
    return;
  }
  for (auto& drive : drives_)  // EXECUTE DEVICE DIAGNOSTIC goes to both; device 0 reports
    if (drive != nullptr) drive->diagnose();
  selected_ = 0;
  if (IdeDrive* drive = drives_[0].get()) drive->raise_intrq();
  update_irq();
}

u32 IdeChannel::control_read(u32, unsigned) {
  IdeDrive* drive = selected();
  if (drive == nullptr) return 0;
  return (device_control_ & kSrst) != 0 ? u32{ata::kBsy} : drive->tf.status;
}

void IdeChannel::control_write(u32, u32 value, unsigned) {
  const bool was_reset = (device_control_ & kSrst) != 0;
  device_control_ = static_cast<u8>(value);
  const bool now_reset = (device_control_ & kSrst) != 0;
  if (was_reset && !now_reset) selected_ = 0;
  if (was_reset != now_reset)
    for (auto& drive : drives_)
      if (drive != nullptr) drive->reset();
  update_irq();
}

void IdeChannel::reset() {
  bus_master_.reset();
  device_control_ = 0;
  selected_ = 0;
  for (auto& drive : drives_)
    if (drive != nullptr) drive->reset();
  update_irq();
}

void IdeChannel::quiesce() {
  for (auto& drive : drives_)
    if (drive != nullptr) drive->quiesce();
}

void IdeChannel::state(Archive& a) {
  for (unsigned unit = 0; unit < 2; ++unit) {
    u8 kind = disks_[unit] != nullptr ? 1 : cdroms_[unit] != nullptr ? 2 : 0;
    const u8 here = kind;
    a("kind", kind);
    if (kind != here) return a.fail("the saved state has other drives on this IDE channel");
    if (drives_[unit] != nullptr) a("drive", *drives_[unit]);
  }
  a("bus_master", bus_master_)("selected", selected_)("device_control", device_control_)("irq_level", irq_level_);
  a.require(selected_ <= 1, "the selected drive");
  selected_ &= 1;
}

}  // namespace umbra
