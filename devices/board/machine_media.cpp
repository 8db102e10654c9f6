// Drives as configured, and media that come and go while the machine runs.
#include "devices/board/layout.h"
#include "devices/board/machine.h"
#include "devices/storage/image.h"

namespace umbra {
namespace {

std::string cd_name(unsigned n) { return format("ide%u-cd%u", n / 2, n % 2); }
std::string disk_name(unsigned n) { return format("ide%u-hd%u", n / 2, n % 2); }
std::string floppy_name(unsigned n) { return format("floppy%u", n); }

constexpr FloppyType kEmptyDrive = FloppyType::k2880K;  // takes any disk that may be put in later; QEMU's, too

}  // namespace

Status Machine::open_drives() {
  if (config_.floppy_drive) fdc_.attach(0, kEmptyDrive);
  for (const DriveConfig& drive : config_.drives)
    if (Status s = open_drive(drive); !s) return s;
  return {};
}

Status Machine::open_drive(const DriveConfig& drive) {
  const bool cd = drive.kind == DriveConfig::Kind::kCdrom;
  std::unique_ptr<BlockDevice> medium;
  if (!drive.file.empty()) {
    const bool disk = drive.kind == DriveConfig::Kind::kDisk;
    const FileAccess access = cd || drive.read_only ? FileAccess::kReadOnly
                              : disk                ? FileAccess::kReadWrite
                                                    : FileAccess::kEither;
    auto opened = open_image(drive.file, {.access = access, .snapshot = drive.snapshot && !cd}, clock_);
    if (!opened) return opened.take_error();
    medium = std::move(*opened);
  }
  switch (drive.kind) {
    case DriveConfig::Kind::kDisk:
      if (medium == nullptr) return Error{"a hard disk needs an image: give it with file="};
      ide_.attach_disk(drive.index, std::move(medium));
      return {};
    case DriveConfig::Kind::kCdrom:
      ide_.attach_cdrom(drive.index, std::move(medium));
      return {};
    case DriveConfig::Kind::kFloppy:
      break;
  }
  if (medium != nullptr) {
    if (const FloppyFormat* format = floppy_format(medium->sectors()))
      fdc_.attach(drive.index, format->type);
    else if (fdc_.type(drive.index) == FloppyType::kNone)
      fdc_.attach(drive.index, kEmptyDrive);
    return fdc_.insert(drive.index, std::move(medium));
  }
  fdc_.attach(drive.index, kEmptyDrive);
  return {};
}

std::vector<Machine::Drive> Machine::drives() {
  std::vector<Drive> all;
  for (unsigned n = 0; n < 4; ++n) {
    if (AtaDisk* disk = ide_.disk(n)) all.push_back({disk_name(n), disk->image().describe()});
    if (AtapiDrive* cd = ide_.cdrom(n)) {
      BlockDevice* medium = cd->medium();
      all.push_back({cd_name(n), medium != nullptr ? medium->describe() : "", true, cd->locked(), cd->tray_open()});
    }
  }
  for (unsigned n = 0; n < Fdc::kDrives; ++n) {
    if (fdc_.type(n) == FloppyType::kNone) continue;
    BlockDevice* medium = fdc_.drive(n).medium();
    all.push_back({floppy_name(n), medium != nullptr ? medium->describe() : "", true});
  }
  return all;
}

Status Machine::change_medium(const std::string& drive, const MediumChange& change) {
  for (unsigned n = 0; n < 4; ++n) {
    AtapiDrive* cd = ide_.cdrom(n);
    if (cd == nullptr || drive != cd_name(n)) continue;
    std::unique_ptr<BlockDevice> medium;
    if (!change.file.empty()) {
      auto opened = open_image(change.file, {.access = FileAccess::kReadOnly}, clock_);
      if (!opened) return opened.take_error();
      medium = std::move(*opened);
    }
    if (!cd->eject(change.force))
      return Error{"the guest has locked the tray of " + drive + "; it has been asked to let go"};
    if (medium != nullptr) cd->insert(std::move(medium));
    return {};
  }
  for (unsigned n = 0; n < Fdc::kDrives; ++n) {
    if (drive != floppy_name(n) || fdc_.type(n) == FloppyType::kNone) continue;
    if (change.file.empty()) {
      fdc_.eject(n);
      return {};
    }
    const FileAccess access = change.read_only ? FileAccess::kReadOnly : FileAccess::kEither;
    auto opened = open_image(change.file, {.access = access}, clock_);
    if (!opened) return opened.take_error();
    return fdc_.insert(n, std::move(*opened));
  }
  return Error{"there is no drive with removable media called '" + drive + "'; see `info block`"};
}

}  // namespace umbra
