// -kernel: an option ROM of ours that firmware finds as a boot device. Booted, it copies the pieces of the kernel to
// their places through fw_cfg's DMA and jumps to it, as the boot protocols ask: Linux x86 (2.00 and later, bzImage) in
// real mode, Multiboot 1 in protected mode.
#pragma once

#include <string>
#include <vector>

#include "cpu/base/result.h"
#include "cpu/base/types.h"

namespace umbra {

struct DirectBoot {
  static constexpr u16 kFirstKey =
      0x3000;    // of the items; far from those that firmware knows, without the channel bits
  struct Blob {  // an item of fw_cfg
    u16 key;
    std::vector<u8> bytes;
  };
  std::vector<u8> rom;
  std::vector<Blob> blobs;

  static Result<DirectBoot> load(const std::string& kernel, const std::string& initrd, const std::string& append,
                                 u64 ram);
};

}  // namespace umbra
