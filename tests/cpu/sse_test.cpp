// What the hardware oracle cannot show of SSE: control register rules, models, and stores that fault half-way.
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

struct Machine {
  explicit Machine(const char* model = kDefaultCpuModel) : bench(model) {
    bench.protect(0);
    bench.cpu.s.cr0 |= cr0::kNe;
    bench.cpu.s.cr4 |= cr4::kOsfxsr | cr4::kOsxmmexcpt;
  }
  CpuState& s() { return bench.cpu.s; }
  int vector(std::initializer_list<u8> code) {
    bench.insn(code);
    const auto fault = bench.attempt();
    return fault ? fault->vector : -1;
  }
  Bench bench;
};

void set_single(u8* xmm, float value) { std::memcpy(xmm, &value, 4); }

}  // namespace

TEST_CASE("SSE needs CR4.OSFXSR and a CR0 without EM and TS", "[sse]") {
  Machine m;
  const u32 cr0_plain = m.s().cr0, cr4_plain = m.s().cr4;
  const auto addps = [&] { return m.vector({0x0f, 0x58, 0xc1}); };
  CHECK(addps() == -1);
  m.s().cr4 = cr4_plain & ~cr4::kOsfxsr;
  CHECK(addps() == kInvalidOpcode);
  m.s().cr4 = cr4_plain;
  m.s().cr0 = cr0_plain | cr0::kEm;
  CHECK(addps() == kInvalidOpcode);
  m.s().cr0 = cr0_plain | cr0::kTs;
  CHECK(addps() == kDeviceNotAvailable);
  CHECK(m.vector({0x0f, 0xae, 0xf8}) == -1);  // SFENCE does not care
}

TEST_CASE("an unmasked SIMD exception is #XM, or #UD where the system does not take it", "[sse]") {
  Machine m;
  m.s().fpu.mxcsr = 0x1f80 & ~0x200u;  // ZM clear
  set_single(m.s().fpu.xmm[0], 1.0f);
  set_single(m.s().fpu.xmm[1], 0.0f);
  CHECK(m.vector({0xf3, 0x0f, 0x5e, 0xc1}) == kSimdFault);  // DIVSS
  CHECK((m.s().fpu.mxcsr & 0x3f) == 4);
  float kept = 0;
  std::memcpy(&kept, m.s().fpu.xmm[0], 4);
  CHECK(kept == 1.0f);
  m.s().cr4 &= ~cr4::kOsxmmexcpt;
  CHECK(m.vector({0xf3, 0x0f, 0x5e, 0xc1}) == kInvalidOpcode);
}

TEST_CASE("each model has its own share of SSE", "[sse]") {
  Machine p2("pentium2"), p3("pentium3"), p4("pentium4"), max("max");
  const auto sse = {u8{0x0f}, u8{0x58}, u8{0xc1}};                        // ADDPS
  const auto sse2 = {u8{0x66}, u8{0x0f}, u8{0x58}, u8{0xc1}};             // ADDPD
  const auto sse3 = {u8{0xf2}, u8{0x0f}, u8{0xd0}, u8{0xc1}};             // ADDSUBPS
  const auto ssse3 = {u8{0x66}, u8{0x0f}, u8{0x38}, u8{0x00}, u8{0xc1}};  // PSHUFB
  CHECK(p2.vector(sse) == kInvalidOpcode);
  CHECK(p3.vector(sse) == -1);
  CHECK(p3.vector(sse2) == kInvalidOpcode);
  CHECK(p4.vector(sse2) == -1);
  CHECK(p4.vector(sse3) == kInvalidOpcode);
  CHECK(max.vector(sse3) == -1);
  CHECK(p4.vector(ssse3) == kInvalidOpcode);
  CHECK(max.vector(ssse3) == -1);
}

TEST_CASE("LDMXCSR refuses reserved bits", "[sse]") {
  Machine m;
  m.bench.put(kData, 0x10000);
  CHECK(m.vector({0x0f, 0xae, 0x15, 0x00, 0xc0, 0, 0}) == kGeneralProtection);
  CHECK(m.s().fpu.mxcsr == 0x1f80);
  m.bench.put(kData, 0x9fc0);
  CHECK(m.vector({0x0f, 0xae, 0x15, 0x00, 0xc0, 0, 0}) == -1);
  CHECK(m.s().fpu.mxcsr == 0x9fc0);
}

TEST_CASE("an unaligned store into a missing page writes nothing", "[sse]") {
  Machine m;
  m.bench.paging();
  m.bench.page(kData + kPageSize, 0);
  const u32 at = kData + kPageSize - 8;
  m.bench.put(at, 0x33333333);
  std::memset(m.s().fpu.xmm[0], 0xee, 16);
  CHECK(m.vector({0x0f, 0x11, 0x05, static_cast<u8>(at), static_cast<u8>(at >> 8), 0, 0}) == kPageFault);  // MOVUPS
  CHECK(m.s().cr2 == kData + kPageSize);
  CHECK(m.bench.get(at) == 0x33333333);
}

TEST_CASE("MASKMOVDQU across pages faults before it writes, and only for bytes it writes", "[sse]") {
  Machine m;
  m.bench.paging();
  m.bench.page(kData + kPageSize, 0);
  const u32 at = kData + kPageSize - 8;
  m.bench.put(at, 0x44444444);
  m.s().r32(kEdi) = at;
  std::memset(m.s().fpu.xmm[0], 0xee, 16);
  std::memset(m.s().fpu.xmm[1], 0x80, 16);
  CHECK(m.vector({0x66, 0x0f, 0xf7, 0xc1}) == kPageFault);
  CHECK(m.bench.get(at) == 0x44444444);
  std::memset(m.s().fpu.xmm[1] + 8, 0, 8);  // the low half alone
  CHECK(m.vector({0x66, 0x0f, 0xf7, 0xc1}) == -1);
  CHECK(m.bench.get(at) == 0xeeeeeeee);
}
