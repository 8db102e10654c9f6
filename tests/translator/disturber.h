// What a translator decides by the host's clock, by signals, by other threads or for want of room, forced at random,
// but as a seed says: ticks of the sampler, kicks, requests to leave or to flush, instructions that fall out of favour
// with windows, devices that write what is there already, windows lost, mappings used up, everything forgotten. None of
// it may be seen by a guest. UMBRA_DISTURB=SEED does so to all twins.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>

#include "cpu/cpu.h"
#include "translator/engine.h"

namespace umbra::test {

class Disturber {
 public:
  // Null, or what the environment asks for.
  static std::unique_ptr<Disturber> from_environment() {
    const char* seed = std::getenv("UMBRA_DISTURB");
    static u32 twins = 0;  // they come in the same order every time
    return seed != nullptr ? std::make_unique<Disturber>(static_cast<u32>(std::atoi(seed)) + 1000003 * twins++)
                           : nullptr;
  }
  explicit Disturber(u32 seed) : random_(seed) {}
  static Sampler::Told tick_between_runs(Translator& t) { return t.sample(nullptr, 1); }

  void attach(TranslatorOptions& options) {
    options.disturb = [this](Translator& t, const u8* where) { on_entry(t, where); };
  }

  Stop run(Translator& t, Cpu& cpu) {
    between(t, cpu);
    for (;;) {
      const Stop stop = t.run(cpu);
      const bool ours = asked_ && (cpu.pending & attention::kExit) == 0;
      if (asked_) cpu.pending.fetch_and(~attention::kExit);
      asked_ = false;
      if (stop != Stop::kAttention || !ours) return stop;
      between(t, cpu);
    }
  }

 private:
  bool one_in(u32 n) { return random_() % n == 0; }
  u32 pick(u32 n) { return static_cast<u32>(random_() % n); }

  // Generated code goes on: at the beginning of a block, or (null) behind a callout.
  void on_entry(Translator& t, const u8* where) {
    if (t.sampler_ != nullptr) t.sampler_->pause();  // ticks are ours
    mood_ = one_in(64) ? pick(4) : mood_;
    const u32 rarity = 4u << 2 * mood_;  // between all the time and hardly ever
    if (t.sampler_ != nullptr && one_in(rarity)) tick(t, where);
    if (one_in(rarity)) t.demote_wanted_ = true;
    if (one_in(2 * rarity)) t.cache_->arm_poll(true);
    if (one_in(4 * rarity)) ask(t, attention::kExit);
    if (one_in(8 * rarity)) t.flush_wanted_ = true, t.cache_->arm_poll(true);
    if (one_in(8 * rarity)) std::ranges::for_each(t.missed_, [](auto& m) { m.number = ~u32{0}; });
    if (one_in(8 * rarity)) lose_patience(t);
  }

  void tick(Translator& t, const u8* where) {
    const Block* block = where != nullptr ? t.block_at(where) : any_block(t);
    if (block == nullptr) return;
    for (u32 n = 1 + pick(4); n != 0; --n) t.sample(block->code + pick(block->host_size), 1u << pick(4));
  }
  const Block* any_block(Translator& t) {
    const std::span<const Block> all = t.blocks_.all();
    if (all.empty()) return nullptr;
    const Block& block = all[pick(static_cast<u32>(all.size()))];
    return block.key.mode.user() == t.cpu_->mmu.user() ? &block : nullptr;
  }
  void ask(Translator& t, u32 what) {
    asked_ = true;
    t.cpu_->pending.fetch_or(what);
    t.kick();
  }
  void lose_patience(Translator& t) {
    for (auto& set : t.refusals_)
      for (auto& r : set) r.count = std::max(r.count, 1u);  // the next one is the last
    for (auto& [number, page] : t.code_pages_.pages_) page.patience = 1 + pick(3);
  }

  void between(Translator& t, Cpu& cpu) {
    PhysicalMemory& memory = cpu.mmu.memory();
    for (u32 n = one_in(4) ? pick(8) : 0; n != 0; --n) write_again(t, memory);
    for (u32 n = one_in(4) ? pick(8) : 0; n != 0; --n) cpu.mmu.invalidate(Linear(pick(0x100) << kPageBits));
    if (one_in(8)) t.heat_.clear();
    if (one_in(8)) t.mmu_epoch_ = 0;
    if (one_in(16)) cpu.mmu.set_mapping_limit(one_in(2) ? WindowBudget::host_limit() : cpu.mmu.mappings() + pick(40));
    if (one_in(64)) cpu.mmu.enable_windows(Mmu::Windows::kOff);
    if (one_in(64)) cpu.mmu.set_state(cpu.mmu.state());  // MOV CR3
  }
  // A device does, into code or beside it.
  void write_again(Translator& t, PhysicalMemory& memory) {
    const std::span<const Block> all = t.blocks_.all();
    const u64 page =
        all.empty() || one_in(4) ? pick(0x100) : page_of(Phys(all[pick(static_cast<u32>(all.size()))].key.phys));
    u8 bytes[64];
    const Phys at((page << kPageBits) + pick(kPageSize - sizeof bytes));
    const u32 size = 1 + pick(sizeof bytes);
    if (memory.host(at) == nullptr) return;
    memory.read(at, bytes, size);
    memory.write(at, bytes, size);
  }

  std::mt19937 random_;
  u32 mood_ = 1;
  bool asked_ = false;
};

}  // namespace umbra::test
