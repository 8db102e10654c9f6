// Supervisor pages without G that the global window shows all the same. An operating system's own pages are the same in
// all its address spaces, marked global or not (Linux leaves G out of those that it maps before it knows the
// processor), but nothing promises that. So at each MOV CR3 what they were derived from is compared with the new
// tables, a cache line of a page table at a time: most kernels have a few dozen.
#pragma once

#include "mmu/paging.h"

namespace umbra {

class LocalPages {
 public:
  // The window is about to show this page, or any of the large page that it is in. False if there is no room.
  bool add(PhysicalMemory& memory, const PagingState& state, u32 vpn, const Walk& walk);
  void clear() { count_ = 0; }
  // Calls gone(vpn, count) for pages that these tables do not give any more as they did; writable(vpn) says whether the
  // window allows stores to one.
  template <class Writable, class Gone>
  void check(PhysicalMemory& memory, const PagingState& state, Writable writable, Gone gone);

 private:
  static constexpr u32 kMost = 128;
  static constexpr u64 kAccessedDirty = pte::kAccessed | pte::kDirty;
  struct Line {
    u32 first;       // virtual page of its first entry
    u32 used;        // a bit for each entry
    u64 directory;   // the entry that leads to it
    const u64* now;  // where it lies; null for a large page
    u64 then[8];
  };
  static u64 entry(const u64* line, u32 index, bool pae) {
    return pae ? line[index] : line[index / 2] >> (32 * (index & 1)) & 0xffffffff;
  }
  static bool agrees(u64 before, u64 after, u64 needed) {
    return ((before ^ after) & ~kAccessedDirty) == 0 && (after & needed) == needed;
  }
  static u64 directory(PhysicalMemory& memory, const PagingState& state, u32 vpn);

  u32 count_ = 0;
  Line lines_[kMost];
};

template <class Writable, class Gone>
void LocalPages::check(PhysicalMemory& memory, const PagingState& state, Writable writable, Gone gone) {
  const bool pae = paging_pae(state);
  const u32 slot_bits = pae ? 9 : 10;
  u32 kept = 0, slot = ~0u;
  u64 from = 0;
  for (u32 i = 0; i < count_; ++i) {
    Line& line = lines_[i];
    if (line.first >> slot_bits != slot) {
      slot = line.first >> slot_bits;
      from = directory(memory, state, line.first);
    }
    const bool led = agrees(line.directory, from, pte::kAccessed);
    if (line.now == nullptr) {
      if (agrees(line.directory, from, pte::kAccessed | (line.directory & pte::kDirty))) {
        lines_[kept++] = line;
      } else {
        gone(line.first, 1u << slot_bits);
      }
      continue;
    }
    u64 difference = 0;
    for (u32 k = 0; led && k < 8; ++k) difference |= line.now[k] ^ line.then[k];
    for (u32 k = 0; (!led || difference != 0) && k < (pae ? 8 : 16); ++k) {
      if ((line.used >> k & 1) == 0) continue;
      const u64 before = entry(line.then, k, pae), after = led ? entry(line.now, k, pae) : 0;
      const u64 needed = pte::kAccessed | (writable(line.first + k) ? pte::kDirty : 0);
      if (agrees(before, after, needed)) continue;
      line.used &= ~(1u << k);
      gone(line.first + k, 1);
    }
    if (line.used == 0) continue;
    for (u32 k = 0; difference != 0 && k < 8; ++k) line.then[k] = line.now[k];
    lines_[kept++] = line;
  }
  count_ = kept;
}

}  // namespace umbra
