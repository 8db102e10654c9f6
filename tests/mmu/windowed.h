// A guest whose memory is reached through windows.
#pragma once

#include <catch2/catch.hpp>
#include <csetjmp>
#include <csignal>

#include "tests/mmu/machine.h"

namespace umbra::test {

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

}  // namespace umbra::test
