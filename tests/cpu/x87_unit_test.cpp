// The portable arithmetic unit against the host's x87.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "cpu/base/log.h"
#include "tests/cpu/float_values.h"

using namespace umbra;

#if defined(__x86_64__)

namespace {

const X87Unit& host_unit() {
  x87_use_portable(false);
  return x87_unit();
}

std::string show(Float80 v) {
  return format("%04x.%016llx", v.sign_exponent, static_cast<unsigned long long>(v.mantissa));
}

constexpr unsigned kCases = 200'000;

void compare(const char* name, X87Unit::Binary host, X87Unit::Binary portable, u16 codes) {
  FloatValues values(1);
  unsigned wrong = 0;
  for (unsigned i = 0; i < kCases && wrong < 10; ++i) {
    const Float80 a = values.value();
    const Float80 b = values.below(8) == 0 ? a : values.value();
    const u16 fcw = values.control_word();
    const Computed h = host(a, b, fcw), p = portable(a, b, fcw);
    const bool stopped = (h.status & ~fcw & fsw::kPreComputation) != 0;
    // FPREM leaves C0 and C3 as they were when there is no quotient.
    const bool no_codes = stopped || is_nan(classify(h.value));
    const u16 mask = fsw::kExceptions | (no_codes ? codes & fsw::kC1 : codes);
    if ((h.status & mask) == (p.status & mask) && (stopped || h.value == p.value)) continue;
    ++wrong;
    INFO(name << " a " << show(a) << " b " << show(b) << format(" fcw %04x host ", fcw) << show(h.value)
              << format(" %04x portable ", h.status & mask) << show(p.value) << format(" %04x", p.status & mask));
    CHECK(false);
  }
  CHECK(wrong == 0);
}

void compare(const char* name, X87Unit::Store host, X87Unit::Store portable) {
  FloatValues values(2);
  unsigned wrong = 0;
  for (unsigned i = 0; i < kCases && wrong < 10; ++i) {
    const Float80 a = values.value();
    const u16 fcw = values.control_word();
    const Stored h = host(a, fcw), p = portable(a, fcw);
    const u16 mask = fsw::kExceptions | fsw::kC1;
    const bool stopped = (h.status & ~fcw & (fsw::kIe | fsw::kOe | fsw::kUe)) != 0;
    if ((h.status & mask) == (p.status & mask) && (stopped || h.bits == p.bits)) continue;
    ++wrong;
    INFO(name << " a " << show(a)
              << format(" fcw %04x host %llx %04x portable %llx %04x", fcw, static_cast<unsigned long long>(h.bits),
                        h.status & mask, static_cast<unsigned long long>(p.bits), p.status & mask));
    CHECK(false);
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("portable addition, multiplication, division and square root equal the host's bit for bit", "[x87]") {
  const X87Unit& host = host_unit();
  compare("add", host.add, kPortableUnit.add, fsw::kC1);
  compare("sub", host.sub, kPortableUnit.sub, fsw::kC1);
  compare("mul", host.mul, kPortableUnit.mul, fsw::kC1);
  compare("div", host.div, kPortableUnit.div, fsw::kC1);
  static X87Unit::Unary host_sqrt, portable_sqrt;
  host_sqrt = host.sqrt;
  portable_sqrt = kPortableUnit.sqrt;
  compare(
      "sqrt", [](Float80 a, Float80, u16 fcw) { return host_sqrt(a, fcw); },
      [](Float80 a, Float80, u16 fcw) { return portable_sqrt(a, fcw); }, fsw::kC1);
}

TEST_CASE("portable FSCALE and FPREM equal the host's bit for bit", "[x87]") {
  const X87Unit& host = host_unit();
  compare("scale", host.scale, kPortableUnit.scale, fsw::kC1);
  compare("prem", host.prem, kPortableUnit.prem, fsw::kCodes);
  compare("prem1", host.prem1, kPortableUnit.prem1, fsw::kCodes);
}

TEST_CASE("portable stores to float and double equal the host's bit for bit", "[x87]") {
  const X87Unit& host = host_unit();
  compare("to_f32", host.to_f32, kPortableUnit.to_f32);
  compare("to_f64", host.to_f64, kPortableUnit.to_f64);
}

namespace {

// The largest distance, in units of the last place, between the units' results for arguments from `values`.
template <class Host, class Portable>
double worst_ulps(Host host, Portable portable, u64 seed, i32 lowest, i32 highest) {
  FloatValues values(seed);
  double worst = 0;
  for (unsigned i = 0; i < 20'000; ++i) {
    const auto argument = [&] {
      const i32 exponent = lowest + static_cast<i32>(values.below(static_cast<unsigned>(highest - lowest + 1)));
      return float80((values.bits() & 1) != 0, kExponentBias + exponent, kIntegerBit | values.bits());
    };
    const Float80 a = argument(), b = argument();
    const Computed h = host(a, b), p = portable(a, b);
    const auto value = [](Float80 v) {
      const long double m = std::ldexp(static_cast<long double>(v.mantissa), v.exponent() - kExponentBias - 63);
      return v.sign() ? -m : m;
    };
    const long double unit = std::ldexp(1.0L, h.value.exponent() - kExponentBias - 63);
    worst = std::max(worst, static_cast<double>(std::fabs(value(h.value) - value(p.value)) / unit));
  }
  return worst;
}

template <auto member>
double unary_ulps(u64 seed, i32 lowest, i32 highest) {
  const X87Unit& host = host_unit();
  constexpr u16 kFcw = 0x37f;
  return worst_ulps([&](Float80 a, Float80) { return (host.*member)(a, kFcw); },
                    [&](Float80 a, Float80) { return (kPortableUnit.*member)(a, kFcw); }, seed, lowest, highest);
}

template <auto member>
double binary_ulps(u64 seed, i32 lowest, i32 highest, bool positive) {
  const X87Unit& host = host_unit();
  constexpr u16 kFcw = 0x37f;
  const auto x = [&](Float80 a) { return positive ? float80(false, a.exponent(), a.mantissa) : a; };
  return worst_ulps([&](Float80 a, Float80 b) { return (host.*member)(x(a), b, kFcw); },
                    [&](Float80 a, Float80 b) { return (kPortableUnit.*member)(x(a), b, kFcw); }, seed, lowest,
                    highest);
}

}  // namespace

TEST_CASE("portable transcendental functions are close to the host's", "[x87]") {
  // Below 1, where no argument is reduced: an x87 does that with 66 bits of pi, the library exactly. Each unit may be
  // one unit of the last place off, and on x86 the portable one has no bits to spare for products.
  CHECK(unary_ulps<&X87Unit::fsin>(1, -20, -1) <= 2);
  CHECK(unary_ulps<&X87Unit::fcos>(2, -20, -1) <= 2);
  CHECK(unary_ulps<&X87Unit::fptan>(3, -20, -1) <= 2);
  CHECK(unary_ulps<&X87Unit::f2xm1>(4, -20, -1) <= 3);
  CHECK(binary_ulps<&X87Unit::fpatan>(5, -8, 8, false) <= 2);
  CHECK(binary_ulps<&X87Unit::fyl2x>(6, 1, 30, true) <= 3);
  CHECK(binary_ulps<&X87Unit::fyl2xp1>(7, -20, -3, true) <= 3);
}

#endif
