#include "mmu/store_map.h"

#include <sys/mman.h>

#include "mmu/sparse.h"

namespace umbra {

StoreMap::StoreMap(u64 file_pages)
    : heads_(static_cast<u32*>(sparse_map(file_pages * sizeof(u32)))),
      heads_bytes_(file_pages * sizeof(u32)),
      nodes_(static_cast<Node*>(sparse_map(u64{kNodes} * sizeof(Node)))) {}

StoreMap::~StoreMap() {
  munmap(heads_, heads_bytes_);
  munmap(nodes_, u64{kNodes} * sizeof(Node));
}

bool StoreMap::add(u64 file_page, u32 space, u32 vpn) {
  u32 at = free_;
  if (at != 0) {
    free_ = nodes_[at].next;
  } else {
    if (used_ == kNodes) return false;
    at = used_++;
  }
  nodes_[at] = Node{heads_[file_page], vpn, space};
  heads_[file_page] = at;
  ++count_;
  return true;
}

void StoreMap::remove(u64 file_page, u32 space, u32 vpn) {
  u32 previous = 0;
  for (u32 at = heads_[file_page]; at != 0; previous = at, at = nodes_[at].next) {
    if (nodes_[at].vpn != vpn || nodes_[at].space != space) continue;
    const u32 next = nodes_[at].next;
    if (previous == 0) {
      heads_[file_page] = next;
    } else {
      nodes_[previous].next = next;
    }
    release(at);
    return;
  }
}

}  // namespace umbra
