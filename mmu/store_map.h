// Who may store to a page directly: for each page of the memory file, the (space, virtual page) pairs whose shadow
// entries allow stores to it through a 4 KiB page-table entry. When the page becomes code these entries must go, and
// looking for them in every table would cost a scan of all that is filled. Entries that come from large pages are not
// listed: their virtual page follows from the physical one by arithmetic (Space::drop_large_stores).
//
// Chains of eight-byte nodes in one sparse mapping; no malloc, so that it may run inside a signal handler. A chain has
// at most kMost nodes: a guest that maps one page at a million places must not make us walk a million nodes a million
// times. The places beyond get no store entries, and stores there take the slow way.
#pragma once

#include "cpu/base/types.h"

namespace umbra {

class StoreMap {
 public:
  explicit StoreMap(u64 file_pages);
  ~StoreMap();
  StoreMap(const StoreMap&) = delete;
  StoreMap& operator=(const StoreMap&) = delete;

  static constexpr u32 kSpaces = 1u << 8;

  static constexpr u32 kMost = 255;

  bool has_room(u64 file_page) const { return heads_[file_page].count < kMost && (free_ != 0 || used_ < kNodes); }
  bool add(u64 file_page, u32 space, u32 vpn);  // false: no room, then the entry must not be filled
  void remove(u64 file_page, u32 space, u32 vpn);
  u32 size() const { return count_; }

  // Empties a page's list and hands out what was in it.
  template <class Visit>
  void take(u64 file_page, Visit visit) {
    u32 at = heads_[file_page].first;
    heads_[file_page] = Head{};
    while (at != 0) {
      const Node node = nodes_[at];
      release(at);
      visit(node.space, node.vpn);
      at = node.next;
    }
  }

 private:
  static constexpr u32 kNodes = 1u << 24;
  struct Head {
    u32 first : 24, count : 8;
  };
  struct Node {
    u64 next : 24, vpn : 20, space : 8;
  };
  void release(u32 at) {
    nodes_[at].next = free_;
    free_ = at;
    --count_;
  }

  Head* heads_;
  u64 heads_bytes_;
  Node* nodes_;
  u32 free_ = 0;
  u32 used_ = 1;  // node 0 means the end of a chain
  u32 count_ = 0;
};

}  // namespace umbra
