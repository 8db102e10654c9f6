#include "mmu/store_map.h"

#include <sys/mman.h>

#include "mmu/sparse.h"

namespace umbra {

StoreMap::StoreMap(u64 file_pages)
    : heads_(static_cast<Head*>(sparse_map(file_pages * sizeof(Head)))),
      heads_bytes_(file_pages * sizeof(Head)),
      nodes_(static_cast<Node*>(sparse_map(u64{kNodes} * sizeof(Node)))) {}

StoreMap::~StoreMap() {
  munmap(heads_, heads_bytes_);
  munmap(nodes_, u64{kNodes} * sizeof(Node));
}

bool StoreMap::add(u64 file_page, u32 space, u32 vpn) {
  if (!has_room(file_page)) return false;
  Head& head = heads_[file_page];
  u32 at = free_;
  if (at != 0) {
    free_ = nodes_[at].next;
  } else {
    at = used_++;
  }
  nodes_[at] = Node{head.first, vpn, space};
  head.first = at;
  ++head.count;
  ++count_;
  return true;
}

void StoreMap::remove(u64 file_page, u32 space, u32 vpn) {
  Head& head = heads_[file_page];
  u32 previous = 0;
  for (u32 at = head.first; at != 0; previous = at, at = nodes_[at].next) {
    if (nodes_[at].vpn != vpn || nodes_[at].space != space) continue;
    const u32 next = nodes_[at].next;
    if (previous == 0) {
      head.first = next;
    } else {
      nodes_[previous].next = next;
    }
    --head.count;
    release(at);
    return;
  }
}

}  // namespace umbra
