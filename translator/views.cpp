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

View* Views::find(const BlockKey& key) {
  const auto found = by_page_.find(page(key));
  return found == by_page_.end() ? nullptr : &views_[found->second];
}

std::vector<Start>* Views::family(const BlockKey& key) {
  const auto found = families_.find(page(key));
  return found == families_.end() ? nullptr : &found->second;
}

void Views::add(Block& block) {
  const BlockKey key = page(block.key);
  block.view = last_;
  if (last_ >= views_.size() || views_[last_].page != key) {
    const auto [at, made] = by_page_.try_emplace(key, static_cast<u32>(views_.size()));
    block.view = at->second;
    if (made) {
      View& view = views_.emplace_back();
      view.page = key;
      if (key.mode.user() && key.mode.code_32()) view.family = &families_[key];
    }
  }
  last_ = block.view;
  views_[block.view].blocks.push_back(start(block));
}

void Views::enter(Block& block, u32 code) {
  block.entered = true;
  View& view = views_[block.view];
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
  View& view = views_[block.view];
  std::erase_if(view.blocks, [&](const Start& s) { return s.block == block.id; });
  if (!block.entered) return;
  for (Seat& seat : view.seats)
    if (seat.block == block.id) {
      seat.code = 0;
      ++view.dead;
    }
}

void Views::clear() {
  views_.clear();
  by_page_.clear();
  families_.clear();
}

// The exits stay in the lists of their targets, whose death unchains them once more.
void Translator::adopt(const Block& block, const DispatchTable& table) {
  View& view = views_[block.view];
  if (view.owner == table.number() || view.owner == View::kShared) return;
  const bool fresh = view.owner == View::kNobody;
  view.owner = fresh ? table.number() : View::kShared;
  if (fresh) return;
  for (const Start& start : view.blocks) {
    const Block& other = blocks_[start.block];
    for (const Exit& exit : std::span(other.exits, other.exit_count)) {
      if (!exit.far) continue;
      backend_->unchain(exit);
      backend_->give_up(exit);
    }
  }
}

// Blocks whose page the table does not vouch for any more.
void Translator::unlink_dropped() {
  for (const u32 view : spaces_.take_dropped()) {
    for (const u32 target : std::exchange(views_[view].far_targets, {})) {
      for (Exit** at = &blocks_[target].incoming; *at != nullptr;) {
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
}

}  // namespace umbra
