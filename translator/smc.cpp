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

}  // namespace

bool CodePages::overlaps(const Block& block, u64 page, u32 offset, u32 size) {
  const Extent e = extent(block, page);
  return e.first < offset + size && offset <= e.last;
}

void CodePages::add(u64 number, Block& block) {
  Page& page = pages_[number];
  page.blocks.push_back(&block);
  const Extent e = extent(block, number);
  for (u32 i = e.first; i <= e.last; ++i) page.bytes.set(i);
  if (number == page_of(Phys(block.key.phys))) page.starts.set(e.first);
}

void CodePages::add_copies(u64 number, std::span<Block> blocks) {
  std::vector<Block*>& all = pages_[number].blocks;
  for (Block& block : blocks) all.push_back(&block);
}

bool CodePages::covers(u64 number, u32 offset, u32 size) const {
  const auto page = pages_.find(number);
  if (page == pages_.end()) return false;
  for (u32 i = offset; i < offset + size && i < kPageSize; ++i)
    if (page->second.bytes.test(i)) return true;
  return false;
}

std::vector<Block*> CodePages::take_overlapping(u64 number, u32 offset, u32 size) {
  std::vector<Block*> hit;
  if (!covers(number, offset, size)) return hit;
  Page& page = pages_[number];
  std::erase_if(page.blocks, [&](Block* block) {
    const bool dead = !block->valid || overlaps(*block, number, offset, size);
    if (dead && block->valid) hit.push_back(block);
    return dead;
  });
  page.bytes.reset();
  for (const Block* block : page.blocks) {
    const Extent e = extent(*block, number);
    for (u32 i = e.first; i <= e.last; ++i) page.bytes.set(i);
  }
  return hit;
}

std::vector<Block*> CodePages::take_all(u64 number) {
  std::vector<Block*> taken;
  const auto page = pages_.find(number);
  if (page == pages_.end()) return taken;
  for (Block* block : page->second.blocks)
    if (block->valid) taken.push_back(block);
  page->second.blocks.clear();
  page->second.bytes.reset();
  page->second.starts.reset();
  return taken;
}

bool CodePages::stores_pass_by(u64 number) {
  constexpr u32 kNoMore = 1u << 20;
  Page& page = pages_[number];
  if (++page.passed_by < page.patience) return false;
  page.passed_by = 0;
  if (page.patience < kNoMore) page.patience *= 4;
  return true;
}

void CodePages::clear() {
  for (auto& [number, page] : pages_) {
    page.blocks.clear();
    page.bytes.reset();
    page.starts.reset();
  }
}

}  // namespace umbra
