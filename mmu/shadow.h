// The shadow table: what a linear page is, right now, at this privilege, as a host address. Two planes of 2^20
// eight-byte entries, one for loads and one for stores; an entry is an addend, `host page - linear page`, so that a
// hit is `*(T*)(entry + linear)`; zero is a miss. A code page, a clean page (D not set), a device or a ROM has no entry
// in the store plane. Generated code finds the store plane kStorePlane bytes after the load plane.
#pragma once

#include <algorithm>
#include <bitset>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "mmu/local_pages.h"
#include "mmu/paging.h"
#include "mmu/shadow_table.h"
#include "mmu/space.h"

namespace umbra {

// What a slow access came to.
struct Fill {
  enum class Kind : u8 { kRam, kDevice, kFault } kind;
  u8* host = nullptr;  // kRam: of the byte asked for. Stores go through PhysicalMemory::store: it may be ROM or code
  Phys address;        // kRam and kDevice: A20 applied
  u32 error_code = 0;  // kFault: of the #PF
};

// Told of each INVLPG, for those who would rather not look at everything when epoch() changes. A large page that lies
// at the address goes as a whole.
class InvalidationWatcher {
 public:
  virtual ~InvalidationWatcher() = default;
  virtual void page_invalidated(Linear address) = 0;
};

// What became of a SIGSEGV that generated code raised in the current window.
struct WindowFix {
  enum class Kind : u8 {
    kMapped,      // run the instruction again, with GS base = window(), which may have changed
    kGuestFault,  // the guest's #PF with this error code
    kEmulate,     // a device, ROM, code, or a page that the window does not hold: use the table lane and its slow path
  } kind;
  u32 error_code = 0;
};

class Mmu final : public LayoutWatcher {
 public:
  explicit Mmu(PhysicalMemory& memory);
  ~Mmu() override;
  PhysicalMemory& memory() { return memory_; }

  // The processor tells every change. Tables of kept address spaces are found again by their state.
  void set_state(const PagingState& state);  // CR0, CR3, CR4, EFER changed; MOV CR3 was executed, to the same value too
  void set_user(bool user);                  // CPL is 3
  void invalidate(Linear address);           // INVLPG
  // set_user where that is a matter of pointers; otherwise false, and nothing has changed. No vector registers are
  // used.
  bool quick_user(bool user) {
    Window* window = nullptr;
    if (user && expected_.valid) return false;
    if (!user || prefers_window()) {
      window = !user && shares_kernel() ? global_window_.get() : windows_[slot_][user].get();
      if (window != nullptr && window->pending()) return false;
    }
    user_ = user;
    table_ = space_->table(user);
    window_ = window;
    window_base_ = window != nullptr ? window->base() : empty_window_;
    return true;
  }
  const PagingState& state() const { return state_; }
  ShadowTable* table_of(bool user) const { return space_->table(user); }
  ShadowTable* table() const { return table_; }  // of the current space and privilege; changes with the calls above

  // Current privilege; inside one page. Null when the entry is empty: then take the slow way.
  template <class T>
  T* load_ptr(Linear a) const {
    const u64 addend = table_->load[page_of(a)];
    return addend != 0 && page_offset(a) <= kPageSize - sizeof(T) ? reinterpret_cast<T*>(addend + a.value) : nullptr;
  }
  template <class T>
  T* store_ptr(Linear a) const {
    const u64 addend = table_->store[page_of(a)];
    return addend != 0 && page_offset(a) <= kPageSize - sizeof(T) ? reinterpret_cast<T*>(addend + a.value) : nullptr;
  }

  // These virtual pages get no entries, in any space: every access to them takes the slow way, where the processor
  // looks for data breakpoints. At most four.
  void watch(std::span<const u32> pages);

  // Walks, sets A and D, fills the entry if the page allows a direct one. `user` may differ from the current privilege:
  // implicit supervisor accesses to descriptor tables.
  Fill fill(Linear a, Access access, bool user);
  // Where fill has found that to be a device's, and would find it again.
  std::optional<Phys> known_device(Linear a, Access access, bool user) const {
    const DevicePage& d = device_pages_[access == Access::kWrite][page_of(a) % kDevicePages];
    if (d.epoch != epoch_ || d.vpn != page_of(a) || d.user != user || access == Access::kExecute) return {};
    return d.page + page_offset(a);
  }
  bool user() const { return user_; }
  // Another number whenever a linear page may have come to lie elsewhere or lost a right: another address space,
  // INVLPG, layout changes; not a change of privilege.
  u64 epoch() const { return epoch_; }
  // The parts of it. Global pages may have moved: the paging mode, CR4.PGE, CR0.WP or the layout changed …
  u64 global_epoch() const { return global_epoch_; }
  // … or all others may have as well: MOV CR3.
  u64 switch_epoch() const { return switch_epoch_; }
  // Finer, for code: unchanged means that every page given to watch_code since still lies where `walk` found it, rights
  // included, and that this is the same address space. False: the page cannot be watched.
  u64 code_version() const { return space_->code_version(); }
  bool watch_code(Linear a, const Walk& walk) {
    if (!space_->note(page_of(a), walk)) return false;
    space_->note_code(page_of(a));
    settle();
    return true;
  }
  void add_watcher(InvalidationWatcher& w) { invalidation_watchers_.push_back(&w); }
  void remove_watcher(InvalidationWatcher& w) { std::erase(invalidation_watchers_, &w); }

  void layout_changed(Phys first, u64 size) override;
  void code_marked(u64 page) override { protect_code(page); }
  // A page has become code: its store entries go, in every table. PhysicalMemory::mark_code calls it.
  void protect_code(u64 physical_page);

  // --- the window lane (lane.cpp) ----------------------------------------------------------------------------------
  // Base of the window for the current space and privilege; null if there are none on this host or they are off.
  // Changes with set_state, set_user and fix_fault. A space that has never had a hidden fault shares an empty window.
  u8* window() const { return window_base_; }
  // User code gets its window at once, or when it has earned it.
  enum class Windows : u8 { kOff, kAlways, kEarned };
  void enable_windows(Windows windows);
  // A window pays for a program that runs long, and is lost on one that forks, maps and unmaps all day or soon ends. So
  // each address space has an account: running earns, hidden faults spend, at the price they have on the host. Whoever
  // has enough reaches memory through the window until nothing is left; each time, the next try is twice as dear.
  bool prefers_window() const { return empty_window_ != nullptr && merits_[slot_].windowed; }
  // The program in the current space has been seen running for so many more milliseconds. Async-signal-safe.
  void earn_window(u32 milliseconds = 1);
  // `a` is where the host faulted, in the current window. Async-signal-safe as far as generated code goes: the thread
  // was running that and holds no lock; only the first fault in a space allocates.
  WindowFix fix_fault(Linear a, bool write);
  // Supervisor code sees one window in all address spaces.
  bool shares_kernel() const;
  const Window* current_window() const { return window_; }
  void set_mapping_limit(u32 limit) { mapping_budget_.limit = limit; }  // for tests
  u32 mappings() const { return mapping_budget_.used; }

  const MmuStats& stats() const { return context_.stats; }

 private:
  static constexpr u32 kSpaces = 64;
  static constexpr u32 kGlobalWindow = StoreMap::kSpaces - 1;  // its id in the store map
  Space* find(u64 key);
  void make_room();
  Fill walk_and_fill(Linear a, Access access, bool user);
  void install(u32 vpn, const Walk& walk, bool user);
  void install_page(u32 vpn, const Walk& walk, Phys page, bool user);
  void fill_group(u32 first, u32 count, u32 vpn, const Walk& walk, bool user);
  bool keeps_global(const PagingState& next) const;
  void map_expected();
  void select_window();
  void revalidate_global();
  void spend(u32 faults);
  void forgive();
  void settle() {
    if (window_ != nullptr && window_->pending()) window_->flush();
  }
  Window* make_window();
  bool room_for_mappings();
  bool share(u32 vpn, const Walk& walk);
  bool share_entry(u32 vpn);
  void check_locals();
  bool map_around(u32 vpn, const Walk& walk);
  bool map_run(u32 vpn);

  bool watched(u32 vpn) const {
    return std::find(watched_, watched_ + watched_count_, vpn) != watched_ + watched_count_;
  }

  // Pages of devices, which have no entries, as walks found them in the current epoch.
  struct DevicePage {
    u64 epoch = 0;
    Phys page;
    u32 vpn = 0;
    bool user = false;
  };
  static constexpr u32 kDevicePages = 32;     // as many as the VGA shows
  DevicePage device_pages_[2][kDevicePages];  // for loads, for stores

  u32 watched_[4] = {};
  u32 watched_count_ = 0;
  PhysicalMemory& memory_;
  SpaceContext context_;
  u64 budget_;  // bytes that tables and copies may use
  PagingState state_;
  bool user_ = false;
  u64 epoch_ = 1;
  u64 global_epoch_ = 1, switch_epoch_ = 1;
  std::vector<InvalidationWatcher*> invalidation_watchers_;
  ShadowTable* table_ = nullptr;
  Space* space_ = nullptr;
  u32 slot_ = 0;  // of space_
  u64 clock_ = 0;
  u64 keys_[kSpaces] = {};
  u64 last_use_[kSpaces] = {};
  std::unique_ptr<Space> spaces_[kSpaces];

  struct Merit {
    static constexpr i32 kSample = 64;          // a sample's worth in hidden faults: half of its time
    static constexpr i32 kEntry = 3 * kSample;  // to begin with
    static constexpr i32 kMost = 16 * kSample;  // put by for later
    static constexpr i32 kDearest = kEntry << 8;
    i32 credit = 0;
    i32 price = kEntry;
    bool windowed = false;
  };
  Windows windows_mode_ = Windows::kOff;
  Merit merits_[kSpaces];

  WindowBudget mapping_budget_;
  std::unique_ptr<Window> windows_[kSpaces][2];
  std::unique_ptr<Window> global_window_;
  LocalPages locals_;               // what it shows without G
  std::bitset<1024> global_large_;  // 4 MiB regions of it in which something came from a large page
  Window* window_ = nullptr;        // the current one; null while the empty one serves
  u8* window_base_ = nullptr;       // what GS base must be
  u8* empty_window_ = nullptr;      // PROT_NONE all over; null: no windows
  // The user page whose #PF was the last to come out of the window: the guest is about to try it again.
  struct {
    u32 vpn, slot;
    bool write, valid;
  } expected_ = {};
  u32 kernel_shared_ = 0,
      kernel_own_ = 0;  // hidden faults of supervisors with CR4.PGE: could all spaces share the page?
};

}  // namespace umbra
