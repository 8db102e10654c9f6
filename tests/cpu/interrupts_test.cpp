// Interrupts and exceptions: SDM vol. 3 chapter 6.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("A real-mode interrupt pushes flags, CS and IP, and IRET takes them back") {
  Bench b;
  b.real(0x0800, 0);
  b.cpu.s.eflags |= flag::kIf | flag::kTf;
  b.insn({0xcd, 0x21});
  b.step();
  CHECK(b.cpu.s.eip == Bench::handler(0x21));
  CHECK(b.cpu.s.r32(kEsp) == kStack0 - 6);
  CHECK(b.get(kStack0 - 6, 2) == 2);
  CHECK(b.get(kStack0 - 4, 2) == 0x800);
  CHECK((b.get(kStack0 - 2, 2) & (flag::kIf | flag::kTf)) == (flag::kIf | flag::kTf));
  CHECK((b.cpu.s.eflags & (flag::kIf | flag::kTf)) == 0);
  b.put(kStack0 - 2, flag::kIf | 2, 2);
  b.insn({0xcf});
  b.step();
  CHECK(b.cpu.s.eip == 2);
  CHECK(b.cpu.s.seg[kCs].base == 0x8000);
  CHECK((b.cpu.s.eflags & flag::kIf) != 0);
  CHECK(b.cpu.s.r32(kEsp) == kStack0);
}

TEST_CASE("A vector outside the real-mode table is #GP, on a 286 and 386 interrupt 8") {
  for (const char* model : {"286", "386", "pentium"}) {
    INFO(model);
    Bench b(model);
    b.real(0x0800, 0);
    b.cpu.s.idtr.limit = 0x7f;  // vectors 0 to 31
    b.insn({0xcd, 0x20});
    b.step();
    CHECK(b.cpu.s.eip == Bench::handler(std::string_view(model) == "pentium" ? 13 : 8));
    CHECK(b.get(kStack0 - 6, 2) == 0);  // back to the INT
  }
}

TEST_CASE("Models before the 386 have their own FLAGS and PUSH SP") {
  Bench old("8086");
  old.real(0x0800, 0);
  old.cpu.s.r32(kEax) = 0;
  old.insn({0x9c});
  old.step();
  CHECK(old.get(kStack0 - 2, 2) == 0xf002);
  old.insn({0x54});
  old.step();
  CHECK(old.get(kStack0 - 4, 2) == kStack0 - 4);
  Bench b("286");
  b.real(0x0800, 0);
  b.put(kStack0 - 2, 0xffff, 2);
  b.cpu.s.r32(kEsp) = kStack0 - 2;
  b.insn({0x9d});
  b.step();
  CHECK((b.cpu.s.eflags & 0xf000) == 0);
}

namespace {

struct GateCase {
  const char* what;
  unsigned cpl;
  u8 access;     // of gate 0x40
  u16 selector;  // in it
  u16 rights;    // of the descriptor at kSpare
  u32 offset;
  int vector;  // -1: arrives
  u32 error;
};
constexpr u32 kIdtError = 0x40 * 8 + 2;

const GateCase kGates[] = {
    {"interrupt gate, same ring", 0, 0x8e, kCode0, 0, 0x9400, -1, 0},
    {"trap gate, same ring", 0, 0x8f, kCode0, 0, 0x9400, -1, 0},
    {"trap gate to an inner ring", 3, 0xef, kCode0, 0, 0x9400, -1, 0},
    {"16-bit gate", 0, 0x86, kCode0, 0, 0x9400, -1, 0},
    {"gate of ring 0 from ring 3", 3, 0x8e, kCode0, 0, 0x9400, 13, kIdtError},
    {"absent gate", 0, 0x0e, kCode0, 0, 0x9400, 11, kIdtError},
    {"absent gate of ring 0 from ring 3: privilege first", 3, 0x0e, kCode0, 0, 0x9400, 13, kIdtError},
    {"call gate", 0, 0x8c, kCode0, 0, 0x9400, 13, kIdtError},
    {"data descriptor", 0, 0x92, kCode0, 0, 0x9400, 13, kIdtError},
    {"null selector", 0, 0x8e, 0, 0, 0x9400, 13, 0},
    {"selector beyond the GDT", 0, 0x8e, 0x1000, 0, 0x9400, 13, 0x1000},
    {"data segment", 0, 0x8e, kData0, 0, 0x9400, 13, kData0},
    {"code of an outer ring", 0, 0x8e, kCode3, 0, 0x9400, 13, kCode3 & ~3u},
    {"absent code", 0, 0x8e, kSpare, kRightsCode & ~0x80, 0x9400, 11, kSpare},
    {"offset beyond the limit", 0, 0x8e, kSpare, 0x409b, 0x20000, 13, 0},
    {"conforming code from ring 3 stays there", 3, 0xee, kConforming0, 0, 0x9400, -1, 0},
};

}  // namespace

TEST_CASE("INT n goes through the gate or fails as the SDM says") {
  for (const GateCase& c : kGates) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.gdt(kSpare, 0, 0xffff, c.rights);
    b.idt(0x40, c.selector, c.offset, c.access);
    b.cpu.s.eflags |= flag::kIf | flag::kTf | flag::kNt;
    b.insn({0xcd, 0x40});
    const auto fault = b.attempt();
    REQUIRE(fault.has_value() == (c.vector >= 0));
    if (fault) {
      CHECK(fault->vector == c.vector);
      CHECK(fault->error == c.error);
      continue;
    }
    CHECK(b.cpu.s.eip == c.offset);
    CHECK((b.cpu.s.eflags & (flag::kTf | flag::kNt)) == 0);
    CHECK(((b.cpu.s.eflags & flag::kIf) == 0) == ((c.access & 1) == 0));
    const bool conforming = c.selector == kConforming0;
    CHECK(b.cpu.s.cpl == (conforming ? 3 : 0));
    const u32 size = (c.access & 8) != 0 ? 4 : 2;
    const u32 top = conforming ? kStack3 : kStack0;
    const u32 frame = c.cpl == 3 && !conforming ? 5 : 3;
    CHECK(b.cpu.s.r32(kEsp) == top - size * frame);
    CHECK(b.get(b.cpu.s.r32(kEsp), size) == kCode + 2);
    CHECK(b.get(b.cpu.s.r32(kEsp) + size, 2) == (c.cpl == 3 ? kCode3 : kCode0));
    CHECK((b.get(b.cpu.s.r32(kEsp) + 2 * size, 2) & (flag::kIf | flag::kTf | flag::kNt)) ==
          (flag::kIf | flag::kTf | flag::kNt));
    if (frame == 5) {
      CHECK(b.get(b.cpu.s.r32(kEsp) + 12) == kStack3);
      CHECK(b.get(b.cpu.s.r32(kEsp) + 16) == kData3);
      CHECK(b.cpu.s.seg[kSs].selector == kData0);
    }
  }
}

namespace {

struct InnerStackCase {
  const char* what;
  u32 esp0;
  u16 ss0, rights;
  u32 tr_limit;
  u8 vector;
  u32 error;
};

const InnerStackCase kInnerStacks[] = {
    {"TSS too short", kStack0, kData0, 0, 8, 10, kTssSel},
    {"null SS0", kStack0, 0, 0, 0xff, 10, 0},
    {"SS0 beyond the GDT", kStack0, 0x1000, 0, 0xff, 10, 0x1000},
    {"SS0 of ring 3", kStack0, kData3, 0, 0xff, 10, kData3 & ~3u},
    {"SS0 with RPL 3", kStack0, kData0 | 3, 0, 0xff, 10, kData0},
    {"read-only SS0", kStack0, kSpare, 0xc091, 0xff, 10, kSpare},
    {"absent SS0", kStack0, kSpare, 0xc013, 0xff, 12, kSpare},
    {"no room", 8, kSpare, 0x4097, 0xff, 12, kSpare},  // expand-down with limit 0xffff: offsets below are outside
};

}  // namespace

TEST_CASE("Bad inner stacks are #TS or #SS with the selector, with EXT for events that are not INT n") {
  for (const InnerStackCase& c : kInnerStacks) {
    INFO(c.what);
    for (const bool hardware : {false, true}) {
      Bench b;
      b.protect(3);
      b.gdt(kSpare, 0, 0xffff, c.rights);
      b.idt(0x40, kCode0, 0x9400, 0xee);
      b.put(kTss + 4, c.esp0);
      b.put(kTss + 8, c.ss0);
      b.cpu.s.tr.limit = c.tr_limit;
      // What arrives is a fault of its own through a task gate, so that the bad stack is not needed.
      b.gate(kIdt + c.vector * 8u, kTss2Sel, 0, 0x85);
      b.put(kTss2 + 0x20, 0x9f00);
      b.put(kTss2 + 0x38, kStack1);
      b.put(kTss2 + 0x24, 2);
      b.put(kTss2 + 0x4c, kCode0);
      for (u32 at : {0x48, 0x50, 0x54, 0x58, 0x5c}) b.put(kTss2 + at, kData0);
      if (c.tr_limit < 0x67) b.cpu.s.tr.limit = c.tr_limit;
      if (hardware) {
        b.cpu.s.eflags |= flag::kIf;
        b.pic.vector = 0x40;
        b.cpu.pending |= attention::kInterrupt;
      } else {
        b.insn({0xcd, 0x40});
      }
      b.cpu.s.insn_eip = b.cpu.s.eip;
      if (hardware) {
        b.cpu.service();
      } else {
        b.step();
      }
      REQUIRE(b.cpu.s.eip == 0x9f00);
      CHECK(b.get(b.cpu.s.r32(kEsp)) == (c.error | (hardware ? 1 : 0)));
      CHECK(b.get(kTss + 0x20) == kCode);  // the program as it was
      CHECK(b.get(kTss + 0x38) == kStack3);
    }
  }
}

TEST_CASE("Two exceptions become a double fault by the table of the SDM") {
  // The first is raised by an instruction, the second by the gate of the first.
  struct Case {
    const char* what;
    std::initializer_list<u8> insn;
    u8 first;
    u8 gate_access;  // of the first's gate: absent (#NP), or of a bad type (#GP)
    int arrives;
  };
  const Case cases[] = {
      {"#UD, then #NP: one after the other", {0x0f, 0x0b}, 6, 0x0e, 11},
      {"#DE, then #NP: double", {0xf7, 0xf1}, 0, 0x0e, 8},
      {"#GP, then #NP: double", {0x0f, 0x00, 0xd8}, 13, 0x0e, 8},
      {"INT3, then #GP: INT3 is benign", {0xcc}, 3, 0x92, 13},
      {"#BR is benign", {0x62, 0x03}, 5, 0x0e, 11},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect();
    b.idt(c.first, kCode0, Bench::handler(c.first), c.gate_access);
    b.cpu.s.r32(kEax) = c.first == 13 ? 0x1000 : 1;
    b.cpu.s.r32(kEcx) = 0;
    b.cpu.s.r32(kEbx) = kData;
    b.put(kData, 5), b.put(kData + 4, 6);
    const Arrival a = b.run_insn(c.insn);
    CHECK(a.vector == c.arrives);
    if (a.vector == 8) CHECK(a.error == 0);
    if (a.vector == 11) CHECK(a.error == c.first * 8u + 3u);
    CHECK(a.cs == kCode0);
  }
}

TEST_CASE("A page fault while one is delivered is a double fault, another then a shutdown") {
  Bench b;
  b.protect(3);
  b.paging();
  b.page(kData, 0);
  b.page(0x6000, 0);                        // the stack of ring 0
  b.gate(kIdt + 8 * 8, kTss2Sel, 0, 0x85);  // #DF has a task
  b.put(kTss2 + 0x1c, kDirectory);
  b.put(kTss2 + 0x20, 0x9f00), b.put(kTss2 + 0x38, kStack1), b.put(kTss2 + 0x24, 2), b.put(kTss2 + 0x4c, kCode0);
  for (u32 at : {0x48, 0x50, 0x54, 0x58, 0x5c}) b.put(kTss2 + at, kData0);
  b.cpu.s.r32(kEbx) = kData;
  b.insn({0x8a, 0x03});
  b.step();
  CHECK(b.cpu.s.eip == 0x9f00);
  CHECK(b.get(b.cpu.s.r32(kEsp)) == 0);
  CHECK(b.get(kTss + 0x20) == kCode);
  CHECK(b.cpu.s.cr2 == kStack0 - 4);

  Bench c;
  c.protect(3);
  c.paging();
  c.page(kData, 0);
  c.page(0x6000, 0);
  c.cpu.s.r32(kEbx) = kData;
  c.insn({0x8a, 0x03});
  c.step();
  CHECK(c.cpu.s.activity == Activity::kShutdown);
  CHECK(c.step() == Stop::kShutdown);
}

TEST_CASE("Faults push RF set, traps and interrupts push it clear") {
  Bench b;
  b.protect();
  CHECK((b.run_insn({0x0f, 0x0b}).eflags & flag::kRf) != 0);
  Bench c;
  c.protect();
  CHECK((c.run_insn({0xcc}).eflags & flag::kRf) == 0);
}

TEST_CASE("Maskable interrupts wait for IF and for the shadows of STI and MOV SS") {
  Bench b;
  b.protect();
  b.pic.vector = 0x55;
  b.cpu.pending |= attention::kInterrupt;
  b.bytes(kCode, {0x90, 0xfb, 0x90, 0x90});
  b.step();
  CHECK(b.cpu.s.eip == kCode + 1);
  b.step();  // STI
  CHECK(b.cpu.s.eip == kCode + 2);
  b.step();  // its shadow
  CHECK(b.cpu.s.eip == kCode + 3);
  b.step();
  CHECK(b.pic.acknowledged == 1);
  CHECK(b.get(kStack0 - 12) == kCode + 3);

  Bench c;
  c.protect();
  c.pic.vector = 0x55;
  c.cpu.s.eflags |= flag::kIf;
  c.cpu.s.r32(kEax) = kData0;
  c.bytes(kCode, {0x8e, 0xd0, 0x90, 0x90});
  c.step();
  c.cpu.pending |= attention::kInterrupt;
  c.step();
  CHECK(c.cpu.s.eip == kCode + 3);
  c.step();
  CHECK(c.pic.acknowledged == 1);
}

TEST_CASE("NMI is blocked from its delivery to the next IRET") {
  Bench b;
  b.protect();
  b.bytes(kCode, {0x90, 0x90});
  b.bytes(Bench::handler(2), {0xcf});
  b.cpu.pending |= attention::kNmi;
  REQUIRE(b.cpu.service());
  CHECK(b.cpu.s.eip == Bench::handler(2));
  b.cpu.pending |= attention::kNmi;
  CHECK_FALSE(b.cpu.service());
  b.engine.step(b.cpu);  // IRET
  CHECK(b.cpu.s.eip == kCode);
  CHECK(b.cpu.service());
  CHECK(b.cpu.s.eip == Bench::handler(2));
}

TEST_CASE("HLT ends with an interrupt, which returns behind it") {
  Bench b;
  b.protect();
  b.cpu.s.eflags |= flag::kIf;
  b.insn({0xf4});
  b.step();
  CHECK(b.step() == Stop::kHalted);
  b.cpu.pending |= attention::kInterrupt;
  b.cpu.service();
  CHECK(b.cpu.s.activity == Activity::kRunning);
  CHECK(b.get(kStack0 - 12) == kCode + 1);
}

TEST_CASE("INTO and INT3 obey the gate's privilege, ICEBP does not") {
  Bench b;
  b.protect(3);
  b.cpu.s.eflags |= flag::kOf;
  Arrival a = b.run_insn({0xce});
  CHECK(a.vector == 13);
  CHECK(a.error == 4 * 8 + 2);
  Bench c;
  c.protect(3);
  a = c.run_insn({0xcc});
  CHECK(a.vector == 13);
  CHECK(a.error == 3 * 8 + 2);
  Bench d;
  d.protect(3);
  a = d.run_insn({0xf1});
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode + 1);
}
