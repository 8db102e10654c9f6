// Code that another address space, or another place in this one, has run before: see views.h.
#include <algorithm>

#include "cpu/base/log.h"
#include "translator/engine.h"

namespace umbra {
namespace {

constexpr u32 kMostAtOnce = 512;  // a guest must not make us do more for one block that it runs

}  // namespace

Block* Translator::copy(const BlockKey& key) {
  const u32 at = page_offset(Phys(key.phys));
  Family* known = views_.family(key);
  if (known == nullptr || !known->offsets.test(at)) return nullptr;
  std::vector<Start>* family = &known->starts;
  std::erase_if(*family, [&](const Start& o) { return !may_be_copied(blocks_[o.block]); });
  const auto wanted = std::find_if(family->begin(), family->end(), [&](const Start& o) { return o.offset == at; });
  if (wanted == family->end()) {
    known->offsets.reset(at);
    return nullptr;
  }

  if (const View* view = views_.find(key))
    for (const Start& start : view->blocks) begins_[start.offset] = start.block + 1;
  to_copy_.assign(1, wanted->block);
  for (const Start& o : *family)
    if (o.block != wanted->block && begins_[o.offset] == 0) to_copy_.push_back(o.block);
  if (to_copy_.size() > kMostAtOnce || !has_room_for(to_copy_)) to_copy_.resize(1);
  Block* made = has_room_for(to_copy_) ? copy_all(Views::page(key)) : nullptr;
  if (made != nullptr && to_copy_.size() == family->size())  // these lie closer together
    for (u32 i = 0; i < family->size(); ++i) (*family)[i] = Views::start(made[i]);
  if (const View* view = views_.find(key))
    for (const Start& start : view->blocks) begins_[start.offset] = 0;
  if (made == nullptr) flush_now();
  return made;
}

bool Translator::has_room_for(std::span<const u32> blocks) const {
  u32 code = 0, exits = 0;
  for (u32 id : blocks) {
    code += blocks_[id].host_size + CodeCache::kOverhead;
    exits += blocks_[id].exit_count;
  }
  return blocks_.has_room(static_cast<u32>(blocks.size())) && exits_.has_room(exits) && cache_->has_room(code);
}

// False: it has died, or is not what would be emitted now.
bool Translator::may_be_copied(const Block& block) {
  if (!block.valid) return false;
  const auto& checked = code_pages_[page_of(Phys(block.key.phys))].checked;
  if (!block.window || checked == nullptr) return true;
  for (const Mark& mark : block.insns())
    if (mark.checked != checked->test(page_offset(Phys(block.key.phys)) + mark.guest)) return false;
  return true;
}

// What is in to_copy_; returns the first.
Block* Translator::copy_all(const BlockKey& page) {
  Block* first = blocks_.next();
  for (u32 id : to_copy_) {
    const Block& block = copy_one(blocks_[id], page);
    begins_[block.key.linear & kPageMask] = block.id + 1;
  }
  const std::span<Block> all(first, to_copy_.size());
  code_pages_.add_copies(page_of(Phys(page.phys)), all);
  if (options_.chain) link_inside(all);
  return first;
}

Block& Translator::copy_one(const Block& from, const BlockKey& page) {
  Block& block = *blocks_.next() = from;
  block.id = blocks_.used();
  blocks_.take(1);
  const u32 offset = from.key.linear & kPageMask;
  block.key.linear = page.linear + offset;
  block.key.eip = page.eip + offset;
  block.key.copy = page.copy;
  block.incoming = 0;
  block.far_target = false;
  block.first_exit = exits_.used();
  block.exits = exits_.take(block.exit_count);
  std::copy_n(from.exits, block.exit_count, block.exits);
  for (Exit& exit : std::span(block.exits, block.exit_count)) {
    exit.eip += block.key.eip - from.key.eip;
    exit.to = exit.next = exit.previous = 0;
    exit.from = &block;
  }
  CHECK(backend_->copy(from, block));
  if (options_.verify) verify(block, backend_->verify(block));
  add(block);
  if (block.entered) views_.enter(block, cache_->offset(block.code));
  ++stats_.copies;
  if (log_on(Log::kInAsm))
    log(Log::kInAsm, "block %08x at %p: copy of %08x at %p", block.key.linear, static_cast<const void*>(block.code),
        from.key.linear, static_cast<const void*>(from.code));
  return block;
}

// Where both ends are there, a link costs less now than when somebody comes by.
void Translator::link_inside(std::span<Block> blocks) {
  for (Block& block : blocks)
    for (Exit& exit : std::span(block.exits, block.exit_count)) {
      if (exit.far) continue;
      const u32 to = begins_[(block.key.linear + exit.eip - block.key.eip) & kPageMask];
      if (to == 0) continue;
      const Block& target = blocks_[to - 1];
      if (target.crosses() || target.key != target_key(exit) || !leads_on(exit, target)) continue;
      point(exit, blocks_[to - 1]);
    }
}

}  // namespace umbra
