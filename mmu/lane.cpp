// The window lane's policy: which window is current, what a hidden fault maps, who gives way when mappings run out.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "cpu/base/log.h"
#include "mmu/shadow.h"

namespace umbra {

namespace {

constexpr u64 kReservation = (u64{1} << 32) + Window::kGuard;
// From a large page or the flat space, this many pages become visible with one mapping. They are not populated: the
// host backs what the guest touches.
constexpr u32 kLargeRun = 512;
// Around a 4 KiB page: entries that the table already has in the same group are mapped with it. Each run that is not
// contiguous costs as much as its own hidden fault saves when it is touched, so the group is small.
constexpr u32 kSmallGroup = 16;
// Volatile pages are given another chance as hidden faults go by: those are the only time that matters here.
constexpr u32 kForgiveAfter = 4096;

}  // namespace

void Mmu::enable_windows(Windows windows) {
  if (windows != windows_mode_)
    std::fill(std::begin(merits_), std::end(merits_), Merit{.windowed = windows == Windows::kAlways});
  windows_mode_ = windows;
  const bool on = windows != Windows::kOff;
  if (on == (empty_window_ != nullptr)) return select_window();
  if (on) {
    void* at = sysconf(_SC_PAGESIZE) == kPageSize
                   ? mmap(nullptr, kReservation, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                   : MAP_FAILED;
    if (at == MAP_FAILED) {
      warn("this host has no room for 4 GiB windows of 4 KiB pages; guest memory is reached by shadow tables only");
      return;
    }
    empty_window_ = static_cast<u8*>(at);
  } else {
    for (u32 i = 0; i < kSpaces; ++i) {
      for (bool user : {false, true}) {
        if (spaces_[i] != nullptr) spaces_[i]->set_mirror(user, nullptr);
        windows_[i][user].reset();
      }
    }
    global_window_.reset();
    munmap(empty_window_, kReservation);
    empty_window_ = nullptr;
  }
  select_window();
}

// Supervisors with global pages see them through one window. A kernel that keeps its own pages out of G (because it
// switches CR3 on every entry) is better served by a window per space; that shows after a few hidden faults.
bool Mmu::shares_kernel() const {
  constexpr u32 kCr4Pge = 1u << 7;
  return paging_on(state_) && (state_.cr4 & kCr4Pge) != 0 && kernel_own_ <= 64 + kernel_shared_;
}

// MOV CR3 leaves global pages alone; any other change of how tables are read does not.
bool Mmu::keeps_global(const PagingState& next) const {
  constexpr u32 kModes = 0xb0;  // PSE, PAE, PGE
  return paging_on(next) && paging_on(state_) && write_protect(next) == write_protect(state_) &&
         ((next.cr4 ^ state_.cr4) & kModes) == 0 && next.efer == state_.efer && next.phys_bits == state_.phys_bits;
}

void Mmu::earn_window(u32 milliseconds) {
  Merit& m = merits_[slot_];
  m.credit = std::min(m.credit + static_cast<i32>(milliseconds) * Merit::kSample, m.price + Merit::kMost);
  if (m.credit >= m.price) m.windowed = true;
}

void Mmu::spend(u32 faults) {
  if (windows_mode_ != Windows::kEarned) return;
  Merit& m = merits_[slot_];
  m.credit -= static_cast<i32>(faults);
  if (!m.windowed || m.credit > 0) return;
  m = {.price = std::min(2 * m.price, Merit::kDearest)};
}

// A space that does without its window for now leaves it as it is; what must go from it is noted and done when it comes
// back.
void Mmu::select_window() {
  if (user_ && !prefers_window()) {
    window_ = nullptr;
    window_base_ = empty_window_;
    return;
  }
  window_ = !user_ && shares_kernel() ? global_window_.get() : windows_[slot_][user_].get();
  window_base_ = window_ != nullptr ? window_->base() : empty_window_;
  if (window_ != nullptr && window_->doubtful()) revalidate_global();
  settle();
}

// An operating system that wants global pages out of the TLB toggles CR4.PGE. Hardly any of them has changed, and to
// look is a thousand times cheaper than to fault them all in again.
void Mmu::revalidate_global() {
  global_large_.reset();
  locals_.clear();
  Walk w;
  u32 walked = ~0u;
  global_window_->revalidate([&](u32 vpn, u64 file_page, bool writable) {
    if (walked == ~0u || w.levels != 1 || (walked ^ vpn) >> (w.page_bits - kPageBits) != 0) {
      w = probe(memory_, state_, Linear(vpn << kPageBits));
      walked = vpn;
      for (u32 i = 0; i < w.levels; ++i) w.ok &= (w.entry[i] & pte::kAccessed) != 0;
      w.ok = share(vpn, w);
    }
    if (!w.ok) return false;
    if (w.levels < 2) global_large_.set(vpn >> 10);
    const u8* host = memory_.host(memory_.wrap(Phys((page_of(w.address) + vpn - walked) << kPageBits)));
    return host == memory_.base() + (file_page << kPageBits) &&
           (!writable || (w.dirty && (w.writable || !write_protect(state_))));
  });
}

Window* Mmu::make_window() {
  if (empty_window_ == nullptr || !room_for_mappings()) return nullptr;
  const bool shared = !user_ && shares_kernel();
  std::unique_ptr<Window>& window = shared ? global_window_ : windows_[slot_][user_];
  if (window == nullptr) {
    window = Window::create(memory_, mapping_budget_, shared ? &context_.stores : nullptr, kGlobalWindow);
    if (!shared) space_->set_mirror(user_, window.get());
  }
  select_window();
  return window_;
}

// Empties the coldest windows until one more run can be mapped; never the current one.
bool Mmu::room_for_mappings() {
  constexpr u32 kSlack = 8;
  while (mapping_budget_.used + kSlack > mapping_budget_.limit) {
    Window* coldest = nullptr;
    u64 when = ~u64{0};
    for (u32 i = 0; i < kSpaces; ++i) {
      for (auto& window : windows_[i]) {
        if (window == nullptr || window.get() == window_ || window->mappings() == 1 || last_use_[i] >= when) continue;
        coldest = window.get();
        when = last_use_[i];
      }
    }
    if (coldest == nullptr && global_window_.get() != window_ && global_window_ != nullptr &&
        global_window_->mappings() > 1) {
      coldest = global_window_.get();
    }
    if (coldest == nullptr) return false;
    coldest->clear();
    ++context_.stats.window_evictions;
  }
  return true;
}

// Whether the global window may show what this walk found; if so, it may from now on.
bool Mmu::share(u32 vpn, const Walk& w) {
  return w.ok && (w.global || (w.levels != 0 && !w.user && locals_.add(memory_, state_, vpn, w)));
}

// The same for a page whose entry would be mirrored, if that is what the tables say.
bool Mmu::share_entry(u32 vpn) {
  const Walk w = probe(memory_, state_, Linear(vpn << kPageBits));
  const u64 host = reinterpret_cast<u64>(memory_.host(memory_.wrap(w.address)));
  return host == table_->load[vpn] + (u64{vpn} << kPageBits) &&
         (table_->store[vpn] == 0 || (w.dirty && (w.writable || !write_protect(state_)))) && share(vpn, w);
}

// A page that comes and goes with its address space is soon a volatile one.
void Mmu::check_locals() {
  locals_.check(
      memory_, state_, [&](u32 vpn) { return global_window_->holds(vpn, true); },
      [&](u32 vpn, u32 count) {
        if (count == 1) global_window_->count_invalidation(vpn);
        global_window_->forget(vpn, count);
      });
}

// The walk is always made: it costs little beside the fault, and a table entry may be staler than what is mirrored may
// be.
WindowFix Mmu::fix_fault(Linear a, bool write) {
  ++context_.stats.hidden_faults;
  if (user_) spend(1);
  const u32 vpn = page_of(a);
  if (context_.stats.hidden_faults % kForgiveAfter == 0) forgive();
  const Walk w = walk(memory_, state_, a, write ? Access::kWrite : Access::kRead, user_);
  if (!w.ok) {
    ++context_.stats.faults;
    if (user_) expected_ = {vpn, slot_, write, true};
    return {WindowFix::Kind::kGuestFault, w.error_code};
  }
  install(vpn, w, user_);
  settle();
  if ((write ? table_->store[vpn] : table_->load[vpn]) != 0 && map_around(vpn, w)) return {WindowFix::Kind::kMapped};
  ++context_.stats.window_refused;
  return {WindowFix::Kind::kEmulate};
}

void Mmu::forgive() {
  if (global_window_ != nullptr) global_window_->forgive();
  for (auto& pair : windows_) {
    for (auto& window : pair) {
      if (window != nullptr) window->forgive();
    }
  }
}

// A guest that has handled a page fault returns to the access that raised it. Mapping the page now saves it a second
// SIGSEGV. Only if the guest itself has set A, and D for a store: that is the access's to do.
void Mmu::map_expected() {
  expected_.valid = false;
  if (window_ == nullptr || expected_.slot != slot_) return;
  const Walk w = probe(memory_, state_, Linear(expected_.vpn << kPageBits));
  if (!w.ok || !w.user || (expected_.write && (!w.writable || !w.dirty))) return;
  for (u32 i = 0; i < w.levels; ++i) {
    if ((w.entry[i] & pte::kAccessed) == 0) return;
  }
  install(expected_.vpn, w, user_);
  settle();
  if (table_->load[expected_.vpn] != 0 && map_around(expected_.vpn, w)) spend(1);
}

bool Mmu::map_around(u32 vpn, const Walk& w) {
  if (!user_ && shares_kernel()) {
    // Only the kernel's own pages tell what kind of kernel it is.
    const bool shared = share(vpn, w);
    if (shared || !w.user) ++(shared ? kernel_shared_ : kernel_own_);
    if (!shared) {
      select_window();
      return false;
    }
  }
  if (window_ == nullptr && make_window() == nullptr) return false;
  if (window_->is_volatile(vpn)) return false;
  if (window_->holds(vpn, table_->store[vpn] != 0)) return false;  // not this page's fault: do not come back for ever
  if (w.levels < 2) {
    if (window_ == global_window_.get()) global_large_.set(vpn >> 10);
    fill_group(vpn & ~(kLargeRun - 1), kLargeRun, vpn, w, user_);
    return map_run(vpn);
  }
  if (!map_run(vpn)) return false;
  const u32 first = vpn & ~(kSmallGroup - 1);
  for (u32 v = first; v < first + kSmallGroup; ++v) {
    if (table_->load[v] == 0 || window_->holds(v, table_->store[v] != 0) || window_->is_volatile(v)) continue;
    if (window_ == global_window_.get() && !share_entry(v)) continue;
    if (!map_run(v)) break;
  }
  return true;
}

// Maps the run of entries around this one that are contiguous on the host, have the same rights and are not mapped.
bool Mmu::map_run(u32 vpn) {
  const bool large = space_->large(vpn);
  const bool global = window_ == global_window_.get();
  const u64 addend = table_->load[vpn];
  const bool writable = table_->store[vpn] != 0;
  const u32 reach = large ? kLargeRun : 64;
  const u32 low = vpn & ~(reach - 1), high = low + reach;
  const auto joins = [&](u32 v) {
    return table_->load[v] == addend && (table_->store[v] != 0) == writable && !window_->holds(v, writable) &&
           !window_->is_volatile(v) && (large || !global || share_entry(v));
  };
  u32 first = vpn, end = vpn + 1;
  while (first > low && joins(first - 1)) --first;
  while (end < high && joins(end)) ++end;
  const u64 host = addend + (u64{first} << kPageBits);
  const u32 file_page = static_cast<u32>((host - reinterpret_cast<u64>(memory_.base())) >> kPageBits);
  if (!room_for_mappings() || !window_->map(first, end - first, file_page, writable, !large)) return false;
  ++context_.stats.window_runs;
  context_.stats.window_pages += end - first;
  return true;
}

}  // namespace umbra
