// Making a block and linking it to the others.
#include <x86intrin.h>

#include <algorithm>

#include "cpu/base/log.h"
#include "cpu/interp/shapes.h"
#include "translator/engine.h"
#include "translator/shortcuts.h"

namespace umbra {
namespace {

bool truncates(std::span<const Insn> insns) {
  return std::any_of(insns.begin(), insns.end(), [](const Insn& insn) {
    return insn.operand_size == 2 && (info(insn.op).traits & trait::branch) != 0;
  });
}

}  // namespace

void Translator::trace(const Block& block) const {
  log(Log::kInAsm, "block %08x %s, %s lane, at %p", block.key.linear, block.key.mode.user() ? "user" : "supervisor",
      block.window ? "window" : "table", static_cast<const void*>(block.code));
  for (u32 i = 0; i < block.count; ++i) {
    const Mark& mark = block.marks[i];
    const u32 end = i + 1 == block.count ? block.cold : block.marks[i + 1].host;
    const u32 eip = block.eip_of(i);
    log(Log::kInAsm, "%08x  %s%s", eip, disassemble(draft_.insns[i], eip, block.key.size()).c_str(),
        mark.inline_code ? "" : "   ; callout");
    if (log_on(Log::kOutAsm))
      log(Log::kOutAsm, "%s", backend_->listing({block.code + mark.host, end - mark.host}).c_str());
  }
}

Block* Translator::translate(const BlockKey& key) {
  const u64 start = __rdtsc();
  const Phys at(key.phys);
  const u8* host = memory_.host(at);
  if (host == nullptr) return nullptr;
  if (!views_.has_room() || !blocks_.has_room(1) || !sites_.has_room(kMaxBlockInsns) ||
      !marks_.has_room(kMaxBlockInsns) || !exits_.has_room(kMaxBlockInsns + 1) ||
      !relocations_.has_room(kMostRelocations))
    flush_now();
  Cpu& cpu = *cpu_;
  if (Block* block = copy(key)) {
    stats_.translation_cycles += __rdtsc() - start;
    return block;
  }

  blocks_.expect();
  exits_.expect();
  marks_.expect();
  relocations_.expect();
  cache_->expect();
  std::span<const u8> next_page;
  u64 second = ~u64{0};
  const u32 room = kPageSize - page_offset(at);
  if (room < kMaxInsnLength) {
    const Linear beyond(key.linear + room);
    const Walk walk = umbra::walk(memory_, cpu.mmu.state(), beyond, Access::kRead, key.mode.user());
    if (walk.ok && memory_.host(memory_.wrap(walk.address)) != nullptr) {
      second = page_of(memory_.wrap(walk.address));
      next_page = {memory_.host(memory_.wrap(walk.address)), kMaxInsnLength};
    }
  }
  Block& block = *blocks_.next() = Block{};
  block.key = key;
  block.id = blocks_.used();
  draft_.exits = exits_.next();
  draft_.relocations = relocations_.next();
  draft_.sites = sites_.next();
  draft_.site_count = 0;
  block.first_exit = exits_.used();
  block.window = windows_ && suits_window(key);
  const CodePages::Page& page = code_pages_[page_of(at)];
  const Made made{by_key_, page.starts};
  if (discover(
          block, cpu.model, {host, room}, next_page, options_.max_block_insns, block.window ? &made : nullptr,
          [&](Linear target) { return locator_at(key, target); }, draft_) == 0)
    return nullptr;
  if (block.guest_size > room) block.second_page = second;
  if (block.window && page.checked != nullptr)
    for (u32 i = 0; i < block.count; ++i)
      draft_.marks[i].checked = page.checked->test(page_offset(at) + draft_.marks[i].guest);
  if (!backend_->emit(block, draft_)) {
    flush_now();
    return translate(key);
  }
  blocks_.take(1);
  sites_.take(draft_.site_count);
  block.marks = marks_.take(block.count);
  std::copy_n(draft_.marks, block.count, block.marks);
  block.exits = exits_.take(block.exit_count);
  block.relocations = draft_.relocations;
  block.relocation_count = draft_.relocation_count;
  if (options_.verify) {
    verify(block, backend_->verify(block));
    if (block.movable && !backend_->moves_well(block, draft_)) verify(block, "copies would differ");
  }
  // Supervisors stay where they are; so do the targets of jumps with 16-bit operands.
  block.movable = block.movable && key.mode.user() && !truncates({draft_.insns, block.count});
  if (block.movable) relocations_.take(block.relocation_count);
  add(block);
  for (u64 page : {page_of(at), block.second_page}) {
    if (page == ~u64{0}) continue;
    code_pages_.add(page, block);
    if (!memory_.has_code(page)) memory_.mark_code(page, true);
  }
  if (block.movable) views_.add_movable(block);
  stats_.callouts_made += draft_.site_count;
  for (u32 i = 0; i < block.count; ++i) {
    const Insn& insn = draft_.insns[i];
    if (insn.sensitive && block.marks[i].inline_code) ++stats_.callouts[static_cast<u16>(insn.op)].inlined;
  }
  stats_.translation_cycles += __rdtsc() - start;
  if (log_on(Log::kInAsm) || log_on(Log::kOutAsm)) trace(block);
  return &block;
}

// The block is in the draft, or is a copy of one that was.
void Translator::verify(const Block& block, const std::string& offence) const {
  if (offence.empty()) return;
  for (u32 i = 0; i < block.count; ++i)
    warn("%s", disassemble(draft_.insns[i], block.key.eip + draft_.marks[i].guest, block.key.size()).c_str());
  warn("%s\n%s", offence.c_str(), backend_->listing({block.code, block.host_size}).c_str());
  CHECK(offence.empty());
}

void Translator::add(Block& block) {
  by_key_.insert(block);
  views_.add(block);
  ++stats_.translations;
  stats_.window_blocks += block.window ? 1 : 0;
  stats_.guest_insns += block.count;
  stats_.guest_bytes += block.guest_size;
  stats_.host_bytes += block.host_size;
  if (block.key.copy != 0) copies_apart_ += block.host_size;
}

// Inside a page the mapping that brought us here holds as well; for others see views.h. Exits are linked when they are
// taken for the first time; most never are.
u8* Translator::link_entry(void* self, u32 number) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  Exit& exit = t.exits_[number];
  t.cpu_->s.eip = exit.eip;
  const u64 flushes = t.stats_.flushes;
  Block* to = t.follow(exit);
  u8* where = to != nullptr ? to->code : t.next();
  if (where != t.backend_->exit_code() && t.stats_.flushes == flushes) t.link(exit, t.block_of(where));
  return t.go(where);
}

BlockKey Translator::target_key(const Exit& exit) {
  BlockKey key = exit.from->key;
  const u32 distance = exit.eip - key.eip;
  key.eip = exit.eip;
  key.linear += distance;
  key.phys += static_cast<u64>(static_cast<i64>(static_cast<i32>(distance)));
  return key;
}

// The block that an exit leads to, if nothing else is to be done first. Mode and mapping are what they were at the
// block's start, so there is nothing to look up but the block.
Block* Translator::follow(const Exit& exit) {
  const bool quiet = cpu_->pending.load(std::memory_order_relaxed) == 0 && !flush_wanted_ && sampled_ == 0;
  if (exit.far || !quiet || !exit.from->valid || log_on(Log::kExec)) return nullptr;
  const BlockKey key = target_key(exit);
  Block* to = by_key_.find(key);
  if (to == nullptr) to = translate(key);
  return to == nullptr || to->crosses() ? nullptr : to;
}

// What the bytes there say now; link() looks again.
u8 Translator::locator_at(const BlockKey& key, Linear target) const {
  Phys at(key.phys + (target.value - key.linear));
  if (page_of(target) != page_of(Linear(key.linear))) {
    const Walk walk = probe(memory_, cpu_->mmu.state(), target);
    if (!walk.ok) return kNoReg;
    at = memory_.wrap(walk.address);
  }
  const u8* host = memory_.host(at);
  return host == nullptr || page_offset(at) > kPageSize - kLocatorBytes ? u8{kNoReg} : locator(host);
}

// The block's bytes are what they were when it was made.
bool Translator::leads_on(const Exit& exit, const Block& to) const {
  return exit.locator == kNoReg ||
         (to.guest_size >= kLocatorBytes && !to.crosses() && locator(memory_.host(Phys(to.key.phys))) == exit.locator);
}

void Translator::link(Exit& exit, Block& to) {
  const Block& from = *exit.from;
  if (!from.valid) return;
  if (!options_.chain) return backend_->give_up(exit);
  // An interrupt may have come between, or a change of mode.
  BlockKey key = target_key(exit);
  if (exit.far) key.phys = to.key.phys, key.copy = to.key.copy;
  if (to.key != key) return;
  if (to.crosses() || !leads_on(exit, to) || (exit.far && views_[from.view].owner != spaces_.current()->number()))
    return backend_->give_up(exit);
  if (exit.far) {
    if (!std::exchange(to.far_target, true)) views_[to.view].far_targets.push_back(to.id);
    ++stats_.far_links;
  }
  point(exit, to);
}

void Translator::point(Exit& exit, Block& to) {
  CHECK(exit.to == 0);
  backend_->chain(exit, to);
  const u32 number = static_cast<u32>(&exit - &exits_[0]) + 1;
  exit.to = to.id + 1;
  exit.next = std::exchange(to.incoming, number);
  exit.previous = 0;
  if (exit.next != 0) exits_[exit.next - 1].previous = number;
}

// No more among those that lead to its target.
void Translator::unlist(Exit& exit) {
  (exit.previous != 0 ? exits_[exit.previous - 1].next : blocks_[exit.to - 1].incoming) = exit.next;
  if (exit.next != 0) exits_[exit.next - 1].previous = exit.previous;
  exit.to = 0;
}

// The instruction that missed. Its block is alive, so its bytes are what they were.
Translator::Missed& Translator::missed(u32 number) {
  Missed& m = missed_[(number * 0x9e3779b1u >> 16) % std::size(missed_)];
  if (m.number == number) return m;
  Block& block = blocks_[number / kMaxBlockInsns];
  const u32 index = number % kMaxBlockInsns;
  const u32 at = block.marks[index].guest;
  const Phys phys(block.key.phys + at);
  const u32 room = kPageSize - page_offset(phys);
  u8 bytes[2 * kMaxInsnLength];
  const u32 head = std::min<u32>(room, kMaxInsnLength);
  std::memcpy(bytes, memory_.host(phys), head);
  if (block.crosses()) std::memcpy(bytes + head, memory_.host(Phys(block.second_page << kPageBits)), kMaxInsnLength);
  m.number = number;
  m.site.block = &block;
  m.site.index = index;
  m.site.eip = block.eip_of(index);
  m.site.inline_code = block.marks[index].inline_code;
  decode_bound({bytes, block.crosses() ? head + kMaxInsnLength : head}, block.key.size(), cpu_->model, m.site.insn);
  m.site.keeps_mode = keeps_mode(m.site.insn);
  m.device = device_access_for(m.site.insn);
  return m;
}

}  // namespace umbra
