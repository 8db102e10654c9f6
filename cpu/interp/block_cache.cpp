// The interpreter's memory of blocks: insertion, and everything that takes blocks away. Runs inside callouts, so it
// stays clear of what would use vector registers.
#include <cstring>

#include "cpu/base/log.h"
#include "cpu/interp/interp.h"

namespace umbra {
namespace {

u64 coverage(u32 first, u32 last) {  // offsets in a page, both included
  const u64 from = ~u64{0} << (first >> 6);
  const u64 to = ~u64{0} >> (63 - (last >> 6));
  return from & to;
}

template <class T>
T* zeroed(std::size_t n) {
  void* p = std::calloc(n, sizeof(T));
  CHECK(p != nullptr);
  return static_cast<T*>(p);
}

}  // namespace

Interpreter::Interpreter(PhysicalMemory& memory)
    : memory_(memory),
      insns_(zeroed<Insn>(kArenaInsns)),
      pages_(zeroed<Page>(PhysicalMemory::kPages)),
      blocks_(kArenaBlocks),
      recent_(kRecent),
      buckets_(kBuckets) {
  memory_.add_watcher(static_cast<CodeWatcher&>(*this));
  memory_.add_watcher(static_cast<LayoutWatcher&>(*this));
}

Interpreter::~Interpreter() {
  memory_.remove_watcher(static_cast<CodeWatcher&>(*this));
  memory_.remove_watcher(static_cast<LayoutWatcher&>(*this));
}

Interpreter::Block* Interpreter::insert(const Block& block, const Insn* insns) {
  if (insns_used_ + block.count > kArenaInsns || blocks_used_ == kArenaBlocks) drop_all();
  ++counts_.built;
  Block& b = blocks_[blocks_used_++];
  b = block;
  b.insns = &insns_[insns_used_];
  insns_used_ += b.count;
  for (u32 i = 0; i < b.count; ++i) b.insns[i] = insns[i];
  Block*& bucket = buckets_[(b.page * 31 + b.offset) % kBuckets];
  b.next_in_bucket = bucket;
  bucket = &b;
  const u32 in_first = std::min<u32>(b.bytes, kPageSize - b.offset);
  register_page(b, b.page, 0, b.offset, b.offset + in_first - 1);
  if (b.second_page != kNoPage) register_page(b, b.second_page, 1, 0, kMaxInsnLength - 1);
  if (log_on(Log::kInAsm)) {
    u32 linear = b.linear;
    for (u32 i = 0; i < b.count; linear += b.insns[i++].length)
      log(Log::kInAsm, "%08x  %s", linear, disassemble(b.insns[i], linear, b.size).c_str());
    log(Log::kInAsm, "----");
  }
  return &b;
}

void Interpreter::register_page(Block& block, u32 number, unsigned role, u32 first, u32 last) {
  Page& page = pages_[number];
  if (!page.holds_blocks()) used_pages_.push_back(number);
  block.next_in_page[role] = page.blocks[role];
  page.blocks[role] = &block;
  page.covered |= coverage(first, last);
  if (!memory_.has_code(number)) memory_.mark_code(number, true);
}

void Interpreter::code_written(u64 number, u32 offset, u32 size) {
  Page& page = pages_[number];
  const u32 last = offset + size - 1;
  if ((page.covered & coverage(offset, last)) == 0) return;
  bool any = false;
  for (Block* b = page.blocks[0]; b != nullptr; b = b->next_in_page[0]) {
    if (b->offset > last || u32{b->offset} + b->bytes <= offset) continue;
    kill(*b);
    any = true;
  }
  for (Block* b = page.blocks[1]; b != nullptr; b = b->next_in_page[1]) {
    if (offset >= kMaxInsnLength) continue;
    kill(*b);
    any = true;
  }
  if (any) unlink_dead(static_cast<u32>(number));
}

void Interpreter::kill(Block& block) {
  if (block.context == kDead) return;
  ++counts_.killed;
  block.context = kDead;
  if (running_ == &block) end_ = nullptr;
  Block** link = &buckets_[(block.page * 31 + block.offset) % kBuckets];
  while (*link != &block) link = &(*link)->next_in_bucket;
  *link = block.next_in_bucket;
}

void Interpreter::unlink_dead(u32 number) {
  Page& page = pages_[number];
  page.covered = 0;
  for (unsigned role = 0; role < 2; ++role) {
    Block** link = &page.blocks[role];
    while (Block* b = *link) {
      if (b->context == kDead) {
        *link = b->next_in_page[role];
        continue;
      }
      const u32 in_first = std::min<u32>(b->bytes, kPageSize - b->offset);
      page.covered |= role == 0 ? coverage(b->offset, b->offset + in_first - 1) : coverage(0, kMaxInsnLength - 1);
      link = &b->next_in_page[role];
    }
  }
  if (!page.holds_blocks()) memory_.release_code(number);
}

void Interpreter::layout_changed(Phys, u64) { drop_all(); }

// Nothing is freed: a handler of the running block may still look at its instruction.
void Interpreter::drop_all() {
  ++counts_.drops;
  for (u32 i = 0; i < blocks_used_; ++i) blocks_[i].context = kDead;
  for (u32 number : used_pages_) {
    pages_[number] = Page{};
    memory_.release_code(number);
  }
  used_pages_.clear();
  std::fill(recent_.begin(), recent_.end(), nullptr);
  std::fill(buckets_.begin(), buckets_.end(), nullptr);
  for (Fetch& fetch : fetches_) fetch.context = kDead;
  insns_used_ = 0;
  blocks_used_ = 0;
  end_ = nullptr;
}

std::string Interpreter::statistics(bool json) const {
  using Long = unsigned long long;
  const Long c[] = {counts_.retired, counts_.built, counts_.killed, counts_.drops, counts_.misses, counts_.faults};
  if (json)
    return format(
        R"({"engine":"interp","retired":%llu,"built":%llu,"killed":%llu,"drops":%llu,"misses":%llu,"faults":%llu})",
        c[0], c[1], c[2], c[3], c[4], c[5]);
  return format(
      "interpreter: %llu instructions retired; blocks: %llu built, %llu killed by stores; cache emptied %llu "
      "times; %llu lookups missed; %llu guest faults\n",
      c[0], c[1], c[2], c[3], c[4], c[5]);
}

}  // namespace umbra
