// Blocks by key: open addressing over block numbers and a part of their hashes, so that a lookup costs one line of the
// table, and a key only if there is one.
#pragma once

#include <vector>

#include "translator/arena.h"
#include "translator/block.h"

namespace umbra {

class BlockIndex {
 public:
  explicit BlockIndex(Arena<Block>& blocks) : blocks_(blocks), slots_(kLeast) {}

  Block* find(const BlockKey& key) const {
    const u32 h = hash(key);
    for (std::size_t i = h & mask();; i = (i + 1) & mask()) {
      const Slot slot = slots_[i];
      if (slot.block == 0) return nullptr;
      if (slot.tag != h) continue;
      Block& block = blocks_[slot.block - 1];
      if (block.key == key) return &block;
    }
  }
  // There is none with this key yet.
  void insert(const Block& block) {
    if (2 * ++count_ > slots_.size()) grow();
    place({block.id + 1, hash(block.key)});
  }
  void erase(const Block& block) {
    std::size_t i = hash(block.key) & mask();
    while (slots_[i].block != block.id + 1) {
      if (slots_[i].block == 0) return;
      i = (i + 1) & mask();
    }
    --count_;
    // Those behind it that would not be found over the hole move up.
    for (std::size_t j = (i + 1) & mask(); slots_[j].block != 0; j = (j + 1) & mask()) {
      const std::size_t home = slots_[j].tag & mask();
      if (((j - home) & mask()) < ((j - i) & mask())) continue;
      slots_[i] = slots_[j];
      i = j;
    }
    slots_[i] = {};
  }
  void clear() {
    count_ = 0;
    slots_.assign(kLeast, {});
  }

 private:
  static constexpr std::size_t kLeast = 1u << 15;
  struct Slot {
    u32 block = 0;  // its number + 1
    u32 tag = 0;    // its hash
  };
  std::size_t mask() const { return slots_.size() - 1; }
  // Those of a page are neighbours: as a rule many are looked for at a time.
  static u32 hash(const BlockKey& k) {
    const u64 page = ((k.phys & ~u64{kPageMask}) << 20 ^ k.linear >> kPageBits) * 0x9e3779b97f4a7c15 ^
                     (u64{k.mode.bits()} << 32 | (k.linear - k.eip)) * 0xc2b2ae3d27d4eb4f ^
                     u64 { k.copy } * 0x165667b19e3779f9;
    return static_cast<u32>(page ^ page >> 31) + ((k.linear & kPageMask) >> 3);
  }
  void place(Slot slot) {
    std::size_t i = slot.tag & mask();
    while (slots_[i].block != 0) i = (i + 1) & mask();
    slots_[i] = slot;
  }
  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (Slot slot : old)
      if (slot.block != 0) place(slot);
  }

  Arena<Block>& blocks_;
  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

}  // namespace umbra
