// Where generated code meets C++. Nothing throws through these functions; what they return is where control goes.
#include <x86intrin.h>

#include "cpu/base/log.h"
#include "translator/engine.h"

namespace umbra {

namespace {
constexpr u32 kTooManyFaults = 8;  // signals that ended in a callout: the check is cheaper
}

u8* Translator::callout_entry(void* self, Site* site) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  return t.go(t.callout(*site));
}

u8* Translator::fault_entry(void* self, Site* site) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  u8* where = t.callout(*site);
  if (site->hidden_faults >= kTooManyFaults && !site->checked) {
    t.demote(*site);
    if (where == nullptr) where = t.next();
  }
  if (where == nullptr) {
    Site* following = site + 1;
    const bool last = following == site->block->sites + site->block->count;
    where = last ? t.next() : site->block->code + following->host;
  }
  return t.go(where);
}

u8* Translator::miss_entry(void* self) {
  auto& t = *static_cast<Translator*>(self);
  t.in_generated_ = 0;
  ++t.stats_.dispatch_misses;
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
  if (kicked_ != 0) {
    kicked_ = 0;
    if (cpu_->pending.load(std::memory_order_relaxed) != 0) cache_->arm_poll(true);
  }
  return where;
}

bool Translator::execute(Site& site) {
  Cpu& cpu = *cpu_;
  cpu.s.insn_eip = site.eip;
  cpu.s.eip = (site.eip + site.insn.length) & site.block->key.eip_mask();
  try {
    site.insn.handler(cpu, site.insn);
  } catch (const GuestFault& fault) {
    ++stats_.guest_faults;
    cpu.deliver(fault);
    return false;
  }
  return true;
}

u8* Translator::callout(Site& site) {
  Cpu& cpu = *cpu_;
  Statistics::Kind& kind = stats_.callouts[static_cast<u16>(site.insn.op)];
  ++(site.inline_code ? kind.missed : kind.count);
  const u64 start = log_on(Log::kExits) ? __rdtsc() : 0;
  const Block& block = *site.block;
  const bool completed = execute(site);
  if (log_on(Log::kExits)) kind.cycles += __rdtsc() - start;
  if (!completed) return next();
  const bool stays = block.valid && !flush_wanted_ && cpu.pending.load(std::memory_order_relaxed) == 0 &&
                     &site != &block.sites[block.count - 1] && !cpu.trap_check_needed();
  if (!stays) return next();
  if (site.inline_code) return nullptr;
  const bool straight = cpu.s.eip == (&site)[1].eip && cpu.s.shadow == 0 && cpu.s.activity == Activity::kRunning;
  return straight && Mode::of(cpu) == block.key.mode ? nullptr : next();
}

}  // namespace umbra
