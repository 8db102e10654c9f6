// The 80-bit format and the arithmetic unit behind the x87 handlers. SDM vol. 1 chapters 4.8, 4.9 and 8.5.
//
// A unit works on values only: no stack, no tags. It gets the guest's control word and answers with the value and the
// status bits that the operation sets (exceptions, C0-C3; C1 tells that the result was rounded up). Two units exist,
// the host's own x87 and a portable one in integer arithmetic; both do exactly the same for everything but the
// transcendental functions.
#pragma once

#include "cpu/base/types.h"

namespace umbra {

namespace fsw {
inline constexpr u16 kIe = 1u << 0, kDe = 1u << 1, kZe = 1u << 2, kOe = 1u << 3, kUe = 1u << 4, kPe = 1u << 5,
                     kSf = 1u << 6, kEs = 1u << 7, kC0 = 1u << 8, kC1 = 1u << 9, kC2 = 1u << 10, kTop = 7u << 11,
                     kC3 = 1u << 14, kBusy = 1u << 15;
inline constexpr u16 kExceptions = 0x3f;
inline constexpr u16 kPreComputation = kIe | kDe | kZe;  // unmasked, these leave the operands as they were
inline constexpr u16 kCodes = kC0 | kC1 | kC2 | kC3;
}  // namespace fsw

struct Float80 {
  u64 mantissa = 0;  // with its explicit integer bit 63
  u16 sign_exponent = 0;

  bool sign() const { return (sign_exponent & 0x8000) != 0; }
  i32 exponent() const { return sign_exponent & 0x7fff; }
  bool operator==(const Float80&) const = default;
};
inline constexpr u64 kIntegerBit = u64{1} << 63;
inline constexpr u64 kQuietBit = u64{1} << 62;
inline constexpr i32 kExponentBias = 16383;
inline constexpr Float80 kIndefinite{kIntegerBit | kQuietBit, 0xffff};

constexpr Float80 float80(bool sign, i32 exponent, u64 mantissa) {
  return {mantissa, static_cast<u16>((sign ? 0x8000 : 0) | exponent)};
}

// kUnsupported: the 8087's unnormals, pseudo-NaNs and pseudo-infinities, invalid operands since the 387.
// Pseudo-denormals (exponent 0 with the integer bit) are denormals to arithmetic.
enum class FloatClass : u8 { kZero, kDenormal, kNormal, kInfinity, kQuietNan, kSignalingNan, kUnsupported };
FloatClass classify(Float80 v);
inline bool is_nan(FloatClass c) { return c == FloatClass::kQuietNan || c == FloatClass::kSignalingNan; }

struct Computed {
  Float80 value;
  u16 status = 0;
  Float80 pushed;  // FPTAN, FSINCOS and FXTRACT: what goes on top of `value`
};

// A result for memory: the bits of a float or a double.
struct Stored {
  u64 bits = 0;
  u16 status = 0;
};

struct X87Unit {
  using Unary = Computed (*)(Float80 st0, u16 fcw);
  using Binary = Computed (*)(Float80 a, Float80 b, u16 fcw);
  using Store = Stored (*)(Float80 st0, u16 fcw);
  Binary add, sub, mul, div;  // a op b
  Unary sqrt;
  Binary scale, prem, prem1;  // a = ST(0), b = ST(1)
  Store to_f32, to_f64;
  Unary f2xm1, fsin, fcos, fsincos, fptan;
  Binary fyl2x, fyl2xp1, fpatan;  // a = ST(0), b = ST(1); the value is for ST(1)
};
extern const X87Unit kPortableUnit;
const X87Unit& x87_unit();        // the host's unit where it has one
void x87_use_portable(bool yes);  // for tests, and where the host's unit must not be trusted

// Exact, or too simple to differ between units. Loads of SNaNs set IE and of denormals DE; the SNaN is not yet quiet.
Computed from_f32(u32 bits);
Computed from_f64(u64 bits);
Float80 from_int(i64 value);
Stored to_int(Float80 v, unsigned size, u16 fcw);  // size 2, 4 or 8; RC from fcw; C1 and PE as the unit would
Computed round_to_int(Float80 v, u16 fcw);
Computed extract(Float80 v);  // value: the exponent; pushed: the significand
Float80 quiet(Float80 nan);
Computed nan_result(Float80 a, Float80 b);  // at least one is a NaN; IE if one signals

}  // namespace umbra
