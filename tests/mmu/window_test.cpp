#include "mmu/window.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>
#include <cstdio>
#include <vector>

#include "tests/mmu/windowed.h"

using namespace umbra;
using namespace umbra::test;

namespace {

// Host mappings that lie inside a window, as the host counts them.
u32 host_mappings(const u8* base) {
  const u64 from = reinterpret_cast<u64>(base), to = from + (u64{1} << 32) + Window::kGuard;
  std::FILE* f = std::fopen("/proc/self/maps", "r");
  REQUIRE(f != nullptr);
  u32 count = 0;
  char line[512];
  while (std::fgets(line, sizeof line, f) != nullptr) {
    unsigned long start = 0, end = 0;
    if (std::sscanf(line, "%lx-%lx", &start, &end) == 2 && start < to && end > from) ++count;
  }
  std::fclose(f);
  return count;
}

using Outcome = Windowed::Outcome;

struct BareWindow {
  std::unique_ptr<PhysicalMemory> memory;
  WindowBudget budget{1000};
  std::unique_ptr<Window> window;
  BareWindow() {
    auto made = PhysicalMemory::create(16 << 20);
    REQUIRE(made);
    memory = std::move(*made);
    window = Window::create(*memory, budget, nullptr, 0);
    REQUIRE(window != nullptr);
  }
};

}  // namespace

TEST_CASE("a window counts its host mappings exactly") {
  BareWindow w;
  std::mt19937 random(7);
  const auto pick = [&](u32 n) { return static_cast<u32>(random() % n); };
  REQUIRE(host_mappings(w.window->base()) == 1);
  for (u32 step = 0; step < 3000; ++step) {
    const u32 vpn = pick(4) == 0 ? kShadowEntries - 64 + pick(48) : pick(200);
    const u32 count = 1 + pick(16);
    switch (pick(6)) {
      case 0:
      case 1:
      case 2:
        w.window->map(vpn, count, pick(2) == 0 ? vpn % 1000 : pick(2000), pick(2) == 0, pick(8) == 0);
        break;
      case 3:
        w.window->forget(vpn, count);
        break;
      case 4:
        w.window->read_only(vpn);
        break;
      case 5:
        w.window->flush();
        REQUIRE_FALSE(w.window->pending());
        break;
    }
    if (step % 500 == 499) w.window->clear();
    if (step % 3 == 0) REQUIRE(host_mappings(w.window->base()) == w.window->mappings());
    REQUIRE(w.budget.used == w.window->mappings());
  }
}

TEST_CASE("a window maps what it was told and drops it at the flush") {
  BareWindow w;
  for (u32 i = 0; i < 64; ++i) w.memory->base()[i << 12] = static_cast<u8>(i + 1);
  REQUIRE(w.window->map(0xfffff, 1, 5, false, false));
  REQUIRE(w.window->base()[0xfffff000] == 6);
  REQUIRE(w.window->map(0x10, 16, 16, true, true));
  w.window->base()[0x12000] = 0x77;
  REQUIRE(w.memory->base()[18 << 12] == 0x77);
  REQUIRE(w.window->holds(0x12, true));
  w.window->read_only(0x12);
  REQUIRE((w.window->holds(0x12, false) && !w.window->holds(0x12, true)));
  w.window->forget(0x13, 1);
  REQUIRE_FALSE(w.window->holds(0x13, false));
  w.window->flush();
  REQUIRE(w.window->mappings() == 8);  // gap, run, read-only page, gap, run, gap, last page, guard
  REQUIRE(w.window->base()[0x12000] == 0x77);
  w.window->clear();
  REQUIRE((w.window->mappings() == 1 && w.budget.used == 1));
}

TEST_CASE("more pending pages than there is room for empty the window instead") {
  BareWindow w;
  REQUIRE(w.window->map(0, 4000, 0, true, false));
  for (u32 i = 0; i < 4000; ++i) w.window->forget(i, 1);
  w.window->flush();
  REQUIRE(w.window->mappings() == 1);
}

TEST_CASE("the budget is a hard limit for one window") {
  BareWindow w;
  w.budget.limit = 20;
  u32 mapped = 0;
  for (u32 i = 0; i < 100; ++i) mapped += w.window->map(i * 2, 1, i, true, false);
  REQUIRE(mapped > 5);
  REQUIRE(mapped < 20);
  REQUIRE(w.budget.used <= 20);
  REQUIRE(host_mappings(w.window->base()) == w.window->mappings());
}

TEST_CASE("without paging a hidden fault shows RAM, and devices, ROM and holes stay with the slow lane") {
  Windowed m;
  m.poke(0x5678, 0x42, 1);
  u8 v = 0;
  REQUIRE(m.access(Linear(0x5678), false, &v) == Outcome::kDone);
  REQUIRE(v == 0x42);
  v = 0x99;
  REQUIRE(m.access(Linear(0x9000), true, &v) == Outcome::kDone);
  REQUIRE(m.peek(0x9000, 1) == 0x99);
  REQUIRE(m.mmu->stats().hidden_faults == 1);  // the first one brought its surroundings
  REQUIRE(m.access(Linear(0xa0000), false) == Outcome::kEmulate);
  REQUIRE(m.access(Linear(0xf0000), false) == Outcome::kDone);
  REQUIRE(m.access(Linear(0xf0000), true) == Outcome::kEmulate);
  REQUIRE(m.access(Linear(0xffffffff), false) == Outcome::kEmulate);
}

TEST_CASE("showing memory does not back it") {
  Windowed m(64 << 20);
  REQUIRE(m.access(Linear(0x2000000), true) == Outcome::kDone);
  REQUIRE(m.access(Linear(0x2100000), true) == Outcome::kDone);
  REQUIRE(m.holds(Linear(0x21ff000), true));
  struct stat st {};
  REQUIRE(fstat(m.memory->fd(), &st) == 0);
  REQUIRE(st.st_blocks * 512 < 512 << 10);
}

TEST_CASE("stores reach a clean page only after D is set") {
  Paged m;
  m.mmu->set_user(true);
  REQUIRE(m.access(m.at(3), false) == Outcome::kDone);
  REQUIRE((m.pte(3) & 0x60) == 0x20);
  REQUIRE_FALSE(m.holds(m.at(3), true));
  REQUIRE(m.access(m.at(3), true) == Outcome::kDone);
  REQUIRE((m.pte(3) & 0x60) == 0x60);
  REQUIRE(m.holds(m.at(3), true));
  REQUIRE((m.pte(4) & 0x60) == 0);
  REQUIRE_FALSE(m.holds(m.at(4), false));  // its A is not set: that is for its own access
}

TEST_CASE("a guest's page fault comes out with its error code") {
  Paged m;
  m.mmu->set_user(true);
  REQUIRE(m.access(Linear(0x900000), true) == Outcome::kGuestFault);
  REQUIRE(Windowed::last.error_code == (pf::kWrite | pf::kUser));
  REQUIRE(m.access(Linear(0xc0000000), false) == Outcome::kGuestFault);
  REQUIRE(Windowed::last.error_code == (pf::kPresent | pf::kUser));
}

TEST_CASE("after a page fault the page is mapped before the guest tries again, if the guest set A and D") {
  Paged m;
  const auto fault_and_answer = [&](u32 i, u32 entry) {
    m.poke(0x2000 + i * 4, 0, 4);
    m.mmu->invalidate(m.at(i));
    m.mmu->set_user(true);
    REQUIRE(m.access(m.at(i), true) == Outcome::kGuestFault);
    m.mmu->set_user(false);
    m.poke(0x2000 + i * 4, entry, 4);
    m.mmu->set_user(true);
    return m.holds(m.at(i), true);
  };
  m.mmu->set_user(true);
  REQUIRE(m.access(m.at(100), true) == Outcome::kDone);  // there is a window
  m.mmu->set_user(false);
  REQUIRE(fault_and_answer(1, 0x900067));
  REQUIRE_FALSE(fault_and_answer(2, 0x900027));
  REQUIRE_FALSE(fault_and_answer(3, 0x900047));
  REQUIRE_FALSE(fault_and_answer(4, 0x900065));
  REQUIRE_FALSE(fault_and_answer(5, 0x900063));
  REQUIRE(m.pte(3) == 0x900047);
  const u64 before = m.mmu->stats().hidden_faults;
  u8 v = 0x6b;
  REQUIRE(m.access(m.at(1), true, &v) == Outcome::kDone);
  REQUIRE(m.mmu->stats().hidden_faults == before);
  REQUIRE(m.peek(0x900000, 1) == 0x6b);
}

TEST_CASE("neighbours that the guest has used come along") {
  Paged m;
  m.mmu->set_user(true);
  for (u32 i = 16; i < 32; ++i) m.touch(m.at(i), true);
  REQUIRE(m.access(m.at(20), true) == Outcome::kDone);
  for (u32 i = 16; i < 32; ++i) REQUIRE(m.holds(m.at(i), true));
  REQUIRE_FALSE(m.holds(m.at(32), false));
  REQUIRE(m.mmu->stats().hidden_faults == 1);
}

TEST_CASE("INVLPG and MOV CR3 reach the window before the guest runs on") {
  Paged m;
  m.mmu->set_user(true);
  REQUIRE(m.access(m.at(1), true) == Outcome::kDone);
  REQUIRE(m.access(m.at(2), true) == Outcome::kDone);
  m.mmu->set_user(false);
  m.poke(0x2004, 0x900007, 4);
  m.mmu->invalidate(m.at(1));
  m.mmu->set_user(true);
  REQUIRE_FALSE(m.holds(m.at(1), false));
  REQUIRE(m.holds(m.at(2), true));
  u8 v = 0x31;
  REQUIRE(m.access(m.at(1), true, &v) == Outcome::kDone);
  REQUIRE(m.peek(0x900000, 1) == 0x31);
  m.poke(0x2008, 0, 4);
  m.mmu->set_state(m.s);
  REQUIRE(m.access(m.at(2), false) == Outcome::kGuestFault);
  REQUIRE(m.holds(m.at(1), true));
}

TEST_CASE("a page that becomes code turns read-only in every window") {
  Paged m;
  const u32 page = 0xbff - 7;
  m.mmu->set_user(true);
  REQUIRE(m.access(m.at(7), true) == Outcome::kDone);
  m.mmu->set_user(false);
  m.poke(0x1000 + 0x301 * 4, 0x8001e3, 4);
  const Linear kernel(0xc0400000 + ((page - 0x800) << 12));
  REQUIRE(m.access(kernel, true) == Outcome::kDone);
  m.memory->mark_code(page, true);
  REQUIRE(m.holds(kernel, false));
  REQUIRE_FALSE(m.holds(kernel, true));
  REQUIRE(m.access(kernel, false) == Outcome::kDone);
  REQUIRE(m.access(kernel, true) == Outcome::kEmulate);
  m.mmu->set_user(true);
  REQUIRE(m.access(m.at(7), true) == Outcome::kEmulate);
  REQUIRE(m.access(m.at(7), false) == Outcome::kDone);
  m.memory->mark_code(page, false);
  REQUIRE(m.access(m.at(7), true) == Outcome::kDone);
}

TEST_CASE("watched pages leave every window and do not come back") {
  Paged m;
  const u32 pages[] = {0xc0005, page_of(Paged::at(3))};
  REQUIRE(m.access(Linear(0xc0005000), true) == Outcome::kDone);
  m.mmu->set_user(true);
  REQUIRE(m.access(m.at(3), true) == Outcome::kDone);
  m.mmu->watch(pages);
  REQUIRE(m.access(m.at(3), true) == Outcome::kEmulate);
  m.mmu->set_user(false);
  REQUIRE(m.access(Linear(0xc0006000), true) == Outcome::kDone);
  REQUIRE(m.access(Linear(0xc0005000), false) == Outcome::kEmulate);
  m.mmu->watch({});
  REQUIRE(m.access(Linear(0xc0005000), true) == Outcome::kDone);
}

TEST_CASE("hundreds of scattered address spaces never exceed the mapping budget, and all keep working") {
  Windowed m(32 << 20);
  m.mmu->set_mapping_limit(300);
  PagingState s;
  s.cr0 = kCr0Pg;
  m.mmu->set_user(true);
  u32 refused = 0;
  for (u32 round = 0; round < 300; ++round) {
    const u32 space = round % 90;
    const u32 directory = 0x200000 + space * 0x2000;
    m.poke(directory + 4, (directory + 0x1000) | 7, 4);
    for (u32 i = 0; i < 40; ++i) m.poke(directory + 0x1000 + i * 20 * 4, (0x1000 + space * 64 + i) << 12 | 7, 4);
    s.cr3 = directory;
    m.mmu->set_state(s);
    for (u32 i = 0; i < 40; ++i) {
      u8 v = static_cast<u8>(space + i);
      const Linear a(0x400000 + (i * 20 << 12));
      if (m.access(a, true, &v) == Outcome::kDone) {
        REQUIRE(m.peek((0x1000 + space * 64 + i) << 12, 1) == v);
      } else {
        ++refused;
      }
      REQUIRE(m.mmu->mappings() <= 300);
    }
  }
  REQUIRE(m.mmu->stats().window_evictions > 50);
  REQUIRE(refused < 300 * 40 / 2);
}

TEST_CASE("windows can be switched off and on again") {
  Windowed m;
  REQUIRE(m.access(Linear(0x1000), true) == Outcome::kDone);
  m.mmu->enable_windows(Mmu::Windows::kOff);
  REQUIRE(m.mmu->window() == nullptr);
  REQUIRE(m.mmu->mappings() == 0);
  m.mmu->enable_windows(Mmu::Windows::kAlways);
  REQUIRE(m.access(Linear(0x1000), true) == Outcome::kDone);
}

TEST_CASE(
    "a page that a supervisor keeps remapping is not mapped any more, its neighbours are, and it is given a new "
    "chance") {
  Paged m;
  m.s.cr4 = kCr4Pse;  // no global pages: a window of its own
  m.mmu->set_state(m.s);
  u32 done = 0;
  const auto remap_and_read = [&] {
    m.poke(0x2000, m.pte(0) ^ 0x1000, 4);
    m.mmu->invalidate(m.at(0));
    u8 value = 0;
    const u64 page = page_of(m.memory->wrap(Phys(m.pte(0) & ~u64{0xfff})));
    m.memory->base()[page << kPageBits] = static_cast<u8>(page ^ 0x33);
    if (m.access(m.at(0), false, &value) != Outcome::kDone) return;
    ++done;
    REQUIRE(value == static_cast<u8>(page ^ 0x33));
  };
  for (u32 i = 0; i < 20; ++i) remap_and_read();
  REQUIRE(done >= 3);
  REQUIRE(done <= 5);
  REQUIRE(m.access(m.at(0), false) == Outcome::kEmulate);
  REQUIRE(m.access(m.at(1), true) == Outcome::kDone);
  REQUIRE_FALSE(m.holds(m.at(0), false));
  for (u32 i = 0; i < 5000; ++i) m.mmu->fix_fault(Linear(0x300000), false);  // not present: hidden faults go by
  REQUIRE(m.access(m.at(0), false) == Outcome::kDone);
}

TEST_CASE("a program's window is earned by running and spent by hidden faults, and dearer each time") {
  Paged m;
  m.mmu->enable_windows(Mmu::Windows::kEarned);
  m.mmu->set_user(true);
  REQUIRE_FALSE(m.mmu->prefers_window());
  REQUIRE(m.access(m.at(0), false) == Outcome::kEmulate);
  u32 last = 0;
  for (u32 round = 0; round < 4; ++round) {
    u32 samples = 0;
    for (; !m.mmu->prefers_window() && samples < 10000; ++samples) m.mmu->earn_window();
    REQUIRE(samples > last);
    last = samples;
    REQUIRE(m.access(m.at(round), false) == Outcome::kDone);
    u32 faults = 0;
    for (; m.mmu->prefers_window() && faults < 100000; ++faults) m.mmu->fix_fault(Linear(0x300000), false);
    REQUIRE(faults > 50);
    REQUIRE(faults < 10000);
  }
  // Another program, even in the same place, begins anew.
  while (!m.mmu->prefers_window()) m.mmu->earn_window();
  m.s.cr3 = 0x3000;
  m.mmu->set_state(m.s);
  REQUIRE_FALSE(m.mmu->prefers_window());
  m.s.cr3 = 0x1000;
  m.mmu->set_state(m.s);
  REQUIRE(m.mmu->prefers_window());
}

TEST_CASE("windows agree with the page tables under random edits") {
  for (bool pae : {false, true}) {
    for (u32 round = 0; round < 3; ++round) {
      std::mt19937 random(99 + round);
      INFO("pae " << pae << " round " << round);
      Windowed m;
      if (round == 2) m.mmu->set_mapping_limit(48);
      RandomTables t{m, pae, random};
      t.build();
      u32 root = 0;
      bool wp = true, pge = round == 0, toggled = false;
      m.mmu->set_state(t.state(root, wp, pge));
      const auto check = [&](u32 first, u32 count, bool strict) {
        const bool was = m.mmu->user();
        for (bool user : {false, true}) {
          m.mmu->set_user(user);
          // The global window may show what MOV CR3 need not drop.
          const bool all = user || !pge || toggled || count == 1;
          for (u32 i = 0; i < count; ++i) m.check_window_entry(first + i, strict && all);
        }
        m.mmu->set_user(was);
      };
      const auto check_all = [&](bool strict) {
        for (u32 slot : {0u, 1u, 0x80u, 0x180u}) check((pae ? slot * 2 + 1 : slot) << (pae ? 9 : 10), 512, strict);
      };
      for (u32 step = 0; step < 4000; ++step) {
        const Linear a = t.address();
        const u32 what = t.pick(100);
        if (what < 40) {
          m.access(a, t.chance(50));
        } else if (what < 60) {
          m.touch(a, t.chance(50));
        } else if (what < 68) {
          m.mmu->set_user(t.chance(60));
        } else if (what < 78) {
          t.edit(root, a);
        } else if (what < 90) {
          t.edit(root, a);
          m.mmu->invalidate(a);
          check(page_of(a), 1, true);
        } else if (what < 92) {
          m.memory->mark_code(0x200 + t.pick(300), t.chance(60));
          check_all(false);
        } else {
          if (t.chance(10)) wp = !wp;
          toggled = t.chance(10) && round == 0;
          if (toggled) pge = !pge;
          if (t.chance(70)) root = t.pick(RandomTables::kRoots);
          m.mmu->set_state(t.state(root, wp, pge));
          check_all(true);
        }
        REQUIRE(m.mmu->mappings() <= (round == 2 ? 48 : 49147));
      }
      REQUIRE(m.mmu->stats().window_pages > 100);
    }
  }
}
