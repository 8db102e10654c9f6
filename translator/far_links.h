// Which code may link to other pages.
//
// A link out of a page skips the dispatch table, and with it the table's promise that the target's linear page still
// maps what the target was translated from. It is kept by others: code that may link runs under one table only, the
// first that adopted its page, and when that table drops the target's page, links to there are undone. As soon as
// another table runs the page's code, too (a forked process, a program that is not relocated), its links out go.
#pragma once

#include <unordered_map>

#include "translator/block_index.h"

namespace umbra {

class FarLinks {
 public:
  // Table number `table` runs code of this key's page. True: so does another one, since just now.
  bool adopt(const BlockKey& key, u64 table);
  bool allowed(const BlockKey& from, u64 table) const;
  void clear() { owners_.clear(); }
  // Of a block that would begin where the page does: blocks that have this in common share an owner.
  static BlockKey page(BlockKey key);

 private:
  static constexpr u64 kShared = 0;
  struct Hash {
    std::size_t operator()(const BlockKey& key) const { return ByKey::hash(key); }
  };
  std::unordered_map<BlockKey, u64, Hash> owners_;  // table numbers
};

}  // namespace umbra
