// Faults everywhere: instructions with several memory accesses are made to fault at each page they touch, read or
// write, in turn. Nothing may be committed, and with the page back the instruction must run to its end.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

struct Scenario {
  const char* what;
  void (*prepare)(Bench&);
  unsigned pages;                                                            // it touches, its own code excepted
  bool memory_too = false;                                                   // a locked operation: all or nothing
  bool (*allowed)(const CpuState& before, const CpuState& after) = nullptr;  // instead of "nothing committed"
};

std::vector<u8> image(CpuState& s) {
  const u32 cr2 = std::exchange(s.cr2, 0);
  Archive a = Archive::saver();
  s.state(a);
  s.cr2 = cr2;
  return a.saved();
}

void ring3(Bench& b) {
  b.protect(3);
  b.paging();
  for (unsigned r = 0; r < 8; ++r) {
    if (r != kEsp) b.cpu.s.r32(r) = 0x11111111 * (r + 1);
  }
}

void far_call(Bench& b, u16 selector) {
  b.insn({0x9a, 0, 0x94, 0, 0, static_cast<u8>(selector), static_cast<u8>(selector >> 8)});
}

void second_task(Bench& b) {
  b.put(kTss2 + 0x1c, kDirectory);
  b.put(kTss2 + 0x20, 0x9400), b.put(kTss2 + 0x24, 2), b.put(kTss2 + 0x38, kStack1), b.put(kTss2 + 0x4c, kCode0);
  for (u32 at : {0x48, 0x50, 0x54, 0x58, 0x5c}) b.put(kTss2 + at, kData0);
}

bool new_task(const CpuState& before, const CpuState& after) {
  return after.tr.selector != before.tr.selector && after.eip == 0x9400 && after.insn_eip == 0x9400;
}

bool whole_moves(const CpuState& before, const CpuState& after) {
  const u32 done = static_cast<u32>(before.gpr[kEcx] - after.gpr[kEcx]);
  return after.gpr[kEsi] == before.gpr[kEsi] + done * 4 && after.gpr[kEdi] == before.gpr[kEdi] + done * 4 &&
         after.eip == before.eip;
}

const Scenario kScenarios[] = {
    {"PUSHAD across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsp) = 0xb00e;
       b.insn({0x60});
     },
     2},
    {"POPAD across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsp) = 0xaff2;
       b.insn({0x61});
     },
     2},
    {"PUSH dword across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsp) = 0xb002;
       b.insn({0x50});
     },
     2},
    {"PUSH [mem]",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbx) = kData;
       b.insn({0xff, 0x33});
     },
     2},
    {"POP [ESP-based mem]",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsp) = 0xbff8;
       b.insn({0x8f, 0x44, 0x24, 0x10});  // POP [ESP+16]: 0xc00c
     },
     2},
    {"ENTER with display",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsp) = 0xb00c;
       b.cpu.s.r32(kEbp) = 0xc010;
       b.insn({0xc8, 0x10, 0x00, 0x04});
     },
     3},
    {"LEAVE",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbp) = 0xaffe;
       b.insn({0xc9});
     },
     2},
    {"near CALL through memory",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbx) = kData;
       b.put(kData, 0x9400);
       b.insn({0xff, 0x13});
     },
     2},
    {"XCHG across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbx) = 0xcffe;
       b.insn({0x87, 0x03});
     },
     2, true},
    {"LOCK ADD across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbx) = 0xcffe;
       b.insn({0xf0, 0x01, 0x03});
     },
     2, true},
    {"CMPXCHG8B across pages, equal",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsi) = 0xcffc;
       b.cpu.s.r32(kEax) = b.cpu.s.r32(kEdx) = 0;
       b.insn({0xf0, 0x0f, 0xc7, 0x0e});
     },
     2, true},
    {"CMPXCHG8B across pages, unequal: it writes all the same",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsi) = 0xcffc;
       b.insn({0xf0, 0x0f, 0xc7, 0x0e});
     },
     2, true},
    {"SHLD across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbx) = 0xcffe;
       b.insn({0x0f, 0xa4, 0x03, 0x04});
     },
     2, true},
    {"BTS far from its base",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbx) = 0xc000;
       b.cpu.s.r32(kEax) = 0x8000;
       b.insn({0x0f, 0xab, 0x03});
     },
     1, true},
    {"REP MOVSD across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEcx) = 8;
       b.cpu.s.r32(kEsi) = 0xcff2;
       b.cpu.s.r32(kEdi) = 0xeff4;
       b.insn({0xf3, 0xa5});
     },
     4, false, whole_moves},
    {"LDS",
     [](Bench& b) {
       ring3(b);
       b.put(0xcffe, 0x12345678);
       b.put(0xd002, kData3, 2);
       b.cpu.s.r32(kEbx) = 0xcffe;
       b.insn({0xc5, 0x0b});
     },
     3},
    {"POP DS",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEsp) -= 4;
       b.put(kStack3 - 4, kData3);
       b.insn({0x1f});
     },
     2},
    {"MOV DS that sets the accessed bit",
     [](Bench& b) {
       ring3(b);
       b.gdt(kSpare, 0, 0xffff, with_dpl(kRightsData, 3) & ~1);
       b.cpu.s.r32(kEax) = kSpare | 3;
       b.insn({0x8e, 0xd8});
     },
     1},
    {"SGDT across pages",
     [](Bench& b) {
       ring3(b);
       b.cpu.s.r32(kEbx) = 0xcffe;
       b.insn({0x0f, 0x01, 0x03});
     },
     2, true},
    {"far CALL in the same ring",
     [](Bench& b) {
       ring3(b);
       far_call(b, kCode3);
     },
     2},
    {"CALL through a gate with parameters",
     [](Bench& b) {
       ring3(b);
       b.gate(kGdt + kGate, kCode0, 0x9400, 0xec, 4);
       b.cpu.s.r32(kEsp) = 0xaff8;
       far_call(b, kGate | 3);
     },
     5},
    {"RETF to an outer ring",
     [](Bench& b) {
       b.protect(0);
       b.paging();
       b.cpu.s.r32(kEsp) = 0xaff8;
       b.put(0xaff8, 0x9400), b.put(0xaffc, kCode3), b.put(0xb000, 0xbf00), b.put(0xb004, kData3);
       b.insn({0xcb});
     },
     3},
    {"IRET to an outer ring",
     [](Bench& b) {
       b.protect(0);
       b.paging();
       b.cpu.s.r32(kEsp) = 0xaff4;
       b.put(0xaff4, 0x9400), b.put(0xaff8, kCode3), b.put(0xaffc, 0x202), b.put(0xb000, 0xbf00), b.put(0xb004, kData3);
       b.insn({0xcf});
     },
     3},
    {"IRET to V86 mode",
     [](Bench& b) {
       b.protect(0);
       b.paging();
       b.cpu.s.r32(kEsp) = 0xaff0;
       b.put(0xaff0, 0x94), b.put(0xaff4, 0x900), b.put(0xaff8, flag::kVm | 0x202);
       b.insn({0xcf});
     },
     2},
    {"INT to ring 0",
     [](Bench& b) {
       ring3(b);
       b.idt(0x40, kCode0, 0x9400, 0xee);
       b.put(kTss + 4, 0x7008);
       b.insn({0xcd, 0x40});
     },
     5},
    {"INT from V86 mode",
     [](Bench& b) {
       b.v86(3);
       b.paging();
       b.idt(0x40, kCode0, 0x9400, 0xee);
       b.put(kTss + 4, 0x7010);
       b.insn({0xcd, 0x40});
     },
     5},
    {"INT in the same ring",
     [](Bench& b) {
       b.protect(0);
       b.paging();
       b.insn({0xcd, 0x40});
     },
     3},
    {"IN by the I/O bitmap",
     [](Bench& b) {
       ring3(b);
       b.put(kTss + 0x66, 0xf98, 2);
       b.gdt(kTssSel, kTss, 0x1fff, kRightsTss32 | 2);
       b.cpu.s.tr.limit = 0x1fff;
       b.put(kTss + 0xfff, 0, 2);
       b.cpu.s.r16(kEdx) = 0x338;  // bits in the last byte of the TSS's page and the first of the next
       b.insn({0xec});
     },
     2},
    {"JMP to a task",
     [](Bench& b) {
       b.protect(0);
       b.paging();
       second_task(b);
       b.insn({0xea, 0, 0, 0, 0, kTss2Sel, 0});
     },
     3},
    {"CALL of a task with an LDT in a page of its own",
     [](Bench& b) {
       b.protect(0);
       b.paging();
       second_task(b);
       b.put(kTss2 + 0x60, kLdtSel);
       b.put(kTss2 + 0x54, 0x0c);
       b.descriptor(kLdt + 8, 0, 0xffff, kRightsData);
       b.insn({0x9a, 0, 0, 0, 0, kTss2Sel, 0});
     },
     4, false, new_task},
    {"IRET to the task before",
     [](Bench& b) {
       b.protect(0);
       b.paging();
       second_task(b);
       b.put(kTss, kTss2Sel);
       b.gdt(kTss2Sel, kTss2, 0xfff, kRightsTss32 | 2);
       b.cpu.s.eflags |= flag::kNt;
       b.insn({0xcf});
     },
     3},
};

u32& pte(Bench& b, u32 page) { return *reinterpret_cast<u32*>(b.memory().host(Phys(kTable + page * 4))); }

// Pages that the instruction reads or writes, found by their accessed and dirty bits.
struct Touched {
  std::vector<u32> read, written;
};
Touched touched_pages(const Scenario& scenario) {
  Bench b;
  scenario.prepare(b);
  for (u32 page = 0; page < 32; ++page) pte(b, page) &= ~0x60u;
  b.cpu.update_paging();
  b.cpu.set_cr3(b.cpu.s.cr3);
  const auto fault = b.attempt();
  INFO("fault " << (fault ? fault->vector : -1) << " cr2 " << std::hex << b.cpu.s.cr2);
  REQUIRE_FALSE(fault);
  Touched t;
  for (u32 page = 0; page < 32; ++page) {
    if ((pte(b, page) & 0x20) != 0) t.read.push_back(page);
    if ((pte(b, page) & 0x40) != 0) t.written.push_back(page);
  }
  return t;
}

void fault_at(const Scenario& scenario, u32 page, u32 rights) {
  INFO(scenario.what << ", page " << std::hex << (page << 12) << ", rights " << rights);
  Bench b;
  scenario.prepare(b);
  b.page(page << 12, rights);
  const CpuState before = b.cpu.s;
  const std::vector<u8> image_before = image(b.cpu.s);
  std::vector<u8> memory_before(b.memory().base(), b.memory().base() + kDirectory);
  const auto fault = b.attempt();
  REQUIRE(fault);
  CHECK(fault->vector == kPageFault);
  CHECK((fault->error & 1) == (rights & 1));
  if (rights != 0) CHECK((fault->error & 2) != 0);
  CHECK(b.cpu.s.cr2 >> 12 == page);
  CHECK(b.cpu.mmu.user() == (b.cpu.s.cpl == 3));
  b.cpu.s.insn_eip = before.insn_eip;
  const bool same = image(b.cpu.s) == image_before;
  if (!same) {
    b.cpu.s.insn_eip = b.cpu.s.eip;
    CHECK((scenario.allowed != nullptr && scenario.allowed(before, b.cpu.s)));
  }
  if (scenario.memory_too) CHECK(std::memcmp(memory_before.data(), b.memory().base(), kDirectory) == 0);
  if (b.cpu.s.tr.selector != before.tr.selector) return;  // the rest is the new task's business
  b.page(page << 12, 7);
  CHECK_FALSE(b.attempt());
}

}  // namespace

TEST_CASE("An instruction that faults at any of its accesses commits nothing and can be restarted") {
  for (const Scenario& scenario : kScenarios) {
    INFO(scenario.what);
    const Touched t = touched_pages(scenario);
    CHECK(t.read.size() == scenario.pages);
    for (u32 page : t.read) fault_at(scenario, page, 0);
    for (u32 page : t.written) fault_at(scenario, page, Bench::kPresent | Bench::kUser);
  }
}
