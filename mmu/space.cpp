#include "mmu/space.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu/base/log.h"
#include "mmu/sparse.h"

namespace umbra {

namespace {

constexpr u64 kAccessedDirty = pte::kAccessed | pte::kDirty;

// Nothing that was derived from `before` is wrong for `after`.
bool harmless(u64 before, u64 after) { return (before & ~after) == 0 && ((before ^ after) & ~kAccessedDirty) == 0; }

// A group of 512 virtual pages in both planes, and its share of the host's page tables.
constexpr u64 kGroupBytes = 2 * kPageSize;

constexpr u64 kCodeBytes = kShadowEntries / 8;

}  // namespace

CopyPool::CopyPool() : copies_(static_cast<PageCopy*>(sparse_map(u64{kCopies} * sizeof(PageCopy)))) {}
CopyPool::~CopyPool() { munmap(copies_, u64{kCopies} * sizeof(PageCopy)); }

PageCopy* CopyPool::take(const u8* guest, u32 slot) {
  PageCopy* copy = nullptr;
  if (free_ != 0) {
    copy = &copies_[free_ - 1];
    free_ = copy->place;
  } else {
    if (used_ == kCopies) return nullptr;
    copy = &copies_[used_++];
  }
  copy->guest = guest;
  copy->lines = 0;
  copy->slot = slot;
  return copy;
}

void CopyPool::give_back(PageCopy* copy) {
  copy->place = free_;
  free_ = static_cast<u32>(copy - copies_) + 1;
}

Space::Space(SpaceContext& context, u32 id) : context_(context), id_(id) {
  for (ShadowTable*& table : tables_) table = static_cast<ShadowTable*>(sparse_map(sizeof(ShadowTable)));
  code_ = static_cast<u64*>(sparse_map(kCodeBytes));
  code_gone();
  copies_.reserve(kMaxSlots);
  large_.reserve(kMaxSlots);
}

Space::~Space() {
  drop_all();
  for (ShadowTable* table : tables_) munmap(table, sizeof(ShadowTable));
  munmap(code_, kCodeBytes);
}

void Space::assign(const PagingState& state) {
  const bool pae = paging_on(state) && paging_pae(state);
  slot_shift_ = pae ? 9 : 10;
  entry_size_ = pae ? 8 : 4;
  std::copy(std::begin(state.pdpte), std::end(state.pdpte), pdpte_);
}

void Space::touch(bool user, u32 vpn) {
  u64& word = touched_[user][vpn >> 15];
  const u64 mask = u64{1} << (vpn >> 9 & 63);
  if ((word & mask) != 0) return;
  word |= mask;
  bytes_ += kGroupBytes;
  context_.stats.bytes += kGroupBytes;
}

// --- where entries come from ---------------------------------------------------------------------------------------

u64 Space::entry_at(const u8* bytes, u32 offset) const {
  if (entry_size_ == 8) return *reinterpret_cast<const u64*>(bytes + offset);
  return *reinterpret_cast<const u32*>(bytes + offset);
}

bool Space::agrees(const PageCopy& copy, u32 offset, u64 value) const {
  return (copy.lines >> (offset / 64) & 1) == 0 || harmless(entry_at(copy.bytes, offset), value);
}

void Space::adopt(PageCopy& copy, u32 offset, u64 value) {
  const u64 line = u64{1} << (offset / 64);
  if ((copy.lines & line) == 0) {
    copy.lines |= line;
    const u64* from = reinterpret_cast<const u64*>(copy.guest + (offset & ~63u));
    u64* to = reinterpret_cast<u64*>(copy.bytes + (offset & ~63u));
    for (unsigned i = 0; i < 8; ++i) to[i] = from[i];
  }
  if (entry_size_ == 8) {
    *reinterpret_cast<u64*>(copy.bytes + offset) = value;
  } else {
    *reinterpret_cast<u32*>(copy.bytes + offset) = static_cast<u32>(value);
  }
}

bool Space::note(u32 vpn, const Walk& walk) {
  const u32 s = slot_of(vpn);
  Slot& slot = slot_[s];
  const u8* pages[2] = {};
  for (u32 i = 0; i < walk.levels; ++i) {
    const u8* entry = context_.memory.host(walk.at[i]);
    if (entry == nullptr) return false;
    pages[i] = entry - page_offset(walk.at[i]);
  }
  if (walk.levels > 0) {
    PageCopy*& directory = directories_[entry_size_ == 8 ? s >> 9 : 0];
    if (directory == nullptr) {
      directory = context_.copies.take(pages[0], entry_size_ == 8 ? s & ~511u : 0);
      if (directory == nullptr) return false;
      bytes_ += sizeof(PageCopy);
      context_.stats.bytes += sizeof(PageCopy);
    }
    const u32 offset = page_offset(walk.at[0]);
    if (!agrees(*directory, offset, walk.entry[0])) drop_slot(s);
    adopt(*directory, offset, walk.entry[0]);
  }
  if (walk.levels < 2) {
    if (slot.kind == SlotKind::kLarge) return true;
    drop_slot(s);
    const u32 first = static_cast<u32>(page_of(walk.address)) - (vpn & (slot_pages() - 1));
    slot = {SlotKind::kLarge, static_cast<u16>(large_.size())};
    large_.push_back({s, first});
    return true;
  }
  if (slot.kind != SlotKind::kTable) {
    drop_slot(s);
    PageCopy* copy = context_.copies.take(pages[1], s);
    if (copy == nullptr) return false;
    bytes_ += sizeof(PageCopy);
    context_.stats.bytes += sizeof(PageCopy);
    slot = {SlotKind::kTable, static_cast<u16>(copies_.size())};
    copies_.push_back(copy);
  }
  PageCopy& copy = *copies_[slot.place];
  const u32 offset = page_offset(walk.at[1]);
  if (!agrees(copy, offset, walk.entry[1])) drop(vpn);
  adopt(copy, offset, walk.entry[1]);
  return true;
}

template <class Changed>
void Space::compare(PageCopy& copy, Changed changed) {
  context_.stats.lines_compared += static_cast<u64>(std::popcount(copy.lines));
  for (u64 lines = copy.lines; lines != 0; lines &= lines - 1) {
    const u32 line = static_cast<u32>(std::countr_zero(lines)) * 64;
    const u64* now = reinterpret_cast<const u64*>(copy.guest + line);
    const u64* then = reinterpret_cast<const u64*>(copy.bytes + line);
    u64 difference = 0;
#pragma GCC unroll 8
    for (unsigned i = 0; i < 8; ++i) difference |= now[i] ^ then[i];
    if (difference == 0) continue;
    for (u32 offset = line; offset < line + 64; offset += entry_size_) {
      const u64 before = entry_at(copy.bytes, offset), after = entry_at(copy.guest, offset);
      if (before == after) continue;
      adopt(copy, offset, after);
      if (harmless(before, after)) continue;
      ++context_.stats.entries_changed;
      changed(offset / entry_size_);
    }
  }
}

u32 Space::user_tables() const {
  u32 n = 0;
  for (const PageCopy* copy : copies_) {
    const PageCopy& directory = *directories_[entry_size_ == 8 ? copy->slot >> 9 : 0];
    const u32 index = entry_size_ == 8 ? copy->slot & 511 : copy->slot;
    n += (entry_at(directory.bytes, index * entry_size_) & pte::kUser) != 0;
  }
  return n;
}

void Space::enter(const PagingState& state) {
  const u64 tables_before = copies_.size();
  renewed_ = false;
  if (entry_size_ == 8) {
    for (u32 i = 0; i < 4; ++i) {
      if (pdpte_[i] == state.pdpte[i]) continue;
      drop_directory(i);
      pdpte_[i] = state.pdpte[i];
    }
  }
  for (PageCopy* directory : directories_) {
    if (directory != nullptr) compare(*directory, [&](u32 i) { drop_slot(directory->slot + i); });
  }
  // A program that goes on keeps at least its text and its stack.
  renewed_ = copies_.size() + 2 <= tables_before && user_tables() == 0;
  for (PageCopy* copy : copies_) {
    compare(*copy, [&](u32 i) { drop((copy->slot << slot_shift_) + i); });
  }
}

// --- entries ------------------------------------------------------------------------------------------------------

void Space::put(u32 vpn, bool user, u64 load, u64 store) {
  touch(user, vpn);
  ShadowTable& table = *tables_[user];
  table.load[vpn] = load;
  if (store == 0 || table.store[vpn] == store) return;
  if (slot_[slot_of(vpn)].kind == SlotKind::kTable && (!touched(!user, vpn) || tables_[!user]->store[vpn] == 0)) {
    const u64 page = store + (u64{vpn} << kPageBits) - reinterpret_cast<u64>(context_.memory.base());
    if (!context_.stores.add(page >> kPageBits, id_, vpn)) return;
  }
  table.store[vpn] = store;
}

void Space::unlist(u32 vpn) {
  u64 store = 0;
  for (bool user : {false, true}) {
    if (touched(user, vpn)) store |= tables_[user]->store[vpn];  // the same value where both have one
  }
  if (store == 0) return;
  const u64 page = store + (u64{vpn} << kPageBits) - reinterpret_cast<u64>(context_.memory.base());
  context_.stores.remove(page >> kPageBits, id_, vpn);
}

void Space::drop(u32 vpn) {
  if (has_code(vpn)) code_gone();
  if (slot_[slot_of(vpn)].kind == SlotKind::kTable) unlist(vpn);
  for (bool user : {false, true}) {
    if (!touched(user, vpn)) continue;
    context_.stats.drops += tables_[user]->load[vpn] != 0;
    tables_[user]->load[vpn] = tables_[user]->store[vpn] = 0;
    if (mirror_[user] != nullptr) mirror_[user]->forget(vpn, 1);
  }
}

void Space::drop_store_entry(u32 vpn) {
  for (bool user : {false, true}) {
    if (!touched(user, vpn)) continue;
    tables_[user]->store[vpn] = 0;
    if (mirror_[user] != nullptr) mirror_[user]->read_only(vpn);
  }
}

void Space::drop_leaf(Linear a) {
  const u32 s = slot_of(page_of(a));
  if (slot_[s].kind == SlotKind::kLarge) {
    drop_slot(s);
  } else if (slot_[s].kind == SlotKind::kTable) {
    drop(page_of(a));
  }
}

void Space::drop_large_stores(u32 physical_page) {
  for (const Large& large : large_) {
    // With A20 off two pages of a large one may be the same page of memory.
    for (u32 page : {physical_page, physical_page | 0x100}) {
      const u32 index = page - large.page;
      if (index >= slot_pages()) continue;
      if (page != physical_page && context_.memory.a20()) continue;
      drop_store_entry((large.slot << slot_shift_) + index);
    }
  }
}

void Space::drop_slot(u32 s) {
  Slot& slot = slot_[s];
  const u32 first = s << slot_shift_;
  if (slot.kind == SlotKind::kTable) {
    PageCopy* copy = copies_[slot.place];
    const u32 per_line = 64 / entry_size_;
    for (u64 lines = copy->lines; lines != 0; lines &= lines - 1) {
      const u32 line = static_cast<u32>(std::countr_zero(lines));
      for (u32 i = 0; i < per_line; ++i) drop(first + line * per_line + i);
    }
    context_.copies.give_back(copy);
    bytes_ -= sizeof(PageCopy);
    context_.stats.bytes -= sizeof(PageCopy);
    copies_[slot.place] = copies_.back();
    slot_[copies_[slot.place]->slot].place = slot.place;
    copies_.pop_back();
  } else if (slot.kind == SlotKind::kLarge) {
    for (u32 group = first; group < first + slot_pages(); group += 512) {
      for (u32 i = 0; i < 512; i += 64) {
        if (code_[(group + i) >> 6] != 0) code_gone();
      }
      for (bool user : {false, true}) {
        if (!touched(user, group)) continue;
        for (u32 i = 0; i < 512; ++i) tables_[user]->load[group + i] = tables_[user]->store[group + i] = 0;
        if (mirror_[user] != nullptr) mirror_[user]->forget(group, 512);
      }
    }
    ++context_.stats.drops;
    large_[slot.place] = large_.back();
    slot_[large_[slot.place].slot].place = slot.place;
    large_.pop_back();
  }
  slot = Slot{};
}

void Space::drop_directory(u32 index) {
  for (u32 s = index * 512; s < (index + 1) * 512; ++s) {
    if (slot_[s].kind != SlotKind::kEmpty) drop_slot(s);
  }
  if (directories_[index] == nullptr) return;
  context_.copies.give_back(directories_[index]);
  bytes_ -= sizeof(PageCopy);
  context_.stats.bytes -= sizeof(PageCopy);
  directories_[index] = nullptr;
}

void Space::drop_all() {
  while (!copies_.empty()) drop_slot(copies_.back()->slot);
  // What is left came from large pages: it is in no list, and the memory goes as a whole.
  large_.clear();
  std::fill(std::begin(slot_), std::end(slot_), Slot{});
  for (u32 i = 0; i < 4; ++i) drop_directory(i);
  for (bool user : {false, true}) {
    bool any = false;
    for (u64& word : touched_[user]) any |= word != 0, word = 0;
    if (any) madvise(tables_[user], sizeof(ShadowTable), MADV_DONTNEED);
    if (mirror_[user] != nullptr) mirror_[user]->forget_all();
  }
  madvise(code_, kCodeBytes, MADV_DONTNEED);
  code_gone();
  context_.stats.bytes -= bytes_;
  bytes_ = 0;
}

}  // namespace umbra
