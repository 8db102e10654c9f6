// A folder of the host as a FAT disk, read-only and made on the fly: the tables lie in memory, file contents are read
// from the files when the guest asks. What the folder holds is noted once, at the start.
#pragma once

#include "cpu/base/result.h"
#include "devices/storage/store.h"

namespace umbra {

// `spec` is [floppy:][12|16|32:]DIR. A hard disk has an MBR with one FAT16 (to 2 GiB) or FAT32 partition; a floppy is
// 1.44 or 2.88 MB of FAT12.
Result<std::unique_ptr<BlockStore>> open_fat_store(const std::string& spec);

}  // namespace umbra
