// Code pages as they are seen.
//
// A *view* is a physical page at one linear address and one EIP, in one mode: what blocks have in common that may link
// to one another. It knows its blocks, so that a dispatch table that learns of one of them is given all.
// Only those that were asked for before: most blocks are reached by links alone.
//
// Views that differ only in where the page lies in the address space are a *family*: a library that each process has
// somewhere else. Their code is the same but for its relocations. The family knows one block of each that may be
// copied, and a view gets copies of all at once when it needs the first: most of what one program ran, the next one
// will, and one by one they cost ten times as much.
//
// Views also say which code may link to other pages. A link out of a page skips the dispatch table, and with it the
// table's promise that the target's linear page still maps what the target was translated from. It is kept by others:
// code that may link runs under one table only, its view's owner, and when that table drops the target's page, links
// to there are undone.
//
// Another table that comes to the same code (a forked process, a program that is not relocated) gets a view of its own
// if its program has been seen to run for long, which is when it earns its window (Mode::window): several *copies* of a
// view may be there, each with its owner. Programs that come and go, as a shell's children between fork and exec, are
// not worth that: all run one view, which thereby becomes shared and loses its links out. An owner that drops the page,
// or dies, leaves the view to whoever comes next.
#pragma once

#include <array>
#include <bitset>
#include <memory>
#include <unordered_map>
#include <vector>

#include "translator/block.h"

namespace umbra {

// Where a block begins.
struct Start {
  u32 block = 0;   // its number
  u16 offset = 0;  // in the page
};

// What dispatch tables are given: a block that one of them has been asked for.
struct Seat {
  u32 block = 0;   // its number
  u32 code = 0;    // offset from the code base; 0 when it has died or lies in two pages
  u16 offset = 0;  // in the page
};

// The blocks of a family that may be copied.
struct Family {
  std::vector<Start> starts;       // perhaps some of them have died, or may be copied no more
  std::bitset<kPageSize> offsets;  // of these, and perhaps more
};

struct View {
  static constexpr u64 kNobody = 0, kShared = ~u64{0};
  BlockKey page;              // of a block that would begin where the page does
  u64 owner = kNobody;        // number of the dispatch table
  bool left = false;          // which has dropped the page: what it linked is still there
  std::vector<Start> blocks;  // that live
  std::vector<Seat> seats;
  u32 dead = 0;                  // of the seats, perhaps more than are
  std::vector<u32> far_targets;  // blocks that links from other pages may lead to
  Family* family = nullptr;
};

class Views {
 public:
  static BlockKey page(BlockKey key);
  static Start start(const Block& block) { return {block.id, static_cast<u16>(block.key.linear & kPageMask)}; }
  const View& operator[](u32 view) const { return *views_[view]; }
  View& operator[](u32 view) { return *views_[view]; }
  View* find(const BlockKey& key) {
    const u32 view = number(key);
    return view == kNone ? nullptr : views_[view].get();
  }
  Family* family(const BlockKey& key);
  void add(Block& block);
  void add_movable(const Block& block) {
    Family& family = *views_[block.view]->family;
    family.starts.push_back(start(block));
    family.offsets.set(block.key.linear & kPageMask);
  }
  // Dispatch leads to the block, whose code lies at `code`.
  void enter(Block& block, u32 code);
  void kill(const Block& block);
  // Which copy of the view a table is to run that has none in use.
  u32 choose(const BlockKey& key, u64 table, bool may_copy) const;
  void leave(u32 view, u64 table) { views_[view]->left |= views_[view]->owner == table; }
  bool has_room() const { return views_.size() < 1u << 18; }
  void clear();

 private:
  static constexpr u32 kNone = ~u32{0};
  u32 number(const BlockKey& key) const;
  // Of the keys of pages.
  struct Whole {
    std::size_t operator()(const BlockKey& k) const {
      return (k.phys << 20 ^ k.linear) * 0x9e3779b97f4a7c15 ^ (u64{k.mode.bits()} << 32 | k.eip) * 0xc2b2ae3d27d4eb4f ^
             u64 { k.copy } * 0x165667b19e3779f9;
    }
  };
  // All but where it lies and whose it is.
  struct Physical {
    std::size_t operator()(const BlockKey& k) const {
      return k.phys * 0x9e3779b97f4a7c15 ^ k.mode.bits() * 0xc2b2ae3d27d4eb4f;
    }
    bool operator()(const BlockKey& a, const BlockKey& b) const {
      return a.phys == b.phys && a.mode == b.mode && a.cs_limit == b.cs_limit && a.linear - a.eip == b.linear - b.eip;
    }
  };
  std::vector<std::unique_ptr<View>> views_;
  std::unordered_map<BlockKey, u32, Whole> by_page_;
  mutable std::array<u32, 4096> recent_{};  // numbers, by hash: mostly it is one of these, without the map's cold lines
  std::unordered_map<BlockKey, Family, Physical, Physical> families_;
};

}  // namespace umbra
