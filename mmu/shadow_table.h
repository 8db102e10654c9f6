// The layout that generated code knows.
#pragma once

#include "cpu/base/types.h"

namespace umbra {

inline constexpr u32 kShadowEntries = 1u << 20;
inline constexpr u32 kStorePlane = kShadowEntries * 8;

struct ShadowTable {
  u64 load[kShadowEntries];
  u64 store[kShadowEntries];
};

}  // namespace umbra
