// Conversions, classes and NaN rules of the 80-bit format: everything exact, so shared by both units.
#include "cpu/interp/x87_float.h"

#include <bit>

namespace umbra {

namespace {

// Shifts the fraction into place behind the explicit integer bit. kFraction is the number of stored fraction bits.
template <unsigned kFraction, unsigned kExponentBits>
Computed widen(u64 bits) {
  constexpr i32 kMax = (1 << kExponentBits) - 1;
  const bool sign = (bits >> (kFraction + kExponentBits)) & 1;
  const i32 exponent = static_cast<i32>(bits >> kFraction) & kMax;
  const u64 fraction = (bits & ((u64{1} << kFraction) - 1)) << (63 - kFraction);
  if (exponent == kMax) {
    const bool signaling = fraction != 0 && (fraction & kQuietBit) == 0;
    return {float80(sign, 0x7fff, fraction | kIntegerBit), signaling ? fsw::kIe : u16{0}, {}};
  }
  const i32 rebias = kExponentBias - kMax / 2;
  if (exponent != 0) return {float80(sign, exponent + rebias, fraction | kIntegerBit), 0, {}};
  if (fraction == 0) return {float80(sign, 0, 0), 0, {}};
  const int shift = std::countl_zero(fraction);
  return {float80(sign, rebias + 1 - shift, fraction << shift), fsw::kDe, {}};
}

bool round_up(u16 fcw, bool sign, bool odd, bool half, bool sticky) {
  switch ((fcw >> 10) & 3) {
    case 0:
      return half && (sticky || odd);
    case 1:
      return sign && (half || sticky);
    case 2:
      return !sign && (half || sticky);
    default:
      return false;
  }
}

}  // namespace

FloatClass classify(Float80 v) {
  const i32 exponent = v.exponent();
  if (exponent == 0) return v.mantissa == 0 ? FloatClass::kZero : FloatClass::kDenormal;
  if ((v.mantissa & kIntegerBit) == 0) return FloatClass::kUnsupported;
  if (exponent != 0x7fff) return FloatClass::kNormal;
  if (v.mantissa == kIntegerBit) return FloatClass::kInfinity;
  return (v.mantissa & kQuietBit) != 0 ? FloatClass::kQuietNan : FloatClass::kSignalingNan;
}

Float80 quiet(Float80 nan) { return {nan.mantissa | kQuietBit, nan.sign_exponent}; }

// SDM vol. 1 table 4-7: a quiet NaN beats a signaling one; of two of a kind the larger significand, then the positive.
Computed nan_result(Float80 a, Float80 b) {
  const FloatClass ca = classify(a), cb = classify(b);
  const bool signaling = ca == FloatClass::kSignalingNan || cb == FloatClass::kSignalingNan;
  bool take_a = is_nan(ca);
  if (is_nan(ca) && is_nan(cb)) {
    if (ca != cb) {
      take_a = ca == FloatClass::kQuietNan;
    } else {
      take_a = a.mantissa != b.mantissa ? a.mantissa > b.mantissa : !a.sign();
    }
  }
  return {quiet(take_a ? a : b), signaling ? fsw::kIe : u16{0}, {}};
}

Computed from_f32(u32 bits) { return widen<23, 8>(bits); }
Computed from_f64(u64 bits) { return widen<52, 11>(bits); }

Float80 from_int(i64 value) {
  if (value == 0) return {};
  const bool sign = value < 0;
  const u64 magnitude = sign ? u64{0} - static_cast<u64>(value) : static_cast<u64>(value);
  const int shift = std::countl_zero(magnitude);
  return float80(sign, kExponentBias + 63 - shift, magnitude << shift);
}

Computed round_to_int(Float80 v, u16 fcw) {
  switch (classify(v)) {
    case FloatClass::kZero:
    case FloatClass::kInfinity:
    case FloatClass::kQuietNan:
      return {v, 0, {}};
    case FloatClass::kSignalingNan:
      return {quiet(v), fsw::kIe, {}};
    case FloatClass::kUnsupported:
      return {kIndefinite, fsw::kIe, {}};
    default:
      break;
  }
  const i32 fraction_bits = kExponentBias + 63 - v.exponent();
  if (fraction_bits <= 0) return {v, 0, {}};
  u16 status = v.exponent() == 0 ? fsw::kDe : u16{0};
  if ((status & ~fcw) != 0) return {v, status, {}};
  if (fraction_bits > 64) {  // below one half
    const bool up = round_up(fcw, v.sign(), false, false, true);
    const Float80 one = float80(v.sign(), kExponentBias, kIntegerBit);
    return {up ? one : float80(v.sign(), 0, 0), static_cast<u16>(status | fsw::kPe | (up ? fsw::kC1 : 0)), {}};
  }
  const u64 half = u64{1} << (fraction_bits - 1);
  const u64 mask = half | (half - 1);
  const u64 rest = v.mantissa & mask;
  if (rest == 0) return {v, status, {}};
  const bool odd = fraction_bits < 64 && ((v.mantissa >> fraction_bits) & 1) != 0;
  const bool up = round_up(fcw, v.sign(), odd, (rest & half) != 0, (rest & (half - 1)) != 0);
  status |= fsw::kPe | (up ? fsw::kC1 : 0);
  u64 mantissa = v.mantissa & ~mask;
  i32 exponent = v.exponent();
  if (up) {
    if (fraction_bits == 64) return {float80(v.sign(), kExponentBias, kIntegerBit), status, {}};
    mantissa += mask + 1;
    if (mantissa == 0) {
      mantissa = kIntegerBit;
      ++exponent;
    }
  }
  return {mantissa == 0 ? float80(v.sign(), 0, 0) : float80(v.sign(), exponent, mantissa), status, {}};
}

Stored to_int(Float80 v, unsigned size, u16 fcw) {
  const Stored indefinite{u64{1} << (size * 8 - 1), fsw::kIe};
  const FloatClass c = classify(v);
  if (c == FloatClass::kUnsupported || c == FloatClass::kInfinity || is_nan(c)) return indefinite;
  const Computed whole = round_to_int(v, fcw | fsw::kDe);
  const i32 bits = whole.value.exponent() - kExponentBias + 1;  // of the magnitude
  if (whole.value.mantissa == 0) return {0, static_cast<u16>(whole.status & ~fsw::kDe)};
  if (bits > 64) return indefinite;
  const u64 magnitude = whole.value.mantissa >> (64 - bits);
  const u64 limit = u64{1} << (size * 8 - 1);
  if (magnitude > (v.sign() ? limit : limit - 1)) return indefinite;
  return {v.sign() ? u64{0} - magnitude : magnitude, static_cast<u16>(whole.status & ~fsw::kDe)};
}

Computed extract(Float80 v) {
  switch (classify(v)) {
    case FloatClass::kZero:
      return {float80(true, 0x7fff, kIntegerBit), fsw::kZe, v};
    case FloatClass::kInfinity:
      return {float80(false, 0x7fff, kIntegerBit), 0, v};
    case FloatClass::kQuietNan:
      return {v, 0, v};
    case FloatClass::kSignalingNan:
      return {quiet(v), fsw::kIe, quiet(v)};
    case FloatClass::kUnsupported:
      return {kIndefinite, fsw::kIe, kIndefinite};
    default:
      break;
  }
  const int shift = std::countl_zero(v.mantissa);
  const i32 exponent = (v.exponent() == 0 ? 1 : v.exponent()) - shift - kExponentBias;
  return {from_int(exponent), v.exponent() == 0 ? fsw::kDe : u16{0},
          float80(v.sign(), kExponentBias, v.mantissa << shift)};
}

}  // namespace umbra
