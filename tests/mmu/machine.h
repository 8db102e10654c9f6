// A small guest for the MMU tests: memory of every kind, and page tables that are edited at random.
#pragma once

#include <catch2/catch.hpp>
#include <memory>
#include <random>

#include "mmu/shadow.h"

namespace umbra::test {

inline constexpr u32 kCr0Pg = 0x80000001, kCr0Wp = 0x10000, kCr4Pse = 0x10, kCr4Pae = 0x20, kCr4Pge = 0x80;

struct Nothing : BusTarget {
  u32 read(u32, unsigned) override { return 0; }
  void write(u32, u32, unsigned) override {}
};

// 16 MiB of RAM with a device at 0xa0000 and ROM at 0xf0000.
struct Machine {
  static constexpr u32 kRam = 16 << 20;
  std::unique_ptr<PhysicalMemory> memory;
  Nothing device;
  std::unique_ptr<Mmu> mmu;

  explicit Machine(u64 ram = kRam) {
    auto made = PhysicalMemory::create(ram);
    REQUIRE(made);
    memory = std::move(*made);
    memory->map_ram(Phys(0), ram, 0, true);
    memory->map_device(Phys(0xa0000), 0x10000, device);
    memory->map_ram(Phys(0xf0000), 0x10000, 0xf0000, false);
    mmu = std::make_unique<Mmu>(*memory);
  }
  u64 peek(u64 a, unsigned size) { return memory->load(Phys(a), size); }
  void poke(u64 a, u64 v, unsigned size) { memory->store(Phys(a), v, size); }

  // One access as an engine makes it. True if it went through.
  bool touch(Linear a, bool write) {
    if ((write ? mmu->store_ptr<u8>(a) : mmu->load_ptr<u8>(a)) != nullptr) return true;
    return mmu->fill(a, write ? Access::kWrite : Access::kRead, mmu->user()).kind != Fill::Kind::kFault;
  }

  // What the architecture allows an entry to be when nothing stale may be seen. Empty is always right.
  void check_entry(u32 vpn) {
    const ShadowTable& t = *mmu->table();
    const u64 load = t.load[vpn], store = t.store[vpn];
    if (load == 0 && store == 0) return;
    const Linear a(vpn << kPageBits);
    INFO("page " << std::hex << a.value << " user " << mmu->user());
    const Walk w = probe(*memory, mmu->state(), a);
    REQUIRE(w.ok);
    const Phys p = memory->wrap(w.address);
    REQUIRE(load + a.value == reinterpret_cast<u64>(memory->host(p)));
    if (mmu->user()) REQUIRE(w.user);
    for (u32 i = 0; i < w.levels; ++i) REQUIRE((w.entry[i] & pte::kAccessed) != 0);
    if (store == 0) return;
    REQUIRE(store == load);
    REQUIRE(memory->kind(p) == PhysicalMemory::Kind::kRam);
    REQUIRE_FALSE(memory->has_code(page_of(p)));
    REQUIRE(w.dirty);
    if (mmu->user() || write_protect(mmu->state())) REQUIRE(w.writable);
  }
};

// Page tables in the first megabyte and a half of RAM: directories, tables, and mappings of a few hundred pages at
// addresses that share tables, slots and cache lines. Every write is of a plausible entry, hostile ones included.
struct RandomTables {
  static constexpr u32 kRoots = 5, kTables = 12;
  static constexpr u32 kRootBase = 0x100000, kTableBase = 0x120000, kPointerBase = 0x140000;
  Machine& m;
  bool pae;
  std::mt19937& random;
  u32 width = pae ? 8 : 4;

  u32 pick(u32 n) { return static_cast<u32>(random() % n); }
  bool chance(u32 percent) { return pick(100) < percent; }
  u32 slot_bits() const { return pae ? 21 : 22; }

  // Four slots, and in each of them 40 pages in three clumps.
  Linear address() {
    static constexpr u32 kSlots[] = {0, 1, 0x80, 0x180};
    const u32 slot = pae ? kSlots[pick(4)] * 2 + 1 : kSlots[pick(4)];
    static constexpr u32 kClumps[] = {0, 0x60, 0x1f0};
    return Linear((slot << slot_bits()) + ((kClumps[pick(3)] + pick(14)) << kPageBits) + pick(kPageSize));
  }
  u32 root(u32 i) const { return pae ? kPointerBase + i * 32 : kRootBase + i * 0x1000; }
  u64 directory_entry(u32 root, Linear a) {
    if (!pae) return this->root(root) + (a.value >> 22) * 4;
    const u64 pointer = m.mmu->state().pdpte[a.value >> 30] & ~u64{0xfff};
    return pointer + (a.value >> 21 & 511) * 8;
  }
  u64 flags() {
    u64 f = (chance(85) ? 1 : 0) | (chance(70) ? 2 : 0) | (chance(70) ? 4 : 0) | (chance(50) ? 0x20 : 0) |
            (chance(40) ? 0x40 : 0) | (chance(30) ? 0x100 : 0);
    if (pae && chance(3)) f |= u64{1} << 63;
    if (pae && chance(1)) f |= u64{1} << 45;
    return f;
  }
  u64 frame() {
    const u32 kind = pick(40);
    if (kind == 0) return 0xa0000 + pick(16) * 0x1000;          // the device
    if (kind == 1) return 0xf0000 + pick(16) * 0x1000;          // ROM
    if (kind == 2) return 0x80000000u;                          // a hole
    if (kind == 3) return kTableBase + pick(kTables) * 0x1000;  // a page table
    return 0x200000 + pick(300) * 0x1000;
  }
  u64 directory_value() {
    const u32 kind = pick(20);
    if (kind < 3) return (0x400000 * (1 + pick(2))) | 0x80 | flags();
    if (kind == 3) return (kRootBase + pick(kRoots) * 0x1000) | flags();  // a directory as a table
    if (kind == 4) return 0xa0000 | flags();                              // tables in a device
    return (kTableBase + pick(kTables) * 0x1000) | flags();
  }
  PagingState state(u32 i, bool wp, bool pge) {
    PagingState s;
    s.cr0 = kCr0Pg | (wp ? kCr0Wp : 0);
    s.cr3 = root(i);
    s.cr4 = (pae ? kCr4Pae : kCr4Pse) | (pge ? kCr4Pge : 0);
    s.efer = pae ? 0x800 : 0;
    if (pae) load_pdptes(*m.memory, s);
    return s;
  }
  void build() {
    for (u32 i = 0; i < kRoots * 4 * 512; ++i) m.poke(kRootBase + i * 8, 0, 8);
    if (pae) {
      for (u32 i = 0; i < kRoots; ++i) {
        for (u32 j = 0; j < 4; ++j) m.poke(root(i) + j * 8, (kRootBase + ((i + j) % 8) * 0x1000) | 1, 8);
      }
    }
    for (u32 i = 0; i < kTables * kPageSize / width; ++i) {
      if (chance(60)) m.poke(kTableBase + i * width, frame() | flags(), width);
    }
  }
  // One edit of the current space's tables, at the entry that serves the address.
  void edit(u32 root, Linear a) {
    const u64 pde_at = directory_entry(root, a);
    if (chance(15)) {
      m.poke(pde_at, directory_value(), width);
      return;
    }
    const u64 pde = m.peek(pde_at, width);
    if ((pde & 1) == 0) return m.poke(pde_at, directory_value(), width);
    if ((pde & 0x80) != 0) return m.poke(pde_at, pde ^ (u64{1} << (1 + pick(6))), width);
    const u64 at = (pde & 0xfffff000) + (pae ? (a.value >> 12 & 511) * 8 : (a.value >> 12 & 1023) * 4);
    if (chance(50)) return m.poke(at, m.peek(at, width) ^ (u64{1} << pick(7)), width);
    m.poke(at, frame() | flags(), width);
  }
};

}  // namespace umbra::test
