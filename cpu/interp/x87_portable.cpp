// The portable arithmetic unit: + − × ÷ √, FSCALE, FPREM and stores to the short formats, in integer arithmetic on
// 128-bit intermediates with a sticky last bit, rounded once. Tested bit for bit, flags included, against the host's.
#include <bit>
#include <utility>

#include "cpu/interp/x87_float.h"
#include "cpu/interp/x87_transcendental.h"

namespace umbra {

namespace {

using u128 = unsigned __int128;

// What a result is rounded to: significand bits, the smallest and largest biased exponent in Float80's bias, and by
// how much an unmasked overflow or underflow is scaled back (SDM vol. 1 section 8.5.4).
struct Target {
  int precision;
  i32 min_exponent;
  i32 max_exponent;
};
constexpr i32 kScaleBack = 24576;

Target register_target(u16 fcw) {
  switch ((fcw >> 8) & 3) {
    case 0:
      return {24, 1, 0x7ffe};
    case 2:
      return {53, 1, 0x7ffe};
    default:
      return {64, 1, 0x7ffe};
  }
}

u128 shift_right_jam(u128 v, i32 n) {
  if (n <= 0) return v;
  if (n >= 128) return v != 0;
  return (v >> n) | ((v & ((u128{1} << n) - 1)) != 0);
}

int leading_zeros(u128 v) {
  const u64 high = static_cast<u64>(v >> 64);
  return high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<u64>(v));
}

struct Rounded {
  u64 mantissa;  // 0 when rounded up into the next binade
  bool inexact, up;
};

Rounded round_significand(u128 m, int precision, u16 fcw, bool sign) {
  const int drop = 128 - precision;
  const u128 half = u128{1} << (drop - 1);
  const u128 rest = m & ((half << 1) - 1);
  bool up = false;
  switch ((fcw >> 10) & 3) {
    case 0:
      up = rest > half || (rest == half && ((m >> drop) & 1) != 0);
      break;
    case 1:
      up = sign && rest != 0;
      break;
    case 2:
      up = !sign && rest != 0;
      break;
    default:
      break;
  }
  u64 mantissa = static_cast<u64>((m - rest) >> 64);
  if (up) mantissa += u64{1} << (64 - precision);
  return {mantissa, rest != 0, up};
}

u16 inexact_flags(const Rounded& r) { return static_cast<u16>((r.inexact ? fsw::kPe : 0) | (r.up ? fsw::kC1 : 0)); }

Computed overflowed(bool sign, u16 fcw, const Target& t) {
  const unsigned rc = (fcw >> 10) & 3;
  const bool to_infinity = rc == 0 || (rc == 1 && sign) || (rc == 2 && !sign);
  const u16 status = fsw::kOe | fsw::kPe | (to_infinity ? fsw::kC1 : 0);
  if (to_infinity) return {float80(sign, 0x7fff, kIntegerBit), status, {}};
  return {float80(sign, t.max_exponent, ~u64{0} << (64 - t.precision)), status, {}};
}

// m × 2^(exponent − bias − 127), m not zero. The exponent may lie anywhere.
Computed round_pack(bool sign, i32 exponent, u128 m, u16 fcw, const Target& t, bool scale_back) {
  const int shift = leading_zeros(m);
  m <<= shift;
  exponent -= shift;

  Rounded r = round_significand(m, t.precision, fcw, sign);
  const i32 rounded_exponent = r.mantissa == 0 ? exponent + 1 : exponent;
  const bool tiny = rounded_exponent < t.min_exponent;
  if (tiny && (fcw & fsw::kUe) == 0) {
    if (!scale_back) return {{}, fsw::kUe, {}};
    const i32 scaled = rounded_exponent + kScaleBack;
    if (scaled < t.min_exponent) return {float80(sign, 0, 0), fsw::kUe | fsw::kPe, {}};  // FSCALE can go this far
    return {float80(sign, scaled, r.mantissa == 0 ? kIntegerBit : r.mantissa),
            static_cast<u16>(fsw::kUe | inexact_flags(r)),
            {}};
  }
  if (exponent < t.min_exponent) {
    m = shift_right_jam(m, t.min_exponent - exponent);
    r = round_significand(m, t.precision, fcw, sign);
    const u16 status = static_cast<u16>(inexact_flags(r) | (tiny && r.inexact ? fsw::kUe : 0));
    const bool normal = (r.mantissa & kIntegerBit) != 0;
    return {float80(sign, normal ? t.min_exponent : t.min_exponent - 1, r.mantissa), status, {}};
  }
  if (rounded_exponent > t.max_exponent) {
    if ((fcw & fsw::kOe) != 0) return overflowed(sign, fcw, t);
    if (!scale_back) return {{}, fsw::kOe, {}};
    if (rounded_exponent - kScaleBack > t.max_exponent) {
      return {float80(sign, 0x7fff, kIntegerBit), fsw::kOe | fsw::kPe | fsw::kC1, {}};
    }
    return {float80(sign, rounded_exponent - kScaleBack, r.mantissa == 0 ? kIntegerBit : r.mantissa),
            static_cast<u16>(fsw::kOe | inexact_flags(r)),
            {}};
  }
  return {float80(sign, rounded_exponent, r.mantissa == 0 ? kIntegerBit : r.mantissa), inexact_flags(r), {}};
}

// A finite operand, normalized; zero has mantissa 0.
struct Unpacked {
  bool sign;
  i32 exponent;
  u64 mantissa;
};

Unpacked unpack(Float80 v) {
  if (v.mantissa == 0) return {v.sign(), 0, 0};
  const int shift = std::countl_zero(v.mantissa);
  return {v.sign(), (v.exponent() == 0 ? 1 : v.exponent()) - shift, v.mantissa << shift};
}

u16 denormal_flag(FloatClass a, FloatClass b) {
  return a == FloatClass::kDenormal || b == FloatClass::kDenormal ? fsw::kDe : u16{0};
}

constexpr Computed invalid() { return {kIndefinite, fsw::kIe, {}}; }
Computed infinity(bool sign, u16 status) { return {float80(sign, 0x7fff, kIntegerBit), status, {}}; }
Computed zero(bool sign, u16 status) { return {float80(sign, 0, 0), status, {}}; }

// An unmasked denormal operand stops the operation before it has any other effect.
bool stopped(u16 status, u16 fcw) { return (status & ~fcw & fsw::kPreComputation) != 0; }

// Unsupported operands and NaNs, common to all two-operand operations.
bool special_operands(Float80 a, Float80 b, FloatClass ca, FloatClass cb, Computed& out) {
  if (ca == FloatClass::kUnsupported || cb == FloatClass::kUnsupported) {
    out = invalid();
    return true;
  }
  if (is_nan(ca) || is_nan(cb)) {
    out = nan_result(a, b);
    return true;
  }
  return false;
}

// An operation that an unmasked exception stopped leaves the operand in place.
Computed settle(Computed c, Float80 a, u16 fcw) {
  if (stopped(c.status, fcw)) c.value = a;
  return c;
}

Computed sum(Float80 a, Float80 b, u16 fcw, bool negate) {
  const FloatClass ca = classify(a), cb = classify(b);
  Computed special;
  if (special_operands(a, b, ca, cb, special)) return special;
  const bool b_sign = b.sign() != negate;
  const u16 status = denormal_flag(ca, cb);
  if (ca == FloatClass::kInfinity || cb == FloatClass::kInfinity) {
    if (ca == cb && a.sign() != b_sign) return invalid();
    return infinity(ca == FloatClass::kInfinity ? a.sign() : b_sign, status);
  }
  if (stopped(status, fcw)) return {a, status, {}};
  Unpacked x = unpack(a), y = unpack(b);
  y.sign = b_sign;
  const bool down = ((fcw >> 10) & 3) == 1;
  if (x.mantissa == 0 && y.mantissa == 0) return zero(x.sign == y.sign ? x.sign : down, status);
  if (x.mantissa == 0 ||
      (y.mantissa != 0 && (y.exponent > x.exponent || (y.exponent == x.exponent && y.mantissa > x.mantissa)))) {
    std::swap(x, y);
  }
  const u128 large = u128{x.mantissa} << 63;
  const u128 small = shift_right_jam(u128{y.mantissa} << 63, y.mantissa == 0 ? 0 : x.exponent - y.exponent);
  const u128 m = x.sign == y.sign ? large + small : large - small;
  if (m == 0) return zero(down, status);
  Computed r = round_pack(x.sign, x.exponent + 1, m, fcw, register_target(fcw), true);
  r.status |= status;
  return r;
}

Computed multiply(Float80 a, Float80 b, u16 fcw) {
  const FloatClass ca = classify(a), cb = classify(b);
  Computed special;
  if (special_operands(a, b, ca, cb, special)) return special;
  const bool sign = a.sign() != b.sign();
  const u16 status = denormal_flag(ca, cb);
  if (ca == FloatClass::kInfinity || cb == FloatClass::kInfinity) {
    if (ca == FloatClass::kZero || cb == FloatClass::kZero) return invalid();
    return infinity(sign, status);
  }
  if (ca == FloatClass::kZero || cb == FloatClass::kZero) return zero(sign, status);
  if (stopped(status, fcw)) return {a, status, {}};
  const Unpacked x = unpack(a), y = unpack(b);
  Computed r = round_pack(sign, x.exponent + y.exponent - kExponentBias + 1, u128{x.mantissa} * y.mantissa, fcw,
                          register_target(fcw), true);
  r.status |= status;
  return r;
}

Computed divide(Float80 a, Float80 b, u16 fcw) {
  const FloatClass ca = classify(a), cb = classify(b);
  Computed special;
  if (special_operands(a, b, ca, cb, special)) return special;
  const bool sign = a.sign() != b.sign();
  const u16 status = denormal_flag(ca, cb);
  if (ca == FloatClass::kInfinity) return cb == FloatClass::kInfinity ? invalid() : infinity(sign, status);
  if (cb == FloatClass::kZero) return ca == FloatClass::kZero ? invalid() : infinity(sign, fsw::kZe);
  if (cb == FloatClass::kInfinity || ca == FloatClass::kZero) return zero(sign, status);
  if (stopped(status, fcw)) return {a, status, {}};
  const Unpacked x = unpack(a), y = unpack(b);
  const u128 first = u128{x.mantissa} << 63;
  const u128 rest = (first % y.mantissa) << 64;
  const u128 quotient = ((first / y.mantissa) << 64) | (rest / y.mantissa) | (rest % y.mantissa != 0);
  Computed r = round_pack(sign, x.exponent - y.exponent + kExponentBias, quotient, fcw, register_target(fcw), true);
  r.status |= status;
  return r;
}

Computed square_root(Float80 a, u16 fcw) {
  const FloatClass ca = classify(a);
  if (ca == FloatClass::kUnsupported) return invalid();
  if (is_nan(ca)) return nan_result(a, a);
  if (ca == FloatClass::kZero) return {a, 0, {}};
  if (a.sign()) return invalid();
  if (ca == FloatClass::kInfinity) return {a, 0, {}};
  const u16 status = denormal_flag(ca, ca);
  if (stopped(status, fcw)) return {a, status, {}};
  const Unpacked x = unpack(a);
  // value = mantissa × 2^(e − 63); the root of mantissa << (odd ? 1 : 0), one result bit for each pair of bits.
  const i32 e = x.exponent - kExponentBias;
  const bool odd = (e & 1) != 0;
  const u128 radicand = u128{x.mantissa} << (odd ? 64 : 63);
  u128 root = 0, rest = 0;
  for (int i = 0; i < 66; ++i) {
    const int at = 126 - 2 * i;
    rest = (rest << 2) | (at >= 0 ? static_cast<unsigned>(radicand >> at) & 3 : 0);
    const u128 trial = (root << 2) | 1;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1;
    }
  }
  const u128 m = (root << 62) | (rest != 0);
  Computed r = round_pack(false, (e - (odd ? 1 : 0)) / 2 + kExponentBias, m, fcw, register_target(fcw), true);
  r.status |= status;
  return r;
}

Computed scale(Float80 a, Float80 b, u16 fcw) {
  const FloatClass ca = classify(a), cb = classify(b);
  Computed special;
  if (special_operands(a, b, ca, cb, special)) return special;
  const u16 status = denormal_flag(ca, cb);
  if (cb == FloatClass::kInfinity) {
    if (b.sign() ? ca == FloatClass::kInfinity : ca == FloatClass::kZero) return invalid();
    return b.sign() ? zero(a.sign(), status) : infinity(a.sign(), status);
  }
  if (ca == FloatClass::kInfinity || ca == FloatClass::kZero) return {a, status, {}};
  if (stopped(status, fcw)) return {a, status, {}};
  constexpr u16 kTruncate = 0xc3f;
  i32 by = 0;
  if (b.exponent() >= kExponentBias + 16) {
    by = b.sign() ? -0x10000 : 0x10000;
  } else {
    by = static_cast<i32>(static_cast<i64>(to_int(b, 8, kTruncate).bits));
  }
  const Unpacked x = unpack(a);
  constexpr u16 kFullPrecision = 0x300;
  Computed r = round_pack(x.sign, x.exponent + by, u128{x.mantissa} << 64, fcw | kFullPrecision,
                          register_target(kFullPrecision), true);
  r.status |= status;
  return r;
}

// FPREM reduces by at most 63 bits of quotient at a time; what a partial step takes is left to the implementation.
Computed remainder(Float80 a, Float80 b, u16 fcw, bool nearest) {
  const FloatClass ca = classify(a), cb = classify(b);
  Computed special;
  if (special_operands(a, b, ca, cb, special)) return special;
  if (ca == FloatClass::kInfinity || cb == FloatClass::kZero) return invalid();
  const u16 status = denormal_flag(ca, cb);
  if (ca == FloatClass::kZero || stopped(status, fcw)) return {a, status, {}};
  const Unpacked x = unpack(a), y = unpack(b);
  const i32 distance = x.exponent - y.exponent;
  constexpr u16 kFullPrecision = 0x300;
  const Target full = register_target(kFullPrecision);
  const auto pack = [&](bool sign, i32 exponent, u64 mantissa, u16 codes) {
    if (mantissa == 0) return zero(sign, status | codes);
    Computed r = round_pack(sign, exponent, u128{mantissa} << 64, fcw | kFullPrecision, full, true);
    r.status |= status | codes;
    return r;
  };
  if (cb == FloatClass::kInfinity) return pack(x.sign, x.exponent, x.mantissa, 0);
  if (distance >= 64) {
    const i32 step = 32 + (distance & 31);
    const u64 rest = static_cast<u64>((u128{x.mantissa} << step) % y.mantissa);
    return pack(x.sign, x.exponent - step, rest, fsw::kC2);
  }
  u64 quotient = 0;
  u64 rest = x.mantissa;
  i32 exponent = x.exponent;
  bool sign = x.sign;
  if (distance >= 0) {
    const u128 shifted = u128{x.mantissa} << distance;
    quotient = static_cast<u64>(shifted / y.mantissa);
    rest = static_cast<u64>(shifted % y.mantissa);
    exponent = y.exponent;
  }
  if (nearest && distance >= -1) {
    // Round the quotient to nearest, ties to even: compare twice the remainder with the divisor.
    const u128 twice = u128{rest} << (distance == -1 ? 0 : 1);
    const u128 divisor = y.mantissa;
    if (twice > divisor || (twice == divisor && (quotient & 1) != 0)) {
      const u128 difference = (divisor << (distance == -1 ? 1 : 0)) - rest;
      ++quotient;
      sign = !sign;
      rest = static_cast<u64>(difference);
    }
  }
  const u16 codes = static_cast<u16>(((quotient & 1) != 0 ? fsw::kC1 : 0) | ((quotient & 2) != 0 ? fsw::kC3 : 0) |
                                     ((quotient & 4) != 0 ? fsw::kC0 : 0));
  if (rest == 0) sign = x.sign;
  return pack(sign, exponent, rest, codes);
}

template <int kPrecision, int kExponentBits>
Stored to_short(Float80 v, u16 fcw) {
  constexpr int kFraction = kPrecision - 1;
  constexpr i32 kMax = (1 << kExponentBits) - 1;
  constexpr i32 kRebias = kExponentBias - kMax / 2;
  const u64 sign_bit = v.sign() ? u64{1} << (kFraction + kExponentBits) : 0;
  const auto special = [&](u64 mantissa) {
    return sign_bit | (u64{kMax} << kFraction) | ((mantissa & ~kIntegerBit) >> (63 - kFraction));
  };
  switch (classify(v)) {
    case FloatClass::kZero:
      return {sign_bit, 0};
    case FloatClass::kInfinity:
    case FloatClass::kQuietNan:
      return {special(v.mantissa), 0};
    case FloatClass::kSignalingNan:
      return {special(v.mantissa | kQuietBit), fsw::kIe};
    case FloatClass::kUnsupported:
      return {(u64{1} << (kFraction + kExponentBits)) | (u64{kMax} << kFraction) | (u64{1} << (kFraction - 1)),
              fsw::kIe};
    default:
      break;
  }
  const Unpacked x = unpack(v);
  const Target target{kPrecision, kRebias + 1, kRebias + kMax - 1};
  const Computed r = round_pack(x.sign, x.exponent, u128{x.mantissa} << 64, fcw, target, false);
  if (r.value.exponent() == 0x7fff) return {special(r.value.mantissa), r.status};
  const i32 exponent = r.value.exponent() - kRebias;
  const u64 fraction = (r.value.mantissa & ~kIntegerBit) >> (63 - kFraction);
  return {sign_bit | (static_cast<u64>(exponent) << kFraction) | fraction, r.status};
}

}  // namespace

constexpr X87Unit kPortable = {
    .add = [](Float80 a, Float80 b, u16 fcw) { return settle(sum(a, b, fcw, false), a, fcw); },
    .sub = [](Float80 a, Float80 b, u16 fcw) { return settle(sum(a, b, fcw, true), a, fcw); },
    .mul = [](Float80 a, Float80 b, u16 fcw) { return settle(multiply(a, b, fcw), a, fcw); },
    .div = [](Float80 a, Float80 b, u16 fcw) { return settle(divide(a, b, fcw), a, fcw); },
    .sqrt = [](Float80 a, u16 fcw) { return settle(square_root(a, fcw), a, fcw); },
    .scale = [](Float80 a, Float80 b, u16 fcw) { return settle(scale(a, b, fcw), a, fcw); },
    .prem = [](Float80 a, Float80 b, u16 fcw) { return settle(remainder(a, b, fcw, false), a, fcw); },
    .prem1 = [](Float80 a, Float80 b, u16 fcw) { return settle(remainder(a, b, fcw, true), a, fcw); },
    .to_f32 = to_short<24, 8>,
    .to_f64 = to_short<53, 11>,
    .f2xm1 = portable_f2xm1,
    .fsin = portable_fsin,
    .fcos = portable_fcos,
    .fsincos = portable_fsincos,
    .fptan = portable_fptan,
    .fyl2x = portable_fyl2x,
    .fyl2xp1 = portable_fyl2xp1,
    .fpatan = portable_fpatan,
};
const X87Unit kPortableUnit = kPortable;

}  // namespace umbra
