#include "devices/storage/geometry.h"

#include <algorithm>

namespace umbra {
namespace {

constexpr u32 kMaxCylinders = 16383;  // what ATA can say; larger disks are addressed by LBA alone

Geometry standard(u64 total) {
  const u64 cylinders = std::clamp<u64>(total / (16 * 63), 2, kMaxCylinders);
  return {static_cast<u32>(cylinders), 16, 63, BiosTranslation::kNone};
}

// The logical geometry that some partition's end was computed with; all zero if none tells.
Geometry from_partitions(u64 total, const u8* mbr) {
  if (mbr[510] != 0x55 || mbr[511] != 0xaa) return {};
  for (unsigned i = 0; i < 4; ++i) {
    const u8* entry = mbr + 446 + 16 * i;
    const bool empty = entry[12] == 0 && entry[13] == 0 && entry[14] == 0 && entry[15] == 0;
    const u32 end_head = entry[5];
    const u32 sectors = entry[6] & 63;
    if (empty || end_head == 0 || sectors == 0) continue;
    const u32 heads = end_head + 1;
    const u64 cylinders = total / (u64{heads} * sectors);
    if (cylinders < 1 || cylinders > kMaxCylinders) continue;
    return {static_cast<u32>(cylinders), heads, sectors, BiosTranslation::kNone};
  }
  return {};
}

}  // namespace

Geometry guess_geometry(u64 total, const u8* mbr) {
  const Geometry logical = from_partitions(total, mbr);
  if (logical.heads != 0 && logical.heads <= 16) return logical;  // what was on the disk's own label
  Geometry physical = standard(total);
  if (logical.heads > 16) {  // a BIOS has translated, so the drive's own geometry is free to choose
    const bool fits_large = physical.cylinders * physical.heads <= 131072;
    physical.translation = fits_large ? BiosTranslation::kLarge : BiosTranslation::kLba;
  } else if (physical.cylinders > 1024) {
    physical.translation = BiosTranslation::kLba;
  }
  return physical;
}

Geometry guess_geometry(BlockDevice& disk) {
  u8 mbr[kSectorSize] = {};
  disk.read(0, 1, mbr, [&](BlockStatus status) {
    if (status != BlockStatus::kOk) mbr[510] = 0;
  });
  disk.drain();
  return guess_geometry(disk.sectors(), mbr);
}

}  // namespace umbra
