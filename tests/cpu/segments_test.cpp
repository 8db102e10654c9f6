// Loading segment registers and asking about selectors: SDM vol. 2 MOV, LAR, LSL, VERR, ARPL; vol. 3 chapters 3 and 5.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u16 kSpareRpl3 = kSpare | 3;

struct LoadCase {
  const char* what;
  unsigned cpl;
  SegReg reg;
  u16 rights;    // of the descriptor at kSpare
  u16 selector;  // loaded
  int vector;    // -1: loads
  u32 error;
};

// MOV Sreg, AX
void mov_to_segment(Bench& b, SegReg reg, u16 selector) {
  b.cpu.s.r16(kEax) = selector;
  b.insn({0x8e, static_cast<u8>(0xc0 | reg << 3)});
}

constexpr u16 kData3Rights = with_dpl(kRightsData, 3);
constexpr u16 kReadOnly = 0xc091, kExecuteOnly = 0xc099, kConforming = 0xc09f;
constexpr u16 absent(u16 rights) { return rights & ~0x80; }

const LoadCase kLoads[] = {
    {"data into DS", 0, kDs, kRightsData, kSpare, -1, 0},
    {"read-only data into DS", 0, kDs, kReadOnly, kSpare, -1, 0},
    {"readable code into DS", 0, kDs, kRightsCode, kSpare, -1, 0},
    {"execute-only code into DS", 0, kDs, kExecuteOnly, kSpare, 13, kSpare},
    {"a system descriptor into DS", 0, kDs, kRightsTss32, kSpare, 13, kSpare},
    {"absent data into DS", 0, kDs, absent(kRightsData), kSpare, 11, kSpare},
    {"absent data of ring 0 into DS at ring 3: privilege comes first", 3, kDs, absent(kRightsData), kSpareRpl3, 13,
     kSpare},
    {"data of ring 0 into DS at ring 3", 3, kDs, kRightsData, kSpare, 13, kSpare},
    {"data of ring 0 with RPL 3 into DS at ring 0", 0, kDs, kRightsData, kSpareRpl3, 13, kSpare},
    {"data of ring 3 into DS at ring 3", 3, kDs, kData3Rights, kSpareRpl3, -1, 0},
    {"data of ring 3 with RPL 0 into ES at ring 3", 3, kEs, kData3Rights, kSpare, -1, 0},
    {"conforming code of ring 0 into FS at ring 3", 3, kFs, kConforming, kSpareRpl3, -1, 0},
    {"non-conforming code of ring 0 into FS at ring 3", 3, kFs, kRightsCode, kSpareRpl3, 13, kSpare},
    {"null into GS", 3, kGs, 0, 3, -1, 0},
    {"null into SS", 0, kSs, 0, 0, 13, 0},
    {"null with RPL 3 into SS", 3, kSs, 0, 3, 13, 0},
    {"beyond the GDT into ES", 0, kEs, 0, 0x1000, 13, 0x1000},
    {"LDT selector without an LDT", 0, kEs, 0, 0x0c, 13, 0x0c},
    {"data into SS", 0, kSs, kRightsData, kSpare, -1, 0},
    {"data of another ring into SS", 0, kSs, kData3Rights, kSpare, 13, kSpare},
    {"data with another RPL into SS", 0, kSs, kRightsData, kSpareRpl3, 13, kSpare},
    {"read-only data into SS", 0, kSs, kReadOnly, kSpare, 13, kSpare},
    {"code into SS", 0, kSs, kRightsCode, kSpare, 13, kSpare},
    {"absent data into SS", 0, kSs, absent(kRightsData), kSpare, 12, kSpare},
    {"MOV CS", 0, kCs, kRightsCode, kSpare, 6, 0},
};

}  // namespace

TEST_CASE("Segment loads are checked as the SDM says") {
  for (const LoadCase& c : kLoads) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.gdt(kSpare, 0x1234000, 0xfffff, c.rights);
    const Segment before = b.cpu.s.seg[c.reg];
    mov_to_segment(b, c.reg, c.selector);
    const auto fault = b.attempt();
    if (c.vector < 0) {
      REQUIRE_FALSE(fault);
      CHECK(b.cpu.s.seg[c.reg].selector == c.selector);
      if ((c.selector & ~3) != 0) CHECK(b.cpu.s.seg[c.reg].base == 0x1234000);
    } else {
      REQUIRE(fault);
      CHECK(fault->vector == c.vector);
      CHECK(fault->error == c.error);
      CHECK(b.cpu.s.seg[c.reg].selector == before.selector);
      CHECK(b.cpu.s.seg[c.reg].base == before.base);
    }
  }
}

TEST_CASE("The accessed bit is set by a load, and the table is written only if it was clear") {
  Bench b;
  b.protect();
  b.paging();
  b.gdt(kSpare, 0, 0xfffff, kRightsData & ~1);
  mov_to_segment(b, kDs, kSpare);
  REQUIRE_FALSE(b.attempt());
  CHECK(b.access_byte(kSpare) == 0x93);
  b.page(kGdt, Bench::kPresent);  // read-only, and CR0.WP is set
  b.cpu.s.eip = kCode;
  REQUIRE_FALSE(b.attempt());
  b.page(kGdt, Bench::kPresent | Bench::kWritable);
  b.gdt(kSpare, 0, 0xfffff, kRightsData & ~1);
  b.page(kGdt, Bench::kPresent);
  b.cpu.s.eip = kCode;
  const auto fault = b.attempt();
  REQUIRE(fault);
  CHECK(fault->vector == 14);
  CHECK(fault->error == 3);
  CHECK(b.cpu.s.cr2 == kGdt + kSpare + 5);
}

TEST_CASE("A descriptor comes from the LDT when the selector says so, within its limit") {
  Bench b;
  b.protect();
  b.descriptor(kLdt + 8, 0x5000, 0xfff, 0x4093);
  b.cpu.s.r16(kEax) = kLdtSel;
  REQUIRE(b.run_insn({0x0f, 0x00, 0xd0}).vector == -1);  // LLDT AX
  mov_to_segment(b, kDs, 0x0c);
  b.step();
  CHECK(b.cpu.s.seg[kDs].base == 0x5000);
  b.gdt(kLdtSel, kLdt, 0x0e, kRightsLdt);
  b.cpu.s.r16(kEax) = kLdtSel;
  REQUIRE(b.run_insn({0x0f, 0x00, 0xd0}).vector == -1);
  mov_to_segment(b, kDs, 0x0c);
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 13);
  CHECK(a.error == 0x0c);
}

TEST_CASE("Accesses through segments obey limit, expand-down and type") {
  struct Case {
    const char* what;
    u32 limit;
    u16 rights;
    u32 offset;
    bool write;
    bool ok;
  };
  const Case cases[] = {
      {"last dword", 0xfff, 0x4093, 0xffc, false, true},
      {"one byte beyond", 0xfff, 0x4093, 0xffd, false, false},
      {"granular last", 0xfff, 0xc093, 0xffc, false, true},
      {"granular beyond", 0xfff, 0xc093, 0x1000, false, false},
      {"expand-down, at the limit", 0xfff, 0x4097, 0xfff, false, false},
      {"expand-down, above the limit", 0xfff, 0x4097, 0x1000, false, true},
      {"expand-down, 16 bits, top", 0xfff, 0x0097, 0xfffc, false, true},
      {"expand-down, 16 bits, beyond", 0xfff, 0x0097, 0xfffd, false, false},
      {"write to read-only", 0xffff, 0x4091, 0, true, false},
      {"read of read-only", 0xffff, 0x4091, 0, false, true},
      {"write to code", 0xffff, 0x409b, 0, true, false},
      {"read of readable code", 0xffff, 0x409b, 0, false, true},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect();
    b.gdt(kSpare, 0x100000, c.limit, c.rights);
    b.segment(kDs, kSpare);
    b.cpu.s.r32(kEbx) = c.offset;
    b.insn({static_cast<u8>(c.write ? 0x89 : 0x8b), 0x03});  // MOV [EBX], EAX or back
    const auto fault = b.attempt();
    CHECK(fault.has_value() == !c.ok);
    if (fault) CHECK((fault->vector == 13 && fault->error == 0));
  }
}

TEST_CASE("An access through a null segment is #GP, through a bad SS #SS") {
  Bench b;
  b.protect();
  mov_to_segment(b, kEs, 0);
  b.step();
  const Arrival a = b.run_insn({0x26, 0x8a, 0x00});  // MOV AL, ES:[EAX]
  CHECK(a.vector == 13);
  Bench c;
  c.protect();
  c.idt(12, kCode0, Bench::handler(12));
  c.gdt(kSpare, 0, 0x6fff, 0x4093);
  c.segment(kSs, kSpare);
  c.cpu.s.r32(kEbx) = 0x7000;
  const Arrival d = c.run_insn({0x36, 0x8a, 0x03});  // MOV AL, SS:[EBX]
  CHECK(d.vector == 12);
  CHECK(d.error == 0);
}

TEST_CASE("Real-mode loads keep the limit that protected mode left: unreal mode") {
  Bench b;
  b.protect();
  b.cpu.s.r32(kEax) = b.cpu.s.cr0 & ~cr0::kPe;
  REQUIRE(b.run_insn({0x0f, 0x22, 0xc0}).vector == -1);
  mov_to_segment(b, kDs, 0x0100);
  b.step();
  CHECK(b.cpu.s.seg[kDs].base == 0x1000);
  CHECK(b.cpu.s.seg[kDs].limit == 0xffffffff);
  b.put(0x300000 + 0x1000, 0xcafe);
  b.cpu.s.r32(kEbx) = 0x300000;
  b.insn({0x8b, 0x03});
  b.step();
  CHECK(b.cpu.s.r32(kEax) == 0xcafe);
}

TEST_CASE("LAR, LSL, VERR and VERW answer by type and privilege") {
  struct Case {
    const char* what;
    u16 rights, selector;
    unsigned cpl;
    bool lar, lsl, verr, verw;
  };
  const Case cases[] = {
      {"data", kRightsData, kSpare, 0, true, true, true, true},
      {"read-only data", kReadOnly, kSpare, 0, true, true, true, false},
      {"code", kRightsCode, kSpare, 0, true, true, true, false},
      {"execute-only code", kExecuteOnly, kSpare, 0, true, true, false, false},
      {"absent data", absent(kRightsData), kSpare, 0, true, true, true, true},
      {"data of ring 0 at ring 3", kRightsData, kSpare, 3, false, false, false, false},
      {"data of ring 0 by RPL 3", kRightsData, kSpareRpl3, 0, false, false, false, false},
      {"conforming code of ring 0 at ring 3", kConforming, kSpareRpl3, 3, true, true, true, false},
      {"null", 0, 0, 0, false, false, false, false},
      {"16-bit TSS", 0x0081, kSpare, 0, true, true, false, false},
      {"LDT", 0x0082, kSpare, 0, true, true, false, false},
      {"busy 16-bit TSS", 0x0083, kSpare, 0, true, true, false, false},
      {"16-bit call gate", 0x0084, kSpare, 0, true, false, false, false},
      {"task gate", 0x0085, kSpare, 0, true, false, false, false},
      {"16-bit interrupt gate", 0x0086, kSpare, 0, false, false, false, false},
      {"32-bit TSS", 0x0089, kSpare, 0, true, true, false, false},
      {"busy 32-bit TSS", 0x008b, kSpare, 0, true, true, false, false},
      {"32-bit call gate", 0x008c, kSpare, 0, true, false, false, false},
      {"32-bit interrupt gate", 0x008e, kSpare, 0, false, false, false, false},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.gdt(kSpare, 0, 0x12345, c.rights & ~0x8000);
    const auto zf = [&](std::initializer_list<u8> bytes) {
      b.cpu.s.eip = kCode;
      b.cpu.s.r32(kEax) = c.selector;
      b.cpu.s.r32(kEdx) = 0x5a5a5a5a;
      b.insn(bytes);
      REQUIRE_FALSE(b.attempt());
      return (b.cpu.s.eflags & flag::kZf) != 0;
    };
    CHECK(zf({0x0f, 0x02, 0xd0}) == c.lar);
    CHECK(b.cpu.s.r32(kEdx) == (c.lar ? (u32{c.rights} << 8 & 0x70ff00) : 0x5a5a5a5a));
    CHECK(zf({0x0f, 0x03, 0xd0}) == c.lsl);
    CHECK(b.cpu.s.r32(kEdx) == (c.lsl ? 0x12345 : 0x5a5a5a5a));
    CHECK(zf({0x0f, 0x00, 0xe0}) == c.verr);
    CHECK(zf({0x0f, 0x00, 0xe8}) == c.verw);
  }
}

TEST_CASE("Instructions of protected mode are undefined in real and V86 mode") {
  const std::initializer_list<u8> list[] = {{0x0f, 0x02, 0xd0}, {0x0f, 0x03, 0xd0}, {0x0f, 0x00, 0xc0},
                                            {0x0f, 0x00, 0xc8}, {0x0f, 0x00, 0xd0}, {0x0f, 0x00, 0xd8},
                                            {0x0f, 0x00, 0xe0}, {0x63, 0xc0}};
  for (const auto& bytes : list) {
    Bench r, v;
    r.real(0x800, 0);
    v.v86(3);
    r.insn(bytes);
    v.insn(bytes);
    CHECK(r.attempt()->vector == 6);
    CHECK(v.attempt()->vector == 6);
  }
}

TEST_CASE("ARPL raises RPL and says so in ZF") {
  Bench b;
  b.protect(3);
  b.cpu.s.r32(kEax) = 0x12340010;
  b.cpu.s.r32(kEcx) = 3;
  b.insn({0x63, 0xc8});
  b.step();
  CHECK(b.cpu.s.r32(kEax) == 0x12340013);
  CHECK((b.cpu.s.eflags & flag::kZf) != 0);
  b.cpu.s.r32(kEcx) = 1;
  b.insn({0x63, 0xc8});
  b.step();
  CHECK(b.cpu.s.r32(kEax) == 0x12340013);
  CHECK((b.cpu.s.eflags & flag::kZf) == 0);
}

TEST_CASE("LDS and friends load both halves or nothing") {
  Bench b;
  b.protect();
  b.gdt(kSpare, 0x4000, 0xffff, kRightsData);
  b.put(kData, 0x11223344);
  b.put(kData + 4, kSpare, 2);
  b.cpu.s.r32(kEbx) = kData;
  b.insn({0xc5, 0x0b});  // LDS ECX, [EBX]
  b.step();
  CHECK(b.cpu.s.r32(kEcx) == 0x11223344);
  CHECK(b.cpu.s.seg[kDs].base == 0x4000);
  b.segment(kDs, kData0);
  b.put(kData + 4, 0x1000, 2);  // outside the GDT
  b.cpu.s.r32(kEcx) = 7;
  const Arrival a = b.run_insn({0xc4, 0x0b});  // LES
  CHECK(a.vector == 13);
  CHECK(a.error == 0x1000);
  CHECK(b.cpu.s.r32(kEcx) == 7);
  CHECK(b.cpu.s.seg[kEs].selector == kData0);
}

TEST_CASE("LLDT and LTR check what they are given") {
  struct Case {
    const char* what;
    u8 modrm;
    u16 rights, selector;
    unsigned cpl;
    int vector;
    u32 error;
  };
  const Case cases[] = {
      {"LLDT", 0xd0, kRightsLdt, kSpare, 0, -1, 0},
      {"LLDT null", 0xd0, 0, 0, 0, -1, 0},
      {"LLDT of a TSS", 0xd0, kRightsTss32, kSpare, 0, 13, kSpare},
      {"LLDT of data", 0xd0, kRightsData, kSpare, 0, 13, kSpare},
      {"LLDT absent", 0xd0, absent(kRightsLdt), kSpare, 0, 11, kSpare},
      {"LLDT in the LDT", 0xd0, kRightsLdt, kSpare | 4, 0, 13, kSpare | 4},
      {"LLDT at ring 3", 0xd0, kRightsLdt, kSpare, 3, 13, 0},
      {"LTR", 0xd8, kRightsTss32, kSpare, 0, -1, 0},
      {"LTR of 16 bits", 0xd8, kRightsTss16, kSpare, 0, -1, 0},
      {"LTR null", 0xd8, 0, 0, 0, 13, 0},
      {"LTR busy", 0xd8, kRightsTss32 | 2, kSpare, 0, 13, kSpare},
      {"LTR absent", 0xd8, absent(kRightsTss32), kSpare, 0, 11, kSpare},
      {"LTR of an LDT", 0xd8, kRightsLdt, kSpare, 0, 13, kSpare},
      {"LTR at ring 3", 0xd8, kRightsTss32, kSpare, 3, 13, 0},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    b.gdt(kSpare, 0x30000, 0x67, c.rights);
    b.cpu.s.r32(kEax) = c.selector;
    b.insn({0x0f, 0x00, c.modrm});
    const auto fault = b.attempt();
    REQUIRE(fault.has_value() == (c.vector >= 0));
    if (fault) {
      CHECK(fault->vector == c.vector);
      CHECK(fault->error == c.error);
    } else if (c.modrm == 0xd8) {
      CHECK(b.cpu.s.tr.base == 0x30000);
      CHECK((b.access_byte(kSpare) & 2) != 0);
    } else {
      CHECK(b.cpu.s.ldtr.selector == c.selector);
    }
  }
}
