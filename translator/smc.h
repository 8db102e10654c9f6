// Which blocks lie in which physical page, to the byte: a store beside them costs a lookup and nothing more, so a
// program that keeps code and data in one page does not retranslate.
#pragma once

#include <array>
#include <bitset>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "translator/block.h"

namespace umbra {

namespace test {
class Disturber;
}

class CodePages {
 public:
  struct Page {
    u64 number = 0;
    std::array<u64, kPageSize / 64> bytes{};  // of blocks, a bit each
    std::bitset<kPageSize> starts;            // where they begin, and perhaps some that have died
    std::vector<Block*> blocks;
    std::unique_ptr<std::bitset<kPageSize>> checked;  // instructions that windows do not suit
    u32 passed_by = 0;
    u32 patience = 32;
  };
  // Stays where it is. Mostly one of those that were asked for lately, without the map's many cold lines.
  Page& operator[](u64 number) {
    Page*& recent = recent_[number % recent_.size()];
    if (recent == nullptr || recent->number != number) {
      recent = &pages_[number];
      recent->number = number;
    }
    return *recent;
  }
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
  // The instruction there is to stay with the table lane.
  void check(u64 page, u32 offset);
  void clear();  // forgets blocks; patience stays, and so do instructions to check

 private:
  friend class test::Disturber;
  static bool overlaps(const Block& block, u64 page, u32 offset, u32 size);
  static constexpr u32 kMostChecked = 1 << 11;  // pages
  u32 checked_pages_ = 0;
  std::unordered_map<u64, Page> pages_;
  std::array<Page*, 4096> recent_{};
};

}  // namespace umbra
