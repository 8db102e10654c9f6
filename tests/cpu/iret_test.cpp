// IRET: SDM vol. 2. Returns from tasks are in tasks_test, V86 and VME in vme_test.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kAllFlags = 0x003f7fd7;

// Pushes an IRETD frame and executes it.
std::optional<GuestFault> iretd(Bench& b, u32 eip, u16 cs, u32 eflags, u32 esp = 0, u16 ss = 0) {
  b.cpu.s.r32(kEsp) -= 20;
  const u32 at = b.cpu.s.r32(kEsp);
  const u32 frame[] = {eip, cs, eflags, esp, ss};
  for (u32 i = 0; i < 5; ++i) b.put(at + i * 4, frame[i]);
  b.insn({0xcf});
  return b.attempt();
}

}  // namespace

TEST_CASE("IRET changes the flags that privilege and size allow") {
  struct Case {
    const char* what;
    unsigned cpl, iopl;
    bool wide;
    u32 changed;
  };
  constexpr u32 kUser = flag::kArithmetic | flag::kTf | flag::kDf | flag::kNt;
  constexpr u32 kUser32 = kUser | flag::kAc | flag::kId;  // RF falls away while no code breakpoint is armed
  const Case cases[] = {
      {"ring 0", 0, 0, true, kUser32 | flag::kIf | flag::kIopl | flag::kVif | flag::kVip},
      {"ring 0, 16 bits", 0, 0, false, kUser | flag::kIf | flag::kIopl},
      {"ring 3", 3, 0, true, kUser32},
      {"ring 3, IOPL 3", 3, 3, true, kUser32 | flag::kIf},
      {"ring 3, 16 bits", 3, 0, false, kUser},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.cpu.s.eflags = flag::kFixed | c.iopl << 12;
    const u32 size = c.wide ? 4 : 2;
    b.cpu.s.r32(kEsp) -= 3 * size;
    const u32 at = b.cpu.s.r32(kEsp);
    b.put(at, 0x9400, size), b.put(at + size, c.cpl == 3 ? kCode3 : kCode0, size);
    b.put(at + 2 * size, kAllFlags & ~flag::kVm, size);
    if (c.wide) {
      b.insn({0xcf});
    } else {
      b.insn({0x66, 0xcf});
    }
    REQUIRE_FALSE(b.attempt());
    const u32 before = flag::kFixed | c.iopl << 12;
    CHECK((b.cpu.s.eflags | before) == ((before & ~c.changed) | c.changed));
    CHECK(b.cpu.s.eip == 0x9400);
  }
}

TEST_CASE("IRET is checked as the SDM says") {
  struct Case {
    const char* what;
    unsigned cpl;
    u16 cs, rights;
    u32 eip;
    u16 ss;
    int vector;
    u32 error;
  };
  const Case cases[] = {
      {"same ring", 0, kCode0, 0, 0x9400, 0, -1, 0},
      {"outer ring 1", 0, kCode1, 0, 0x9400, kData1, -1, 0},
      {"outer ring 3", 0, kCode3, 0, 0x9400, kData3, -1, 0},
      {"inner ring", 3, kCode0, 0, 0x9400, 0, 13, kCode0},
      {"null", 0, 0, 0, 0x9400, 0, 13, 0},
      {"data", 0, kData0, 0, 0x9400, 0, 13, kData0},
      {"absent", 0, kSpare, kRightsCode & ~0x80, 0x9400, 0, 11, kSpare},
      {"beyond the limit", 0, kSpare, 0x409b, 0x20000, 0, 13, 0},
      {"outer ring, SS of another ring", 0, kCode3, 0, 0x9400, kData1, 13, kData1 & ~3u},
      {"outer ring, absent SS", 0, kCode3, with_dpl(0xc013, 3), 0x9400, kSpare | 3, 12, kSpare},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.gdt(kSpare, 0, 0xffff, c.rights);
    const auto fault = iretd(b, c.eip, c.cs, 0x202, 0xbf00, c.ss);
    REQUIRE(fault.has_value() == (c.vector >= 0));
    if (fault) {
      CHECK(fault->vector == c.vector);
      CHECK(fault->error == c.error);
      CHECK((b.cpu.s.eflags & flag::kIf) == 0);
    } else {
      CHECK(b.cpu.s.cpl == (c.cs & 3));
      CHECK(b.cpu.s.eip == c.eip);
      CHECK((b.cpu.s.eflags & flag::kIf) != 0);
      if (c.ss != 0) CHECK(b.cpu.s.r32(kEsp) == 0xbf00);
    }
  }
}

TEST_CASE("A 16-bit outer stack gets SP only") {
  Bench b;
  b.protect();
  b.gdt(kSpare, 0, 0xffff, with_dpl(0x0093, 3));
  b.cpu.s.r32(kEsp) = 0x7000;
  REQUIRE_FALSE(iretd(b, 0x9400, kCode3, 2, 0x1234bf00, kSpare | 3));
  CHECK(b.cpu.s.r16(kEsp) == 0xbf00);
  CHECK(b.cpu.s.r32(kEsp) >> 16 == 0);  // the upper half of the old ESP stays
}

TEST_CASE("VM in the image leads to V86 mode from ring 0 only") {
  Bench b;
  b.protect();
  b.cpu.s.r32(kEsp) -= 36;
  const u32 at = b.cpu.s.r32(kEsp);
  const u32 frame[] = {0xffff1234, 0x900, flag::kVm | 0x3202, 0xfff0, 0x100, 0x200, 0x300, 0x400, 0x500};
  for (u32 i = 0; i < 9; ++i) b.put(at + i * 4, frame[i]);
  b.insn({0xcf});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.v86());
  CHECK(b.cpu.s.cpl == 3);
  CHECK(b.cpu.iopl() == 3);
  CHECK(b.cpu.s.eip == 0x1234);
  CHECK(b.cpu.s.seg[kCs].base == 0x9000);
  CHECK(b.cpu.s.r32(kEsp) == 0xfff0);
  CHECK(b.cpu.s.seg[kSs].base == 0x1000);
  CHECK(b.cpu.s.seg[kEs].base == 0x2000);
  CHECK(b.cpu.s.seg[kDs].base == 0x3000);
  CHECK(b.cpu.s.seg[kFs].base == 0x4000);
  CHECK(b.cpu.s.seg[kGs].base == 0x5000);
  CHECK(b.cpu.s.seg[kDs].limit == 0xffff);
  Bench c;
  c.protect(3);
  REQUIRE_FALSE(iretd(c, 0x9400, kCode3, flag::kVm | 2));
  CHECK_FALSE(c.cpu.v86());
}

TEST_CASE("Real-mode IRET ignores NT and takes every flag") {
  Bench b("386");
  b.real(0x800, 0);
  b.cpu.s.eflags |= flag::kNt;
  b.cpu.s.r32(kEsp) -= 6;
  b.put(kStack0 - 6, 0x100, 2), b.put(kStack0 - 4, 0x900, 2), b.put(kStack0 - 2, 0x7fd7, 2);
  b.insn({0xcf});
  b.step();
  CHECK(b.cpu.s.eip == 0x100);
  CHECK(b.cpu.s.seg[kCs].base == 0x9000);
  CHECK(b.cpu.s.eflags == 0x7fd7);
}
