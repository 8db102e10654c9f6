// Transcendental functions for hosts without an x87, by the C library's long double: 113 bits on AArch64, 64 on x86,
// where this file only serves tests and results are within three units of the last place of the host's. No two x87
// models agree on the last bit either. Special operands follow the tables of each instruction in SDM vol. 2. Rounding
// control is not applied to the last bit.
#include "cpu/interp/x87_transcendental.h"

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace umbra {

namespace {

constexpr Float80 kOne{kIntegerBit, kExponentBias};

constexpr Computed invalid() { return {kIndefinite, fsw::kIe, kIndefinite}; }
Computed infinity(bool sign, u16 status) { return {float80(sign, 0x7fff, kIntegerBit), status, {}}; }
Computed zero(bool sign, u16 status) { return {float80(sign, 0, 0), status, {}}; }

long double to_host(Float80 v) {
  const long double magnitude =
      std::ldexp(static_cast<long double>(v.mantissa), (v.exponent() == 0 ? 1 : v.exponent()) - kExponentBias - 63);
  return v.sign() ? -magnitude : magnitude;
}

// Finite or infinite, rounded to nearest.
Float80 from_host(long double v) {
  const bool sign = std::signbit(v);
  v = std::fabs(v);
  if (v == 0) return float80(sign, 0, 0);
  if (std::isinf(v)) return float80(sign, 0x7fff, kIntegerBit);
  int exponent = 0;
  const long double fraction = std::frexp(v, &exponent);  // [0.5, 1)
  i32 biased = exponent - 1 + kExponentBias;
  const int denormal = biased < 1 ? 1 - biased : 0;
  const long double scaled = std::nearbyint(std::ldexp(fraction, 64 - denormal));
  if (scaled >= 0x1p64L) return float80(sign, biased + 1, kIntegerBit);
  const u64 mantissa = static_cast<u64>(scaled);
  return float80(sign, denormal != 0 ? ((mantissa & kIntegerBit) != 0 ? 1 : 0) : biased, mantissa);
}

Computed inexact(long double v, u16 status) {
  const Float80 r = from_host(v);
  const bool tiny = r.exponent() == 0;
  return {r, static_cast<u16>(status | fsw::kPe | (tiny ? fsw::kUe : 0)), {}};
}

bool stopped(u16 status, u16 fcw) { return (status & ~fcw & fsw::kPreComputation) != 0; }

// What is common to one-operand functions; true if `out` is the answer.
bool special_operand(Float80 a, FloatClass c, u16 fcw, Computed& out, u16& status) {
  status = c == FloatClass::kDenormal ? fsw::kDe : u16{0};
  if (c == FloatClass::kUnsupported) {
    out = invalid();
  } else if (is_nan(c)) {
    out = nan_result(a, a);
    out.pushed = out.value;
  } else if (!stopped(status, fcw)) {
    return false;
  } else {
    out = {a, status, {}};
  }
  if (stopped(out.status, fcw)) out.value = a;
  return true;
}

bool special_operands(Float80 a, Float80 b, FloatClass ca, FloatClass cb, u16 fcw, Computed& out, u16& status) {
  status = ca == FloatClass::kDenormal || cb == FloatClass::kDenormal ? fsw::kDe : u16{0};
  if (ca == FloatClass::kUnsupported || cb == FloatClass::kUnsupported) {
    out = invalid();
    return true;
  }
  if (is_nan(ca) || is_nan(cb)) {
    out = nan_result(a, b);
    return true;
  }
  out = {b, status, {}};
  return stopped(status, fcw);
}

// FSIN, FCOS, FSINCOS and FPTAN: infinity is invalid, and 2^63 and above is left alone with C2.
bool trigonometric_special(Float80 a, u16 fcw, Computed& out, u16& status) {
  const FloatClass c = classify(a);
  if (special_operand(a, c, fcw, out, status)) return true;
  if (c == FloatClass::kInfinity) {
    out = invalid();
    return true;
  }
  if (a.exponent() >= kExponentBias + 63) {
    out = {a, fsw::kC2, {}};
    return true;
  }
  return false;
}

}  // namespace

Computed portable_f2xm1(Float80 st0, u16 fcw) {
  Computed r;
  u16 status = 0;
  const FloatClass c = classify(st0);
  if (special_operand(st0, c, fcw, r, status)) return r;
  if (c == FloatClass::kZero) return {st0, 0, {}};
  if (c == FloatClass::kInfinity)
    return st0.sign() ? Computed{float80(true, kExponentBias, kIntegerBit), 0, {}} : Computed{st0, 0, {}};
  if (st0 == kOne) return {st0, status, {}};
  if (st0 == float80(true, kExponentBias, kIntegerBit)) {
    return {float80(true, kExponentBias - 1, kIntegerBit), status, {}};
  }
  // x ln 2 in two parts, so that the product's rounding error does not reach the result on 64-bit hosts.
  const long double x = to_host(st0);
  const long double high = x * M_LN2l;
  const long double low = std::fma(x, M_LN2l, -high);
  const long double e = std::expm1(high);
  return inexact(e + low * (e + 1), status);
}

Computed portable_fsin(Float80 st0, u16 fcw) {
  Computed r;
  u16 status = 0;
  if (trigonometric_special(st0, fcw, r, status)) return r;
  if (st0.mantissa == 0) return {st0, 0, {}};
  return inexact(std::sin(to_host(st0)), status);
}

Computed portable_fcos(Float80 st0, u16 fcw) {
  Computed r;
  u16 status = 0;
  if (trigonometric_special(st0, fcw, r, status)) return r;
  if (st0.mantissa == 0) return {kOne, 0, {}};
  return inexact(std::cos(to_host(st0)), status);
}

Computed portable_fsincos(Float80 st0, u16 fcw) {
  Computed r = portable_fsin(st0, fcw);
  if ((r.status & (fsw::kC2 | fsw::kIe)) != 0 || stopped(r.status, fcw)) {
    r.pushed = r.value;
    return r;
  }
  const Computed c = portable_fcos(st0, fcw);
  return {r.value, static_cast<u16>(r.status | c.status), c.value};
}

Computed portable_fptan(Float80 st0, u16 fcw) {
  Computed r;
  u16 status = 0;
  if (trigonometric_special(st0, fcw, r, status)) return r;
  r = st0.mantissa == 0 ? Computed{st0, 0, {}} : inexact(std::tan(to_host(st0)), status);
  r.pushed = kOne;
  return r;
}

Computed portable_fyl2x(Float80 x, Float80 y, u16 fcw) {
  Computed r;
  u16 status = 0;
  const FloatClass cx = classify(x), cy = classify(y);
  if (special_operands(x, y, cx, cy, fcw, r, status)) return r;
  if (cx == FloatClass::kZero) {
    if (cy == FloatClass::kZero) return invalid();
    return infinity(!y.sign(), cy == FloatClass::kInfinity ? u16{0} : static_cast<u16>(status | fsw::kZe));
  }
  if (x.sign()) return invalid();
  const bool below_one = x.exponent() < kExponentBias;
  if (x == kOne) return cy == FloatClass::kInfinity ? invalid() : zero(y.sign(), status);
  if (cx == FloatClass::kInfinity || cy == FloatClass::kInfinity) {
    if (cy == FloatClass::kZero) return invalid();
    return infinity(y.sign() != below_one, status);
  }
  if (cy == FloatClass::kZero) return zero(y.sign() != below_one, status);
  if (x.mantissa == kIntegerBit && x.exponent() != 0 && std::has_single_bit(y.mantissa)) {
    return {from_host(to_host(y) * static_cast<long double>(x.exponent() - kExponentBias)), status, {}};
  }
  return inexact(to_host(y) * std::log2(to_host(x)), status);
}

Computed portable_fyl2xp1(Float80 x, Float80 y, u16 fcw) {
  Computed r;
  u16 status = 0;
  const FloatClass cx = classify(x), cy = classify(y);
  if (special_operands(x, y, cx, cy, fcw, r, status)) return r;
  if (cx == FloatClass::kZero) {
    return cy == FloatClass::kInfinity ? invalid() : zero(x.sign() != y.sign(), status);
  }
  if (x.sign() && x.exponent() >= kExponentBias) return invalid();  // 1 + x not positive: out of the defined range
  if (cx == FloatClass::kInfinity || cy == FloatClass::kInfinity) {
    if (cy == FloatClass::kZero) return invalid();
    return infinity(x.sign() != y.sign(), status);
  }
  if (cy == FloatClass::kZero) return zero(x.sign() != y.sign(), status);
  return inexact(to_host(y) * (std::log1p(to_host(x)) * M_LOG2El), status);
}

Computed portable_fpatan(Float80 x, Float80 y, u16 fcw) {
  Computed r;
  u16 status = 0;
  const FloatClass cx = classify(x), cy = classify(y);
  if (special_operands(x, y, cx, cy, fcw, r, status)) return r;
  if (cy == FloatClass::kZero && !x.sign()) return zero(y.sign(), status);
  if (cx == FloatClass::kInfinity && !x.sign() && cy != FloatClass::kInfinity) return zero(y.sign(), status);
  const long double hx = cx == FloatClass::kInfinity ? std::copysign(HUGE_VALL, to_host(x)) : to_host(x);
  const long double hy = cy == FloatClass::kInfinity ? std::copysign(HUGE_VALL, to_host(y)) : to_host(y);
  return inexact(std::atan2(hy, hx), status);
}

}  // namespace umbra
