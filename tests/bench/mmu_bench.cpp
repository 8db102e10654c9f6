// What the shadow MMU costs, in ns per operation: the figures behind its policies. Medians of several runs.
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "mmu/shadow.h"

using namespace umbra;

namespace {

constexpr u32 kRam = 64 << 20, kSpaceTables = 0x10000;

// Address space n: directory and ten tables; `pages` 4 KiB pages, `stride` apart, at 4 MiB.
struct Bench {
  std::unique_ptr<PhysicalMemory> memory;
  std::unique_ptr<Mmu> mmu;
  Bench() {
    auto made = PhysicalMemory::create(kRam);
    if (!made) std::exit(1);
    memory = std::move(*made);
    memory->map_ram(Phys(0), kRam, 0, true);
    mmu = std::make_unique<Mmu>(*memory);
    mmu->enable_windows(Mmu::Windows::kAlways);
  }
  u32 directory(u32 n) const { return 0x100000 + n * kSpaceTables; }
  PagingState space(u32 n, u32 pages, u32 stride) {
    for (u32 i = 0; i < pages; ++i) {
      const u32 page = 1024 + i * stride, table = directory(n) + 0x1000 * (page >> 10);
      memory->store(Phys(directory(n) + (page >> 10) * 4), table | 7, 4);
      memory->store(Phys(table + (page & 1023) * 4), frame(n, i) << 12 | 0x67, 4);
    }
    PagingState s;
    s.cr0 = 0x80010001;
    s.cr3 = directory(n);
    return s;
  }
  static u32 frame(u32 n, u32 i) { return 0x1000 + (n * 1024 + i * 3) % 0x2ff0; }
  static Linear page(u32 i, u32 stride) { return Linear((1024 + i * stride) << kPageBits); }
  void touch(u32 pages, u32 stride) {
    for (u32 i = 0; i < pages; ++i) {
      if (mmu->store_ptr<u8>(page(i, stride)) == nullptr) mmu->fill(page(i, stride), Access::kWrite, mmu->user());
    }
  }
};

double now() {
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// `prepare` is not timed; `run` does `operations` of what is named.
void measure(const char* name, u32 operations, const std::function<void()>& prepare, const std::function<void()>& run) {
  std::vector<double> times;
  for (u32 i = 0; i < 9; ++i) {
    prepare();
    const double start = now();
    run();
    times.push_back((now() - start) / operations);
  }
  std::sort(times.begin(), times.end());
  std::printf("%-66s %9.1f  (%.1f–%.1f)\n", name, times[4], times.front(), times.back());
}

Bench* g_bench;
void on_fault(int, siginfo_t* info, void*) {
  const u64 offset = reinterpret_cast<u64>(info->si_addr) - reinterpret_cast<u64>(g_bench->mmu->window());
  if (offset >> 32 != 0 ||
      g_bench->mmu->fix_fault(Linear(static_cast<u32>(offset)), true).kind != WindowFix::Kind::kMapped) {
    std::abort();
  }
}

void tables(Bench& b) {
  const PagingState wide = b.space(0, 512, 17);
  b.mmu->set_state(wide);
  measure(
      "table lane: miss, walk and fill, one page (no neighbours)", 512,
      [&] {
        for (u32 i = 0; i < 512; ++i) b.mmu->invalidate(b.page(i, 17));
      },
      [&] { b.touch(512, 17); });
  const PagingState dense = b.space(1, 512, 1);
  b.mmu->set_state(dense);
  measure(
      "table lane: miss, walk and fill, neighbours in one cache line", 512,
      [&] {
        for (u32 i = 0; i < 512; ++i) b.mmu->invalidate(b.page(i, 1));
      },
      [&] { b.touch(512, 1); });
  measure(
      "INVLPG of a filled page", 512, [&] { b.touch(512, 1); },
      [&] {
        for (u32 i = 0; i < 512; ++i) b.mmu->invalidate(b.page(i, 1));
      });
}

void switches(Bench& b) {
  const auto pair = [&](const char* name, u32 pages, u32 stride) {
    const PagingState one = b.space(2, pages, stride), two = b.space(3, pages, stride);
    for (const PagingState& s : {one, two}) {
      b.mmu->set_state(s);
      b.touch(pages, stride);
    }
    measure(
        name, 2000, [] {},
        [&] {
          for (u32 i = 0; i < 1000; ++i) {
            b.mmu->set_state(one);
            b.mmu->set_state(two);
          }
        });
  };
  pair("MOV CR3 to a kept space, 16 pages touched, in one table", 16, 16);
  pair("MOV CR3 to a kept space, 16 pages touched, in eight tables", 16, 512);
  pair("MOV CR3 to a kept space, 512 pages touched", 512, 4);
  const PagingState one = b.space(8, 16, 16), two = b.space(9, 16, 16);
  u32 flip = 0;
  measure(
      "MOV CR3 to a kept space, 1 of 16 entries changed, and its refill", 2000, [] {},
      [&] {
        for (u32 i = 0; i < 1000; ++i) {
          b.memory->store(Phys(b.directory(8) + 0x1000 + 5 * 16 * 4), (0x2000 + (++flip & 15)) << 12 | 0x67, 4);
          b.mmu->set_state(one);
          b.touch(16, 16);
          b.mmu->set_state(two);
        }
      });
  measure(
      "set_user, there and back", 2000, [] {},
      [&] {
        for (u32 i = 0; i < 1000; ++i) {
          b.mmu->set_user(true);
          b.mmu->set_user(false);
        }
      });
  const PagingState many = b.space(4, 512, 2);
  measure(
      "mark_code of a page with a store entry", 512,
      [&] {
        for (u32 i = 0; i < 512; ++i) b.memory->mark_code(b.frame(4, i), false);
        b.mmu->set_state(many);
        b.touch(512, 2);
      },
      [&] {
        for (u32 i = 0; i < 512; ++i) b.memory->mark_code(b.frame(4, i), true);
      });
  for (u32 i = 0; i < 512; ++i) b.memory->mark_code(b.frame(4, i), false);
}

void windows(Bench& b) {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  b.mmu->set_user(true);
  const auto touch = [&](u32 pages, u32 stride) {
    for (u32 i = 0; i < pages; ++i) static_cast<volatile u8*>(b.mmu->window())[b.page(i, stride).value] = 1;
  };
  const auto forget = [&](u32 pages, u32 stride) {
    for (u32 i = 0; i < pages; ++i) b.mmu->invalidate(b.page(i, stride));
  };
  const PagingState wide = b.space(5, 400, 17);
  b.mmu->set_state(wide);
  // The first access makes the window, and with it GS base; generated code reloads it, this loop reads it each time.
  b.mmu->fix_fault(b.page(0, 17), true);
  measure(
      "window lane: hidden fault, one page", 400, [&] { forget(400, 17); }, [&] { touch(400, 17); });
  measure(
      "window lane: INVLPG of a mapped page", 400, [&] { touch(400, 17); }, [&] { forget(400, 17); });
  const PagingState dense = b.space(6, 512, 1);
  b.mmu->set_state(dense);
  b.mmu->fix_fault(b.page(0, 1), true);
  measure(
      "window lane: per page, scattered frames, neighbours known", 512, [&] { forget(512, 1); },
      [&] {
        b.touch(512, 1);
        touch(512, 1);
      });
  for (u32 i = 0; i < 512; ++i) b.memory->store(Phys(b.directory(6) + 0x1000 + i * 4), (0x2000 + i) << 12 | 0x67, 4);
  b.mmu->set_state(dense);
  measure(
      "window lane: per page, contiguous frames, neighbours known", 512, [&] { forget(512, 1); },
      [&] {
        b.touch(512, 1);
        touch(512, 1);
      });
  const PagingState other = b.space(7, 16, 16);
  measure(
      "MOV CR3 between spaces with windows, 512 pages mapped", 2000,
      [&] {
        b.mmu->set_state(dense);
        b.touch(512, 1);
        touch(512, 1);
      },
      [&] {
        for (u32 i = 0; i < 1000; ++i) {
          b.mmu->set_state(other);
          b.mmu->set_state(dense);
        }
      });
}

}  // namespace

int main() {
  Bench b;
  g_bench = &b;
  std::printf("%-66s %9s\n", "operation", "ns");
  tables(b);
  switches(b);
  windows(b);
  const MmuStats& s = b.mmu->stats();
  std::printf("fills %llu, lines compared %llu, hidden faults %llu, runs %llu for %llu pages, host mappings %u\n",
              static_cast<unsigned long long>(s.fills), static_cast<unsigned long long>(s.lines_compared),
              static_cast<unsigned long long>(s.hidden_faults), static_cast<unsigned long long>(s.window_runs),
              static_cast<unsigned long long>(s.window_pages), b.mmu->mappings());
}
