// A window: 4 GiB of host address space in which guest linear address `a` lies at base() + a, mapped page by page onto
// the memory file, so that the host's own MMU makes the check that the table lane makes in software. What is not mapped
// is PROT_NONE; touching it is a hidden fault (see Mmu::fix_fault).
//
// The host prices mappings, not pages (measured here, with two busy cores: a SIGSEGV round trip 5 µs, one mmap of one
// page 4.4 µs and 1.5 µs more when it is touched, sixteen contiguous pages 10 µs populated, dropping a page 3.6 µs,
// reserving a window 7 µs), and a process may have only 65,530 of them. Hence:
//  - A window mirrors shadow entries, never the guest's tables: everything it shows is in a table that revalidation and
//    code protection know. Mapping is by runs, contiguous in linear addresses and in the file.
//  - What must go is only noted (forget, read_only) and carried out by flush(), in runs, before generated code runs
//    again; in a window that is not in use, when it is next.
//  - state_ knows each page's mapping, so the number of host mappings is known exactly, without asking the host:
//    it is the number of boundaries between neighbours that the host cannot merge. WindowBudget sums it up.
//  - Windows are per address space and privilege, for the same reason that shadow tables are, except that supervisors
//    that use global pages (CR4.PGE) get one *global window* for all address spaces: code pages tear holes into the
//    kernel's view of memory, three mappings each, and a kernel is entered from every process. It holds only pages with
//    G set, which architecturally survive MOV CR3; it lists its writable pages in the store map itself.
//
// Nothing here allocates after construction, so it may run in a handler of a SIGSEGV that generated code raised.
#pragma once

#include <memory>

#include "mmu/phys.h"
#include "mmu/store_map.h"

namespace umbra {

struct WindowBudget {
  u32 limit;     // host mappings that all windows may use together
  u32 used = 0;  // that they use
  static u32 host_limit();
};

class Window {
 public:
  static constexpr u64 kGuard = 64 << 10;  // behind 4 GiB: the last access runs over by less than this

  // Null if the host has no room for it. `listed`: writable pages are entered in the store map under `id`.
  static std::unique_ptr<Window> create(PhysicalMemory& memory, WindowBudget& budget, StoreMap* listed, u32 id);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  u8* base() const { return base_; }
  u32 mappings() const { return mappings_; }
  // Whether the page is mapped for loads or for stores, and nothing is pending against that.
  bool holds(u32 vpn, bool write) const {
    const u32 s = state_[vpn];
    return (s & kMapped) != 0 && !all_pending_ && !doubtful_ && (s & kForget) == 0 &&
           (!write || ((s & kWritable) != 0 && (s & kReadOnly) == 0));
  }
  u64 file_page(u32 vpn) const { return (state_[vpn] & kFileMask) >> kFileShift; }

  // False if the budget, the store map or the host does not allow it; then nothing has changed.
  bool map(u32 vpn, u32 count, u32 file_page, bool writable, bool populate);

  // A page that the guest keeps remapping, as the kernel does with the few through which it reaches other memory, would
  // cost a signal and two mappings each time: an INVLPG of a page that is shown counts against it, and one that has
  // gone this way a few times is not to be mapped again until `forgive`.
  void count_invalidation(u32 vpn);
  bool is_volatile(u32 vpn) const { return (state_[vpn] & kChurn) >= kVolatile; }
  void forgive();  // halves the counts

  void forget(u32 vpn, u32 count);
  void read_only(u32 vpn);
  void forget_all() { all_pending_ = true; }
  // All of it may be wrong, most of it is not: to be revalidated before it is used again, or flush() clears it.
  void doubt() { doubtful_ = true; }
  bool doubtful() const { return doubtful_; }
  template <class Keep>
  void revalidate(Keep keep);  // forgets each page unless keep(vpn, file page, writable)
  bool pending() const { return all_pending_ || doubtful_ || pending_count_ != 0; }
  void flush();
  void clear();

 private:
  // A page's state: 0 or mapped. Pending bits do not change what the host has mapped.
  static constexpr u32 kMapped = 1, kWritable = 2, kForget = 4, kReadOnly = 8, kPendingBits = kForget | kReadOnly;
  // How often it was invalidated while mapped; kept when the page is unmapped.
  static constexpr u32 kChurnOne = 16, kChurn = 7 * kChurnOne, kVolatile = 4 * kChurnOne;
  static constexpr u32 kFileShift = 8, kFileMask = ~u32{255};
  static constexpr u32 kPages = 1u << 20, kMaxPending = 2048;

  Window(PhysicalMemory& memory, WindowBudget& budget, StoreMap* listed, u32 id, u8* base);
  static bool mergeable(u32 left, u32 right);
  u32 boundaries(u32 vpn, u32 count) const;
  bool touched(u32 vpn) const { return (regions_[vpn >> 16] >> (vpn >> 10 & 63)) & 1; }
  void note_pending(u32 vpn, u32 bit);
  void set(u32 vpn, u32 count, u32 first_state, u32 step);
  void account(u32 before, u32 after);
  void unmap(u32 vpn, u32 count);

  PhysicalMemory& memory_;
  WindowBudget& budget_;
  StoreMap* listed_;
  const u32 id_;
  u8* base_;
  u32* state_;
  u64 regions_[16] = {};  // of 1024 pages, in which state_ was ever written
  u32 mappings_ = 1;
  u32 pending_count_ = 0;
  bool all_pending_ = false;
  bool doubtful_ = false;
  u32 pending_[kMaxPending];
};

template <class Keep>
void Window::revalidate(Keep keep) {
  doubtful_ = false;
  for (u32 region = 0; region < kPages / 1024 && !all_pending_; ++region) {
    if (!touched(region * 1024)) continue;
    for (u32 v = region * 1024; v < (region + 1) * 1024; ++v) {
      const u32 s = state_[v];
      if ((s & (kMapped | kForget)) == kMapped && !keep(v, file_page(v), (s & kWritable) != 0))
        note_pending(v, kForget);
    }
  }
}

}  // namespace umbra
