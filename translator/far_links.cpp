#include "translator/far_links.h"

#include "translator/engine.h"

namespace umbra {

BlockKey FarLinks::page(BlockKey key) {
  const u32 offset = key.linear & kPageMask;
  key.phys -= offset;
  key.linear -= offset;
  key.eip -= offset;
  return key;
}

bool FarLinks::adopt(const BlockKey& key, u64 table) {
  const auto [owner, fresh] = owners_.try_emplace(page(key), table);
  if (fresh || owner->second == table || owner->second == kShared) return false;
  owner->second = kShared;
  return true;
}

bool FarLinks::allowed(const BlockKey& from, u64 table) const {
  const auto owner = owners_.find(page(from));
  return owner != owners_.end() && owner->second == table;
}

// The exits stay in the lists of their targets, whose death unchains them once more.
void Translator::adopt(const Block& block, const DispatchTable& table) {
  if (!far_links_.adopt(block.key, table.number())) return;
  for (const Block* other : code_pages_.blocks(page_of(Phys(block.key.phys)))) {
    if (!other->valid || FarLinks::page(other->key) != FarLinks::page(block.key)) continue;
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
