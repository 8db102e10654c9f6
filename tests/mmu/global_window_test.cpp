// The window that shows the supervisor's pages to all address spaces.
#include <catch2/catch.hpp>

#include "tests/mmu/windowed.h"

using namespace umbra;
using namespace umbra::test;
using Outcome = Windowed::Outcome;

TEST_CASE("global kernel pages are seen through one window by all address spaces") {
  Paged m;
  REQUIRE(m.access(Linear(0xc0005000), true) == Outcome::kDone);
  const u8* base = m.mmu->window();
  REQUIRE(m.access(m.at(0), false) == Outcome::kEmulate);  // a user page in the supervisor's eyes
  PagingState other = m.s;
  m.poke(0x3000 + 0x300 * 4, 0x183, 4);
  other.cr3 = 0x3000;
  m.mmu->set_state(other);
  REQUIRE(m.mmu->window() == base);
  REQUIRE(m.holds(Linear(0xc0005000), true));
  SECTION("INVLPG in another space drops it") {
    m.mmu->invalidate(Linear(0xc0000000));
    REQUIRE_FALSE(m.holds(Linear(0xc0005000), false));
  }
  SECTION("a code mark made in another space holds") {
    m.memory->mark_code(5, true);
    REQUIRE_FALSE(m.holds(Linear(0xc0005000), true));
    REQUIRE(m.access(Linear(0xc0005000), true) == Outcome::kEmulate);
  }
  SECTION("toggling CR4.PGE keeps what the tables still say") {
    PagingState off = other;
    off.cr4 &= ~kCr4Pge;
    u64 entry = 0x1e3;
    bool loads = false, stores = false;
    SECTION("the same") { loads = stores = true; }
    SECTION("moved") { entry = 0x4001e3; }
    SECTION("gone") { entry = 0x1e2; }
    SECTION("not global, but the kernel's own") {
      entry = 0xe3;
      loads = stores = true;
    }
    SECTION("not global, and the users', too") { entry = 0xe7; }
    SECTION("not accessed") { entry = 0x1c3; }
    SECTION("not dirty") { entry = 0x1a3; }
    SECTION("not writable") { entry = 0x1e1; }
    m.poke(0x3000 + 0x300 * 4, entry, 4);
    m.mmu->set_state(off);
    m.mmu->set_state(other);
    REQUIRE(m.holds(Linear(0xc0005000), false) == loads);
    REQUIRE(m.holds(Linear(0xc0005000), true) == stores);
  }
  SECTION("without G, another space that has it must have it as it was") {
    m.poke(0x1000 + 0x300 * 4, 0x83, 4);
    m.s.cr3 = 0x1000;
    m.mmu->set_state(m.s);
    m.mmu->invalidate(Linear(0xc0000000));
    REQUIRE(m.access(Linear(0xc0005000), true) == Outcome::kDone);
    u64 entry = 0xe3;
    bool held = false;
    SECTION("as it is") { held = true; }
    SECTION("elsewhere") { entry = 0x4000e3; }
    SECTION("not dirty") { entry = 0xa3; }
    SECTION("gone") { entry = 0; }
    m.poke(0x3000 + 0x300 * 4, entry, 4);
    m.mmu->set_state(other);
    REQUIRE(m.holds(Linear(0xc0005000), true) == held);
    REQUIRE(m.holds(Linear(0xc0005000), false) == held);
  }
  SECTION("a changed layout drops it") {
    m.memory->unmap(Phys(0x5000), 0x1000);
    REQUIRE_FALSE(m.holds(Linear(0xc0005000), false));
    REQUIRE(m.access(Linear(0xc0005000), false) == Outcome::kEmulate);
  }
}

TEST_CASE("the kernel's own pages enter the global window, neighbours included; those that users may see do not") {
  Paged m;
  // 0x10 and 0x13 are global; 0x11, not global, continues 0x10 in memory; 0x12 does not and is for users, too.
  m.poke(0x2000 + 0x10 * 4, 0x800163, 4);
  m.poke(0x2000 + 0x11 * 4, 0x801063, 4);
  m.poke(0x2000 + 0x12 * 4, 0x900067, 4);
  m.poke(0x2000 + 0x13 * 4, 0xa00163, 4);
  for (u32 i = 0x10; i < 0x14; ++i) REQUIRE(m.touch(m.at(i), true));
  REQUIRE(m.access(m.at(0x10), true) == Outcome::kDone);
  REQUIRE((m.holds(m.at(0x10), true) && m.holds(m.at(0x11), true) && m.holds(m.at(0x13), true)));
  REQUIRE_FALSE(m.holds(m.at(0x12), false));
}

TEST_CASE("pages without G stay in the global window as long as the next address space has the same") {
  Paged m;
  for (u32 i = 0; i < 1024; ++i) m.poke(0x2000 + i * 4, (0xbff - i) << 12 | 3, 4);
  m.poke(0x3000 + 4, m.peek(0x1000 + 4, 4) | 0x20, 4);
  for (u32 i : {1u, 2u, 40u}) REQUIRE(m.access(m.at(i), i != 2) == Outcome::kDone);
  const u8* base = m.mmu->window();
  bool loads = true, stores = true;
  SECTION("the same") {}
  SECTION("with another bit for software") {
    m.poke(0x2000 + 4, m.pte(1) | 0x200, 4);
    loads = stores = false;
  }
  SECTION("moved") {
    m.poke(0x2000 + 4, m.pte(1) ^ 0x4000, 4);
    loads = stores = false;
  }
  SECTION("not dirty") {
    m.poke(0x2000 + 4, m.pte(1) & ~u64{0x40}, 4);
    loads = stores = false;
  }
  SECTION("a neighbour's bits") { m.poke(0x2000 + 8, m.pte(2) | 0x40, 4); }
  SECTION("through another table") {
    for (u32 i = 0; i < 1024; ++i) m.poke(0x4000 + i * 4, (0xbff - i) << 12 | 0x63, 4);
    m.poke(0x3000 + 4, 0x4023, 4);
    loads = stores = false;
  }
  m.s.cr3 = 0x3000;
  m.mmu->set_state(m.s);
  REQUIRE(m.mmu->window() == base);
  REQUIRE(m.holds(m.at(1), false) == loads);
  REQUIRE(m.holds(m.at(1), true) == stores);
  REQUIRE(m.access(m.at(1), true) == Outcome::kDone);
  REQUIRE(m.access(m.at(40), true) == Outcome::kDone);
}

TEST_CASE("kernels that do not use global pages get a window per space") {
  Paged m;
  SECTION("without CR4.PGE") {
    m.s.cr4 = kCr4Pse;
    m.mmu->set_state(m.s);
    REQUIRE(m.access(Linear(0xc0005000), true) == Outcome::kDone);
    REQUIRE(m.access(m.at(0), false) == Outcome::kDone);
  }
  SECTION("with CR4.PGE and G clear in many places, after some trials") {
    for (u32 slot = 2; slot < 10; ++slot) {
      m.poke(0x1000 + slot * 4, 0x10003 + slot * 0x1000, 4);
      for (u32 i = 0; i < 1024; ++i) m.poke(0x10000 + slot * 0x1000 + i * 4, i << 12 | 3, 4);
    }
    for (u32 i = 0; i < 512; ++i) m.access(Linear(0x800000 + (i << 16)), false);
    REQUIRE(m.access(m.at(0), false) == Outcome::kDone);
  }
}
