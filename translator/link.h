// Where an EIP leads. A DispatchTable is what makes the answer unique: mode, code segment, and for user code the
// address space. Its flat table has one u32 for every EIP, an offset from the code base; zero leads to the miss stub,
// which lies there. The table is reserved, not filled: only the pages of it that cover executed code are resident.
//
// An entry promises that its linear page still maps the physical page it was translated from. Who keeps the promise:
//  - User code's pages are watched by the MMU (Mmu::watch_code), which compares what they were derived from on MOV CR3
//    anyway. As long as its code_version() is the one that the table was validated for, nothing has moved. When it is
//    another one, each page is walked and watched again, or goes. The accessed bit must be set as well: an entry
//    without it would run code that no walk has marked.
//  - Supervisor code is shared by all address spaces. Each page remembers the page-table entries that made it so, and
//    these are compared after MOV CR3 (pages without G only), after a change of paging modes or layout, and after an
//    INVLPG that hits one of these pages. That is two loads a page, far less than write-traces would cost.
// As the promise is the page's, a table that is asked for one entry of a page is given all that any has been asked for.
#pragma once

#include <array>
#include <bit>
#include <bitset>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cpu/cpu.h"
#include "translator/views.h"

namespace umbra {

struct DispatchKey {
  static constexpr u32 kOwn = 1u << 31;  // in `mode`: user code with paging
  u32 mode = 0;
  u32 cs_base = 0;
  u32 cs_limit = 0;
  u32 cr3 = 0;  // user code with paging; supervisor code is shared by all address spaces
  bool own() const { return (mode & kOwn) != 0; }
  bool operator==(const DispatchKey&) const = default;
};
DispatchKey dispatch_key(const Cpu& cpu, Mode mode);

class DispatchTable {
 public:
  explicit DispatchTable(CodeSize size);
  ~DispatchTable();
  DispatchTable(const DispatchTable&) = delete;
  DispatchTable& operator=(const DispatchTable&) = delete;

  CodeSize size() const { return size_; }
  const DispatchKey& key() const { return key_; }
  u64 number() const { return number_; }  // never that of another table
  const u32* table() const { return table_; }
  // A page that is read before it is written to costs the host two faults, here and in wipe().
  u32 entry(u32 eip) const { return is_resident(host_page(eip)) ? table_[eip & mask_] : 0; }
  static constexpr u32 kNoView = ~u32{0};
  u32 view(Linear linear) const {  // whose blocks have entries
    const auto found = index_.find(page_of(linear));
    return found == index_.end() ? kNoView : pages_[found->second].view;
  }
  void clear_all();
  // Another key's, empty: the memory stays, as the next program's code mostly lies where the last one's did.
  void become(const DispatchKey& key, u64 number, Views& views);
  std::size_t resident_bytes() const { return resident_ * kPageSize; }

 private:
  friend class DispatchTables;
  struct CodePage {
    u32 page = 0;   // linear
    u8 levels = 0;  // entries of the guest's tables on the way: 0 with paging off
    bool global = false;
    bool crossed = false;  // an instruction that ends in it has an entry
    u32 view = kNoView;    // whose blocks have entries
    u32 filled = 0;        // of its seats
    u64 trail[2] = {};     // those entries of the guest's tables
    Phys leaf;             // where the last one lies, if there are two
  };
  u32 host_page(u32 eip) const { return (eip & mask_) >> (kPageBits - 2); }
  bool is_resident(u32 host_page) const { return (touched_[host_page >> 6] >> (host_page & 63) & 1) != 0; }
  void touch(u32 host_page);
  void back(u32 eip);  // where a page begins
  void set(u32 eip, u32 offset);
  void fill(CodePage& page, const Views& views);
  void wipe(u32 eip);
  bool is_vacant(Mmu& mmu) const;
  bool wastes() const;
  CodePage& page(Linear linear, const Walk& walk, bool& fresh);
  // Views whose entries went are noted in `dropped`.
  void drop(std::size_t index, Views& views, std::vector<u32>& dropped);
  void drop_all(Views& views, std::vector<u32>& dropped);
  template <class Keep>
  u32 keep_pages(bool all, Views& views, std::vector<u32>& dropped, Keep keep);

  DispatchKey key_;
  u64 number_ = 0;
  u64 last_used_ = 0;
  u64 code_version_ = 0;  // own: validated for
  u64 shared_epoch_ = 0, switch_epoch_ = 0;
  u32 local_pages_ = 0;  // without G
  u32* table_;
  u64* touched_;  // behind the table, a bit for each of its host pages: those that are resident
  std::size_t resident_ = 0;
  CodeSize size_;
  std::size_t bytes_;
  u32 mask_;
  std::vector<CodePage> pages_;         // those without G first
  std::unordered_map<u32, u32> index_;  // linear page to pages_
};

class DispatchTables {
 public:
  explicit DispatchTables(Views& views) : views_(views) {}
  // The table of this key, without an entry that is not true any more.
  DispatchTable& select(const DispatchKey& key, CodeSize size, Mmu& mmu);
  // The same when it was selected lately and nothing has happened since that it must be checked for; else null.
  DispatchTable* quick(const DispatchKey& key, const Mmu& mmu) {
    DispatchTable* t = recent_[Hash()(key) % recent_.size()];
    if (t == nullptr || !(t->key() == key)) return nullptr;
    if (key.own()) {
      if (t->code_version_ != mmu.code_version()) return nullptr;
    } else {
      if (mmu.global_epoch() != global_epoch_ || t->shared_epoch_ != shared_epoch_) return nullptr;
      if (t->switch_epoch_ != mmu.switch_epoch() && t->local_pages_ != 0) return nullptr;
      t->switch_epoch_ = mmu.switch_epoch();
    }
    t->last_used_ = ++clock_;
    return current_ = t;
  }
  const DispatchTable* current() const { return current_; }
  // What a table selected with this key stays good for: until another one of these.
  struct Version {
    u64 numbers[4] = {};
    bool operator==(const Version&) const = default;
  };
  Version version(const DispatchKey& key, const Mmu& mmu) const {
    if (key.own()) return {{changes_, mmu.code_version()}};
    return {{changes_, mmu.global_epoch(), mmu.switch_epoch(), shared_epoch_}};
  }
  // Views of pages that select() found not to be what they were.
  std::vector<u32> take_dropped() { return std::exchange(dropped_, {}); }
  // For the code of a view, at `linear`, `walk` being how it was reached just now. False: nothing could vouch for it.
  bool set(DispatchTable& table, Mmu& mmu, u32 eip, u32 offset, u32 view, Linear linear, const Walk& walk);
  // The second page of an instruction that crosses: call it first.
  bool set_second(DispatchTable& table, Mmu& mmu, Linear linear, const Walk& walk);
  void clear_all();
  void page_invalidated(Linear address);
  // Anything may have happened while nobody looked.
  void all_changed();

  // Another one whenever supervisor code may have moved without a change of address space.
  u64 shared_epoch() const { return shared_epoch_; }
  u64 pages_dropped() const { return pages_dropped_; }
  std::size_t count() const { return spaces_.size(); }
  std::size_t resident_bytes() const;

 private:
  struct Hash {
    std::size_t operator()(const DispatchKey& k) const {
      u64 h = (u64{k.mode} << 32 | k.cs_base) * 0x9e3779b97f4a7c15;
      h ^= (u64{k.cr3} << 32 | k.cs_limit) * 0xc2b2ae3d27d4eb4f;
      return std::rotl(h, 8);  // the highest bits know of all the others
    }
  };
  using Spaces = std::unordered_map<DispatchKey, std::unique_ptr<DispatchTable>, Hash>;
  DispatchTable& find(const DispatchKey& key, CodeSize size, Mmu& mmu);
  DispatchTable::CodePage* vouched(DispatchTable& table, Mmu& mmu, Linear linear, const Walk& walk);
  bool crowded(std::size_t tables) const;
  Spaces::iterator oldest();
  Spaces::iterator largest_vacant(CodeSize size, Mmu& mmu);
  std::unique_ptr<DispatchTable> take(Spaces::iterator space);
  void validate_own(DispatchTable& table, Mmu& mmu);
  void validate_shared(DispatchTable& table, Mmu& mmu);

  Views& views_;
  Spaces spaces_;
  std::array<DispatchTable*, 64> recent_{};  // by hash
  DispatchTable* current_ = nullptr;
  std::bitset<1u << 20> shared_pages_;  // linear pages with supervisor code, perhaps
  std::bitset<1024> shared_large_;      // 4 MiB regions in which some came from a large page
  u64 global_epoch_ = 0;                // the MMU's, when shared_epoch_ was last right
  u64 shared_epoch_ = 1;                // counts what may have moved global pages
  u64 clock_ = 0;
  u64 changes_ = 0;  // tables that have gone or are in doubt
  u64 pages_dropped_ = 0;
  std::vector<u32> dropped_;  // their views
  u64 tables_made_ = 0;
};

}  // namespace umbra
