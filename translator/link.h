// Where an EIP leads. A DispatchTable is what makes the answer unique: mode, code segment, and for user code the
// address space. Its flat table has one u32 for every EIP, an offset from the code base; zero leads to the miss stub,
// which lies there. The table is reserved, not filled: only the pages of it that cover executed code are resident.
//
// An entry promises that its linear page still maps the physical page it was translated from. Each code page
// remembers the page-table entries that made it so, and is compared when the guest may have changed them (MOV CR3,
// INVLPG, paging bits): two loads a page, far less than write-traces on page tables would cost.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "cpu/cpu.h"
#include "translator/block.h"

namespace umbra {

struct DispatchKey {
  u32 mode = 0;
  u32 cs_base = 0;
  u32 cs_limit = 0;
  u32 cr3 = 0;  // user code with paging; supervisor code is shared by all address spaces
  bool operator==(const DispatchKey&) const = default;
};
DispatchKey dispatch_key(const Cpu& cpu, Mode mode);

class DispatchTable {
 public:
  DispatchTable(const DispatchKey& key, CodeSize size);
  ~DispatchTable();
  DispatchTable(const DispatchTable&) = delete;
  DispatchTable& operator=(const DispatchTable&) = delete;

  const DispatchKey& key() const { return key_; }
  const u32* table() const { return table_; }
  // `linear` is where the code lies, `walk` how it was reached just now.
  void set(u32 eip, u32 offset, Linear linear, const Walk& walk);
  void clear(u32 eip, u32 offset) {
    if (table_[eip & mask_] == offset) table_[eip & mask_] = 0;
  }
  void clear_all();
  // Drops the entries of code pages that map elsewhere now; global pages are looked at only if `globals`, since MOV CR3
  // leaves them alone. Returns how many pages went.
  u32 validate(PhysicalMemory& memory, const PagingState& state, bool globals);
  std::size_t resident_bytes() const;

 private:
  friend class DispatchTables;
  struct CodePage {
    u32 page = 0;   // linear
    u8 levels = 0;  // entries of the guest's tables on the way: 0 with paging off
    bool global = false;
    u64 trail[2] = {};  // those entries
    Phys leaf;          // where the last one lies, if there are two
    std::vector<u32> eips;
  };
  static bool still_maps(PhysicalMemory& memory, const PagingState& state, const CodePage& code);

  DispatchKey key_;
  u64 last_used_ = 0;
  u64 validated_ = 0;  // epoch
  u32* table_;
  std::size_t bytes_;
  u32 mask_;
  std::vector<CodePage> pages_;
  std::unordered_map<u32, u32> index_;  // linear page to pages_
};

class DispatchTables {
 public:
  DispatchTable& find(const DispatchKey& key, CodeSize size);
  void clear_all();
  void clear(u32 eip, u32 offset) {  // a block died
    for (auto& [key, space] : spaces_) space->clear(eip, offset);
  }
  // The guest may have changed mappings: every space is checked before it is used again.
  void mappings_changed(bool globals) {
    ++epoch_;
    if (globals) global_epoch_ = epoch_;
  }
  void validate(DispatchTable& space, PhysicalMemory& memory, const PagingState& state) {
    if (space.validated_ != epoch_) validate_slowly(space, memory, state);
  }
  u64 pages_dropped() const { return pages_dropped_; }
  std::size_t count() const { return spaces_.size(); }
  std::size_t resident_bytes() const;

 private:
  struct Hash {
    std::size_t operator()(const DispatchKey& k) const {
      u64 h = (u64{k.mode} << 32 | k.cs_base) * 0x9e3779b97f4a7c15;
      h ^= (u64{k.cr3} << 32 | k.cs_limit) * 0xc2b2ae3d27d4eb4f;
      return h ^ (h >> 29);
    }
  };
  void drop_oldest();
  void validate_slowly(DispatchTable& space, PhysicalMemory& memory, const PagingState& state);
  std::unordered_map<DispatchKey, std::unique_ptr<DispatchTable>, Hash> spaces_;
  u64 epoch_ = 1;         // counts changes of mappings
  u64 global_epoch_ = 1;  // the last one that touched global pages
  u64 clock_ = 0;
  u64 pages_dropped_ = 0;
};

}  // namespace umbra
