// Opens what a user names as a medium: a raw file or host block device, or fat:[floppy:][12|16|32:]DIR.
#pragma once

#include "cpu/base/result.h"
#include "devices/storage/block.h"
#include "devices/storage/file_store.h"

namespace umbra {

struct ImageOptions {
  FileAccess access = FileAccess::kReadWrite;
  bool snapshot = false;  // the file is only read; writes go to a throw-away overlay
};

Result<std::unique_ptr<BlockDevice>> open_image(const std::string& path, const ImageOptions& options, Clock& clock);

// A medium that lives in memory, for tests and blank disks.
std::unique_ptr<BlockDevice> memory_image(std::vector<u8> bytes, Clock& clock, bool read_only = false);

}  // namespace umbra
