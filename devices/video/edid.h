// What the monitor says about itself: a 128-byte EDID 1.3 block (VESA E-EDID standard, release A).
#pragma once

#include <array>

#include "cpu/base/types.h"

namespace umbra {

std::array<u8, 128> make_edid();

}  // namespace umbra
