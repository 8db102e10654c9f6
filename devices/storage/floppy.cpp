#include "devices/storage/floppy.h"

namespace umbra {
namespace {

constexpr u8 k500 = 1 << 0, k300 = 1 << 1, k250 = 1 << 2, k1000 = 1 << 3;

constexpr FloppyFormat fitting(u8 cylinders, u8 heads, u8 sectors, u8 rates, FloppyType type) {
  return {u32{cylinders} * heads * sectors, cylinders, heads, sectors, rates, type};
}

// Of two of one size the first is taken.
constexpr FloppyFormat kFormats[] = {
    fitting(80, 2, 18, k500, FloppyType::k1440K),        // 1.44 MB
    fitting(80, 2, 36, k1000, FloppyType::k2880K),       // 2.88 MB
    fitting(80, 2, 9, k300 | k250, FloppyType::k1440K),  // 720 KB
    fitting(80, 2, 15, k500, FloppyType::k1200K),        // 1.2 MB
    fitting(40, 2, 9, k300 | k250, FloppyType::k360K),   // 360 KB
    fitting(40, 2, 8, k300 | k250, FloppyType::k360K),   // 320 KB
    fitting(40, 1, 9, k300 | k250, FloppyType::k360K),   // 180 KB
    fitting(40, 1, 8, k300 | k250, FloppyType::k360K),   // 160 KB
    // What tools that format beyond the standard make.
    fitting(80, 2, 20, k500, FloppyType::k1440K),
    fitting(80, 2, 21, k500, FloppyType::k1440K),  // DMF
    fitting(82, 2, 21, k500, FloppyType::k1440K),
    fitting(83, 2, 21, k500, FloppyType::k1440K),
    fitting(80, 2, 22, k500, FloppyType::k1440K),
    fitting(80, 2, 23, k500, FloppyType::k1440K),
    fitting(80, 2, 24, k500, FloppyType::k1440K),
    fitting(82, 2, 18, k500, FloppyType::k1440K),
    fitting(83, 2, 18, k500, FloppyType::k1440K),
    fitting(80, 2, 39, k1000, FloppyType::k2880K),
    fitting(80, 2, 40, k1000, FloppyType::k2880K),
    fitting(80, 2, 44, k1000, FloppyType::k2880K),
    fitting(80, 2, 48, k1000, FloppyType::k2880K),
    fitting(80, 2, 10, k300 | k250, FloppyType::k1440K),
    fitting(82, 2, 10, k300 | k250, FloppyType::k1440K),
    fitting(83, 2, 10, k300 | k250, FloppyType::k1440K),
    fitting(80, 2, 13, k300 | k250, FloppyType::k1440K),
    fitting(80, 2, 14, k300 | k250, FloppyType::k1440K),
    fitting(80, 2, 11, k300 | k250, FloppyType::k1200K),
    fitting(41, 2, 10, k300 | k250, FloppyType::k360K),
    fitting(42, 2, 10, k300 | k250, FloppyType::k360K),
};
constexpr const FloppyFormat& k1440 = kFormats[0];
constexpr const FloppyFormat& k2880 = kFormats[1];

}  // namespace

const FloppyFormat* floppy_format(u64 total) {
  for (const FloppyFormat& format : kFormats)
    if (format.total == total) return &format;
  if (total < k1440.total) return &k1440;
  return total < k2880.total ? &k2880 : nullptr;
}

Status FloppyDrive::insert(std::unique_ptr<BlockDevice> medium) {
  const FloppyFormat* format = floppy_format(medium->sectors());
  if (format == nullptr)
    return Error{medium->describe() + " is not the size of any floppy disk; attach it as a hard disk"};
  medium_ = std::move(medium);
  format_ = format;
  marks_ = {};
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
  a("medium_sectors", sectors)("track", track)("changed", changed)("marks", marks_);
  if (sectors != here) a.fail("the floppy disk in the drive is not the one that was there when the state was saved");
}

}  // namespace umbra
