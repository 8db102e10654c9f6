// The portable arithmetic unit against the host's x87.
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

#endif
