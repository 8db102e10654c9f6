// Cylinders, heads and sectors of a hard disk, chosen as QEMU chooses them, so that disks installed there boot here:
// what the MBR's partition table was made with if that can be told, else 16 heads and 63 sectors.
#pragma once

#include "devices/storage/block.h"

namespace umbra {

// How the BIOS translates; the values are those of CMOS 39h and 3Ah (two bits per disk).
enum class BiosTranslation : u8 { kNone = 0, kLba = 1, kLarge = 2, kRevisedLarge = 3 };

struct Geometry {
  u32 cylinders = 0;
  u32 heads = 0;
  u32 sectors = 0;
  BiosTranslation translation = BiosTranslation::kNone;
};

Geometry guess_geometry(u64 total_sectors, const u8* mbr);
Geometry guess_geometry(BlockDevice& disk);  // reads the first sector and waits for it

}  // namespace umbra
