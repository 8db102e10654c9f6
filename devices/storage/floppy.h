// A floppy drive and the disk in it. The format is told by the image's size; what matches none is the start of a 1.44
// or a 2.88 MB disk whose rest reads as zeros (boot sectors and small test images).
#pragma once

#include <array>
#include <memory>

#include "cpu/base/archive.h"
#include "cpu/base/bits.h"
#include "cpu/base/result.h"
#include "devices/storage/block.h"

namespace umbra {

// As in CMOS register 10h, one nibble per drive.
enum class FloppyType : u8 { kNone = 0, k360K = 1, k1200K = 2, k720K = 3, k1440K = 4, k2880K = 5 };

struct FloppyFormat {
  u32 total;  // sectors of 512 bytes
  u8 cylinders, heads, sectors;
  u8 rates;         // bit n: readable at data rate n (0: 500, 1: 300, 2: 250 kb/s, 3: 1 Mb/s)
  FloppyType type;  // of the drive it is usually in
};

inline constexpr u32 kMostSectors = 80 * 2 * 48;

// Null if no floppy disk is that large.
const FloppyFormat* floppy_format(u64 total_sectors);

class FloppyDrive {
 public:
  void attach(FloppyType type) { type_ = type; }
  FloppyType type() const { return type_; }

  Status insert(std::unique_ptr<BlockDevice> medium);
  void eject();
  BlockDevice* medium() { return medium_.get(); }
  const FloppyFormat* format() const { return format_; }  // null: no disk
  bool write_protected() const { return medium_ == nullptr || medium_->read_only(); }

  u8 track = 0;         // where the heads are
  bool changed = true;  // the disk-change line: set until the heads step with a disk in

  void step_to(u8 target);
  bool deleted(u64 lba) const { return bit(marks_[lba / 8], lba % 8); }
  void set_deleted(u64 lba, bool on) { marks_[lba / 8] = with_bit(marks_[lba / 8], lba % 8, on); }
  void state(Archive& a);

 private:
  FloppyType type_ = FloppyType::kNone;
  std::unique_ptr<BlockDevice> medium_;
  const FloppyFormat* format_ = nullptr;
  std::array<u8, kMostSectors / 8> marks_{};  // a bit for each sector written as deleted data
};

}  // namespace umbra
