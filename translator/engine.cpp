#include "translator/engine.h"

#include <algorithm>

#include "cpu/base/log.h"
#include "translator/faults.h"

namespace umbra {
Translator::Translator(std::unique_ptr<CodeCache> cache, std::unique_ptr<Backend> backend, PhysicalMemory& memory,
                       const TranslatorOptions& options)
    : cache_(std::move(cache)), backend_(std::move(backend)), memory_(memory), options_(options), interpreter_(memory) {
  cache_->use(backing_);
  Context& context = cache_->context();
  context.engine = this;
  backend_->start(
      *cache_, {this, callout_entry, shortcut_entry, missed_entry, link_entry, miss_entry, resume_entry, poll_entry});
  stub_bytes_ = cache_->used();
  windows_ = options.windows && backend_->has_windows();
  memory_.add_watcher(static_cast<CodeWatcher&>(*this));
  memory_.add_watcher(static_cast<LayoutWatcher&>(*this));
}

Translator::~Translator() {
  backing_.stop();
  sampler_.reset();
  memory_.remove_watcher(static_cast<CodeWatcher&>(*this));
  memory_.remove_watcher(static_cast<LayoutWatcher&>(*this));
}

Stop Translator::run(Cpu& cpu) {
  cpu_ = &cpu;
  thread_ = pthread_self();
  const FaultScope faults(*this);
  if (mmu_ != nullptr && &cpu.mmu != mmu_) flush_now();
  if (cpu.mmu.epoch() != mmu_epoch_) spaces_.all_changed();
  mmu_ = &cpu.mmu;
  cpu.mmu.add_watcher(*this);
  cpu.mmu.enable_windows(!windows_                 ? Mmu::Windows::kOff
                         : options_.always_windows ? Mmu::Windows::kAlways
                                                   : Mmu::Windows::kEarned);
  cache_->context().window_loaded = 0;  // another engine may have used the register since
  if (windows_) {
    if (sampler_ == nullptr) sampler_ = std::make_unique<Sampler>(sample_entry, this);
    sampler_->start();
  }
  u8* where = go(next());
  if (where != backend_->exit_code()) backend_->enter(cpu.s, where);
  in_generated_ = 0;
  cpu_ = nullptr;
  if (sampler_ != nullptr && stop_ == Stop::kHalted) sampler_->pause();
  cpu.mmu.remove_watcher(*this);
  mmu_epoch_ = cpu.mmu.epoch();
  return stop_;
}

Stop Translator::step(Cpu& cpu) { return interpreter_.step(cpu); }

// From this thread outside generated code nothing needs doing: the edge of every callout looks at cpu.pending.
void Translator::kick() {
  if (in_generated_ == 0 && pthread_equal(pthread_self(), thread_) != 0) {
    kicked_ = 1;
  } else {
    cache_->arm_poll(true);
  }
}

u8* Translator::stop(Stop why) {
  stop_ = why;
  return backend_->exit_code();
}

u8* Translator::next() {
  Cpu& cpu = *cpu_;
  for (;;) {
    kicked_ = 0;
    const u32 pending = cpu.pending.load(std::memory_order_acquire);
    if ((pending & attention::kExit) != 0) {
      cpu.pending.fetch_and(~attention::kExit);
      return stop(Stop::kAttention);
    }
    if (pending != 0 && cpu.s.shadow == 0) cpu.service();
    if (cpu.s.activity == Activity::kHalted) return stop(Stop::kHalted);
    if (cpu.s.activity == Activity::kShutdown) return stop(Stop::kShutdown);
    // The instruction after STI or MOV SS: its boundary matters only if something is waiting for it.
    if (cpu.trap_check_needed() || (cpu.s.shadow != 0 && pending != 0)) {
      interpret();
      continue;
    }
    cpu.s.shadow = 0;
    if (flush_wanted_) flush_now();
    if (sampled_ != 0) promote();
    if (u8* code = find_code()) return code;
    if (!fetch_faults()) interpret();
  }
}

void Translator::interpret() {
  ++stats_.interpreted;
  interpreter_.step(*cpu_);
}

u8* Translator::find_code() {
  Cpu& cpu = *cpu_;
  const Mode mode = Mode::of(cpu);
  if (!mode.code_32() && cpu.s.eip > 0xffff) return nullptr;  // far transfers lead there, beyond the table
  const DispatchKey place = dispatch_key(cpu, mode);
  DispatchTable& table = spaces_.select(place, cpu.code_size(), cpu.mmu);
  unlink_dropped();
  give_tables(table).window = reinterpret_cast<u64>(cpu.mmu.window());

  const u32 eip = static_cast<u32>(cpu.s.eip);
  // Entries of dead blocks are found out here.
  if (const u32 offset = table.entry(eip);
      offset != 0 && CodeCache::number(cache_->base() + offset) != CodeCache::kNone)
    return cache_->base() + offset;
  const Linear linear(cpu.s.seg[kCs].base + eip);
  const Walk walk = umbra::walk(memory_, cpu.mmu.state(), linear, Access::kExecute, mode.user());
  if (!walk.ok) return nullptr;
  BlockKey key{memory_.wrap(walk.address).value, linear.value, eip, cpu.s.seg[kCs].limit, mode};
  key.copy = choose_copy(table, key);
  Block* block = by_key_.find(key);
  if (block == nullptr) block = translate(key);
  if (block == nullptr) return nullptr;
  if (block->crosses()) {
    const Linear second((linear.value | kPageMask) + 1);
    const Walk there = umbra::walk(memory_, cpu.mmu.state(), second, Access::kExecute, mode.user());
    if (!there.ok || page_of(memory_.wrap(there.address)) != block->second_page ||
        !spaces_.set_second(table, cpu.mmu, second, there))
      return nullptr;
  }
  const u32 offset = cache_->offset(block->code);
  if (!block->entered) views_.enter(*block, offset);
  if (!spaces_.set(table, cpu.mmu, eip, offset, block->view, linear, walk)) return nullptr;
  adopt(*block, table);
  if (log_on(Log::kExec)) log(Log::kExec, "exec %08x mode %x", eip, mode.bits());
  return block->code;
}

void Translator::flush_now() {
  flush_wanted_ = false;
  ++stats_.flushes;
  spaces_.clear_all();
  code_pages_.clear();
  views_.clear();
  by_key_.clear();
  blocks_.clear();
  marks_.clear();
  relocations_.clear();
  exits_.clear();
  sites_.clear();
  for (Missed& m : missed_) m.number = ~u32{0};
  cache_->reset(stub_bytes_);
  copies_apart_ = 0;
}

void Translator::code_written(u64 page, u32 offset, u32 size) {
  ++stats_.code_writes;
  const std::vector<Block*> hit = code_pages_.take_overlapping(page, offset, size);
  for (Block* block : hit) {
    ++stats_.invalidated_blocks;
    kill(*block);
  }
  if (hit.empty() && code_pages_.stores_pass_by(page))
    for (Block* block : code_pages_.take_all(page)) kill(*block);
  if (!code_pages_.holds(page)) memory_.release_code(page);
}

// Whoever is on the way to it ends up in the dispatcher. Its exits stay in the lists of their targets, but are patched
// no more: the redirection may lie over them.
void Translator::kill(Block& block) {
  block.valid = false;
  backend_->redirect(block);
  cache_->forget_number(block.code);
  while (block.incoming != 0) {
    Exit& exit = exits_[block.incoming - 1];
    unlist(exit);
    if (exit.from->valid) backend_->unchain(exit);
  }
  by_key_.erase(block);
  views_.kill(block);
}

// Pages that became something else have been reported to code_written. A20 moves them all without a word.
void Translator::layout_changed(Phys, u64 size) {
  if (size == PhysicalMemory::kPages << kPageBits) flush_wanted_ = true;
}

Block* Translator::block_at(const u8* pc) const {
  const std::span<const Block> all = blocks_.all();
  const auto after =
      std::upper_bound(all.begin(), all.end(), pc, [](const u8* at, const Block& block) { return at < block.code; });
  if (after == all.begin()) return nullptr;
  const Block& block = *std::prev(after);
  return pc < block.code + block.host_size ? const_cast<Block*>(&block) : nullptr;
}

Statistics Translator::gather() const {
  Statistics s = stats_;
  s.code_bytes = cache_->used();
  s.spaces = spaces_.count();
  s.dispatch_bytes = spaces_.resident_bytes();
  s.mappings_dropped = spaces_.pages_dropped();
  return s;
}

std::string Translator::statistics(bool json) const { return json ? gather().json() : gather().text(); }

}  // namespace umbra
