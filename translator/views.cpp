#include "translator/views.h"

#include <algorithm>

#include "translator/engine.h"

namespace umbra {

BlockKey Views::page(BlockKey key) {
  const u32 offset = key.linear & kPageMask;
  key.phys -= offset;
  key.linear -= offset;
  key.eip -= offset;
  return key;
}

u32 Views::number(const BlockKey& of) const {
  const BlockKey key = page(of);
  const u64 hash = Whole()(key);
  u32& recent = recent_[(hash ^ hash >> 32) % recent_.size()];
  if (recent < views_.size() && views_[recent]->page == key) return recent;
  const auto found = by_page_.find(key);
  return found == by_page_.end() ? kNone : recent = found->second;
}

Family* Views::family(const BlockKey& key) {
  if (const View* view = find(key)) return view->family;
  const auto found = families_.find(page(key));
  return found == families_.end() ? nullptr : &found->second;
}

void Views::add(Block& block) {
  block.view = number(block.key);
  if (block.view == kNone) {
    block.view = static_cast<u32>(views_.size());
    const BlockKey key = page(block.key);
    by_page_.emplace(key, block.view);
    View& view = *views_.emplace_back(std::make_unique<View>());
    view.page = key;
    if (key.mode.user() && key.mode.code_32()) view.family = &families_[key];
  }
  views_[block.view]->blocks.push_back(start(block));
}

void Views::enter(Block& block, u32 code) {
  block.entered = true;
  View& view = *views_[block.view];
  const Seat seat{block.id, block.crosses() ? 0 : code, start(block).offset};
  if (view.dead != 0) {
    const auto old = std::find_if(view.seats.begin(), view.seats.end(),
                                  [&](const Seat& s) { return s.code == 0 && s.offset == seat.offset; });
    if (old != view.seats.end()) {
      --view.dead;
      *old = seat;
      return;
    }
  }
  view.seats.push_back(seat);
}

void Views::kill(const Block& block) {
  View& view = *views_[block.view];
  std::erase_if(view.blocks, [&](const Start& s) { return s.block == block.id; });
  if (!block.entered) return;
  for (Seat& seat : view.seats)
    if (seat.block == block.id) {
      seat.code = 0;
      ++view.dead;
    }
}

u32 Views::choose(const BlockKey& key, u64 table, bool may_copy) const {
  constexpr u32 kMostCopies = 64;
  u32 vacant = kNone, shared = 0;
  BlockKey k = page(key);
  for (k.copy = 0; k.copy < kMostCopies; ++k.copy) {
    const u32 known = number(k);
    if (known == kNone) {
      if (vacant == kNone && (may_copy || k.copy == 0)) vacant = k.copy;
      break;
    }
    const View& view = *views_[known];
    if (view.owner == table) return k.copy;
    if (view.owner == View::kShared) shared = k.copy;
    if (vacant == kNone && (view.left || view.owner == View::kNobody)) vacant = k.copy;
  }
  return vacant != kNone ? vacant : shared;
}

void Views::clear() {
  views_.clear();
  by_page_.clear();
  families_.clear();
}

// Of the code in this page: what the table runs already, or else what it had better run.
u32 Translator::choose_copy(const DispatchTable& table, const BlockKey& key) const {
  if (!key.mode.window()) return 0;
  if (const u32 known = table.view(Linear(key.linear)); known != DispatchTable::kNoView) {
    BlockKey page = Views::page(key);
    page.copy = views_[known].page.copy;
    if (views_[known].page == page) return page.copy;
  }
  // Programs may be too many to have all of the code cache's room for copies.
  return views_.choose(key, table.number(), copies_apart_ < cache_->size() / 2);
}

// What an earlier owner linked is true for its table alone.
void Translator::adopt(const Block& block, const DispatchTable& table) {
  View& view = views_[block.view];
  if (view.owner == View::kShared) return;
  if (view.owner == View::kNobody) {
    view.owner = table.number();
    stats_.views_copied += view.page.copy != 0;
  } else if (view.owner != table.number()) {
    unlink_out(view, !view.left);
    stats_.views_shared += !view.left;
    view.owner = view.left ? table.number() : View::kShared;
  }
  view.left = false;
}

// Undoes the links to other pages, for good or to be made again.
void Translator::unlink_out(const View& view, bool for_good) {
  for (const Start& start : view.blocks) {
    const Block& block = blocks_[start.block];
    for (Exit& exit : std::span(block.exits, block.exit_count)) {
      if (!exit.far) continue;
      if (exit.to != 0) {
        unlist(exit);
        backend_->unchain(exit);
      }
      if (for_good) backend_->give_up(exit);
    }
  }
}

// Blocks whose page the table does not vouch for any more.
void Translator::unlink_dropped() {
  for (const u32 view : spaces_.take_dropped()) {
    for (const u32 target : std::exchange(views_[view].far_targets, {})) {
      blocks_[target].far_target = false;
      for (u32 at = blocks_[target].incoming; at != 0;) {
        Exit& exit = exits_[at - 1];
        at = exit.next;
        if (!exit.far) continue;
        unlist(exit);
        if (exit.from->valid) backend_->unchain(exit);
      }
    }
  }
}

}  // namespace umbra
