#include "mmu/shadow.h"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "tests/mmu/machine.h"

using namespace umbra;
using namespace umbra::test;

namespace {

void check_all(Machine& m) {
  const bool was = m.mmu->user();
  for (bool user : {false, true}) {
    m.mmu->set_user(user);
    for (u32 vpn = 0; vpn < kShadowEntries; ++vpn) {
      if ((m.mmu->table()->load[vpn] | m.mmu->table()->store[vpn]) != 0) m.check_entry(vpn);
    }
  }
  m.mmu->set_user(was);
}

// The whole table is a million entries: look only where the random tables map.
void check_clumps(Machine& m, bool pae) {
  const bool was = m.mmu->user();
  for (bool user : {false, true}) {
    m.mmu->set_user(user);
    for (u32 slot : {0u, 1u, 0x80u, 0x180u}) {
      const u32 first = (pae ? slot * 2 + 1 : slot) << (pae ? 9 : 10);
      for (u32 i = 0; i < 512; ++i) m.check_entry(first + i);
    }
  }
  m.mmu->set_user(was);
}

// Two identity-mapped megabytes of tables: directory at 0x1000, one table at 0x2000 for the first 4 MiB.
struct Simple : Machine {
  PagingState s;
  Simple() {
    poke(0x1000, 0x2007, 4);
    for (u32 i = 0; i < 1024; ++i) poke(0x2000 + i * 4, (i << 12) | 7, 4);
    s.cr0 = kCr0Pg | kCr0Wp;
    s.cr3 = 0x1000;
    mmu->set_state(s);
  }
  void reload() { mmu->set_state(s); }
  u64 pte(u32 vpn) { return peek(0x2000 + vpn * 4, 4); }
  void pte(u32 vpn, u32 v) { poke(0x2000 + vpn * 4, v, 4); }
};

}  // namespace

TEST_CASE("with paging off the table is the identity, filled in groups") {
  Machine m;
  REQUIRE(m.mmu->load_ptr<u32>(Linear(0x5000)) == nullptr);
  const Fill f = m.mmu->fill(Linear(0x5678), Access::kRead, false);
  REQUIRE((f.kind == Fill::Kind::kRam && f.host == m.memory->base() + 0x5678 && f.address == Phys(0x5678)));
  REQUIRE(reinterpret_cast<u8*>(m.mmu->load_ptr<u32>(Linear(0x5000))) == m.memory->base() + 0x5000);
  REQUIRE(reinterpret_cast<u8*>(m.mmu->store_ptr<u32>(Linear(0x8000))) == m.memory->base() + 0x8000);
  REQUIRE(m.mmu->load_ptr<u32>(Linear(0x5ffd)) == nullptr);  // crosses the page
  REQUIRE(m.mmu->fill(Linear(0xa0010), Access::kRead, false).kind == Fill::Kind::kDevice);
  REQUIRE(m.mmu->fill(Linear(0xfffffff0), Access::kRead, false).kind == Fill::Kind::kDevice);
  REQUIRE(m.mmu->fill(Linear(0xf0000), Access::kWrite, false).kind == Fill::Kind::kRam);
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0xf0000)) != nullptr);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0xf0000)) == nullptr);
  check_all(m);
}

TEST_CASE("A20 off makes odd megabytes the even ones, in stores and in code protection") {
  Machine m;
  m.mmu->fill(Linear(0x100000), Access::kWrite, false);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x100000)) == m.memory->base() + 0x100000);
  m.memory->set_a20(false);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x100000)) == nullptr);
  m.mmu->fill(Linear(0x100000), Access::kWrite, false);
  m.mmu->fill(Linear(0), Access::kWrite, false);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x100000)) == m.memory->base());
  m.memory->mark_code(0, true);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x100000)) == nullptr);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0)) == nullptr);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x101000)) != nullptr);
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x100000)) == m.memory->base());
}

TEST_CASE("a store entry appears with the first store that sets D, and goes when the guest clears D") {
  Simple m;
  REQUIRE(m.touch(Linear(0x5000), false));
  REQUIRE((m.pte(5) & 0x60) == 0x20);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE(m.touch(Linear(0x5000), true));
  REQUIRE((m.pte(5) & 0x60) == 0x60);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) != nullptr);
  m.pte(5, 0x5027);
  m.reload();
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE(m.touch(Linear(0x5000), true));
  m.pte(5, 0x5007);
  m.mmu->invalidate(Linear(0x5abc));
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE(m.touch(Linear(0x5000), false));
  REQUIRE((m.pte(5) & 0x20) != 0);
}

TEST_CASE("unchanged entries survive MOV CR3, changed ones do not") {
  Simple m;
  for (u32 vpn = 5; vpn < 21; ++vpn) REQUIRE(m.touch(Linear(vpn << 12), true));
  m.pte(9, 0x30007);
  m.reload();
  for (u32 vpn = 5; vpn < 21; ++vpn) REQUIRE((m.mmu->store_ptr<u8>(Linear(vpn << 12)) != nullptr) == (vpn != 9));
  PagingState other = m.s;
  m.poke(0x3000, 0x2007, 4);
  other.cr3 = 0x3000;
  m.mmu->set_state(other);
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) == nullptr);
  m.pte(7, 0);
  m.reload();
  for (u32 vpn = 5; vpn < 21; ++vpn) {
    REQUIRE((m.mmu->store_ptr<u8>(Linear(vpn << 12)) != nullptr) == (vpn != 9 && vpn != 7));
  }
  REQUIRE(m.mmu->stats().switches_new <= 3);
}

TEST_CASE("a new directory entry takes all that came from the old one with it") {
  Simple m;
  REQUIRE(m.touch(Linear(0x5000), true));
  for (u32 i = 0; i < 1024; ++i) m.poke(0x6000 + i * 4, 0x8007, 4);
  m.poke(0x1000, 0x6007, 4);
  REQUIRE(m.touch(Linear(0x6000), true));  // legal: 0x5000 may be stale still, but not beyond the next MOV CR3
  m.reload();
  const u8* now = m.mmu->load_ptr<u8>(Linear(0x5000));
  REQUIRE((now == nullptr || now == m.memory->base() + 0x8000));
  check_all(m);
}

TEST_CASE("CR0.WP decides what a supervisor may store to, and CR0.TS flushes nothing") {
  Simple m;
  m.pte(5, 0x5065);
  REQUIRE_FALSE(m.touch(Linear(0x5000), true));
  PagingState loose = m.s;
  loose.cr0 &= ~kCr0Wp;
  m.mmu->set_state(loose);
  REQUIRE(m.touch(Linear(0x5000), true));
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) != nullptr);
  m.mmu->set_user(true);
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE_FALSE(m.touch(Linear(0x5000), true));
  m.mmu->set_user(false);
  m.reload();
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE_FALSE(m.touch(Linear(0x5000), true));
  const u64 switches = m.mmu->stats().switches;
  m.s.cr0 |= 8;
  m.reload();
  REQUIRE(m.mmu->stats().switches == switches);
}

TEST_CASE("an access with the other privilege fills that one's table, with its rights") {
  Simple m;
  m.mmu->set_user(true);
  m.pte(5, 0x5003);
  REQUIRE(m.mmu->fill(Linear(0x5000), Access::kRead, false).kind == Fill::Kind::kRam);
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE(m.mmu->table_of(false)->load[5] != 0);
  REQUIRE(m.mmu->fill(Linear(0x5000), Access::kRead, true).error_code == (pf::kPresent | pf::kUser));
  REQUIRE(m.mmu->fill(Linear(0x5000), Access::kWrite, false).kind == Fill::Kind::kRam);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE(m.mmu->table_of(false)->store[5] != 0);
  check_all(m);
}

TEST_CASE("a device's page is found without a walk for as long as a TLB may keep it") {
  Simple m;
  const auto kind = [&](Access access, bool user) { return m.mmu->fill(Linear(0xa0123), access, user).kind; };
  const auto known = [&](Access access, bool user) { return m.mmu->known_device(Linear(0xa0456), access, user); };
  REQUIRE_FALSE(known(Access::kRead, false));
  REQUIRE(kind(Access::kRead, false) == Fill::Kind::kDevice);
  REQUIRE(known(Access::kRead, false) == Phys(0xa0456));
  REQUIRE((m.pte(0xa0) & 0x60) == 0x20);
  REQUIRE_FALSE(known(Access::kWrite, false));  // D has to be set first
  REQUIRE_FALSE(known(Access::kExecute, false));
  REQUIRE_FALSE(known(Access::kRead, true));
  REQUIRE(kind(Access::kWrite, false) == Fill::Kind::kDevice);
  REQUIRE((m.pte(0xa0) & 0x60) == 0x60);
  REQUIRE(known(Access::kWrite, false) == Phys(0xa0456));

  m.pte(0xa0, 0xa0003);  // not for users from now on
  m.mmu->invalidate(Linear(0xa0000));
  REQUIRE_FALSE(known(Access::kRead, false));
  REQUIRE(kind(Access::kRead, false) == Fill::Kind::kDevice);
  REQUIRE(kind(Access::kRead, true) == Fill::Kind::kFault);
  REQUIRE((m.pte(0xa0) & 0x60) == 0x20);

  m.pte(0xa0, 0xa1007);
  m.reload();
  REQUIRE(m.mmu->fill(Linear(0xa0123), Access::kRead, false).address == Phys(0xa1123));

  m.memory->map_ram(Phys(0xa1000), 0x1000, 0xa1000, true);
  REQUIRE_FALSE(known(Access::kRead, false));
  REQUIRE(kind(Access::kRead, false) == Fill::Kind::kRam);

  REQUIRE(m.mmu->fill(Linear(0xa2000), Access::kRead, false).kind == Fill::Kind::kDevice);
  PagingState other = m.s;
  other.cr3 = 0x3000;
  m.poke(0x3000, 0x4007, 4);
  m.poke(0x4000 + 0xa2 * 4, 0x5007, 4);
  m.mmu->set_state(other);
  REQUIRE(m.mmu->fill(Linear(0xa2000), Access::kRead, false).address == Phys(0x5000));
}

TEST_CASE("a page that becomes code loses its store entries in every space and at both privileges") {
  Simple m;
  PagingState other = m.s;
  m.poke(0x3000, 0x2007, 4);
  m.poke(0x3004, 0x87, 4);  // and once more through a large page
  other.cr3 = 0x3000;
  other.cr4 = kCr4Pse;
  for (const PagingState& s : {m.s, other}) {
    m.mmu->set_state(s);
    for (bool user : {false, true}) {
      m.mmu->set_user(user);
      REQUIRE(m.touch(Linear(0x5000), true));
      REQUIRE(m.touch(Linear(0x6000), true));
    }
  }
  REQUIRE(m.touch(Linear(0x405000), true));
  REQUIRE(m.touch(Linear(0x406000), true));
  m.memory->mark_code(5, true);
  for (const PagingState& s : {m.s, other}) {
    m.mmu->set_state(s);
    for (bool user : {false, true}) {
      m.mmu->set_user(user);
      REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) != nullptr);
      REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) == nullptr);
      REQUIRE(m.mmu->store_ptr<u8>(Linear(0x6000)) != nullptr);
    }
  }
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x405000)) == nullptr);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x406000)) != nullptr);
  m.memory->mark_code(5, false);
  REQUIRE(m.touch(Linear(0x5000), true));
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) != nullptr);
}

TEST_CASE("epochs tell what may have moved") {
  struct Watcher : InvalidationWatcher {
    std::vector<Linear> seen;
    void page_invalidated(Linear a) override { seen.push_back(a); }
  } watcher;
  Simple m;
  m.mmu->add_watcher(watcher);
  const auto epochs = [&] { return std::vector<u64>{m.mmu->epoch(), m.mmu->switch_epoch(), m.mmu->global_epoch()}; };
  auto before = epochs();
  const auto moved = [&] {
    const auto now = epochs();
    const std::string text{now[0] != before[0] ? 'e' : '-', now[1] != before[1] ? 's' : '-',
                           now[2] != before[2] ? 'g' : '-'};
    before = now;
    return text;
  };
  m.reload();
  REQUIRE(moved() == "es-");
  m.mmu->invalidate(Linear(0x5000));
  REQUIRE(moved() == "e--");
  REQUIRE(watcher.seen == std::vector<Linear>{Linear(0x5000)});
  m.s.cr4 |= kCr4Pge;
  m.reload();
  REQUIRE(moved() == "esg");
  m.s.cr0 &= ~kCr0Wp;
  m.reload();
  REQUIRE(moved() == "esg");
  m.s.cr0 |= 8;
  m.reload();
  m.mmu->set_user(true);
  REQUIRE(moved() == "---");
  m.memory->set_a20(false);
  REQUIRE(moved() == "e-g");
  m.mmu->remove_watcher(watcher);
}

TEST_CASE("INVLPG of a large page drops all of it") {
  Simple m;
  m.s.cr4 = kCr4Pse;
  m.poke(0x1004, 0x4000e7, 4);
  m.reload();
  REQUIRE(m.touch(Linear(0x400000), true));
  REQUIRE(m.touch(Linear(0x7ff000), true));
  m.poke(0x1004, 0x8000e7, 4);
  m.mmu->invalidate(Linear(0x400000));
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x7ff000)) == nullptr);
  REQUIRE(m.touch(Linear(0x7ff000), false));
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x7ff000)) == m.memory->base() + 0xbff000);
}

TEST_CASE("a changed layout leaves nothing behind") {
  Simple m;
  REQUIRE(m.touch(Linear(0x5000), true));
  m.memory->map_ram(Phys(0x5000), 0x1000, 0x9000, false);
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) == nullptr);
  REQUIRE(m.touch(Linear(0x5000), true));
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) == m.memory->base() + 0x9000);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x5000)) == nullptr);
}

TEST_CASE("a thousand address spaces stay inside the budget and every page keeps working") {
  Machine m(32 << 20);
  PagingState s;
  s.cr0 = kCr0Pg;
  u64 most = 0;
  for (u32 space = 0; space < 1000; ++space) {
    const u32 directory = 0x200000 + space * 0x5000;
    for (u32 slot = 0; slot < 4; ++slot) {
      m.poke(directory + slot * 0x280, (directory + 0x1000 + slot * 0x1000) | 7, 4);
      for (u32 i = 0; i < 1024; i += 16) m.poke(directory + 0x1000 + slot * 0x1000 + i * 4, (space << 12) | 7, 4);
    }
    s.cr3 = directory;
    m.mmu->set_state(s);
    for (u32 slot = 0; slot < 4; ++slot) {
      for (u32 i = 0; i < 1024; i += 16) {
        const Linear a((slot * 0xa0 << 22) | i << 12);
        REQUIRE(m.touch(a, true));
        if (const u8* p = m.mmu->load_ptr<u8>(a)) REQUIRE(p == m.memory->base() + (space << 12));
      }
    }
    most = std::max(most, m.mmu->stats().bytes);
  }
  REQUIRE(most <= (8 << 20) + (64 << 10));
  REQUIRE(m.mmu->stats().evictions > 100);
}

TEST_CASE("one page mapped at thousands of places is protected everywhere, and costs no more than its due") {
  Simple m;
  for (u32 slot = 1; slot < 16; ++slot) m.poke(0x1000 + slot * 4, 0x2007, 4);
  for (u32 i = 0; i < 1024; ++i) m.pte(i, 0x300067);
  m.reload();
  u32 direct = 0;
  for (u32 vpn = 1024; vpn < 16 * 1024; ++vpn) {
    REQUIRE(m.touch(Linear(vpn << 12), true));
    direct += m.mmu->store_ptr<u8>(Linear(vpn << 12)) != nullptr;
  }
  REQUIRE(direct == StoreMap::kMost);
  m.memory->mark_code(0x300, true);
  for (u32 vpn = 1024; vpn < 16 * 1024; ++vpn) REQUIRE(m.mmu->store_ptr<u8>(Linear(vpn << 12)) == nullptr);
  m.memory->mark_code(0x300, false);
  m.touch(Linear(0x400000), true);
  REQUIRE(m.mmu->store_ptr<u8>(Linear(0x400000)) != nullptr);
}

TEST_CASE("tables that are not memory are walked every time") {
  Simple m;
  m.poke(0x1000, 0xa0007, 4);
  m.mmu->invalidate(Linear(0));
  REQUIRE_FALSE(m.touch(Linear(0x5000), false));
  m.poke(0x1000, 0xf0007, 4);  // ROM is memory: it can change only with the layout
  m.memory->base()[0xf0000 + 5 * 4] = 7;
  REQUIRE(m.touch(Linear(0x5000), false));
  REQUIRE(m.mmu->load_ptr<u8>(Linear(0x5000)) == m.memory->base());
}

TEST_CASE("a code version lasts as long as nothing that code was found by has changed") {
  Simple m;
  const auto watch = [&](u32 a) {
    const Walk w = walk(*m.memory, m.mmu->state(), Linear(a), Access::kExecute, false);
    REQUIRE(w.ok);
    REQUIRE(m.mmu->watch_code(Linear(a), w));
  };
  watch(0x5000);
  const u64 first = m.mmu->code_version();
  m.touch(Linear(0x6000), true);
  m.poke(0x2000 + 6 * 4, 0, 4);  // a neighbour
  m.mmu->invalidate(Linear(0x6000));
  m.reload();
  REQUIRE(m.mmu->code_version() == first);
  m.poke(0x2000 + 5 * 4, 0x7027, 4);
  REQUIRE(m.mmu->code_version() == first);
  m.mmu->invalidate(Linear(0x5000));
  REQUIRE(m.mmu->code_version() != first);
  watch(0x5000);
  const u64 second = m.mmu->code_version();
  m.reload();
  REQUIRE(m.mmu->code_version() == second);
  m.poke(0x1000, m.peek(0x1000, 4) & ~u64{2}, 4);
  m.reload();
  REQUIRE(m.mmu->code_version() != second);
  const u64 third = m.mmu->code_version();
  m.s.cr3 = 0x3000;
  m.reload();
  REQUIRE(m.mmu->code_version() != third);
  m.s.cr3 = 0x1000;
  m.reload();
  REQUIRE(m.mmu->code_version() == third);
}

// The reference is the walk itself: whatever the guest did to its tables, after MOV CR3 no entry, and after INVLPG no
// entry of that page, may differ from what a walk gives now, in rights, A, D or frame.
TEST_CASE("kept spaces agree with the page tables under random edits") {
  const u32 seed = 20240607;
  for (bool pae : {false, true}) {
    for (u32 round = 0; round < 4; ++round) {
      std::mt19937 random(seed + round);
      INFO("pae " << pae << " round " << round);
      Machine m;
      RandomTables t{m, pae, random};
      t.build();
      u32 root = 0;
      bool wp = true, pge = true;
      m.mmu->set_state(t.state(root, wp, pge));
      u32 code_page = 0x200;
      struct Watched {
        Walk walk;
        u64 version;
      };
      std::map<u32, Watched> watched;
      const auto check_watched = [&](u32 vpn) {
        const auto found = watched.find(vpn);
        if (found == watched.end() || found->second.version != m.mmu->code_version()) return;
        const Walk now = probe(*m.memory, m.mmu->state(), Linear(vpn << kPageBits));
        REQUIRE(now.ok);
        REQUIRE(page_of(now.address) == page_of(found->second.walk.address));
        REQUIRE(now.executable);
        REQUIRE(now.user == found->second.walk.user);
      };
      for (u32 step = 0; step < 12000; ++step) {
        const Linear a = t.address();
        const u32 what = t.pick(100);
        if (what < 60) {
          m.touch(a, t.chance(50));
          const Walk w = walk(*m.memory, m.mmu->state(), a, Access::kExecute, m.mmu->user());
          if (w.ok && m.mmu->watch_code(a, w)) watched[page_of(a)] = {w, m.mmu->code_version()};
        } else if (what < 70) {
          m.mmu->set_user(t.chance(60));
        } else if (what < 80) {
          t.edit(root, a);
        } else if (what < 90) {
          t.edit(root, a);
          m.mmu->invalidate(a);
          check_watched(page_of(a));
          const bool was = m.mmu->user();
          for (bool user : {false, true}) {
            m.mmu->set_user(user);
            m.check_entry(page_of(a));
          }
          m.mmu->set_user(was);
        } else if (what < 92) {
          m.memory->mark_code(code_page, t.chance(40));
          code_page = 0x200 + t.pick(300);
          m.memory->mark_code(code_page, true);
        } else if (what < 93) {
          wp = t.chance(70);
          pge = t.chance(50);
          m.mmu->set_state(t.state(root, wp, pge));
          check_clumps(m, pae);
        } else if (what < 94 && pae) {
          m.poke(t.root(root) + t.pick(4) * 8, (RandomTables::kRootBase + t.pick(8) * 0x1000) | 1, 8);
        } else {
          if (t.chance(70)) root = t.pick(RandomTables::kRoots);
          m.mmu->set_state(t.state(root, wp, pge));
          check_clumps(m, pae);
          for (const auto& [vpn, w] : watched) check_watched(vpn);
        }
      }
      REQUIRE(m.mmu->stats().entries_changed > 50);
      REQUIRE(m.mmu->stats().switches_new <= 11);
    }
  }
}
