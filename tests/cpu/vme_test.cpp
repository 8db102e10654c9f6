// V86 mode, its extensions, and protected-mode virtual interrupts: SDM vol. 3 chapter 20.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

void redirect(Bench& b, u8 vector, bool to_monitor) {
  // The map lies in the 32 bytes below the I/O bitmap.
  b.put(kTss + 0x66, 0x88, 2);
  const u32 at = kTss + 0x68 + vector / 8;
  const u32 bit = 1u << (vector & 7);
  b.put(at, to_monitor ? b.get(at, 1) | bit : b.get(at, 1) & ~bit, 1);
}

std::optional<GuestFault> attempt(Bench& b, std::initializer_list<u8> bytes) {
  b.insn(bytes);
  return b.attempt();
}

}  // namespace

TEST_CASE("With IOPL below 3, V86 mode traps CLI, STI, PUSHF, POPF, INT n and IRET") {
  const std::initializer_list<u8> list[] = {{0xfa}, {0xfb}, {0x9c}, {0x9d}, {0xcd, 0x21}, {0xcf}};
  for (const auto& bytes : list) {
    Bench b;
    b.v86(0);
    const auto fault = attempt(b, bytes);
    REQUIRE(fault);
    CHECK(fault->vector == 13);
    CHECK(fault->error == 0);
    CHECK(b.cpu.s.eip == 0);
  }
}

TEST_CASE("With IOPL 3, V86 mode runs them, but IOPL stays") {
  Bench b;
  b.v86(3);
  REQUIRE_FALSE(attempt(b, {0xfa}));
  CHECK((b.cpu.s.eflags & flag::kIf) == 0);
  REQUIRE_FALSE(attempt(b, {0xfb}));
  CHECK((b.cpu.s.eflags & flag::kIf) != 0);
  REQUIRE_FALSE(attempt(b, {0x9c}));
  CHECK(b.get(0xbffe, 2) == 0x3202);
  b.put(0xbffe, 0x0002, 2);
  REQUIRE_FALSE(attempt(b, {0x9d}));
  CHECK(b.cpu.iopl() == 3);
  CHECK((b.cpu.s.eflags & flag::kIf) == 0);
  CHECK(b.cpu.v86());
}

TEST_CASE("An interrupt from V86 mode saves and clears the data segments") {
  Bench b;
  b.v86(3);
  b.idt(0x21, kCode0, Bench::handler(0x21), 0xee);
  b.cpu.set_real_segment(kGs, 0x111);
  b.insn({0xcd, 0x21});
  b.step();
  REQUIRE(b.cpu.s.eip == Bench::handler(0x21));
  CHECK_FALSE(b.cpu.v86());
  CHECK(b.cpu.s.cpl == 0);
  CHECK(b.cpu.s.r32(kEsp) == kStack0 - 36);
  const u32 expected[] = {2, kCode >> 4, flag::kVm | 0x3202, 0x1000, 0xb00, kData >> 4, kData >> 4, kData >> 4, 0x111};
  for (u32 i = 0; i < 9; ++i) CHECK(b.get(kStack0 - 36 + i * 4) == expected[i]);
  for (SegReg reg : {kEs, kDs, kFs, kGs}) CHECK(b.cpu.s.seg[reg].selector == 0);
}

TEST_CASE("From V86 mode a gate must lead to ring 0") {
  Bench b;
  b.v86(3);
  b.idt(0x21, kCode1, Bench::handler(0x21), 0xee);
  auto fault = attempt(b, {0xcd, 0x21});
  REQUIRE(fault);
  CHECK(fault->vector == 13);
  CHECK(fault->error == (kCode1 & ~3u));
  b.idt(0x21, kConforming0, Bench::handler(0x21), 0xee);
  fault = attempt(b, {0xcd, 0x21});
  REQUIRE(fault);
  CHECK(fault->error == kConforming0);
}

TEST_CASE("VME sends INT n to the program or the monitor by the redirection bitmap") {
  for (unsigned iopl : {0u, 3u}) {
    INFO(iopl);
    Bench b;
    b.v86(iopl);
    b.cpu.s.cr4 |= cr4::kVme;
    b.cpu.s.eflags |= flag::kVif;
    b.cpu.s.eflags &= ~flag::kIf;
    if (iopl == 3) b.cpu.s.eflags |= flag::kIf;
    redirect(b, 0x21, false);
    b.put(0x21 * 4, 0x09000123);
    REQUIRE_FALSE(attempt(b, {0xcd, 0x21}));
    CHECK(b.cpu.v86());
    CHECK(b.cpu.s.eip == 0x123);
    CHECK(b.cpu.s.seg[kCs].base == 0x9000);
    CHECK(b.get(0xbffa, 2) == 2);
    CHECK(b.get(0xbffc, 2) == kCode >> 4);
    CHECK((b.get(0xbffe, 2) & (flag::kIf | flag::kIopl)) == (flag::kIf | flag::kIopl));
    CHECK(((b.cpu.s.eflags & flag::kVif) == 0) == (iopl == 0));
    CHECK((b.cpu.s.eflags & flag::kIf) == 0);

    Bench m;
    m.v86(iopl);
    m.cpu.s.cr4 |= cr4::kVme;
    m.idt(0x21, kCode0, Bench::handler(0x21), 0xee);
    redirect(m, 0x21, true);
    const auto fault = attempt(m, {0xcd, 0x21});
    if (iopl == 3) {
      REQUIRE_FALSE(fault);
      CHECK(m.cpu.s.cpl == 0);
    } else {
      REQUIRE(fault);
      CHECK(fault->vector == 13);
    }
  }
}

TEST_CASE("VME gives CLI, STI, PUSHF, POPF and IRET a virtual interrupt flag") {
  Bench b;
  b.v86(0);
  b.cpu.s.cr4 |= cr4::kVme;
  REQUIRE_FALSE(attempt(b, {0xfb}));
  CHECK((b.cpu.s.eflags & flag::kVif) != 0);
  REQUIRE_FALSE(attempt(b, {0x9c}));
  CHECK(b.get(0xbffe, 2) == 0x3202);
  REQUIRE_FALSE(attempt(b, {0xfa}));
  CHECK((b.cpu.s.eflags & flag::kVif) == 0);
  CHECK((b.cpu.s.eflags & flag::kIf) != 0);
  REQUIRE_FALSE(attempt(b, {0x9d}));
  CHECK((b.cpu.s.eflags & flag::kVif) != 0);
  CHECK(b.cpu.iopl() == 0);
  // IRET
  b.cpu.s.r32(kEsp) = 0xffa;
  b.put(0xbffa, 0x50, 2), b.put(0xbffc, 0x900, 2), b.put(0xbffe, 2, 2);
  REQUIRE_FALSE(attempt(b, {0xcf}));
  CHECK(b.cpu.s.eip == 0x50);
  CHECK((b.cpu.s.eflags & flag::kVif) == 0);
  CHECK((b.cpu.s.eflags & flag::kIf) != 0);
}

TEST_CASE("With an interrupt pending (VIP) or TF, VME traps what would open the gate") {
  const auto fresh = [] {
    auto b = std::make_unique<Bench>();
    b->v86(0);
    b->cpu.s.cr4 |= cr4::kVme;
    b->cpu.s.eflags |= flag::kVip;
    return b;
  };
  auto b = fresh();
  CHECK(attempt(*b, {0xfb})->vector == 13);
  b = fresh();
  b->cpu.s.r32(kEsp) = 0xffe;
  b->put(0xbffe, 0x202, 2);
  CHECK(attempt(*b, {0x9d})->vector == 13);
  CHECK(b->cpu.s.r32(kEsp) == 0xffe);
  b = fresh();
  b->cpu.s.r32(kEsp) = 0xffe;
  b->put(0xbffe, 0x102, 2);
  CHECK(attempt(*b, {0x9d})->vector == 13);
  b = fresh();
  b->put(0xbffe, 0x002, 2);
  b->cpu.s.r32(kEsp) = 0xffe;
  CHECK_FALSE(attempt(*b, {0x9d}));
  CHECK(attempt(*b, {0x66, 0x9c})->vector == 13);  // 32 bits: not virtualized
}

TEST_CASE("IRET that sets VIF with VIP faults at the instruction it returns to") {
  Bench b;
  b.protect();
  b.cpu.s.cr4 |= cr4::kVme;
  b.cpu.s.r32(kEsp) -= 36;
  const u32 at = b.cpu.s.r32(kEsp);
  const u32 frame[] = {0x1234, 0x900, flag::kVm | flag::kVif | flag::kVip | 2, 0xfff0, 0x100, 0, 0, 0, 0};
  for (u32 i = 0; i < 9; ++i) b.put(at + i * 4, frame[i]);
  b.insn({0xcf});
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 13);
  CHECK(a.eip == 0x1234);
  CHECK(a.cs == 0x900);
  CHECK((a.eflags & flag::kVm) != 0);
}

TEST_CASE("PVI gives CLI and STI at ring 3 a virtual interrupt flag") {
  Bench b;
  b.protect(3);
  CHECK(attempt(b, {0xfa})->vector == 13);
  b.cpu.s.cr4 |= cr4::kPvi;
  REQUIRE_FALSE(attempt(b, {0xfb}));
  CHECK((b.cpu.s.eflags & (flag::kVif | flag::kIf)) == flag::kVif);
  REQUIRE_FALSE(attempt(b, {0xfa}));
  CHECK((b.cpu.s.eflags & flag::kVif) == 0);
  b.cpu.s.eflags |= flag::kVip;
  CHECK(attempt(b, {0xfb})->vector == 13);
  REQUIRE_FALSE(attempt(b, {0x9d}));  // POPF: IF stays, no fault
}

TEST_CASE("I/O in V86 mode and outside IOPL asks the bitmap of the TSS") {
  Bench b;
  b.v86(3);
  CHECK(attempt(b, {0xe4, 0x60})->vector == 13);
  b.put(kTss + 0x68 + 0x60 / 8, 0xfe, 1);
  b.ports.values[0x60] = 0x5a;
  REQUIRE_FALSE(attempt(b, {0xe4, 0x60}));
  CHECK(b.cpu.s.r8(0) == 0x5a);
  CHECK(attempt(b, {0xe5, 0x60})->vector == 13);  // two ports, one closed
  b.cpu.s.r16(kEdx) = 0xffff;
  CHECK(attempt(b, {0xec})->vector == 13);  // beyond the limit of the TSS
  Bench p;
  p.protect(3);
  CHECK(attempt(p, {0xe6, 0x60})->vector == 13);
  p.cpu.s.eflags |= flag::kIopl;
  REQUIRE_FALSE(attempt(p, {0xe6, 0x60}));
  CHECK(p.ports.writes.size() == 1);
  CHECK(p.ports.writes[0].port == 0x60);
}
