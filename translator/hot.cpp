// Which code is hot, and what that changes: the page's blocks are made again for the window lane, where an access is
// the guest's own instruction with a prefix. Code that runs rarely stays with the table lane, since a window is filled
// by signals. An instruction whose signals end in callouts (devices, page-crossing code pages, other people's memory)
// goes back alone.
#include <ucontext.h>

#include "cpu/base/log.h"
#include "translator/engine.h"

namespace umbra {
namespace {

constexpr u32 kHot = 2;

}  // namespace

void Translator::sample_entry(void* self, void* ucontext) {
  auto& t = *static_cast<Translator*>(self);
#if defined(__x86_64__)
  t.sample(reinterpret_cast<const void*>(static_cast<ucontext_t*>(ucontext)->uc_mcontext.gregs[REG_RIP]));
#else
  t.sample(reinterpret_cast<const void*>(static_cast<ucontext_t*>(ucontext)->uc_mcontext.pc));
#endif
}

// In a signal handler: the tables may be read only if the thread was in generated code.
void Translator::sample(const void* pc) {
  if (cpu_ == nullptr) return;
  sampler_->start();
  if (in_generated_ == 0 || !cache_->contains(pc)) return;
  ++stats_.samples;
  const Block* block = block_at(static_cast<const u8*>(pc));
  if (block == nullptr || block->window || !block->valid) return;
  if (static_cast<u32>(sampled_) < kSamples) {
    sampled_pages_[sampled_] = page_of(Phys(block->key.phys));
    sampled_ = sampled_ + 1;
  }
  cache_->arm_poll(true);
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

void Translator::demote(Block& block, u32 index) {
  ++stats_.demoted;
  checked_.insert(block.key.phys + block.marks[index].guest);
  block.marks[index].checked = true;
  if (block.valid) kill(block);
}

// True if the page is there now and the instruction can run again.
bool Translator::fix_window_fault(const Block& block, const siginfo_t& info, bool write) {
  const u64 base = cache_->context().window_loaded;
  const u64 offset = reinterpret_cast<u64>(info.si_addr) - base;
  if (!block.window || base == 0 || offset >> 32 != 0) return false;
  const WindowFix fix = cpu_->mmu.fix_fault(Linear(static_cast<u32>(offset)), write);
  backend_->load_window(reinterpret_cast<u64>(cpu_->mmu.window()));
  if (fix.kind != WindowFix::Kind::kMapped) return false;
  ++stats_.window_fixes;
  return true;
}

}  // namespace umbra
