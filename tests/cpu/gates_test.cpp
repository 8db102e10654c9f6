// Far JMP, CALL and RET, call gates, SYSENTER: SDM vol. 3 chapter 5 and the pseudocode of vol. 2.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

enum class How { kJump, kCall };

// JMP or CALL ptr16:32
void far_insn(Bench& b, How how, u16 selector, u32 offset) {
  b.insn({static_cast<u8>(how == How::kJump ? 0xea : 0x9a), static_cast<u8>(offset), static_cast<u8>(offset >> 8),
          static_cast<u8>(offset >> 16), static_cast<u8>(offset >> 24), static_cast<u8>(selector),
          static_cast<u8>(selector >> 8)});
}

struct DirectCase {
  const char* what;
  unsigned cpl;
  u16 rights;
  u16 selector;
  u32 offset;
  int vector;
  u32 error;
};

constexpr u16 kCode3Rights = with_dpl(kRightsCode, 3);
const DirectCase kDirect[] = {
    {"code of the same ring", 0, kRightsCode, kSpare, 0x9400, -1, 0},
    {"code of the same ring 3", 3, kCode3Rights, kSpare | 3, 0x9400, -1, 0},
    {"RPL above CPL", 0, kRightsCode, kSpare | 3, 0x9400, 13, kSpare},
    {"RPL below CPL", 3, kCode3Rights, kSpare, 0x9400, -1, 0},
    {"inner code", 3, kRightsCode, kSpare, 0x9400, 13, kSpare},
    {"outer code", 0, kCode3Rights, kSpare, 0x9400, 13, kSpare},
    {"inner conforming code", 3, kRightsCode | 4, kSpare | 3, 0x9400, -1, 0},
    {"outer conforming code", 0, kCode3Rights | 4, kSpare, 0x9400, 13, kSpare},
    {"conforming code with RPL above CPL", 0, kRightsCode | 4, kSpare | 3, 0x9400, -1, 0},
    {"data", 0, kRightsData, kSpare, 0x9400, 13, kSpare},
    {"LDT", 0, kRightsLdt, kSpare, 0x9400, 13, kSpare},
    {"interrupt gate", 0, 0x008e, kSpare, 0x9400, 13, kSpare},
    {"busy TSS", 0, kRightsTss32 | 2, kSpare, 0x9400, 13, kSpare},
    {"absent code", 0, kRightsCode & ~0x80, kSpare, 0x9400, 11, kSpare},
    {"null", 0, 0, 0, 0x9400, 13, 0},
    {"beyond the GDT", 0, 0, 0x1000, 0x9400, 13, 0x1000},
    {"offset beyond the limit", 0, 0x409b, kSpare, 0x20000, 13, 0},
};

}  // namespace

TEST_CASE("Direct far JMP and CALL are checked as the SDM says") {
  for (const DirectCase& c : kDirect) {
    for (How how : {How::kJump, How::kCall}) {
      INFO(c.what);
      Bench b;
      b.protect(c.cpl);
      b.gdt(kSpare, 0, 0xffff, c.rights);
      far_insn(b, how, c.selector, c.offset);
      const u32 esp = b.cpu.s.r32(kEsp);
      const auto fault = b.attempt();
      REQUIRE(fault.has_value() == (c.vector >= 0));
      if (fault) {
        CHECK(fault->vector == c.vector);
        CHECK(fault->error == c.error);
        CHECK(b.cpu.s.r32(kEsp) == esp);
        continue;
      }
      CHECK(b.cpu.s.eip == c.offset);
      CHECK(b.cpu.s.cpl == c.cpl);
      CHECK(b.cpu.s.seg[kCs].selector == ((c.selector & ~3u) | c.cpl));
      if (how == How::kCall) {
        CHECK(b.cpu.s.r32(kEsp) == esp - 8);
        CHECK(b.get(esp - 8) == kCode + 7);
        CHECK(b.get(esp - 4, 2) == (c.cpl == 3 ? kCode3 : kCode0));
      }
    }
  }
}

namespace {

struct GateCase {
  const char* what;
  unsigned cpl;
  How how;
  u8 access;     // of the gate
  u16 selector;  // RPL used to call it
  u16 target;    // in the gate
  u16 rights;    // of the descriptor at kSpare
  int vector;
  u32 error;
};

const GateCase kGates[] = {
    {"same ring", 0, How::kCall, 0x8c, kGate, kCode0, 0, -1, 0},
    {"same ring, JMP", 0, How::kJump, 0x8c, kGate, kCode0, 0, -1, 0},
    {"inner ring", 3, How::kCall, 0xec, kGate | 3, kCode0, 0, -1, 0},
    {"inner ring, JMP", 3, How::kJump, 0xec, kGate | 3, kCode0, 0, 13, kCode0},
    {"inner conforming code, JMP", 3, How::kJump, 0xec, kGate | 3, kConforming0, 0, -1, 0},
    {"inner conforming code keeps the ring", 3, How::kCall, 0xec, kGate | 3, kConforming0, 0, -1, 0},
    {"gate of ring 0 from ring 3", 3, How::kCall, 0x8c, kGate, kCode0, 0, 13, kGate},
    {"gate of ring 0 with RPL 3", 0, How::kCall, 0x8c, kGate | 3, kCode0, 0, 13, kGate},
    {"absent gate", 0, How::kCall, 0x0c, kGate, kCode0, 0, 11, kGate},
    {"null target", 0, How::kCall, 0x8c, kGate, 0, 0, 13, 0},
    {"target beyond the GDT", 0, How::kCall, 0x8c, kGate, 0x1000, 0, 13, 0x1000},
    {"data target", 0, How::kCall, 0x8c, kGate, kData0, 0, 13, kData0},
    {"outer target", 0, How::kCall, 0x8c, kGate, kCode3, 0, 13, kCode3 & ~3u},
    {"absent target", 0, How::kCall, 0x8c, kGate, kSpare, kRightsCode & ~0x80, 11, kSpare},
};

}  // namespace

TEST_CASE("Call gates are checked as the SDM says") {
  for (const GateCase& c : kGates) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.gdt(kSpare, 0, 0xffff, c.rights);
    b.gate(kGdt + kGate, c.target, 0x9400, c.access);
    far_insn(b, c.how, c.selector, 0xdeadbeef);  // the offset is not looked at
    const auto fault = b.attempt();
    REQUIRE(fault.has_value() == (c.vector >= 0));
    if (fault) {
      CHECK(fault->vector == c.vector);
      CHECK(fault->error == c.error);
    } else {
      CHECK(b.cpu.s.eip == 0x9400);
      CHECK(b.cpu.s.cpl == (c.target == kConforming0 ? c.cpl : 0));
    }
  }
}

TEST_CASE("A gate to an inner ring copies parameters, and RET n releases them on both stacks") {
  struct Case {
    u8 access;
    u32 size;
  };
  for (const Case& c : {Case{0xec, 4}, Case{0xe4, 2}}) {
    Bench b;
    b.protect(3);
    b.gate(kGdt + kGate, kCode0, 0x9400, c.access, 3);
    const u32 esp = kStack3 - 3 * c.size;
    b.cpu.s.r32(kEsp) = esp;
    for (u32 i = 0; i < 3; ++i) b.put(esp + i * c.size, 0x1110 + i, c.size);
    far_insn(b, How::kCall, kGate | 3, 0);
    b.step();
    REQUIRE(b.cpu.s.eip == 0x9400);
    CHECK(b.cpu.s.cpl == 0);
    CHECK(b.cpu.s.seg[kSs].selector == kData0);
    u32 at = kStack0 - 7 * c.size;
    REQUIRE(b.cpu.s.r32(kEsp) == at);
    const u32 expected[] = {kCode + 7, kCode3, 0x1110, 0x1111, 0x1112, esp, kData3};
    for (u32 value : expected) {
      CHECK(b.get(at, c.size) == (c.size == 2 ? value & 0xffff : value));
      at += c.size;
    }
    const u8 drop = static_cast<u8>(3 * c.size);
    if (c.size == 4) {
      b.insn({0xca, drop, 0});
    } else {
      b.insn({0x66, 0xca, drop, 0});
    }
    b.step();
    CHECK(b.cpu.s.eip == kCode + 7);
    CHECK(b.cpu.s.cpl == 3);
    CHECK(b.cpu.s.seg[kSs].selector == kData3);
    CHECK(b.cpu.s.r32(kEsp) == kStack3);
    CHECK(b.cpu.s.seg[kDs].selector == kData3);
  }
}

TEST_CASE("RETF is checked as the SDM says") {
  struct Case {
    const char* what;
    unsigned cpl;
    u16 cs, rights;  // of kSpare
    u32 eip;
    u16 ss;
    int vector;
    u32 error;
  };
  const Case cases[] = {
      {"same ring", 0, kCode0, 0, 0x9400, 0, -1, 0},
      {"outer ring", 0, kCode3, 0, 0x9400, kData3, -1, 0},
      {"inner ring", 3, kCode0, 0, 0x9400, 0, 13, kCode0},
      {"null CS", 0, 0, 0, 0x9400, 0, 13, 0},
      {"CS beyond the GDT", 0, 0x1000, 0, 0x9400, 0, 13, 0x1000},
      {"data", 0, kData0, 0, 0x9400, 0, 13, kData0},
      {"RPL and DPL differ", 0, kCode0 | 3, 0, 0x9400, kData3, 13, kCode0},
      {"conforming, DPL below RPL", 0, kConforming0 | 3, 0, 0x9400, kData3, -1, 0},
      {"conforming, DPL above RPL", 0, kSpare, with_dpl(kRightsCode, 3) | 4, 0x9400, 0, 13, kSpare},
      {"absent", 0, kSpare, kRightsCode & ~0x80, 0x9400, 0, 11, kSpare},
      {"beyond the limit", 0, kSpare, 0x409b, 0x20000, 0, 13, 0},
      {"outer ring, null SS", 0, kCode3, 0, 0x9400, 0, 13, 0},
      {"outer ring, SS of ring 0", 0, kCode3, 0, 0x9400, kData0, 13, kData0},
      {"outer ring, SS with RPL 0", 0, kCode3, 0, 0x9400, kData3 & ~3, 13, kData3 & ~3u},
      {"outer ring, read-only SS", 0, kCode3, with_dpl(0xc091, 3), 0x9400, kSpare | 3, 13, kSpare},
      {"outer ring, absent SS", 0, kCode3, with_dpl(0xc013, 3), 0x9400, kSpare | 3, 12, kSpare},
      {"outer ring, SS beyond the GDT", 0, kCode3, 0, 0x9400, 0x1003, 13, 0x1000},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.gdt(kSpare, 0, 0xffff, c.rights);
    b.cpu.s.r32(kEsp) -= 16;
    const u32 esp = b.cpu.s.r32(kEsp);
    b.put(esp, c.eip), b.put(esp + 4, c.cs), b.put(esp + 8, 0xbf00), b.put(esp + 12, c.ss);
    b.insn({0xcb});
    const auto fault = b.attempt();
    REQUIRE(fault.has_value() == (c.vector >= 0));
    if (fault) {
      CHECK(fault->vector == c.vector);
      CHECK(fault->error == c.error);
      CHECK(b.cpu.s.r32(kEsp) == esp);
    } else {
      CHECK(b.cpu.s.eip == c.eip);
      CHECK(b.cpu.s.cpl == (c.cs & 3));
      CHECK(b.cpu.s.r32(kEsp) == (c.ss != 0 ? 0xbf00 : esp + 8));
    }
  }
}

TEST_CASE("A return to an outer ring takes away the data segments it may not have") {
  Bench b;
  b.protect(0);
  b.segment(kDs, kData0);
  b.segment(kEs, kData3);
  b.segment(kFs, kConforming0);
  b.segment(kGs, kCode0);
  b.cpu.s.r32(kEsp) -= 16;
  const u32 esp = b.cpu.s.r32(kEsp);
  b.put(esp, 0x9400), b.put(esp + 4, kCode3), b.put(esp + 8, 0xbf00), b.put(esp + 12, kData3);
  b.insn({0xcb});
  b.step();
  CHECK(b.cpu.s.seg[kDs].selector == 0);
  CHECK(b.cpu.s.seg[kDs].access == 0);
  CHECK(b.cpu.s.seg[kEs].selector == kData3);
  CHECK(b.cpu.s.seg[kFs].selector == kConforming0);
  CHECK(b.cpu.s.seg[kGs].selector == 0);
}

TEST_CASE("Real-mode far transfers check only the limit of CS") {
  Bench b;
  b.real(0x800, 0);
  b.insn({0x9a, 0x34, 0x12, 0x00, 0x09});
  b.step();
  CHECK(b.cpu.s.eip == 0x1234);
  CHECK(b.cpu.s.seg[kCs].base == 0x9000);
  CHECK(b.get(kStack0 - 4, 2) == 5);
  CHECK(b.get(kStack0 - 2, 2) == 0x800);
  b.bytes(0x9000 + 0x1234, {0xcb});
  b.step();
  CHECK(b.cpu.s.eip == 5);
  CHECK(b.cpu.s.r32(kEsp) == kStack0);
  b.bytes(0x8005, {0x66, 0xea, 0x00, 0x00, 0x01, 0x00, 0x00, 0x09});  // JMP 0900:00010000
  b.step();
  CHECK(b.cpu.s.eip == Bench::handler(13));
}

TEST_CASE("SYSENTER and SYSEXIT make flat segments from one MSR") {
  Bench b;
  b.protect(3);
  b.cpu.s.eflags |= flag::kIf;
  const Arrival a = b.run_insn({0x0f, 0x34});
  CHECK(a.vector == 13);  // no CS in the MSR
  Bench c;
  c.protect(3);
  c.cpu.write_msr(0x174, kCode0);
  c.cpu.write_msr(0x175, kStack0);
  c.cpu.write_msr(0x176, 0x9400);
  c.cpu.s.eflags |= flag::kIf | flag::kTf;
  c.insn({0x0f, 0x34});
  REQUIRE_FALSE(c.attempt());
  CHECK(c.cpu.s.cpl == 0);
  CHECK(c.cpu.s.eip == 0x9400);
  CHECK(c.cpu.s.r32(kEsp) == kStack0);
  CHECK(c.cpu.s.seg[kCs].selector == kCode0);
  CHECK(c.cpu.s.seg[kSs].selector == kCode0 + 8);
  CHECK((c.cpu.s.seg[kSs].access & Segment::kFlat) != 0);
  CHECK((c.cpu.s.eflags & flag::kIf) == 0);
  c.cpu.s.r32(kEcx) = 0xbf00;
  c.cpu.s.r32(kEdx) = 0x9500;
  c.insn({0x0f, 0x35});
  REQUIRE_FALSE(c.attempt());
  CHECK(c.cpu.s.cpl == 3);
  CHECK(c.cpu.s.eip == 0x9500);
  CHECK(c.cpu.s.r32(kEsp) == 0xbf00);
  CHECK(c.cpu.s.seg[kCs].selector == kCode0 + 16 + 3);
  CHECK(c.cpu.s.seg[kSs].selector == kCode0 + 24 + 3);
  c.insn({0x0f, 0x35});
  CHECK(c.attempt()->vector == 13);
  Bench old("pentium");
  old.protect(3);
  old.insn({0x0f, 0x34});
  CHECK(old.attempt()->vector == 6);
}
