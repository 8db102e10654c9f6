// A counter made out of the host's TSC by one multiplication, which generated code can do too.
#pragma once

#include "cpu/base/types.h"

namespace umbra {

struct TscScale {
  u64 multiplier = 0;  // in units of 2^-64; 0: there is none
  u64 base = 0;
  u64 at(u64 host) const { return static_cast<u64>((static_cast<unsigned __int128>(host) * multiplier) >> 64) + base; }
};

}  // namespace umbra
