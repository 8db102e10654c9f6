#include "devices/storage/floppy.h"

namespace umbra {
namespace {

constexpr u8 k500 = 1 << 0, k300 = 1 << 1, k250 = 1 << 2, k1000 = 1 << 3;

constexpr FloppyFormat kFormats[] = {
    {2880, 80, 2, 18, k500, FloppyType::k1440K},        // what others are taken for
    {320, 40, 1, 8, k300 | k250, FloppyType::k360K},    // 160 KB
    {360, 40, 1, 9, k300 | k250, FloppyType::k360K},    // 180 KB
    {640, 40, 2, 8, k300 | k250, FloppyType::k360K},    // 320 KB
    {720, 40, 2, 9, k300 | k250, FloppyType::k360K},    // 360 KB
    {1440, 80, 2, 9, k300 | k250, FloppyType::k1440K},  // 720 KB
    {2400, 80, 2, 15, k500, FloppyType::k1200K},        // 1.2 MB
    {3200, 80, 2, 20, k500, FloppyType::k1440K},        // 1.6 MB
    {3360, 80, 2, 21, k500, FloppyType::k1440K},        // 1.68 MB, DMF
    {3444, 82, 2, 21, k500, FloppyType::k1440K},        // 1.72 MB
    {5760, 80, 2, 36, k1000, FloppyType::k2880K},       // 2.88 MB
};

}  // namespace

const FloppyFormat* floppy_format(u64 total) {
  for (const FloppyFormat& format : kFormats)
    if (format.total == total) return &format;
  return total < kFormats[0].total ? &kFormats[0] : nullptr;
}

Status FloppyDrive::insert(std::unique_ptr<BlockDevice> medium) {
  const FloppyFormat* format = floppy_format(medium->sectors());
  if (format == nullptr)
    return Error{medium->describe() + " is not the size of any floppy disk; attach it as a hard disk"};
  medium_ = std::move(medium);
  format_ = format;
  changed = true;
  if (type_ == FloppyType::kNone) type_ = format->type;
  return {};
}

void FloppyDrive::eject() {
  medium_.reset();
  format_ = nullptr;
  changed = true;
}

void FloppyDrive::step_to(u8 target) {
  if (target != track && medium_ != nullptr) changed = false;
  track = target;
}

void FloppyDrive::state(Archive& a) {
  u64 sectors = medium_ != nullptr ? medium_->sectors() : 0;
  const u64 here = sectors;
  a("medium_sectors", sectors)("track", track)("changed", changed);
  if (sectors != here) a.fail("the floppy disk in the drive is not the one that was there when the state was saved");
}

}  // namespace umbra
