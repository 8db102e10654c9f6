// Which code reaches memory through windows, where an access is the guest's own instruction with a prefix. A window is
// filled by signals, so it has to pay.
//
// User code: per address space. A sample earns the space credit (Mmu::earn_window); what the space has decided is part
// of the Mode, so blocks of both lanes exist side by side, and a short program runs what is there for the table lane.
// Supervisor code: that of a kernel whose window all address spaces share, at once: what was mapped stays, and its code
// runs for as long as the machine does. Other supervisors' code per page: two samples, and its blocks are made again.
// An instruction whose signals keep ending in callouts (devices, code pages, volatile pages, other people's memory)
// goes back to the table lane alone; one that takes the guest's page faults does so if they come close together.
#include <ucontext.h>
#include <x86intrin.h>

#include <algorithm>

#include "cpu/base/log.h"
#include "translator/engine.h"

namespace umbra {
namespace {

constexpr u32 kHot = 2;          // samples
constexpr u32 kRefusals = 2;     // signals for nothing
constexpr u32 kGuestFaults = 8;  // signals that were the guest's page faults, within …
constexpr u64 kClose = 1 << 20;  // … ticks of the host's counter, a third of a millisecond: a tenth of the time

}  // namespace

Sampler::Told Translator::sample_entry(void* self, void* ucontext, u32 weight) {
  auto& t = *static_cast<Translator*>(self);
#if defined(__x86_64__)
  return t.sample(reinterpret_cast<const void*>(static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs[REG_RIP]),
                  weight);
#else
  return t.sample(reinterpret_cast<const void*>(static_cast<ucontext_t*>(ucontext)->uc_mcontext.pc), weight);
#endif
}

// In a signal handler: the tables may be read only if the thread was in generated code. What is noted here is for
// promote(), which the next interrupt leads to; only where there are none has it to be called.
Sampler::Told Translator::sample(const void* pc, u32 weight) {
  if (cpu_ == nullptr) return Sampler::Told::kNobody;
  if (in_generated_ == 0 || !cache_->contains(pc)) return Sampler::Told::kNothing;
  ++stats_.samples;
  const Block* block = block_at(static_cast<const u8*>(pc));
  if (block == nullptr || !block->valid) return Sampler::Told::kNothing;
  if (block->key.mode.user()) {
    // One sample of many milliseconds is no proof that a program runs long.
    cpu_->mmu.earn_window(block->window ? weight : 1);
    if (cpu_->mmu.prefers_window() != block->window) cache_->arm_poll(true);
    return block->window ? Sampler::Told::kNothingNew : Sampler::Told::kNews;
  }
  if (block->window) return Sampler::Told::kNothingNew;
  const u32 count = static_cast<u32>(sampled_);
  if (count < kSamples) {
    sampled_pages_[count] = page_of(Phys(block->key.phys));
    sampled_ = sampled_ + 1;
  }
  if (count != 0) cache_->arm_poll(true);
  return Sampler::Told::kNews;
}

void Translator::promote() {
  const u32 count = static_cast<u32>(sampled_);
  u64 pages[kSamples];
  std::copy_n(sampled_pages_, count, pages);
  sampled_ = 0;
  for (u32 i = 0; i < count; ++i) {
    if (++heat_[pages[i]] != kHot) continue;
    ++stats_.hot_pages;
    for (Block* block : code_pages_.take_all(pages[i])) kill(*block);
  }
}

bool Translator::is_hot(u64 page) const {
  const auto found = heat_.find(page);
  return found != heat_.end() && found->second >= kHot;
}

bool Translator::suits_window(const BlockKey& key) const {
  if (key.mode.user()) return key.mode.window();
  return options_.always_windows || cpu_->mmu.shares_kernel() || is_hot(page_of(Phys(key.phys)));
}

// In a signal handler. Instructions that share a place forget each other, which only makes us more patient.
void Translator::note_refusal(u64 instruction, bool guest_fault) {
  // Those that take turns must not take each other's place: who has been seen least gives way.
  auto& set = refusals_[instruction * 0x9e3779b97f4a7c15 >> 56];
  const auto known = std::ranges::find(set, instruction, &Refusals::instruction);
  Refusals& r = known != set.end() ? *known : *std::ranges::min_element(set, {}, &Refusals::count);
  const u64 now = __rdtsc();
  if (r.instruction != instruction || (guest_fault && now - r.since > kClose)) r = {instruction, now, 0};
  demote_wanted_ = ++r.count >= (guest_fault ? kGuestFaults : kRefusals);
  if (demote_wanted_) r = {};
}

void Translator::demote(Block& block, u32 index) {
  ++stats_.demoted;
  const Phys at(block.key.phys + block.marks[index].guest);
  code_pages_.check(page_of(at), page_offset(at));
  if (block.valid) kill(block);
}

// True if the page is there now and the instruction can run again.
bool Translator::fix_window_fault(const Block& block, u32 index, const siginfo_t& info, bool write) {
  const u64 base = cache_->context().window_loaded;
  const u64 offset = reinterpret_cast<u64>(info.si_addr) - base;
  if (!block.window || base == 0 || offset >> 32 != 0) return false;
  const WindowFix fix = cpu_->mmu.fix_fault(Linear(static_cast<u32>(offset)), write);
  backend_->load_window(reinterpret_cast<u64>(cpu_->mmu.window()));
  if (fix.kind != WindowFix::Kind::kMapped) {
    note_refusal(block.key.phys + block.marks[index].guest, fix.kind == WindowFix::Kind::kGuestFault);
    return false;
  }
  ++stats_.window_fixes;
  return true;
}

}  // namespace umbra
