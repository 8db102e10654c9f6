#include "mmu/shadow.h"

#include <algorithm>

#include "cpu/base/log.h"

namespace umbra {

namespace {

// A large page or the flat space is filled in groups of this many pages.
constexpr u32 kLargeGroup = 16;

constexpr u32 kCr4Pge = 1u << 7;

// Address spaces are told apart by everything that decides what a walk gives, PDPTEs excepted: those are compared when
// the space is entered. Zero is no key.
u64 key_of(const PagingState& s) {
  constexpr u32 kCr4 = 0x30;  // PSE, PAE
  if (!paging_on(s)) return 1;
  const u32 root = paging_pae(s) ? s.cr3 & ~0x1fu : s.cr3 & ~kPageMask;
  return u64{root} << 32 | (s.cr4 & kCr4) << 8 | (s.efer >> 11 & 1) << 3 | (write_protect(s) ? 4 : 0) |
         (s.phys_bits == 32 ? 2 : 0) | 1;
}

}  // namespace

Mmu::Mmu(PhysicalMemory& memory)
    : memory_(memory),
      context_(memory),
      budget_(std::clamp<u64>(memory.size() / 16, 8 << 20, 64 << 20)),
      mapping_budget_{WindowBudget::host_limit()} {
  memory_.add_watcher(*this);
  space_ = find(key_of(state_));
  table_ = space_->table(user_);
}

Mmu::~Mmu() {
  memory_.remove_watcher(*this);
  enable_windows(Windows::kOff);
}

// The kept space of this key, or the coldest one made empty.
Space* Mmu::find(u64 key) {
  u32 coldest = 0;
  slot_ = kSpaces;
  for (u32 i = 0; i < kSpaces; ++i) {
    if (keys_[i] == key) {
      slot_ = i;
      break;
    }
    if (last_use_[i] < last_use_[coldest]) coldest = i;
  }
  if (slot_ == kSpaces) {
    slot_ = coldest;
    ++context_.stats.switches_new;
    if (spaces_[slot_] == nullptr) {
      spaces_[slot_] = std::make_unique<Space>(context_, slot_);
    } else {
      context_.stats.evictions += keys_[slot_] != 0;
      spaces_[slot_]->drop_all();
    }
    keys_[slot_] = key;
    spaces_[slot_]->assign(state_);
    merits_[slot_] = Merit{.windowed = windows_mode_ == Windows::kAlways};
  }
  last_use_[slot_] = ++clock_;
  return spaces_[slot_].get();
}

void Mmu::set_state(const PagingState& state) {
  const u64 key = key_of(state);
  if (key == keys_[slot_]) {
    // Something that paging does not look at has changed (CR0.TS is written all day): that is no MOV CR3. A change of
    // CR4.PGE is as good as one.
    const bool other = state.cr0 != state_.cr0 || state.cr4 != state_.cr4 || state.efer != state_.efer;
    bool flush = ((state.cr4 ^ state_.cr4) & kCr4Pge) != 0 || state.cr3 != state_.cr3;
    for (u32 i = 0; i < 4; ++i) flush |= state.pdpte[i] != state_.pdpte[i];
    if ((other && !flush) || !paging_on(state)) {
      state_ = state;
      return;
    }
  }
  ++context_.stats.switches;
  ++epoch_;
  ++switch_epoch_;
  const bool keeps = keeps_global(state);
  if (!keeps) {
    ++global_epoch_;
    kernel_shared_ = kernel_own_ = 0;  // another kernel, perhaps
    if (global_window_ != nullptr) global_window_->doubt();
  }
  state_ = state;
  if (key != keys_[slot_]) space_ = find(key);
  space_->enter(state_);
  if (space_->renewed()) merits_[slot_] = Merit{.windowed = windows_mode_ == Windows::kAlways};
  table_ = space_->table(user_);
  if (context_.stats.bytes > budget_) make_room();
  if (keeps && global_window_ != nullptr) check_locals();
  select_window();
}

void Mmu::set_user(bool user) {
  user_ = user;
  table_ = space_->table(user);
  select_window();
  if (user && expected_.valid) map_expected();
}

// Gives up the coldest spaces, and when the current one alone is too much, what it holds.
void Mmu::make_room() {
  while (context_.stats.bytes > budget_) {
    u32 coldest = slot_;
    for (u32 i = 0; i < kSpaces; ++i) {
      if (keys_[i] != 0 && i != slot_ && (coldest == slot_ || last_use_[i] < last_use_[coldest])) coldest = i;
    }
    ++context_.stats.evictions;
    spaces_[coldest]->drop_all();
    if (coldest == slot_) return;
    keys_[coldest] = last_use_[coldest] = 0;
  }
}

void Mmu::invalidate(Linear address) {
  ++context_.stats.invalidations;
  ++epoch_;
  for (InvalidationWatcher* w : invalidation_watchers_) w->page_invalidated(address);
  if (!paging_on(state_)) return;
  for (Window* window : {windows_[slot_][0].get(), global_window_.get()})
    if (window != nullptr) window->count_invalidation(page_of(address));
  space_->drop_leaf(address);
  if (global_window_ != nullptr) {
    // What it shows came from whatever space was current then, perhaps through a large page that is none by now.
    const bool region = global_large_.test(page_of(address) >> 10);
    global_window_->forget(region ? page_of(address) & ~1023u : page_of(address), region ? 1024 : 1);
  }
  settle();
}

void Mmu::layout_changed(Phys, u64) {
  ++epoch_;
  ++global_epoch_;
  for (auto& space : spaces_) {
    if (space != nullptr) space->drop_all();
  }
  if (global_window_ != nullptr) global_window_->forget_all();
  settle();
}

void Mmu::protect_code(u64 page) {
  const Phys at(page << kPageBits);
  if (memory_.kind(at) != PhysicalMemory::Kind::kRam) return;
  ++context_.stats.code_protections;
  context_.stores.take(memory_.file_offset(at) >> kPageBits, [&](u32 space, u32 vpn) {
    if (space != kGlobalWindow) return spaces_[space]->drop_store_entry(vpn);
    global_window_->read_only(vpn);
  });
  for (auto& space : spaces_) {
    if (space != nullptr) space->drop_large_stores(static_cast<u32>(page));
  }
  settle();
}

void Mmu::watch(std::span<const u32> pages) {
  ++epoch_;
  watched_count_ = static_cast<u32>(std::min<std::size_t>(pages.size(), std::size(watched_)));
  std::copy_n(pages.begin(), watched_count_, watched_);
  for (auto& space : spaces_) {
    if (space == nullptr) continue;
    for (u32 i = 0; i < watched_count_; ++i) space->drop(watched_[i]);
  }
  for (u32 i = 0; i < watched_count_ && global_window_ != nullptr; ++i) global_window_->forget(watched_[i], 1);
  settle();
}

Fill Mmu::fill(Linear a, Access access, bool user) {
  if (const std::optional<Phys> address = known_device(a, access, user)) {
    Fill f{};
    f.kind = Fill::Kind::kDevice;
    f.address = *address;
    return f;
  }
  const Fill f = walk_and_fill(a, access, user);
  if (f.kind == Fill::Kind::kDevice && access != Access::kExecute)
    device_pages_[access == Access::kWrite][page_of(a) % kDevicePages] = {epoch_, f.address - page_offset(a),
                                                                          page_of(a), user};
  return f;
}

Fill Mmu::walk_and_fill(Linear a, Access access, bool user) {
  const Walk w = walk(memory_, state_, a, access, user);
  Fill f{};
  if (!w.ok) {
    ++context_.stats.faults;
    f.kind = Fill::Kind::kFault;
    f.error_code = w.error_code;
    return f;
  }
  f.address = memory_.wrap(w.address);
  f.host = memory_.host(f.address);
  f.kind = f.host != nullptr ? Fill::Kind::kRam : Fill::Kind::kDevice;
  if (f.host != nullptr) {
    install(page_of(a), w, user);
    settle();
  }
  return f;
}

// Enters one page into the table of a privilege, with the rights of that.
void Mmu::install_page(u32 vpn, const Walk& walk, Phys page, bool user) {
  const u8* host = memory_.host(page);
  if (host == nullptr || watched(vpn)) return;
  const u64 addend = reinterpret_cast<u64>(host) - (u64{vpn} << kPageBits);
  const bool may_store = walk.dirty && (walk.writable || (!user && !write_protect(state_)));
  const bool direct = memory_.kind(page) == PhysicalMemory::Kind::kRam && !memory_.has_code(page_of(page));
  space_->put(vpn, user, addend, may_store && direct ? addend : 0);
}

// `walk` is of `vpn`; the group lies in the same large page or in the flat space.
void Mmu::fill_group(u32 first, u32 count, u32 vpn, const Walk& walk, bool user) {
  for (u32 i = first; i < first + count; ++i) {
    if (i == vpn || space_->table(user)->load[i] != 0) continue;
    install_page(i, walk, memory_.wrap(Phys((page_of(walk.address) + i - vpn) << kPageBits)), user);
    ++context_.stats.neighbours;
  }
}

void Mmu::install(u32 vpn, const Walk& w, bool user) {
  ++context_.stats.fills;
  if (context_.stats.bytes > budget_) make_room();
  if (!space_->note(vpn, w)) return;
  const auto page_at = [&](u64 page) { return memory_.wrap(Phys(page << kPageBits)); };
  install_page(vpn, w, page_at(page_of(w.address)), user);
  if (w.levels < 2) {
    return fill_group(vpn & ~(kLargeGroup - 1), kLargeGroup, vpn, w, user);
  }
  space_->each_neighbour(vpn, user, w, [&](u32 other, u64 pde, u64 pte) {
    const Walk near = leaf(state_, pde, pte);
    if (!near.ok || (user && !near.user)) return;
    install_page(other, near, page_at(page_of(near.address)), user);
    ++context_.stats.neighbours;
  });
}

}  // namespace umbra
