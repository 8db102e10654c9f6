// Every mode, bit, right and error code of SDM vol. 3 chapter 4, against expectations written out here a second time
// and without looking at paging.cpp's structure: one flat list of levels with their flags.
#include "mmu/paging.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

using namespace umbra;

namespace {

constexpr u32 kPg = 0x80000001, kWp = 0x10000, kPse = 0x10, kPae = 0x20, kPge = 0x80;
constexpr u64 kNxe = 0x800;
constexpr u32 kDirectory = 0x1000, kTable = 0x2000, kPointers = 0x3000;

struct World {
  std::unique_ptr<PhysicalMemory> memory;
  PagingState s;
  Phys pde_at, pte_at;
  unsigned width = 4;
  bool large = false;

  // One mapping of `address`; the flags of both entries are set by the caller.
  World(bool pae, bool big, Linear address) : large(big) {
    auto made = PhysicalMemory::create(8 << 20);
    REQUIRE(made);
    memory = std::move(*made);
    memory->map_ram(Phys(0), 8 << 20, 0, true);
    s.cr0 = kPg;
    if (pae) {
      width = 8;
      s.cr4 = kPae;
      s.cr3 = kPointers;
      memory->store(Phys(kPointers + (address.value >> 30) * 8), kDirectory | 1, 8);
      REQUIRE(load_pdptes(*memory, s));
      pde_at = Phys(kDirectory + (address.value >> 21 & 511) * 8);
      pte_at = Phys(kTable + (address.value >> 12 & 511) * 8);
    } else {
      s.cr4 = big ? kPse : 0;
      s.cr3 = kDirectory;
      pde_at = Phys(kDirectory + (address.value >> 22) * 4);
      pte_at = Phys(kTable + (address.value >> 12 & 1023) * 4);
    }
  }
  void pde(u64 v) { memory->store(pde_at, v, width); }
  void pte(u64 v) { memory->store(pte_at, v, width); }
  u64 pde() { return memory->load(pde_at, width); }
  u64 pte() { return memory->load(pte_at, width); }
  Walk go(Linear a, Access access, bool user) { return walk(*memory, s, a, access, user); }
};

const Linear kWhere(0xc0503abc);

}  // namespace

TEST_CASE("with paging off every address is itself and allowed") {
  World w(false, false, kWhere);
  w.s.cr0 = 1;
  for (Access access : {Access::kRead, Access::kWrite, Access::kExecute}) {
    const Walk r = w.go(kWhere, access, true);
    REQUIRE((r.ok && r.address == Phys(kWhere.value) && r.user && r.writable && r.dirty && r.levels == 0));
  }
}

TEST_CASE("rights, error codes and A and D for every combination of flags, mode, access and privilege") {
  int cases = 0;
  for (bool pae : {false, true}) {
    for (bool large : {false, true}) {
      World w(pae, large, kWhere);
      for (u32 bits = 0; bits < 1u << 12; ++bits) {
        const auto pick = [&](int n) { return (bits >> n & 1) != 0; };
        const bool pde_p = pick(0), pde_w = pick(1), pde_u = pick(2), pte_p = pick(3), pte_w = pick(4), pte_u = pick(5);
        const bool nx = pick(6), nxe = pick(7), wp = pick(8), user = pick(9);
        const Access access = pick(10) ? Access::kWrite : pick(11) ? Access::kExecute : Access::kRead;
        if ((pick(10) && pick(11)) || (nx && !pae)) continue;
        ++cases;
        w.s.cr0 = kPg | (wp ? kWp : 0);
        w.s.efer = nxe ? kNxe : 0;
        const u64 nx_bit = nx ? u64{1} << 63 : 0;
        const u64 pde = pde_p | pde_w << 1 | pde_u << 2 | (large ? 0x80 | 0x400000 | nx_bit : kTable);
        const u64 pte = pte_p | pte_w << 1 | pte_u << 2 | 0x5000 | nx_bit;
        w.pde(pde);
        w.pte(pte);

        const bool present = pde_p && (large || pte_p);
        const bool reserved = present && nx && !nxe;
        const bool fetch_bit = access == Access::kExecute && nxe && pae;
        const bool all_w = pde_w && (large || pte_w), all_u = pde_u && (large || pte_u);
        bool allowed = present && !reserved;
        if (user && !all_u) allowed = false;
        if (access == Access::kWrite && !all_w && (user || wp)) allowed = false;
        if (access == Access::kExecute && nx && nxe) allowed = false;

        const Walk r = w.go(kWhere, access, user);
        INFO("pae " << pae << " large " << large << " bits " << bits);
        REQUIRE(r.ok == allowed);
        if (allowed) {
          const u32 physical = large ? 0x400000 + (kWhere.value & (pae ? 0x1fffff : 0x3fffff)) : 0x5abc;
          REQUIRE(r.address == Phys(physical));
          REQUIRE(r.user == all_u);
          REQUIRE(r.writable == all_w);
          REQUIRE(r.executable == !(nx && nxe));
          REQUIRE(r.dirty == (access == Access::kWrite));
          REQUIRE(r.page_bits == (large ? (pae ? 21 : 22) : 12));
          const u64 dirty = access == Access::kWrite ? 0x40 : 0;
          REQUIRE(w.pde() == (pde | 0x20 | (large ? dirty : 0)));
          REQUIRE(w.pte() == (large ? pte : pte | 0x20 | dirty));
        } else {
          const u32 code = (present ? 1 : 0) | (access == Access::kWrite ? 2 : 0) | (user ? 4 : 0) |
                           (reserved ? 8 : 0) | (fetch_bit ? 16 : 0);
          REQUIRE(r.error_code == code);
          REQUIRE(w.pde() == pde);
          REQUIRE(w.pte() == pte);
        }
      }
    }
  }
  REQUIRE(cases > 7000);
}

TEST_CASE("A and D that are set stay, and D is reported") {
  World w(false, false, kWhere);
  w.pde(kTable | 0x27);
  w.pte(0x5000 | 0x67);
  REQUIRE(w.go(kWhere, Access::kRead, true).dirty);
  REQUIRE(w.pte() == (0x5000 | 0x67));
  REQUIRE(w.pde() == (kTable | 0x27));
}

TEST_CASE("reserved bits fault with RSVD in each format, and only there") {
  struct Row {
    const char* name;
    bool pae, large, in_pde;
    u64 bit;
    u8 phys_bits;
    bool faults;
  };
  const Row rows[] = {
      {"PSE-36: bit 13 is address bit 32", false, true, true, 1 << 13, 36, false},
      {"PSE-36: bit 16 is address bit 35", false, true, true, 1 << 16, 36, false},
      {"PSE-36: bit 17 is beyond 36 bits", false, true, true, 1 << 17, 36, true},
      {"PSE-36: bit 21", false, true, true, 1 << 21, 36, true},
      {"PSE: bit 12 is PAT", false, true, true, 1 << 12, 36, false},
      {"PSE without PSE-36: bit 13", false, true, true, 1 << 13, 32, true},
      {"PSE without PSE-36: bit 21", false, true, true, 1 << 21, 32, true},
      {"2-level: PDE bit 9 is ignored", false, false, true, 1 << 9, 36, false},
      {"2-level: PDE bit 8 is ignored", false, false, true, 1 << 8, 36, false},
      {"2-level: PTE bit 7 is PAT", false, false, false, 1 << 7, 36, false},
      {"PAE: PDE bit 36", true, false, true, u64{1} << 36, 36, true},
      {"PAE: PDE bit 51", true, false, true, u64{1} << 51, 36, true},
      {"PAE: PDE bit 62", true, false, true, u64{1} << 62, 36, true},
      {"PAE: PTE bit 36", true, false, false, u64{1} << 36, 36, true},
      {"PAE: PTE bit 62", true, false, false, u64{1} << 62, 36, true},
      {"PAE: PTE bit 63 without NXE", true, false, false, u64{1} << 63, 36, true},
      {"PAE: PTE bit 33", true, false, false, u64{1} << 33, 36, false},
      {"PAE: PTE bit 33 with 32 bits", true, false, false, u64{1} << 33, 32, true},
      {"PAE 2 MiB: bit 12 is PAT", true, true, true, 1 << 12, 36, false},
      {"PAE 2 MiB: bit 13", true, true, true, 1 << 13, 36, true},
      {"PAE 2 MiB: bit 20", true, true, true, 1 << 20, 36, true},
      {"PAE 2 MiB: bit 40", true, true, true, u64{1} << 40, 36, true},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    World w(row.pae, row.large, kWhere);
    w.s.phys_bits = row.phys_bits;
    w.pde((row.large ? 0x400000 | 0x80 : kTable) | 7 | (row.in_pde ? row.bit : 0));
    w.pte(0x5000 | 7 | (row.in_pde ? 0 : row.bit));
    const Walk r = w.go(kWhere, Access::kWrite, true);
    REQUIRE(r.ok == !row.faults);
    if (row.faults) REQUIRE(r.error_code == (pf::kPresent | pf::kReserved | pf::kWrite | pf::kUser));
    // Not present hides reserved bits.
    w.pde(w.pde() & ~u64{1});
    REQUIRE(w.go(kWhere, Access::kRead, false).error_code == 0);
  }
}

TEST_CASE("PSE-36 and PAE reach above 4 GiB, where there is nothing") {
  World w(false, true, kWhere);
  w.pde(0x400000 | 0x87 | 1 << 13);
  REQUIRE(w.go(kWhere, Access::kRead, true).address == Phys(0x100400000 + (kWhere.value & 0x3fffff)));
  World p(true, false, kWhere);
  p.pde(kTable | 7);
  p.pte(u64{0xf} << 32 | 0x5007);
  const Walk r = p.go(kWhere, Access::kWrite, true);
  REQUIRE((r.ok && r.address == Phys(0xf00005abc)));
  REQUIRE(p.memory->host(r.address) == nullptr);
}

TEST_CASE("PS means a large page only where CR4 says so") {
  World w(false, false, kWhere);  // CR4.PSE clear: PS is ignored
  w.pde(kTable | 0x87);
  w.pte(0x5007);
  REQUIRE(w.go(kWhere, Access::kRead, true).address == Phys(0x5abc));
  World p(true, true, kWhere);  // PAE does not ask CR4.PSE
  p.pde(0x400087);
  REQUIRE(p.go(kWhere, Access::kRead, true).page_bits == 21);
}

TEST_CASE("global counts only with CR4.PGE and only in the leaf") {
  World w(false, false, kWhere);
  w.pde(kTable | 0x107);
  w.pte(0x5007);
  w.s.cr4 = kPge;
  REQUIRE_FALSE(w.go(kWhere, Access::kRead, true).global);
  w.pte(0x5107);
  REQUIRE(w.go(kWhere, Access::kRead, true).global);
  w.s.cr4 = 0;
  REQUIRE_FALSE(w.go(kWhere, Access::kRead, true).global);
}

TEST_CASE("PDPTEs are loaded with CR3 and not by walks") {
  World w(true, false, kWhere);
  w.pde(kTable | 7);
  w.pte(0x5007);
  w.memory->store(Phys(kPointers + 3 * 8), 0, 8);
  REQUIRE(w.go(kWhere, Access::kRead, true).ok);
  REQUIRE(load_pdptes(*w.memory, w.s));
  REQUIRE(w.go(kWhere, Access::kRead, true).error_code == pf::kUser);
  for (u64 bad : {u64{1} << 1, u64{1} << 2, u64{1} << 5, u64{1} << 8, u64{1} << 36, u64{1} << 63}) {
    const PagingState before = w.s;
    w.memory->store(Phys(kPointers + 8), kDirectory | 1 | bad, 8);
    REQUIRE_FALSE(load_pdptes(*w.memory, w.s));
    REQUIRE(w.s == before);
    w.memory->store(Phys(kPointers + 8), kDirectory | bad, 8);  // not present: nobody looks
    REQUIRE(load_pdptes(*w.memory, w.s));
  }
}

TEST_CASE("probe sees mappings without rights and changes nothing") {
  World w(false, false, kWhere);
  w.pde(kTable | 1);
  w.pte(0x5001);
  const Walk r = probe(*w.memory, w.s, kWhere);
  REQUIRE((r.ok && r.address == Phys(0x5abc) && !r.user && !r.writable));
  REQUIRE((w.pde() == (kTable | 1) && w.pte() == 0x5001));
  w.pte(0);
  REQUIRE_FALSE(probe(*w.memory, w.s, kWhere).ok);
}

TEST_CASE("hostile tables: in devices, ROM, holes, beyond memory, and pointing at themselves") {
  struct Registers : BusTarget {
    u32 value = 0, written = 0;
    u32 read(u32, unsigned) override { return value; }
    void write(u32, u32 v, unsigned) override { written = v; }
  } device;
  World w(false, false, kWhere);
  w.memory->map_device(Phys(0xa0000), 0x1000, device);
  w.memory->map_ram(Phys(0xf0000), 0x1000, 0x6000, false);

  w.s.cr3 = 0xfffff000;  // a hole reads as ones: everything is present and points to the last page
  Walk r = w.go(kWhere, Access::kWrite, true);
  REQUIRE((r.ok && r.address == Phys(0xfffffabc)));

  w.s.cr3 = kDirectory;
  w.pde(0xa0007);
  device.value = 0x5007;
  r = w.go(kWhere, Access::kWrite, true);
  REQUIRE((r.ok && r.address == Phys(0x5abc) && device.written == 0x5067 && !r.dirty));

  w.pde(0xf0007);
  REQUIRE(w.memory->host(Phys(0xf0000)) != nullptr);
  w.memory->base()[0x6000 + 0x103 * 4] = 7;
  r = w.go(kWhere, Access::kWrite, true);  // the bits do not stick in ROM
  REQUIRE((r.ok && r.address == Phys(0xabc) && !r.dirty));

  w.pde(kDirectory | 7);  // the directory is its own table: the leaf is the entry 0x103 of it
  w.memory->store(Phys(kDirectory + 0x103 * 4), 0x7007, 4);
  REQUIRE(w.go(kWhere, Access::kRead, true).address == Phys(0x7abc));
  const Linear self(0xc0000000 | 0x301 << 12);  // directory entry 0x300 … and again 0x301 as a table entry
  w.memory->store(Phys(kDirectory + 0x301 * 4), kDirectory | 7, 4);
  w.memory->store(Phys(kDirectory + 0x300 * 4), kDirectory | 7, 4);
  REQUIRE(w.go(self, Access::kWrite, true).address == Phys(kDirectory));
}

TEST_CASE("A20 holds for the walk as for everything else") {
  World w(false, false, kWhere);
  w.s.cr3 = 0x100000 + kDirectory;
  w.pde(0x100000 + kTable + 7);
  w.pte(0x5007);
  REQUIRE_FALSE(w.go(kWhere, Access::kRead, true).ok);
  w.memory->set_a20(false);
  REQUIRE(w.go(kWhere, Access::kRead, true).address == Phys(0x5abc));
}

TEST_CASE("setting A and D in a page that holds code is announced") {
  struct Watcher : CodeWatcher {
    int calls = 0;
    void code_written(u64 page, u32, u32 size) override { calls += page == kTable >> 12 && size == 4; }
  } watcher;
  World w(false, false, kWhere);
  w.pde(kTable | 7);
  w.pte(0x5007);
  w.memory->add_watcher(watcher);
  w.memory->mark_code(kTable >> 12, true);
  REQUIRE(w.go(kWhere, Access::kRead, true).ok);
  REQUIRE(watcher.calls == 1);
  REQUIRE(w.go(kWhere, Access::kRead, true).ok);
  REQUIRE(watcher.calls == 1);
}
