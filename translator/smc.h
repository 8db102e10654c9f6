// Which blocks lie in which physical page, to the byte: a store beside them costs a lookup and nothing more, so a
// program that keeps code and data in one page does not retranslate.
#pragma once

#include <bitset>
#include <span>
#include <unordered_map>
#include <vector>

#include "translator/block.h"

namespace umbra {

class CodePages {
 public:
  // Where blocks begin, and perhaps some that have died.
  const std::bitset<kPageSize>& starts(u64 page) { return pages_[page].starts; }
  void add(u64 page, Block& block);
  // Of blocks that are there.
  void add_copies(u64 page, std::span<Block> blocks);
  // The live blocks that own one of these bytes; they are forgotten here.
  std::vector<Block*> take_overlapping(u64 page, u32 offset, u32 size);
  // All live blocks of the page, to be made again.
  std::vector<Block*> take_all(u64 page);
  bool covers(u64 page, u32 offset, u32 size) const;
  bool holds(u64 page) const {
    const auto found = pages_.find(page);
    return found != pages_.end() && !found->second.blocks.empty();
  }
  // A store to the page hit no block. True when there have been so many that its code is most likely leftover (what an
  // initializer or a dead process left in a page that is data now): better to drop it and let stores run free. Each
  // time that is wrong, more patience is needed.
  bool stores_pass_by(u64 page);
  void clear();  // forgets blocks; patience stays

 private:
  struct Page {
    std::bitset<kPageSize> bytes;
    std::bitset<kPageSize> starts;
    std::vector<Block*> blocks;
    u32 passed_by = 0;
    u32 patience = 32;
  };
  static bool overlaps(const Block& block, u64 page, u32 offset, u32 size);
  std::unordered_map<u64, Page> pages_;
};

}  // namespace umbra
