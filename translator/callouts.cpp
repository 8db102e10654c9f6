// Where generated code meets C++. Nothing throws through these functions; what they return is where control goes.
#include <x86intrin.h>

#include <utility>

#include "cpu/base/log.h"
#include "translator/engine.h"

namespace umbra {

u8* Translator::callout_entry(void* self, Site* site) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  return t.go(t.callout(*site));
}

u8* Translator::missed_entry(void* self, u32 number) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  const Missed& missed = t.missed(number);
  const Site& site = missed.site;
  Block& block = *site.block;
  const u32 index = site.index;
  const u64 flushes = t.stats_.flushes;
  u64& esp = t.cpu_->s.gpr[kEsp];
  esp = static_cast<u32>(esp) + static_cast<u32>(4 * block.marks[index].esp_ahead);
  u8* where = missed.device != nullptr && missed.device(*t.cpu_, site.insn) ? t.done(site) : t.callout(site);
  const bool demote = std::exchange(t.demote_wanted_, false);
  if (t.stats_.flushes != flushes) return t.go(where);  // the block is gone
  if (demote && !block.marks[index].checked) {
    t.demote(block, index);
    if (where == nullptr) where = t.next();
  }
  if (where == nullptr) {
    const Mark& next = block.marks[index + 1];
    esp = static_cast<u32>(esp) - static_cast<u32>(4 * next.esp_ahead);
    where = block.code + next.host;
  }
  return t.go(where);
}

u8* Translator::miss_entry(void* self) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  ++t.stats_.dispatch_misses;
  return t.go(t.next());
}

u8* Translator::resume_entry(void* self) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  return t.go(t.next());
}

u8* Translator::poll_entry(void* self) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  ++t.stats_.polls;
  t.cache_->arm_poll(false);
  return t.go(t.next());
}

// A kick from a signal handler of this thread, after the callout looked at cpu.pending, is not lost: it left a mark.
u8* Translator::go(u8* where) {
  in_generated_ = 1;
  if (options_.disturb && where != backend_->exit_code()) options_.disturb(*this, where);
  if (kicked_ != 0) {
    kicked_ = 0;
    if (cpu_->pending.load(std::memory_order_relaxed) != 0) cache_->arm_poll(true);
  }
  return where;
}

bool Translator::execute(const Site& site) {
  Cpu& cpu = *cpu_;
  cpu.s.insn_eip = site.eip;
  cpu.s.eip = (site.eip + site.insn.length) & site.block->key.eip_mask();
  try {
    site.insn.handler(cpu, site.insn);
  } catch (const GuestFault& fault) {
    deliver(fault);
    return false;
  }
  return true;
}

// A device has done it.
u8* Translator::done(const Site& site) {
  ++stats_.callouts[static_cast<u16>(site.insn.op)].missed;
  cpu_->s.eip = (site.eip + site.insn.length) & site.block->key.eip_mask();
  return stays(site) ? nullptr : next();
}

bool Translator::stays(const Site& site) const {
  const Block& block = *site.block;
  return block.valid && !flush_wanted_ && cpu_->pending.load(std::memory_order_relaxed) == 0 &&
         site.index != block.count - 1 && !cpu_->trap_check_needed();
}

u8* Translator::callout(const Site& site) {
  Cpu& cpu = *cpu_;
  Statistics::Kind& kind = stats_.callouts[static_cast<u16>(site.insn.op)];
  ++(site.inline_code ? kind.missed : kind.count);
  const u64 start = log_on(Log::kExits) ? __rdtsc() : 0;
  const Block& block = *site.block;
  const u64 code = spaces_.shared_epoch();
  const bool faulted = site.inline_code ? page_faults(site) : site.guarded && guard_faults(site);
  const bool completed = !faulted && execute(site);
  if (log_on(Log::kExits)) kind.cycles += __rdtsc() - start;
  if (!completed) return next();
  if (!stays(site) || code != spaces_.shared_epoch()) return next();
  const bool straight =
      cpu.s.eip == site.eip + site.insn.length && cpu.s.shadow == 0 && cpu.s.activity == Activity::kRunning;
  return straight && (site.keeps_mode || Mode::of(cpu) == block.key.mode) ? nullptr : next();
}

}  // namespace umbra
