#include "translator/far_links.h"

#include "translator/engine.h"

namespace umbra {

FarLinks::Page::Page(const BlockKey& key)
    : phys(page_of(Phys(key.phys))),
      linear(key.linear >> kPageBits),
      eip(key.eip - (key.linear & kPageMask)),
      cs_limit(key.cs_limit),
      mode(key.mode.bits()) {}

std::size_t FarLinks::Hash::operator()(const Page& p) const {
  const u64 h = (p.phys << 32 ^ p.linear) * 0x9e3779b97f4a7c15 ^ (u64{p.mode} << 32 | p.eip) * 0xc2b2ae3d27d4eb4f;
  return h ^ (h >> 31);
}

bool FarLinks::adopt(const BlockKey& key, u64 table) {
  const auto [owner, fresh] = owners_.try_emplace(Page(key), table);
  if (fresh || owner->second == table || owner->second == kShared) return false;
  owner->second = kShared;
  return true;
}

bool FarLinks::allowed(const BlockKey& from, u64 table) const {
  const auto owner = owners_.find(Page(from));
  return owner != owners_.end() && owner->second == table;
}

// The exits stay in the lists of their targets, whose death unchains them once more.
void Translator::adopt(const Block& block, const DispatchTable& table) {
  if (!far_links_.adopt(block.key, table.number())) return;
  for (const Block* other : code_pages_.blocks(page_of(Phys(block.key.phys)))) {
    if (!other->valid || !FarLinks::together(other->key, block.key)) continue;
    for (const Exit& exit : std::span(other->exits, other->exit_count)) {
      if (!exit.far) continue;
      backend_->unchain(exit);
      backend_->give_up(exit);
    }
  }
}

// Blocks whose page the table does not vouch for any more.
void Translator::unlink_dropped() {
  for (const u32 offset : spaces_.take_dropped()) {
    const u32 number = CodeCache::number(cache_->base() + offset);
    if (number == CodeCache::kNone) continue;
    for (Exit** at = &blocks_[number].incoming; *at != nullptr;) {
      Exit& exit = **at;
      if (!exit.far) {
        at = &exit.next;
        continue;
      }
      *at = exit.next;
      if (exit.from->valid) backend_->unchain(exit);
    }
  }
}

}  // namespace umbra
