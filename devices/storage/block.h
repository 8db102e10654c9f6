// A block back end: an image file, an overlay that throws writes away, a directory shown as a FAT disk. Devices ask
// for sectors and get a callback on the processor's thread; the work is done elsewhere, except that a request which
// need not wait (data in the host's page cache) may call back before it returns. Callbacks come in the order of the
// requests. A flush completes after every write submitted before it is on stable storage.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cpu/base/types.h"

namespace umbra {

enum class BlockStatus : u8 { kOk, kIoError, kNoSpace, kReadOnly, kOutOfRange };

inline constexpr u32 kSectorSize = 512;

class BlockDevice {
 public:
  using Done = std::function<void(BlockStatus)>;

  virtual ~BlockDevice() = default;
  virtual u64 sectors() const = 0;  // of 512 bytes, whatever the medium
  virtual bool read_only() const = 0;
  // `data` must stay valid until done is called.
  virtual void read(u64 sector, u32 count, u8* data, Done done) = 0;
  virtual void write(u64 sector, u32 count, const u8* data, Done done) = 0;
  virtual void flush(Done done) = 0;
  // Waits for everything submitted and calls back for it before it returns, and for what those callbacks submit. For
  // resets, media changes and snapshots, after which nothing may be in flight.
  virtual void drain() = 0;
  virtual std::string describe() const = 0;  // "disk.img (raw, read-write)"
};

}  // namespace umbra
