#include "translator/smc.h"

#include <algorithm>

namespace umbra {
namespace {

struct Extent {
  u32 first, last;  // offsets in the page, last included
};

// The part of a block that lies in `page`.
Extent extent(const Block& block, u64 page) {
  const u32 start = page_offset(Phys(block.key.phys));
  const u32 end = start + block.guest_size - 1;
  if (page == page_of(Phys(block.key.phys))) return {start, std::min(end, kPageSize - 1)};
  return {0, end - kPageSize};
}

void set(std::array<u64, kPageSize / 64>& bytes, Extent e) {
  for (u32 i = e.first; i <= e.last; i = (i | 63) + 1) {
    const u32 count = std::min(e.last, i | 63) - i + 1;
    bytes[i / 64] |= (~u64{0} >> (64 - count)) << i % 64;
  }
}

}  // namespace

bool CodePages::overlaps(const Block& block, u64 page, u32 offset, u32 size) {
  const Extent e = extent(block, page);
  return e.first < offset + size && offset <= e.last;
}

void CodePages::add(u64 number, Block& block) {
  Page& page = (*this)[number];
  page.blocks.push_back(&block);
  const Extent e = extent(block, number);
  set(page.bytes, e);
  if (number == page_of(Phys(block.key.phys))) page.starts.set(e.first);
}

void CodePages::add_copies(u64 number, std::span<Block> blocks) {
  std::vector<Block*>& all = (*this)[number].blocks;
  for (Block& block : blocks) all.push_back(&block);
}

bool CodePages::covers(u64 number, u32 offset, u32 size) const {
  const auto page = pages_.find(number);
  if (page == pages_.end()) return false;
  for (u32 i = offset; i < offset + size && i < kPageSize; ++i)
    if ((page->second.bytes[i / 64] >> i % 64 & 1) != 0) return true;
  return false;
}

std::vector<Block*> CodePages::take_overlapping(u64 number, u32 offset, u32 size) {
  std::vector<Block*> hit;
  if (!covers(number, offset, size)) return hit;
  Page& page = (*this)[number];
  std::erase_if(page.blocks, [&](Block* block) {
    const bool dead = !block->valid || overlaps(*block, number, offset, size);
    if (dead && block->valid) hit.push_back(block);
    return dead;
  });
  page.bytes.fill(0);
  for (const Block* block : page.blocks) set(page.bytes, extent(*block, number));
  return hit;
}

std::vector<Block*> CodePages::take_all(u64 number) {
  std::vector<Block*> taken;
  const auto page = pages_.find(number);
  if (page == pages_.end()) return taken;
  for (Block* block : page->second.blocks)
    if (block->valid) taken.push_back(block);
  page->second.blocks.clear();
  page->second.bytes.fill(0);
  page->second.starts.reset();
  return taken;
}

bool CodePages::stores_pass_by(u64 number) {
  constexpr u32 kNoMore = 1u << 20;
  Page& page = (*this)[number];
  if (++page.passed_by < page.patience) return false;
  page.passed_by = 0;
  if (page.patience < kNoMore) page.patience *= 4;
  return true;
}

void CodePages::check(u64 number, u32 offset) {
  if (checked_pages_ == kMostChecked) {
    for (auto& [n, page] : pages_) page.checked.reset();
    checked_pages_ = 0;
  }
  auto& checked = (*this)[number].checked;
  if (checked == nullptr) {
    checked = std::make_unique<std::bitset<kPageSize>>();
    ++checked_pages_;
  }
  checked->set(offset);
}

void CodePages::clear() {
  for (auto& [number, page] : pages_) {
    page.blocks.clear();
    page.bytes.fill(0);
    page.starts.reset();
  }
}

}  // namespace umbra
