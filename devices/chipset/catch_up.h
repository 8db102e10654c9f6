// When a periodic interrupt is delivered late because the host was away, what was missed is delivered after all, but
// spaced so that the guest can take each one, and only so far back as a user would want made good.
#pragma once

#include <algorithm>

#include "cpu/base/types.h"

namespace umbra {

inline constexpr u64 kCatchUpLimit = 1'000'000'000;  // older ticks than a second are lost
inline constexpr u64 kShortestInterval = 10'000;     // no device interrupts more often than every 10 µs

// The tick `due` (which lies on the device's grid) is to be delivered: when?
inline u64 delivery_time(u64 due, u64 now, u64 period) {
  return std::max(due, now + std::max(period / 4, kShortestInterval));
}

}  // namespace umbra
