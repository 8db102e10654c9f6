// Operands that find bugs: zeros, denormals, the ends of each exponent range, patterns near rounding boundaries, NaNs,
// and the formats that only an 8087 accepted.
#pragma once

#include <random>

#include "cpu/interp/x87_float.h"

namespace umbra {

class FloatValues {
 public:
  explicit FloatValues(u64 seed) : random_(seed) {}

  u64 bits() { return random_(); }
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }

  u64 mantissa() {
    switch (below(8)) {
      case 0:
        return kIntegerBit;
      case 1:
        return ~u64{0};
      case 2:
        return kIntegerBit | (u64{1} << below(63));
      case 3:
        return ~u64{0} << below(63);
      case 4:
        return kIntegerBit | (bits() & ~u64{0} << 40);  // exact in single precision
      case 5:
        return kIntegerBit | (bits() & ~u64{0} << 11) | (u64{1} << below(12));
      default:
        return kIntegerBit | bits();
    }
  }

  Float80 value() {
    const bool sign = (bits() & 1) != 0;
    switch (below(16)) {
      case 0:
        return float80(sign, 0, 0);
      case 1:
        return float80(sign, 0x7fff, kIntegerBit);
      case 2:
        return float80(sign, 0x7fff, kIntegerBit | bits());  // any NaN
      case 3:
        return float80(sign, 0, bits() >> below(64));  // denormal, pseudo-denormal
      case 4:
        return float80(sign, static_cast<i32>(below(0x8000)), bits());  // often unsupported
      case 5:
        return float80(sign, 1 + static_cast<i32>(below(4)), mantissa());  // about to underflow
      case 6:
        return float80(sign, 0x7ffe - static_cast<i32>(below(4)), mantissa());
      case 7:
        return float80(sign, kExponentBias - 1022 - static_cast<i32>(below(70)), mantissa());  // double's low end
      case 8:
        return float80(sign, kExponentBias - 126 - static_cast<i32>(below(40)), mantissa());  // single's
      case 9:
        return float80(sign, kExponentBias + 1023 - static_cast<i32>(below(3)) + 1, mantissa());
      case 10:
        return float80(sign, kExponentBias + 127 - static_cast<i32>(below(3)) + 1, mantissa());
      case 11:
        return float80(sign, 1 + static_cast<i32>(below(0x7ffe)), mantissa());
      default:
        return float80(sign, kExponentBias - 66 + static_cast<i32>(below(132)), mantissa());
    }
  }

  u16 control_word() {
    const u16 masks = below(2) != 0 ? 0x3f : static_cast<u16>(below(64));
    constexpr u16 kPrecision[] = {0x000, 0x200, 0x300, 0x300};
    return static_cast<u16>(0x40 | masks | kPrecision[below(4)] | (below(4) << 10));
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace umbra
