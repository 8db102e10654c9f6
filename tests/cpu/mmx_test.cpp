// MMX registers are the x87's: TOP, tags and exponents, and stores that must not change them when they fault.
#include <catch2/catch.hpp>
#include <cstring>

#include "cpu/interp/x87.h"
#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

int vector(Bench& bench, std::initializer_list<u8> code) {
  bench.insn(code);
  const auto fault = bench.attempt();
  return fault ? fault->vector : -1;
}

u64 mantissa(const FpuState& f, unsigned i) { return x87_get(f, i).mantissa; }

}  // namespace

TEST_CASE("an MMX instruction turns the stack so that TOP is 0 and all registers are valid", "[mmx]") {
  Bench bench;
  bench.protect(0);
  FpuState& f = bench.cpu.s.fpu;
  f.fsw = 0;
  f.ftw = 0;
  x87_push(f, {kIntegerBit | 7, 0x3fff});            // physical 7
  REQUIRE(vector(bench, {0x0f, 0x6f, 0xd7}) == -1);  // MOVQ MM2, MM7
  CHECK(x87_top(f) == 0);
  CHECK(f.ftw == 0xff);
  CHECK(mantissa(f, 2) == (kIntegerBit | 7));
  CHECK(x87_get(f, 2).sign_exponent == 0xffff);
  CHECK(mantissa(f, 7) == (kIntegerBit | 7));
  CHECK(x87_get(f, 7).sign_exponent == 0x3fff);
  REQUIRE(vector(bench, {0x0f, 0x77}) == -1);  // EMMS
  CHECK(f.ftw == 0);
}

TEST_CASE("an MMX store that faults leaves the x87 as it was", "[mmx]") {
  Bench bench;
  bench.protect(0);
  bench.paging();
  bench.page(kData + kPageSize, 0);
  FpuState& f = bench.cpu.s.fpu;
  x87_push(f, {kIntegerBit, 0x3fff});
  const FpuState before = f;
  const u32 at = kData + kPageSize - 4;
  bench.put(at, 0x55555555);
  CHECK(vector(bench, {0x0f, 0x7f, 0x05, static_cast<u8>(at), static_cast<u8>(at >> 8), 0, 0}) == kPageFault);
  CHECK(bench.get(at) == 0x55555555);
  CHECK(std::memcmp(&before, &f, sizeof f) == 0);
}

TEST_CASE("MMX is #UD on a model without it", "[mmx]") {
  Bench p2("pentium2"), i486("486");
  p2.protect(0);
  i486.protect(0);
  CHECK(vector(p2, {0x0f, 0xfc, 0xc1}) == -1);  // PADDB
  CHECK(vector(i486, {0x0f, 0xfc, 0xc1}) == kInvalidOpcode);
  CHECK(vector(p2, {0x0f, 0xe0, 0xc1}) == kInvalidOpcode);  // PAVGB came with SSE
}
