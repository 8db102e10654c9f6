// One address space as the MMU keeps it: two shadow tables (supervisor and user) and copies of those parts of the
// guest's page tables that their entries were derived from.
//
// A kept space is not told when the guest edits its page tables. Instead, when it is entered again (any MOV CR3 to it,
// the same value included), the copies are compared with guest memory and what was derived from a changed entry goes.
// That is stronger than the architecture asks for: after `enter` nothing at all is stale, global pages included.
// Only 64-byte lines of a table that something was derived from are compared, so a space in which sixteen pages were
// touched costs some twenty lines, not twenty tables. Setting A and D is no change worth noticing: an entry is filled
// only with A set, and a store entry only with D set.
#pragma once

#include <memory>
#include <vector>

#include "mmu/paging.h"
#include "mmu/shadow_table.h"
#include "mmu/store_map.h"
#include "mmu/window.h"

namespace umbra {

// A page of a guest page table as it was when entries were derived from it.
struct PageCopy {
  const u8* guest;  // the page itself
  u64 lines;        // the 64-byte lines in use
  u32 slot;         // of the directory: which this table serves; for a directory page, its first
  u32 place;        // in Space::copies_, or the next free one
  u8 bytes[kPageSize];
};

class CopyPool {
 public:
  CopyPool();
  ~CopyPool();
  PageCopy* take(const u8* guest, u32 slot);  // null when there is none left
  void give_back(PageCopy* copy);

 private:
  static constexpr u32 kCopies = 1u << 14;
  PageCopy* copies_;
  u32 free_ = 0;  // index + 1
  u32 used_ = 0;
};

struct MmuStats {
  u64 fills = 0;             // walks on behalf of an access that found no entry
  u64 neighbours = 0;        // entries filled with them, without a walk
  u64 faults = 0;            // walks that ended in #PF
  u64 switches = 0;          // set_state with MOV CR3 semantics…
  u64 switches_new = 0;      // … to a space that was not kept
  u64 lines_compared = 0;    // by revalidation
  u64 entries_changed = 0;   // found by it
  u64 drops = 0;             // virtual pages dropped for whatever reason
  u64 invalidations = 0;     // INVLPG
  u64 code_protections = 0;  // pages that lost their store entries
  u64 evictions = 0;         // kept spaces given up
  u64 hidden_faults = 0;     // fix_fault
  u64 window_runs = 0;       // mappings made
  u64 window_pages = 0;      // pages in them
  u64 window_refused = 0;    // hidden faults that the window lane could not serve
  u64 window_evictions = 0;  // windows emptied to stay within the mapping budget
  u64 bytes = 0;             // host memory in tables and copies, now
};

// What the spaces of one MMU share.
struct SpaceContext {
  PhysicalMemory& memory;
  StoreMap stores;
  CopyPool copies;
  MmuStats stats;
  u64 code_versions = 0;  // the last one given out
  explicit SpaceContext(PhysicalMemory& m) : memory(m), stores(m.size() >> kPageBits) {}
};

class Space {
 public:
  Space(SpaceContext& context, u32 id);
  ~Space();
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;

  ShadowTable* table(bool user) const { return tables_[user]; }
  u64 bytes() const { return bytes_; }
  // The window that mirrors a table: told of all that goes.
  void set_mirror(bool user, Window* window) { mirror_[user] = window; }
  bool large(u32 vpn) const { return slot_[slot_of(vpn)].kind == SlotKind::kLarge; }

  // Makes an empty space serve another address space.
  void assign(const PagingState& state);
  // Revalidation. The state's CR3 and modes are those of assign; the PDPTEs may differ.
  void enter(const PagingState& state);

  // Remembers where an entry for this page is about to come from; drops what was derived from other contents of the
  // same guest entry. False if the tables cannot be watched (they are not memory): then nothing may be filled.
  bool note(u32 vpn, const Walk& walk);
  // After note, for a page that code was translated from: code_version() changes whenever what the page was derived
  // from does, or is not watched any more. Equal numbers, of whatever space, mean that nothing has changed.
  void note_code(u32 vpn) { code_[vpn >> 6] |= u64{1} << (vpn & 63); }
  u64 code_version() const { return code_version_; }
  // Entering found hardly anything as it was: the page directory has been given to another program.
  bool renewed() const { return renewed_; }
  // After note. Host pages as addends; `store` zero leaves the store plane alone.
  void put(u32 vpn, bool user, u64 load, u64 store);
  // The other 4 KiB entries in the guest's cache line that the last note(vpn) was about: calls visit(vpn, pde, pte) for
  // each that has no entry at this privilege; visit returns true if it used it and note need not be called.
  template <class Visit>
  void each_neighbour(u32 vpn, bool user, const Walk& walk, Visit visit);

  void drop(u32 vpn);              // one page, both privileges
  void drop_leaf(Linear a);        // the page or large page that lies there (INVLPG)
  void drop_store_entry(u32 vpn);  // listed in the store map, from which it was already taken
  void drop_large_stores(u32 physical_page);
  void drop_all();  // also gives the memory back

 private:
  enum class SlotKind : u8 { kEmpty, kTable, kLarge };
  struct Slot {
    SlotKind kind = SlotKind::kEmpty;
    u16 place = 0;  // in copies_ or large_
  };
  struct Large {
    u32 slot, page;  // physical page of its first
  };
  static constexpr u32 kMaxSlots = 2048;

  u32 slot_of(u32 vpn) const { return vpn >> slot_shift_; }
  u32 slots() const { return kShadowEntries >> slot_shift_; }
  u32 slot_pages() const { return 1u << slot_shift_; }
  bool has_code(u32 vpn) const { return (code_[vpn >> 6] >> (vpn & 63)) & 1; }
  void code_gone() { code_version_ = ++context_.code_versions; }
  u32 user_tables() const;
  bool touched(bool user, u32 vpn) const { return (touched_[user][vpn >> 15] >> (vpn >> 9 & 63)) & 1; }
  void touch(bool user, u32 vpn);
  void drop_slot(u32 slot);
  void drop_directory(u32 index);
  void unlist(u32 vpn);
  bool agrees(const PageCopy& copy, u32 offset, u64 value) const;
  void adopt(PageCopy& copy, u32 offset, u64 value);
  u64 entry_at(const u8* bytes, u32 offset) const;
  template <class Changed>
  void compare(PageCopy& copy, Changed changed);

  SpaceContext& context_;
  const u32 id_;
  ShadowTable* tables_[2];
  Window* mirror_[2] = {};
  u64 touched_[2][32] = {};  // groups of 512 virtual pages that have entries: what has to be looked at and given back
  u64* code_;                // a bit for each page
  u64 code_version_ = 0;
  bool renewed_ = false;
  u64 bytes_ = 0;
  u32 slot_shift_ = 10;  // a slot is what one directory entry maps: 4 MiB, with PAE 2 MiB
  u32 entry_size_ = 4;
  u64 pdpte_[4] = {};
  PageCopy* directories_[4] = {};
  std::vector<PageCopy*> copies_;  // of tables
  std::vector<Large> large_;
  Slot slot_[kMaxSlots];
};

template <class Visit>
void Space::each_neighbour(u32 vpn, bool user, const Walk& walk, Visit visit) {
  if (walk.levels != 2) return;
  PageCopy& copy = *copies_[slot_[slot_of(vpn)].place];
  const u32 per_line = 64 / entry_size_;
  const u32 first_vpn = vpn & ~(per_line - 1);
  const u32 line = (page_offset(walk.at[1])) & ~63u;
  for (u32 i = 0; i < per_line; ++i) {
    const u32 offset = line + i * entry_size_;
    const u64 now = entry_at(copy.guest, offset);
    if ((now & (pte::kPresent | pte::kAccessed)) != (pte::kPresent | pte::kAccessed)) continue;
    if (now != entry_at(copy.bytes, offset)) continue;
    if (first_vpn + i == vpn || tables_[user]->load[first_vpn + i] != 0) continue;
    visit(first_vpn + i, walk.entry[0], now);
  }
}

}  // namespace umbra
