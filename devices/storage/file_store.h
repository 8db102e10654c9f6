// A raw image file or block device of the host. Held with the same advisory byte locks as QEMU's (open file
// description locks on bytes 100+ and 200+), so that neither program opens an image that the other is writing.
#pragma once

#include "cpu/base/result.h"
#include "devices/storage/store.h"

namespace umbra {

enum class FileAccess : u8 {
  kReadWrite,  // refuse an image that cannot be written
  kReadOnly,
  kEither,  // read-write if the host allows, else read-only
};

Result<std::unique_ptr<BlockStore>> open_file_store(const std::string& path, FileAccess access);

// An unlinked file for throw-away data, in TMPDIR or /var/tmp; gone when the process is, however it ends.
Result<int> open_scratch_file();

// The BlockStatus of a failed write's errno.
BlockStatus write_status(int error);

// pread/pwrite that go on after short transfers and EINTR. False with errno set; errno is 0 at the end of the file.
bool read_all(int fd, u64 offset, u8* to, std::size_t size);
bool write_all(int fd, u64 offset, const u8* from, std::size_t size);

// Reads that succeed only if the host has the data in memory.
class CachedReads {
 public:
  bool read(int fd, u64 offset, u8* to, std::size_t size);

 private:
  bool possible_ = true;  // not every file system knows how
};

}  // namespace umbra
