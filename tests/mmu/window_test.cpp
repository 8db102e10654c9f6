#include "mmu/window.h"

#include <sys/stat.h>
#include <catch2/catch.hpp>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <vector>

#include "tests/mmu/machine.h"

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

// A guest that runs in a window: a real access, a real SIGSEGV, the fix, and the access again.
struct Windowed : Machine {
  enum class Outcome { kDone, kGuestFault, kEmulate };
  explicit Windowed(u64 ram = kRam) : Machine(ram) { mmu->enable_windows(Mmu::Windows::kAlways); }

  static inline Windowed* running;
  static inline sigjmp_buf out;
  static inline WindowFix last;
  static inline bool writing;
  static inline Linear at;
  static void handler(int, siginfo_t* info, void*) {
    const u64 offset = reinterpret_cast<u64>(info->si_addr) - reinterpret_cast<u64>(running->mmu->window());
    if (offset >> 32 != 0) std::abort();
    last = running->mmu->fix_fault(Linear(static_cast<u32>(offset)), writing);
    siglongjmp(out, 1);  // the base may have changed
  }

  Outcome access(Linear a, bool write, u8* value = nullptr) {
    struct sigaction mine {
    }, old{};
    mine.sa_sigaction = handler;
    mine.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &mine, &old);
    running = this;
    writing = write;
    last = {WindowFix::Kind::kMapped};
    volatile int tries = 0;
    sigsetjmp(out, 1);
    Outcome outcome = Outcome::kDone;
    if (last.kind == WindowFix::Kind::kMapped) {
      tries = tries + 1;
      if (tries > 3) std::abort();
      volatile u8* p = mmu->window() + a.value;
      if (write) {
        *p = value != nullptr ? *value : u8{0x5a};
      } else {
        const u8 seen = *p;
        if (value != nullptr) *value = seen;
      }
    } else {
      outcome = last.kind == WindowFix::Kind::kGuestFault ? Outcome::kGuestFault : Outcome::kEmulate;
    }
    sigaction(SIGSEGV, &old, nullptr);
    return outcome;
  }
  bool holds(Linear a, bool write) {
    return mmu->current_window() != nullptr && mmu->current_window()->holds(page_of(a), write);
  }
  // What a window shows must be right to show, by the same rules as for table entries.
  void check_window_entry(u32 vpn, bool strict) {
    const Window* w = mmu->current_window();
    if (w == nullptr || !w->holds(vpn, false)) return;
    INFO("page " << std::hex << vpn << " user " << mmu->user());
    REQUIRE_FALSE(w->pending());
    if (w->holds(vpn, true)) {
      const Phys code((w->file_page(vpn)) << kPageBits);  // RAM lies at its file offset in these tests
      REQUIRE_FALSE(memory->has_code(page_of(code)));
    }
    if (!strict) return;
    const Walk truth = probe(*memory, mmu->state(), Linear(vpn << kPageBits));
    REQUIRE(truth.ok);
    REQUIRE(memory->file_offset(memory->wrap(truth.address)) >> kPageBits == w->file_page(vpn));
    if (mmu->user()) REQUIRE(truth.user);
    if (!w->holds(vpn, true)) return;
    REQUIRE(truth.dirty);
    if (mmu->user() || write_protect(mmu->state())) REQUIRE(truth.writable);
  }
};
using Outcome = Windowed::Outcome;

// Paging on: 0x400000 and up through one table, mapped to 0x800000 in reverse order; 0xc0000000 a large global page.
struct Paged : Windowed {
  PagingState s;
  u32 flags = 7;
  Paged() {
    poke(0x1000 + 4, 0x2007, 4);
    poke(0x1000 + 0x300 * 4, 0x183, 4);
    for (u32 i = 0; i < 1024; ++i) poke(0x2000 + i * 4, (0xbff - i) << 12 | flags, 4);
    s.cr0 = kCr0Pg | kCr0Wp;
    s.cr3 = 0x1000;
    s.cr4 = kCr4Pse | kCr4Pge;
    mmu->set_state(s);
  }
  static Linear at(u32 i) { return Linear(0x400000 + (i << 12)); }
  u64 pte(u32 i) { return peek(0x2000 + i * 4, 4); }
};

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
