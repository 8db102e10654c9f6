// Page rights as instructions meet them, and the control registers that govern them: SDM vol. 3 chapters 2 and 4. The
// walk itself is tested in tests/mmu.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kP = Bench::kPresent, kW = Bench::kWritable, kU = Bench::kUser;

// The #PF error code of an access to kData, or -1.
int outcome(Bench& b, bool write) {
  b.cpu.s.r32(kEbx) = kData;
  b.cpu.s.eip = kCode;
  b.insn({static_cast<u8>(write ? 0x88 : 0x8a), 0x03});
  const auto fault = b.attempt();
  if (!fault) return -1;
  CHECK(fault->vector == kPageFault);
  CHECK(b.cpu.s.cr2 == kData);
  return static_cast<int>(fault->error);
}

// MOV CRn, EAX
std::optional<GuestFault> mov_cr(Bench& b, unsigned n, u32 value) {
  b.cpu.s.r32(kEax) = value;
  b.cpu.s.eip = kCode;
  b.insn({0x0f, 0x22, static_cast<u8>(0xc0 | n << 3)});
  return b.attempt();
}

}  // namespace

TEST_CASE("User, writable and WP decide by ring") {
  struct Case {
    unsigned cpl;
    bool wp;
    u32 rights;
    int read, write;
  };
  const Case cases[] = {
      {0, true, 0, 0, 2},         {3, true, 0, 4, 6},         {0, true, kP, -1, 3},
      {0, false, kP, -1, -1},     {0, true, kP | kW, -1, -1}, {3, true, kP | kW, 5, 7},
      {3, true, kP | kU, -1, 7},  {3, false, kP | kU, -1, 7}, {3, true, kP | kW | kU, -1, -1},
      {1, true, kP | kW, -1, -1},
  };
  for (const Case& c : cases) {
    INFO("cpl " << c.cpl << " wp " << c.wp << " rights " << c.rights);
    Bench b;
    b.protect(c.cpl);
    b.paging();
    if (!c.wp) b.cpu.set_cr0(b.cpu.s.cr0 & ~cr0::kWp);
    b.page(kData, c.rights);
    CHECK(outcome(b, false) == c.read);
    CHECK(outcome(b, true) == c.write);
  }
}

TEST_CASE("Tables of the system are reached with supervisor rights from ring 3") {
  Bench b;
  b.protect(3);
  b.paging();
  for (u32 page : {kGdt, kIdt, kTss, kTss2, 0x6000u}) b.page(page, kP | kW);
  b.idt(0x40, kCode0, 0x9400, 0xee);
  b.insn({0xcd, 0x40});
  CHECK_FALSE(b.attempt());
  CHECK(b.cpu.s.cpl == 0);
  CHECK_FALSE(b.cpu.mmu.user());
}

TEST_CASE("A failed transfer to an inner ring leaves the MMU with user rights") {
  Bench b;
  b.protect(3);
  b.paging();
  b.page(kData, kP | kW);  // not for the user
  b.idt(0x40, kSpare, 0x9400, 0xee);
  b.insn({0xcd, 0x40});
  REQUIRE(b.attempt());
  CHECK(b.cpu.mmu.user());
  CHECK(outcome(b, false) == 5);
}

TEST_CASE("NX forbids fetches, when EFER.NXE and PAE are on") {
  Bench b;
  b.protect();
  constexpr u32 kPdpt = 0x14000, kPd = 0x15000, kPt = 0x16000;
  b.put(kPdpt, kPd | 1);
  b.put(kPd, kPt | 7);
  for (u32 page = 0; page < 512; ++page) b.put(kPt + page * 8, page << 12 | 7);
  b.put(kPt + (kData >> 12) * 8 + 4, 0x80000000);
  b.cpu.write_msr(0xc0000080, efer::kNxe);
  b.cpu.set_cr4(cr4::kPae);
  b.cpu.set_cr3(kPdpt);
  b.cpu.set_cr0(b.cpu.s.cr0 | cr0::kPg);
  b.bytes(kData, {0x90});
  CHECK(b.cpu.read<u8>(kDs, kData) == 0x90);
  b.cpu.s.eip = kData;
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 14);
  CHECK(a.error == 0x11);
  CHECK(b.cpu.s.cr2 == kData);
}

TEST_CASE("CR0 refuses paging without protection and NW without CD") {
  Bench b;
  b.real(0x800, 0);
  b.cpu.s.r32(kEax) = cr0::kPg;
  b.insn({0x0f, 0x22, 0xc0});
  CHECK(b.attempt()->vector == 13);
  Bench p;
  p.protect();
  const u32 before = p.cpu.s.cr0;
  CHECK(mov_cr(p, 0, before | cr0::kNw)->vector == 13);
  CHECK(p.cpu.s.cr0 == before);
  CHECK_FALSE(mov_cr(p, 0, before | cr0::kNw | cr0::kCd));
  CHECK_FALSE(mov_cr(p, 0, 0x00004001));  // reserved bits are ignored, ET stays
  CHECK(p.cpu.s.cr0 == (cr0::kPe | cr0::kEt));
}

TEST_CASE("CR4 refuses bits that the model lacks") {
  Bench b;
  b.protect();
  CHECK_FALSE(mov_cr(b, 4, 0x7ff));
  CHECK(mov_cr(b, 4, 0x800)->vector == 13);
  CHECK(mov_cr(b, 4, 0x2000)->vector == 13);
  CHECK(b.cpu.s.cr4 == 0x7ff);
  Bench old("pentium");
  old.protect();
  CHECK_FALSE(mov_cr(old, 4, cr4::kPse));
  CHECK(mov_cr(old, 4, cr4::kPge)->vector == 13);
  CHECK(mov_cr(old, 4, cr4::kPae)->vector == 13);
}

TEST_CASE("PAE loads its four pointers with CR3, CR0.PG and CR4.PAE, and refuses reserved bits") {
  constexpr u32 kPdpt = 0x14000;
  Bench b;
  b.protect();
  b.paging();
  b.put(kPdpt, 0x15000 | 1), b.put(kPdpt + 8, 0), b.put(kPdpt + 16, 0), b.put(kPdpt + 24, 0x2);  // not present: any
  b.cpu.s.cr0 &= ~cr0::kPg;
  b.cpu.update_paging();
  b.cpu.set_cr4(cr4::kPae);
  CHECK_FALSE(mov_cr(b, 3, kPdpt));
  b.put(0x15000, 0xe7);  // one 2 MiB page
  CHECK_FALSE(mov_cr(b, 0, b.cpu.s.cr0 | cr0::kPg));
  CHECK(b.cpu.s.pdpte[0] == (0x15000 | 1));
  b.put(kPdpt + 8, 0x16000 | 1 | 2);  // bit 1 is reserved
  CHECK(mov_cr(b, 3, kPdpt)->vector == 13);
  CHECK(b.cpu.s.pdpte[1] == 0);
  b.put(kPdpt + 8, 0x16000 | 1);
  b.cpu.read<u8>(kDs, kData);
  CHECK(b.cpu.s.pdpte[1] == 0);  // the tables are not looked at again without MOV CR3
  CHECK_FALSE(mov_cr(b, 3, kPdpt));
  CHECK(b.cpu.s.pdpte[1] == (0x16000 | 1));
}

TEST_CASE("Control registers are for ring 0, and CR1, CR5 to CR7 do not exist") {
  for (const auto& bytes : {std::initializer_list<u8>{0x0f, 0x20, 0xc0},
                            {0x0f, 0x22, 0xd8},
                            {0x0f, 0x01, 0x3b},
                            {0x0f, 0x06},
                            {0x0f, 0x01, 0xf0},
                            {0xf4},
                            {0x0f, 0x08},
                            {0x0f, 0x09},
                            {0x0f, 0x01, 0x13},
                            {0x0f, 0x01, 0x1b}}) {
    Bench b;
    b.protect(3);
    b.insn(bytes);
    const auto fault = b.attempt();
    REQUIRE(fault);
    CHECK(fault->vector == 13);
    CHECK(fault->error == 0);
  }
  for (u8 n : {1, 5, 6, 7}) {
    Bench b;
    b.protect();
    b.insn({0x0f, 0x20, static_cast<u8>(0xc0 | n << 3)});
    CHECK(b.attempt()->vector == 6);
  }
}

TEST_CASE("LMSW sets PE and never clears it; SMSW and CLTS") {
  Bench b;
  b.protect();
  b.cpu.s.r32(kEax) = 0xe;
  b.insn({0x0f, 0x01, 0xf0});
  REQUIRE_FALSE(b.attempt());
  CHECK((b.cpu.s.cr0 & 0xf) == 0xf);
  b.insn({0x0f, 0x06});
  REQUIRE_FALSE(b.attempt());
  CHECK((b.cpu.s.cr0 & 0xf) == 0x7);
  b.cpu.s.r32(kEcx) = 0;
  b.insn({0x0f, 0x01, 0xe1});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.r32(kEcx) == b.cpu.s.cr0);
}

TEST_CASE("LGDT and LIDT take 24 bits of the base with a 16-bit operand size") {
  Bench b;
  b.protect();
  b.put(kData, 0x5678, 2);
  b.put(kData + 2, 0xaabbccdd);
  b.cpu.s.r32(kEbx) = kData;
  b.insn({0x0f, 0x01, 0x1b});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.idtr.base == 0xaabbccdd);
  CHECK(b.cpu.s.idtr.limit == 0x5678);
  b.insn({0x66, 0x0f, 0x01, 0x13});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.gdtr.base == 0x00bbccdd);
  b.cpu.s.r32(kEbx) = kData + 0x10;
  b.insn({0x0f, 0x01, 0x0b});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.get(kData + 0x10, 2) == 0x5678);
  CHECK(b.get(kData + 0x12) == 0xaabbccdd);
}

TEST_CASE("#AC comes at ring 3 only, with CR0.AM and EFLAGS.AC") {
  for (unsigned cpl : {0u, 3u}) {
    for (const bool ac : {false, true}) {
      Bench b;
      b.protect(cpl);
      b.cpu.s.cr0 |= cr0::kAm;
      if (ac) b.cpu.s.eflags |= flag::kAc;
      b.cpu.s.r32(kEbx) = kData + 1;
      b.insn({0x8b, 0x03});
      const auto fault = b.attempt();
      CHECK(fault.has_value() == (cpl == 3 && ac));
      if (fault) CHECK((fault->vector == 17 && fault->error == 0));
    }
  }
}
