// LOADALL of the 286 and 386.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("A 286 loads everything from physical 800h and so reaches extended memory in real mode") {
  Bench b("286");
  b.real(0x800, 0);
  b.put(0x818, 0x0202, 2), b.put(0x81a, 0x1234, 2);
  b.put(0x81e, 0x5555, 2), b.put(0x822, 0x900, 2);
  for (u32 i = 0; i < 8; ++i) b.put(0x826 + i * 2, 0x1000 + i, 2);
  b.put(0x83c, 0x9000, 2), b.put(0x83e, 0x9300, 2), b.put(0x840, 0xffff, 2);  // CS
  b.put(0x848, 0x0000, 2), b.put(0x84a, 0x9330, 2), b.put(0x84c, 0xffff, 2);  // DS at 300000h
  b.put(0x85e, 0x3ff, 2);                                                     // IDT
  b.put(0x300010, 0xbeef, 2);
  b.insn({0x0f, 0x05});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.eip == 0x1234);
  CHECK(b.cpu.s.eflags == 0x202);
  CHECK(b.cpu.s.r16(kEdi) == 0x1000);
  CHECK(b.cpu.s.r16(kEax) == 0x1007);
  CHECK(b.cpu.s.seg[kCs].base == 0x9000);
  CHECK(b.cpu.s.seg[kDs].selector == 0x5555);
  CHECK(b.cpu.real());
  CHECK(b.cpu.read<u16>(kDs, 0x10) == 0xbeef);
}

TEST_CASE("A 386 loads everything from ES:EDI") {
  Bench b("386");
  b.protect();
  b.cpu.s.r32(kEdi) = kData;
  b.put(kData, cr0::kPe), b.put(kData + 4, 0x202), b.put(kData + 8, 0x9400);
  for (u32 i = 0; i < 8; ++i) b.put(kData + 0xc + i * 4, 0x10000 * (i + 1));
  b.put(kData + 0x30, 0x400);
  const u32 caches[] = {0x84, 0x90, 0x9c, 0xa8, 0xb4, 0xc0};  // GS FS DS SS CS ES
  for (u32 i = 0; i < 6; ++i) {
    b.put(kData + 0x3c + i * 4, 0x10 + i * 8);
    b.put(kData + caches[i], i == 4 ? 0x00c09b00 : 0x00c0f300);
    b.put(kData + caches[i] + 4, i * 0x100000);
    b.put(kData + caches[i] + 8, 0xffffffff);
  }
  b.put(kData + 0x70, 0x1000), b.put(kData + 0x74, 0xff);  // GDT
  b.insn({0x0f, 0x07});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.eip == 0x9400);
  CHECK(b.cpu.s.r32(kEdi) == 0x10000);
  CHECK(b.cpu.s.r32(kEax) == 0x80000);
  CHECK(b.cpu.s.seg[kCs].base == 0x400000);
  CHECK(b.cpu.s.seg[kDs].base == 0x200000);
  CHECK(b.cpu.s.gdtr.base == 0x1000);
  CHECK(b.cpu.s.cpl == 3);  // from SS
  CHECK(b.cpu.mmu.user());
}

TEST_CASE("Only these two have LOADALL") {
  for (const char* model : {"386", "486", "max"}) {
    Bench b(model);
    b.real(0x800, 0);
    b.insn({0x0f, 0x05});
    CHECK(b.attempt()->vector == 6);
  }
  Bench b("386");
  b.protect(3);
  b.insn({0x0f, 0x07});
  CHECK(b.attempt()->vector == 13);
}
