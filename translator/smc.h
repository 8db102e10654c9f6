// Which blocks lie in which physical page, to the byte: a store beside them costs a lookup and nothing more, so a
// program that keeps code and data in one page does not retranslate.
#pragma once

#include <bitset>
#include <unordered_map>
#include <vector>

#include "translator/block.h"

namespace umbra {

class CodePages {
 public:
  // Returns true if the page had no code before.
  bool add(u64 page, Block& block);
  // The live blocks that own one of these bytes; they are forgotten here.
  std::vector<Block*> take_overlapping(u64 page, u32 offset, u32 size);
  // All live blocks of the page, to be made again.
  std::vector<Block*> take_all(u64 page);
  bool covers(u64 page, u32 offset, u32 size) const;
  // How often blocks of this page died: a page that thrashes is better interpreted.
  u32 deaths(u64 page) const;
  void clear();  // forgets blocks; deaths stay

 private:
  struct Page {
    std::bitset<kPageSize> bytes;
    std::vector<Block*> blocks;
    u32 deaths = 0;
  };
  static bool overlaps(const Block& block, u64 page, u32 offset, u32 size);
  std::unordered_map<u64, Page> pages_;
};

}  // namespace umbra
