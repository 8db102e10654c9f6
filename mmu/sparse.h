// Zero-filled memory that costs nothing before it is touched.
#pragma once

#include <sys/mman.h>

#include "cpu/base/log.h"
#include "cpu/base/types.h"

namespace umbra {

// Address space is all that is asked for, and a host that cannot give that cannot run us at all.
inline void* sparse_map(u64 bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(at != MAP_FAILED);
  return at;
}

}  // namespace umbra
