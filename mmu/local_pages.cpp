#include "mmu/local_pages.h"

#include <algorithm>
#include <cstring>

namespace umbra {

// Zero if there is none.
u64 LocalPages::directory(PhysicalMemory& memory, const PagingState& state, u32 vpn) {
  const bool pae = paging_pae(state);
  const u64 table = pae ? state.pdpte[vpn >> 18] : state.cr3;
  if (pae && (table & pte::kPresent) == 0) return 0;
  const u32 offset = pae ? (vpn >> 9 & 511) * 8 : (vpn >> 10) * 4;
  const u8* at = memory.host(memory.wrap(Phys((table & 0xffffffffff000) + offset)));
  u64 value = 0;
  if (at != nullptr) std::memcpy(&value, at, pae ? 8 : 4);
  return value;
}

bool LocalPages::add(PhysicalMemory& memory, const PagingState& state, u32 vpn, const Walk& walk) {
  const bool pae = paging_pae(state), large = walk.levels == 1;
  const u32 reach = large ? (pae ? 512 : 1024) : (pae ? 8 : 16);
  const u32 first = vpn & ~(reach - 1), index = vpn - first, size = pae ? 8 : 4;
  const u64* now = nullptr;
  if (!large) {
    const u8* at = memory.host(walk.at[1]);
    if (at == nullptr) return false;
    now = reinterpret_cast<const u64*>(at - (page_offset(walk.at[1]) & 63));
  }
  Line* line = std::find_if(lines_, lines_ + count_, [&](const Line& l) { return l.first == first && l.now == now; });
  if (line == lines_ + count_) {
    if (count_ == kMost) return false;
    ++count_;
    *line = {first, 0, walk.entry[0], now, {}};
    for (u32 k = 0; !large && k < 8; ++k) line->then[k] = now[k];
  }
  if (!agrees(line->directory, walk.entry[0], 0)) return false;  // until the next check
  if (large) {
    line->directory |= walk.entry[0] & pte::kDirty;
    return true;
  }
  line->used |= 1u << index;
  std::memcpy(reinterpret_cast<u8*>(line->then) + index * size, &walk.entry[1], size);
  return true;
}

}  // namespace umbra
