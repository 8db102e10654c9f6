#include "translator/link.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "cpu/base/log.h"

namespace umbra {
namespace {

constexpr std::size_t kMaxSpaces = 256;
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

}  // namespace

DispatchKey dispatch_key(const Cpu& cpu, Mode mode) {
  const Segment& cs = cpu.s.seg[kCs];
  const bool own_tables = mode.user() && (cpu.s.cr0 & cr0::kPg) != 0;
  return {mode.bits(), cs.base, cs.limit, own_tables ? cpu.s.cr3 : 0};
}

DispatchTable::DispatchTable(const DispatchKey& key, CodeSize size)
    : key_(key),
      bytes_(size == CodeSize::k32 ? std::size_t{1} << 34 : std::size_t{1} << 18),
      mask_(size == CodeSize::k32 ? 0xffffffff : 0xffff) {
  void* table = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(table != MAP_FAILED);
  madvise(table, bytes_, MADV_NOHUGEPAGE);  // sparse: a huge page would hold mostly nothing
  table_ = static_cast<u32*>(table);
}

DispatchTable::~DispatchTable() { munmap(table_, bytes_); }

void DispatchTable::set(u32 eip, u32 offset, Linear linear, const Walk& walk) {
  table_[eip & mask_] = offset;
  const auto [at, fresh] = index_.try_emplace(page_of(linear), static_cast<u32>(pages_.size()));
  if (fresh) {
    CodePage page;
    page.page = page_of(linear);
    page.levels = walk.levels;
    page.global = walk.global;
    for (unsigned i = 0; i < walk.levels; ++i) page.trail[i] = walk.entry[i] & ~kIgnored;
    if (walk.levels == 2) page.leaf = walk.at[1];
    pages_.push_back(std::move(page));
  }
  pages_[at->second].eips.push_back(eip & mask_);
}

void DispatchTable::clear_all() {
  madvise(table_, bytes_, MADV_DONTNEED);
  pages_.clear();
  index_.clear();
}

bool DispatchTable::still_maps(PhysicalMemory& memory, const PagingState& state, const CodePage& code) {
  if (!paging_on(state)) return code.levels == 0;
  if (code.levels == 0) return false;
  const bool pae = paging_pae(state);
  const u32 linear = code.page << kPageBits;
  if (pae && (state.pdpte[linear >> 30] & pte::kPresent) == 0) return false;
  if ((read_entry(memory, directory_entry(state, linear), pae) & ~kIgnored) != code.trail[0]) return false;
  return code.levels == 1 || (read_entry(memory, code.leaf, pae) & ~kIgnored) == code.trail[1];
}

u32 DispatchTable::validate(PhysicalMemory& memory, const PagingState& state, bool globals) {
  u32 dropped = 0;
  for (std::size_t i = 0; i < pages_.size();) {
    CodePage& page = pages_[i];
    if ((page.global && !globals) || still_maps(memory, state, page)) {
      ++i;
      continue;
    }
    for (u32 eip : page.eips) table_[eip] = 0;
    index_.erase(page.page);
    if (i + 1 != pages_.size()) {
      page = std::move(pages_.back());
      index_[page.page] = static_cast<u32>(i);
    }
    pages_.pop_back();
    ++dropped;
  }
  return dropped;
}

std::size_t DispatchTable::resident_bytes() const {
  std::size_t host_pages = 0;
  for (const CodePage& page : pages_) host_pages += std::min<std::size_t>(4, page.eips.size());
  return host_pages * kPageSize;
}

DispatchTable& DispatchTables::find(const DispatchKey& key, CodeSize size) {
  std::unique_ptr<DispatchTable>& slot = spaces_[key];
  if (slot == nullptr) {
    slot = std::make_unique<DispatchTable>(key, size);
    slot->validated_ = epoch_;
    if (spaces_.size() > kMaxSpaces) drop_oldest();
  }
  DispatchTable& found = *spaces_[key];
  found.last_used_ = ++clock_;
  return found;
}

void DispatchTables::drop_oldest() {
  auto oldest = spaces_.end();
  for (auto it = spaces_.begin(); it != spaces_.end(); ++it)
    if (it->second->last_used_ != 0 && (oldest == spaces_.end() || it->second->last_used_ < oldest->second->last_used_))
      oldest = it;
  if (oldest != spaces_.end()) spaces_.erase(oldest);
}

void DispatchTables::clear_all() {
  for (auto& [key, space] : spaces_) space->clear_all();
}

void DispatchTables::validate_slowly(DispatchTable& space, PhysicalMemory& memory, const PagingState& state) {
  pages_dropped_ += space.validate(memory, state, space.validated_ < global_epoch_);
  space.validated_ = epoch_;
}

std::size_t DispatchTables::resident_bytes() const {
  std::size_t sum = 0;
  for (const auto& [key, space] : spaces_) sum += space->resident_bytes();
  return sum;
}

}  // namespace umbra
