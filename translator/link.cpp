#include "translator/link.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "cpu/base/log.h"
#include "translator/backing.h"

namespace umbra {
namespace {

// Tables of programs that have ended, or not run for long, are only memory; filling one again costs a lookup a block.
constexpr std::size_t kMaxSpaces = 256, kFewSpaces = 8;
constexpr std::size_t kMaxResident = 32u << 20;
constexpr std::size_t kMostInOne = 128u << 20, kMostLeftover = 8u << 20;
constexpr u64 kIgnored = pte::kAccessed | pte::kDirty;

u64 read_entry(PhysicalMemory& memory, Phys at, bool pae) {
  const u8* host = memory.host(memory.wrap(at));
  u64 value = 0;
  if (host != nullptr) std::memcpy(&value, host, pae ? 8 : 4);
  return value;
}

Phys directory_entry(const PagingState& state, u32 linear) {
  if (!paging_pae(state)) return Phys((state.cr3 & ~u64{kPageMask}) + (linear >> 22) * 4);
  return Phys((state.pdpte[linear >> 30] & 0xffffffffff000) + ((linear >> 21) & 511) * 8);
}

template <class CodePage>
bool still_maps(PhysicalMemory& memory, const PagingState& state, const CodePage& code) {
  if (!paging_on(state)) return code.levels == 0;
  if (code.levels == 0) return false;
  const bool pae = paging_pae(state);
  const u32 linear = code.page << kPageBits;
  if (pae && (state.pdpte[linear >> 30] & pte::kPresent) == 0) return false;
  if ((read_entry(memory, directory_entry(state, linear), pae) & ~kIgnored) != code.trail[0]) return false;
  return code.levels == 1 || (read_entry(memory, code.leaf, pae) & ~kIgnored) == code.trail[1];
}

}  // namespace

DispatchTable::DispatchTable(CodeSize size)
    : size_(size),
      bytes_(size == CodeSize::k32 ? std::size_t{1} << 34 : std::size_t{1} << 18),
      mask_(size == CodeSize::k32 ? 0xffffffff : 0xffff) {
  const std::size_t bits = bytes_ / kPageSize / 8;
  void* table =
      mmap(nullptr, bytes_ + bits, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(table != MAP_FAILED);
  madvise(table, bytes_ + bits, MADV_NOHUGEPAGE);  // sparse: a huge page would hold mostly nothing
  table_ = static_cast<u32*>(table);
  touched_ = reinterpret_cast<u64*>(static_cast<u8*>(table) + bytes_);
}

DispatchTable::~DispatchTable() { munmap(table_, bytes_ + bytes_ / kPageSize / 8); }

void DispatchTable::touch(u32 host_page) {
  if (is_resident(host_page)) return;
  touched_[host_page >> 6] |= u64{1} << (host_page & 63);
  ++resident_;
}

void DispatchTable::set(u32 eip, u32 offset) {
  touch(host_page(eip));
  table_[eip & mask_] = offset;
}

void DispatchTable::wipe(u32 eip) {
  if (is_resident(host_page(eip))) table_[eip & mask_] = 0;
}

// Of the host's pages that a code page needs, nearly all get used, and one fault each costs ten times as much.
void DispatchTable::back(u32 eip) {
  const u32 first = host_page(eip);
  if (is_resident(first) || (first & 3) != 0) return;
  populate(table_ + (eip & mask_), 4 * kPageSize);
  for (u32 page = first; page < first + 4; ++page) touch(page);
}

void DispatchTable::fill(CodePage& page, const Views& views) {
  const View& view = views[page.view];
  if (page.filled == 0 && !view.seats.empty()) back(view.page.eip);
  for (; page.filled < view.seats.size(); ++page.filled)
    if (const Seat& seat = view.seats[page.filled]; seat.code != 0) set(view.page.eip + seat.offset, seat.code);
}

DispatchTable::CodePage& DispatchTable::page(Linear linear, const Walk& walk, bool& fresh) {
  const auto [at, made] = index_.try_emplace(page_of(linear), 0);
  fresh = made;
  if (made) {
    CodePage page;
    page.page = page_of(linear);
    page.levels = walk.levels;
    page.global = walk.global;
    for (unsigned i = 0; i < walk.levels; ++i) page.trail[i] = walk.entry[i] & ~kIgnored;
    if (walk.levels == 2) page.leaf = walk.at[1];
    pages_.push_back(page);
    at->second = static_cast<u32>(pages_.size() - 1);
    if (!page.global) {
      std::swap(pages_[local_pages_], pages_.back());
      index_[pages_.back().page] = static_cast<u32>(pages_.size() - 1);
      index_[page.page] = local_pages_++;
    }
  }
  return pages_[at->second];
}

void DispatchTable::drop(std::size_t index, Views& views, std::vector<u32>& dropped) {
  CodePage& page = pages_[index];
  if (page.view != kNoView) {
    const View& view = views[page.view];
    for (const Seat& seat : view.seats) wipe(view.page.eip + seat.offset);
    views.leave(page.view, number_);
    dropped.push_back(page.view);
  }
  const u32 first = (page.page << kPageBits) - key_.cs_base;
  for (u32 before = page.crossed ? kMaxInsnLength - 1 : 0; before != 0; --before) wipe(first - before);
  const auto move = [&](std::size_t from, std::size_t to) {
    if (from == to) return;
    pages_[to] = pages_[from];
    index_[pages_[to].page] = static_cast<u32>(to);
  };
  index_.erase(page.page);
  if (index < local_pages_) {  // the last of the local ones takes its place, and the last of all that one's
    move(--local_pages_, index);
    index = local_pages_;
  }
  move(pages_.size() - 1, index);
  pages_.pop_back();
}

// Of all pages, or of those without G.
template <class Keep>
u32 DispatchTable::keep_pages(bool all, Views& views, std::vector<u32>& dropped, Keep keep) {
  u32 count = 0;
  for (std::size_t i = 0; i < (all ? pages_.size() : local_pages_);) {
    if (keep(pages_[i])) {
      ++i;
    } else {
      drop(i, views, dropped);
      ++count;
    }
  }
  return count;
}

void DispatchTable::drop_all(Views& views, std::vector<u32>& dropped) {
  for (const CodePage& page : pages_) {
    if (page.view == kNoView) continue;
    views.leave(page.view, number_);
    dropped.push_back(page.view);
  }
  clear_all();
}

void DispatchTable::become(const DispatchKey& key, u64 number, Views& views) {
  std::vector<u32> dropped;  // nobody's any more
  while (!pages_.empty()) drop(pages_.size() - 1, views, dropped);
  key_ = key;
  number_ = number;
  code_version_ = shared_epoch_ = switch_epoch_ = 0;
}

// By some of its pages. A guess that is wrong costs lookups.
bool DispatchTable::is_vacant(Mmu& mmu) const {
  constexpr std::size_t kLookedAt = 8;
  const bool pae = paging_pae(mmu.state());
  const std::span looked(pages_.data(), std::min(pages_.size(), kLookedAt));
  return std::ranges::none_of(looked, [&](const CodePage& code) {
    return code.levels != 2 || (read_entry(mmu.memory(), code.leaf, pae) & ~kIgnored) == code.trail[1];
  });
}

// A program that moves its code about leaves pages behind.
bool DispatchTable::wastes() const {
  const std::size_t in_use = 4 * kPageSize * pages_.size();
  return resident_bytes() > kMostInOne || resident_bytes() > 2 * in_use + kMostLeftover;
}

void DispatchTable::clear_all() {
  if (resident_ != 0) madvise(table_, bytes_ + bytes_ / kPageSize / 8, MADV_DONTNEED);
  resident_ = 0;
  pages_.clear();
  index_.clear();
  local_pages_ = 0;
}

DispatchTable& DispatchTables::find(const DispatchKey& key, CodeSize size, Mmu& mmu) {
  DispatchTable*& recent = recent_[Hash()(key) % recent_.size()];
  if (recent != nullptr && recent->key() == key) return *recent;
  if (const auto known = spaces_.find(key); known != spaces_.end()) return *(recent = known->second.get());
  std::unique_ptr<DispatchTable> table;
  if (const auto vacant = largest_vacant(size, mmu); vacant != spaces_.end()) table = take(vacant);
  while (crowded(spaces_.size() + 1)) take(oldest());
  if (table == nullptr) table = std::make_unique<DispatchTable>(size);
  table->become(key, ++tables_made_, views_);
  table->last_used_ = ++clock_;
  recent = table.get();
  spaces_[key] = std::move(table);
  return *recent;
}

bool DispatchTables::crowded(std::size_t tables) const {
  return tables > kMaxSpaces || (tables > kFewSpaces && resident_bytes() > kMaxResident);
}

DispatchTables::Spaces::iterator DispatchTables::oldest() {
  return std::ranges::min_element(spaces_, {}, [](const auto& space) { return space.second->last_used_; });
}

// Whose program has ended, or begun another one.
DispatchTables::Spaces::iterator DispatchTables::largest_vacant(CodeSize size, Mmu& mmu) {
  auto found = spaces_.end();
  for (auto it = spaces_.begin(); it != spaces_.end(); ++it) {
    const DispatchTable& table = *it->second;
    const bool larger = found == spaces_.end() || table.resident_ > found->second->resident_;
    if (larger && table.key().own() && table.size() == size && table.is_vacant(mmu)) found = it;
  }
  return found;
}

std::unique_ptr<DispatchTable> DispatchTables::take(Spaces::iterator space) {
  ++changes_;
  std::unique_ptr<DispatchTable> table = std::move(space->second);
  spaces_.erase(space);
  std::replace(recent_.begin(), recent_.end(), table.get(), static_cast<DispatchTable*>(nullptr));
  for (const DispatchTable::CodePage& page : table->pages_)
    if (page.view != DispatchTable::kNoView) views_.leave(page.view, table->number());
  return table;
}

DispatchTable& DispatchTables::select(const DispatchKey& key, CodeSize size, Mmu& mmu) {
  if (current_ == nullptr || !(current_->key() == key)) {
    current_ = &find(key, size, mmu);
    current_->last_used_ = ++clock_;
  }
  if (current_->wastes()) current_->drop_all(views_, dropped_);
  if (key.own()) {
    if (current_->code_version_ != mmu.code_version()) validate_own(*current_, mmu);
  } else {
    validate_shared(*current_, mmu);
  }
  return *current_;
}

void DispatchTables::validate_own(DispatchTable& table, Mmu& mmu) {
  pages_dropped_ += table.keep_pages(true, views_, dropped_, [&](const DispatchTable::CodePage& code) {
    const Linear linear(code.page << kPageBits);
    const Walk walk = probe(mmu.memory(), mmu.state(), linear);
    if (!walk.ok || walk.levels != code.levels) return false;
    for (unsigned i = 0; i < walk.levels; ++i) {
      if ((walk.entry[i] & ~kIgnored) != code.trail[i] || (walk.entry[i] & pte::kAccessed) == 0) return false;
    }
    return mmu.watch_code(linear, walk);
  });
  // Watching may itself find something changed and begin another version; what was looked at before is true for it.
  table.code_version_ = mmu.code_version();
}

void DispatchTables::validate_shared(DispatchTable& table, Mmu& mmu) {
  if (mmu.global_epoch() != global_epoch_) {
    global_epoch_ = mmu.global_epoch();
    ++shared_epoch_;
  }
  const bool all = table.shared_epoch_ != shared_epoch_;
  if (!all && (table.switch_epoch_ == mmu.switch_epoch())) return;
  table.shared_epoch_ = shared_epoch_;
  table.switch_epoch_ = mmu.switch_epoch();
  if (!all && table.local_pages_ == 0) return;
  pages_dropped_ += table.keep_pages(all, views_, dropped_, [&](const DispatchTable::CodePage& code) {
    return still_maps(mmu.memory(), mmu.state(), code);
  });
}

DispatchTable::CodePage* DispatchTables::vouched(DispatchTable& table, Mmu& mmu, Linear linear, const Walk& walk) {
  bool fresh;
  DispatchTable::CodePage& page = table.page(linear, walk, fresh);
  if (fresh && table.key().own()) {
    if (!mmu.watch_code(linear, walk)) {
      table.drop(table.index_[page.page], views_, dropped_);
      return nullptr;
    }
  } else if (fresh) {
    shared_pages_.set(page_of(linear));
    if (walk.levels == 1) shared_large_.set(page_of(linear) >> 10);
  }
  return &page;
}

bool DispatchTables::set(DispatchTable& table, Mmu& mmu, u32 eip, u32 offset, u32 view, Linear linear,
                         const Walk& walk) {
  DispatchTable::CodePage* page = vouched(table, mmu, linear, walk);
  if (page != nullptr && page->view != view && page->view != DispatchTable::kNoView) {  // changed, and nobody said so
    table.drop(table.index_[page->page], views_, dropped_);
    page = vouched(table, mmu, linear, walk);
  }
  if (page == nullptr) return false;
  page->view = view;
  table.fill(*page, views_);
  table.set(eip, offset);
  return true;
}

bool DispatchTables::set_second(DispatchTable& table, Mmu& mmu, Linear linear, const Walk& walk) {
  DispatchTable::CodePage* page = vouched(table, mmu, linear, walk);
  if (page != nullptr) page->crossed = true;
  return page != nullptr;
}

void DispatchTables::clear_all() {
  for (auto& [key, space] : spaces_) space->clear_all();
  dropped_.clear();
  shared_pages_.reset();
  shared_large_.reset();
}

// User code is the MMU's to watch.
void DispatchTables::page_invalidated(Linear address) {
  const u32 page = page_of(address);
  if (shared_pages_.test(page) || shared_large_.test(page >> 10)) ++shared_epoch_;
}

void DispatchTables::all_changed() {
  ++shared_epoch_;
  ++changes_;
  for (auto& [key, table] : spaces_) table->code_version_ = 0;
}

std::size_t DispatchTables::resident_bytes() const {
  std::size_t sum = 0;
  for (const auto& [key, space] : spaces_) sum += space->resident_bytes();
  return sum;
}

}  // namespace umbra
