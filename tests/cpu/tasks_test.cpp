// Hardware task switches: SDM vol. 3 chapter 7.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kEntry = 0x9f00;
constexpr u16 kTaskGate = kGate;

// A task in a 32-bit TSS at kTss2, ring 0, with a value of its own in each register.
void second_task(Bench& b, u32 eflags = 2) {
  b.put(kTss2 + 0x1c, b.cpu.s.cr3);
  b.put(kTss2 + 0x20, kEntry);
  b.put(kTss2 + 0x24, eflags);
  for (u32 i = 0; i < 8; ++i) b.put(kTss2 + 0x28 + i * 4, 0x1000 * (i + 1));
  b.put(kTss2 + 0x38, kStack1);
  b.put(kTss2 + 0x4c, kCode0);
  for (u32 at : {0x48, 0x50, 0x54, 0x58, 0x5c}) b.put(kTss2 + at, kData0);
  b.put(kTss2 + 0x60, 0), b.put(kTss2 + 0x64, 0);
}

void jump(Bench& b, u16 selector) { b.insn({0xea, 0, 0, 0, 0, static_cast<u8>(selector), 0}); }
void call(Bench& b, u16 selector) { b.insn({0x9a, 0, 0, 0, 0, static_cast<u8>(selector), 0}); }

bool busy(Bench& b, u16 selector) { return (b.access_byte(selector) & 2) != 0; }

void fill_registers(Bench& b) {
  for (u32 i = 0; i < 8; ++i) {
    if (i != kEsp) b.cpu.s.r32(i) = 0xa0 + i;
  }
}

void check_saved(Bench& b, u32 eip, u32 eflags) {
  CHECK(b.get(kTss + 0x20) == eip);
  CHECK(b.get(kTss + 0x24) == eflags);
  for (u32 i = 0; i < 8; ++i) CHECK(b.get(kTss + 0x28 + i * 4) == (i == kEsp ? kStack0 : 0xa0 + i));
  for (u32 at : {0x48, 0x50, 0x54, 0x58, 0x5c}) CHECK(b.get(kTss + at, 2) == kData0);
  CHECK(b.get(kTss + 0x4c, 2) == kCode0);
}

void check_second(Bench& b) {
  CHECK(b.cpu.s.tr.selector == kTss2Sel);
  CHECK(b.cpu.s.eip == kEntry);
  for (u32 i = 0; i < 8; ++i) CHECK(b.cpu.s.r32(i) == (i == kEsp ? kStack1 : 0x1000 * (i + 1)));
  CHECK((b.cpu.s.cr0 & cr0::kTs) != 0);
  CHECK(busy(b, kTss2Sel));
}

}  // namespace

TEST_CASE("JMP to a TSS switches and frees the old task") {
  Bench b;
  b.protect();
  second_task(b);
  fill_registers(b);
  jump(b, kTss2Sel);
  REQUIRE_FALSE(b.attempt());
  check_second(b);
  check_saved(b, kCode + 7, 2);
  CHECK_FALSE(busy(b, kTssSel));
  CHECK((b.cpu.s.eflags & flag::kNt) == 0);
}

TEST_CASE("CALL nests, IRET goes back") {
  Bench b;
  b.protect();
  second_task(b);
  fill_registers(b);
  call(b, kTss2Sel);
  REQUIRE_FALSE(b.attempt());
  check_second(b);
  check_saved(b, kCode + 7, 2);
  CHECK(busy(b, kTssSel));
  CHECK(b.get(kTss2, 2) == kTssSel);
  CHECK((b.cpu.s.eflags & flag::kNt) != 0);
  b.cpu.s.cr0 &= ~cr0::kTs;
  b.insn({0xcf});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.tr.selector == kTssSel);
  CHECK(b.cpu.s.eip == kCode + 7);
  CHECK(b.cpu.s.eflags == 2);
  CHECK(b.cpu.s.r32(kEax) == 0xa0);
  CHECK(b.cpu.s.r32(kEsp) == kStack0);
  CHECK_FALSE(busy(b, kTss2Sel));
  CHECK(busy(b, kTssSel));
  CHECK((b.get(kTss2 + 0x24) & flag::kNt) == 0);  // cleared in what was saved
  CHECK(b.get(kTss2 + 0x20) == kEntry + 1);
}

TEST_CASE("Task gates lead to tasks from JMP, CALL and interrupts") {
  Bench b;
  b.protect(3);
  second_task(b);
  b.gate(kGdt + kTaskGate, kTss2Sel, 0, 0xe5);
  call(b, kTaskGate | 3);
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.eip == kEntry);
  CHECK(b.cpu.s.cpl == 0);
  CHECK(b.get(kTss2, 2) == kTssSel);

  Bench i;
  i.protect(3);
  second_task(i);
  i.gate(kIdt + 0x40 * 8, kTss2Sel, 0, 0xe5);
  i.insn({0xcd, 0x40});
  REQUIRE_FALSE(i.attempt());
  CHECK(i.cpu.s.eip == kEntry);
  CHECK((i.cpu.s.eflags & flag::kNt) != 0);
  CHECK(i.get(kTss + 0x20) == kCode + 2);
  CHECK(i.get(kTss + 0x38) == kStack3);
  CHECK(i.get(kTss + 0x4c, 2) == kCode3);

  Bench e;
  e.protect();
  second_task(e);
  e.gate(kIdt + 13 * 8, kTss2Sel, 0, 0x85);
  e.cpu.s.r32(kEax) = 0x1000;
  e.insn({0x8e, 0xd8});
  e.step();
  CHECK(e.cpu.s.eip == kEntry);
  CHECK(e.cpu.s.r32(kEsp) == kStack1 - 4);
  CHECK(e.get(kStack1 - 4) == 0x1000);
  CHECK(e.get(kTss + 0x20) == kCode);
  CHECK((e.get(kTss + 0x24) & flag::kRf) != 0);
}

TEST_CASE("16-bit tasks save and load words, and ones come into the upper halves") {
  Bench b;
  b.protect();
  b.gdt(kSpare, kTss2, 0x2b, kRightsTss16);
  b.put(kTss2 + 0x0e, kEntry, 2);
  b.put(kTss2 + 0x10, 2, 2);
  for (u32 i = 0; i < 8; ++i) b.put(kTss2 + 0x12 + i * 2, 0x1000 * (i + 1), 2);
  b.put(kTss2 + 0x22, kData0, 2), b.put(kTss2 + 0x24, kCode0, 2), b.put(kTss2 + 0x26, kData0, 2);
  b.put(kTss2 + 0x28, kData0, 2), b.put(kTss2 + 0x2a, 0, 2);
  fill_registers(b);
  call(b, kSpare);
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.eip == kEntry);
  CHECK(b.cpu.s.r32(kEbx) == 0xffff4000);
  CHECK(b.cpu.s.seg[kFs].selector == 0);
  CHECK(b.get(kTss2, 2) == kTssSel);
  check_saved(b, kCode + 7, 2);
  b.insn({0xcf});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.eip == kCode + 7);
  CHECK(b.get(kTss2 + 0x0e, 2) == kEntry + 1);
  CHECK(b.get(kTss2 + 0x18, 2) == 0x4000);
}

TEST_CASE("A switch loads CR3 and LDTR, and clears the local breakpoints") {
  Bench b;
  b.protect();
  b.paging();
  // Another directory, the same mapping but for one page.
  constexpr u32 kDirectory2 = 0x12000, kTable2 = 0x13000;
  b.put(kDirectory2, kTable2 | 7);
  for (u32 page = 0; page < 1024; ++page) b.put(kTable2 + page * 4, page << 12 | 7);
  b.put(kTable2 + (kData >> 12) * 4, 0xd000 | 7);
  b.put(kData, 1), b.put(0xd000, 2);
  second_task(b);
  b.put(kTss2 + 0x1c, kDirectory2);
  b.put(kTss2 + 0x60, kLdtSel);
  b.put(kTss2 + 0x54, 0x0c);
  b.descriptor(kLdt + 8, kData, 0xffff, kRightsData);
  b.cpu.set_dr7(0x155 | 0x202);
  jump(b, kTss2Sel);
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.cr3 == kDirectory2);
  CHECK(b.cpu.s.ldtr.selector == kLdtSel);
  CHECK(b.cpu.s.seg[kDs].base == kData);
  CHECK(b.cpu.read<u32>(kDs, 0) == 2);
  CHECK(b.cpu.s.dr[7] == (0x202 | 0x400));
}

TEST_CASE("The T bit of a TSS traps before the first instruction of its task") {
  Bench b;
  b.protect();
  second_task(b);
  b.put(kTss2 + 0x64, 1);
  jump(b, kTss2Sel);
  b.step();
  if (b.cpu.s.eip == kEntry) b.step();
  CHECK(b.arrival().vector == 1);
  CHECK(b.arrival().eip == kEntry);
  CHECK((b.cpu.s.dr[6] & dr6::kBt) != 0);
}

TEST_CASE("A task may be a V86 program or in ring 3") {
  Bench b;
  b.protect();
  second_task(b, flag::kVm | 0x3202);
  b.put(kTss2 + 0x20, 0x10);
  b.put(kTss2 + 0x4c, 0x900);
  b.put(kTss2 + 0x54, 0x123);
  jump(b, kTss2Sel);
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.v86());
  CHECK(b.cpu.s.cpl == 3);
  CHECK(b.cpu.s.seg[kCs].base == 0x9000);
  CHECK(b.cpu.s.seg[kDs].base == 0x1230);
  Bench c;
  c.protect();
  second_task(c);
  c.put(kTss2 + 0x4c, kCode3);
  for (u32 at : {0x48, 0x50, 0x54, 0x58, 0x5c}) c.put(kTss2 + at, kData3);
  jump(c, kTss2Sel);
  REQUIRE_FALSE(c.attempt());
  CHECK(c.cpu.s.cpl == 3);
  CHECK(c.cpu.mmu.user());
}

TEST_CASE("What is wrong with a TSS descriptor is found before anything changes") {
  struct Case {
    const char* what;
    u16 rights;
    u32 limit;
    u16 selector;
    unsigned cpl;
    int vector;
    u32 error;
  };
  const Case cases[] = {
      {"busy", kRightsTss32 | 2, 0x67, kSpare, 0, 13, kSpare},
      {"absent", 0x0009, 0x67, kSpare, 0, 11, kSpare},
      {"too short", kRightsTss32, 0x66, kSpare, 0, 10, kSpare},
      {"16 bits, too short", kRightsTss16, 0x2a, kSpare, 0, 10, kSpare},
      {"of ring 0 from ring 3", kRightsTss32, 0x67, kSpare, 3, 13, kSpare},
      {"RPL 3", kRightsTss32, 0x67, kSpare | 3, 0, 13, kSpare},
      {"in the LDT", kRightsTss32, 0x67, 0x0c, 0, 13, 0x0c},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect(c.cpl);
    second_task(b);
    b.gdt(kSpare, kTss2, c.limit, c.rights);
    b.descriptor(kLdt + 8, kTss2, c.limit, c.rights);
    b.cpu.s.ldtr = make_segment(kLdtSel, [&] {
      Descriptor d;
      fetch_descriptor(b.cpu, kLdtSel, d);
      return d;
    }());
    call(b, c.selector);
    const auto fault = b.attempt();
    REQUIRE(fault);
    CHECK(fault->vector == c.vector);
    CHECK(fault->error == c.error);
    CHECK(b.cpu.s.tr.selector == kTssSel);
    CHECK(b.cpu.s.eip == kCode);
  }
}

TEST_CASE("What is wrong inside a TSS is the new task's fault") {
  struct Case {
    const char* what;
    u32 offset;
    u16 value, rights;  // of kSpare
    int vector;
    u32 error;
  };
  const Case cases[] = {
      {"null CS", 0x4c, 0, 0, 10, 0},
      {"CS is data", 0x4c, kData0, 0, 10, kData0},
      {"CS of another ring", 0x4c, kCode3 & ~3, 0, 10, kCode3 & ~3u},
      {"CS absent", 0x4c, kSpare, kRightsCode & ~0x80, 11, kSpare},
      {"null SS", 0x50, 0, 0, 10, 0},
      {"SS of another ring", 0x50, kData3, 0, 10, kData3 & ~3u},
      {"SS read-only", 0x50, kSpare, 0xc091, 10, kSpare},
      {"SS absent", 0x50, kSpare, kRightsData & ~0x80, 12, kSpare},
      {"DS is execute-only code", 0x54, kSpare, 0xc099, 10, kSpare},
      {"DS beyond the GDT", 0x54, 0x1000, 0, 10, 0x1000},
      {"ES absent", 0x48, kSpare, kRightsData & ~0x80, 11, kSpare},
      {"LDT is a TSS", 0x60, kTssSel, 0, 10, kTssSel},
      {"LDT in the LDT", 0x60, 0x0c, 0, 10, 0x0c},
      {"LDT absent", 0x60, kSpare, kRightsLdt & ~0x80, 10, kSpare},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect();
    second_task(b);
    b.gdt(kSpare, 0, 0xffff, c.rights);
    b.put(kTss2 + c.offset, c.value, 2);
    call(b, kTss2Sel);
    const auto fault = b.attempt();
    REQUIRE(fault);
    CHECK(fault->vector == c.vector);
    CHECK(fault->error == c.error);
    CHECK(b.cpu.s.tr.selector == kTss2Sel);
    CHECK(b.cpu.s.insn_eip == kEntry);
    CHECK(b.cpu.s.r32(kEbx) == 0x4000);
    CHECK(busy(b, kTss2Sel));
    CHECK(b.get(kTss + 0x20) == kCode + 7);
  }
}

TEST_CASE("An entry point beyond the limit of CS is #GP in the new task") {
  Bench b;
  b.protect();
  second_task(b);
  b.gdt(kSpare, 0, 0x7fff, 0x409b);
  b.put(kTss2 + 0x4c, kSpare);
  call(b, kTss2Sel);
  const auto fault = b.attempt();
  REQUIRE(fault);
  CHECK(fault->vector == 13);
  CHECK(b.cpu.s.tr.selector == kTss2Sel);
}

TEST_CASE("IRET with NT needs a busy TSS behind the link") {
  for (const u16 link : {u16{0}, u16{kTss2Sel}, u16{kData0}, u16{0x0c}, u16{0x1000}}) {
    INFO(link);
    Bench b;
    b.protect();
    second_task(b);  // not busy
    b.put(kTss, link, 2);
    b.cpu.s.eflags |= flag::kNt;
    b.insn({0xcf});
    const auto fault = b.attempt();
    REQUIRE(fault);
    CHECK(fault->vector == 10);
    CHECK(fault->error == link);
    CHECK(b.cpu.s.tr.selector == kTssSel);
  }
}
