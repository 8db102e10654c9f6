#include "cpu/interp/interp.h"

#include "cpu/base/log.h"
#include "cpu/interp/shapes.h"
#include "cpu/show.h"

namespace umbra {
namespace {

// What a linear address leads to depends on this; blocks remember under which one they were found.
u64 context_of(const Cpu& cpu) { return cpu.mmu.epoch() << 2 | u64{cpu.s.cpl == 3} << 1 | u64{cpu.s.seg[kCs].big()}; }

u32 code_linear(const Cpu& cpu) { return cpu.s.seg[kCs].base + static_cast<u32>(cpu.s.eip); }

// Before the 386 the instruction pointer has 16 bits.
void wrap_ip(Cpu& cpu) {
  if (cpu.model.generation < Generation::k386) cpu.s.eip &= 0xffff;
}

// What is invalid may become valid by a change of any byte that follows.
u32 looked_at(const Insn& insn, u32 left) {
  return insn.op == Op::kInvalid ? std::min<u32>(left, kMaxInsnLength) : insn.length;
}

constexpr u32 kTraced = static_cast<u32>(Log::kExec) | static_cast<u32>(Log::kCpu);

void trace(Cpu& cpu) {
  log(Log::kExec, "%04x:%08x", cpu.s.seg[kCs].selector, static_cast<u32>(cpu.s.eip));
  if (log_on(Log::kCpu)) log(Log::kCpu, "%s", show_registers(cpu.s, cpu.mmu.memory().a20()).c_str());
}

}  // namespace

// Runs a part of the guest after what is pending, unless the processor stands still.
template <class Part>
Stop Interpreter::guarded(Cpu& cpu, Part part) {
  if (cpu.pending.load(std::memory_order_relaxed) != 0) cpu.service();
  if (cpu.s.activity == Activity::kHalted) return Stop::kHalted;
  if (cpu.s.activity == Activity::kShutdown) return Stop::kShutdown;
  try {
    part();
  } catch (const GuestFault& fault) {
    count_until_fault(cpu);
    cpu.deliver(fault);
  }
  return Stop::kAttention;
}

Stop Interpreter::run(Cpu& cpu) {
  for (;;) {
    if ((cpu.pending.load(std::memory_order_relaxed) & attention::kExit) != 0) {
      cpu.pending.fetch_and(~attention::kExit);
      return Stop::kAttention;
    }
    const Stop stop = guarded(cpu, [&] { run_blocks(cpu, false); });
    if (stop != Stop::kAttention) return stop;
  }
}

Stop Interpreter::run_block(Cpu& cpu) {
  return guarded(cpu, [&] { run_blocks(cpu, true); });
}

Stop Interpreter::step(Cpu& cpu) {
  return guarded(cpu, [&] { execute_singly(cpu); });
}

// Until something off the beaten path turns up.
void Interpreter::run_blocks(Cpu& cpu, bool once) {
  const CpuState& s = cpu.s;
  do {
    if (odd(cpu)) return execute_singly(cpu);
    Block* block = find(cpu);
    if (block == nullptr || u64{static_cast<u32>(s.eip)} + block->bytes - 1 > s.seg[kCs].limit)
      return execute_singly(cpu);
    if ((g_log_mask & kTraced) != 0) trace(cpu);
    execute(cpu, *block);
  } while (!once && cpu.pending.load(std::memory_order_relaxed) == 0 && s.activity == Activity::kRunning);
}

void Interpreter::execute(Cpu& cpu, Block& block) {
  CpuState& s = cpu.s;
  running_ = &block;
  end_ = block.insns + block.count;
  const Insn* insn = block.insns;
  do {
    s.insn_eip = s.eip;
    s.eip = static_cast<u32>(s.eip + insn->length);
    insn->handler(cpu, *insn);
    ++insn;
  } while (insn < end_);
  running_ = nullptr;
  counts_.retired += static_cast<u64>(insn - block.insns);
  wrap_ip(cpu);
}

// The faulting instruction does not count.
void Interpreter::count_until_fault(const Cpu& cpu) {
  ++counts_.faults;
  if (running_ == nullptr) return;
  u32 linear = running_->linear;
  const u32 stop = cpu.s.seg[kCs].base + static_cast<u32>(cpu.s.insn_eip);
  for (u32 i = 0; i < running_->count && linear != stop; ++i) {
    linear += running_->insns[i].length;
    ++counts_.retired;
  }
  running_ = nullptr;
}

void Interpreter::execute_singly(Cpu& cpu) {
  CpuState& s = cpu.s;
  running_ = nullptr;
  s.insn_eip = s.eip;
  if (cpu.begin_insn()) return;
  s.shadow = 0;
  const Insn insn = decode_singly(cpu);
  if ((g_log_mask & kTraced) != 0) trace(cpu);
  s.eip = static_cast<u32>(s.eip + insn.length);
  insn.handler(cpu, insn);
  ++counts_.retired;
  wrap_ip(cpu);
  cpu.end_of_insn_traps();
}

// --- finding
// ------------------------------------------------------------------------------------------------------------

Interpreter::Block* Interpreter::find(Cpu& cpu) {
  const u32 linear = code_linear(cpu);
  const u64 context = context_of(cpu);
  Block* block = recent_[(linear ^ linear >> 12) % kRecent];
  if (block != nullptr && block->linear == linear && block->context == context) return block;
  return find_slow(cpu, Linear(linear), context);
}

Interpreter::Block* Interpreter::find_slow(Cpu& cpu, Linear linear, u64 context) {
  ++counts_.misses;
  cpu.s.insn_eip = cpu.s.eip;
  running_ = nullptr;
  if (cpu.s.eip > cpu.s.seg[kCs].limit) cpu.fault(kGeneralProtection, 0);
  const Fetch& fetch = fetch_page(cpu, linear);
  if (fetch.host == nullptr) return nullptr;
  const u32 page = static_cast<u32>(page_of(fetch.page));
  const u32 offset = page_offset(linear);
  Block* block = buckets_[(page * 31 + offset) % kBuckets];
  for (; block != nullptr; block = block->next_in_bucket) {
    if (block->page != page || block->offset != offset || block->size != cpu.code_size() || block->context == kDead)
      continue;
    if (block->second_page == kNoPage) break;
    const Fetch& second = fetch_page(cpu, linear + kPageSize);
    if (block->second_page == page_of(second.page)) break;
  }
  if (block == nullptr) block = build(cpu, linear, fetch);
  if (block == nullptr) return nullptr;
  block->linear = linear.value;
  block->context = context;
  recent_[(linear.value ^ linear.value >> 12) % kRecent] = block;
  return block;
}

const Interpreter::Fetch& Interpreter::fetch_page(Cpu& cpu, Linear a) {
  Fetch& fetch = fetches_[page_of(a) % std::size(fetches_)];
  const u64 context = context_of(cpu);
  if (fetch.context == context && fetch.linear_page == page_of(a)) return fetch;
  const Fill fill = cpu.mmu.fill(a, Access::kExecute, cpu.s.cpl == 3);
  if (fill.kind == Fill::Kind::kFault) {
    cpu.s.cr2 = a.value;
    cpu.fault(kPageFault, fill.error_code);
  }
  fetch.context = context;
  fetch.linear_page = page_of(a);
  fetch.page = Phys(fill.address.value & ~u64{kPageMask});
  fetch.host = fill.host == nullptr ? nullptr : fill.host - page_offset(a);
  return fetch;
}

// --- decoding
// -----------------------------------------------------------------------------------------------------------

Interpreter::Block* Interpreter::build(Cpu& cpu, Linear linear, const Fetch& fetch) {
  const u32 start = page_offset(linear);
  Block block;
  block.linear = linear.value;
  block.page = static_cast<u32>(page_of(fetch.page));
  block.offset = static_cast<u16>(start);
  block.size = cpu.code_size();
  Insn insns[kMaxBlock];
  u32 at = start;
  while (block.count < kMaxBlock && at < kPageSize) {
    Insn& insn = insns[block.count];
    if (!decode_bound({fetch.host + at, kPageSize - at}, block.size, cpu.model, insn)) break;
    ++block.count;
    at += looked_at(insn, kPageSize - at);
    if (closes_block(insn) || (info(insn.op).traits & trait::io) != 0) break;  // ports raise interrupts at once
  }
  if (block.count == 0) return build_crossing(cpu, linear, fetch);
  block.bytes = static_cast<u16>(at - start);
  return insert(block, insns);
}

Interpreter::Block* Interpreter::build_crossing(Cpu& cpu, Linear linear, const Fetch& fetch) {
  const Fetch first = fetch;  // the second page may share its slot
  const u32 in_first = kPageSize - page_offset(linear);
  const Fetch& second = fetch_page(cpu, linear + in_first);
  if (second.host == nullptr) return nullptr;
  u8 bytes[kMaxInsnLength];
  const u32 n = std::min<u32>(in_first, kMaxInsnLength);
  std::memcpy(bytes, first.host + page_offset(linear), n);
  std::memcpy(bytes + n, second.host, kMaxInsnLength - n);
  Block block;
  block.linear = linear.value;
  block.page = static_cast<u32>(page_of(first.page));
  block.second_page = static_cast<u32>(page_of(second.page));
  block.offset = static_cast<u16>(page_offset(linear));
  block.size = cpu.code_size();
  block.count = 1;
  Insn insn;
  decode_bound(bytes, block.size, cpu.model, insn);
  block.bytes = static_cast<u16>(looked_at(insn, kMaxInsnLength));
  return insert(block, &insn);
}

// One instruction at CS:EIP, byte by byte as far as the segment and the pages allow.
Insn Interpreter::decode_singly(Cpu& cpu) {
  const Segment& cs = cpu.s.seg[kCs];
  const u32 eip = static_cast<u32>(cpu.s.eip);
  const bool wraps = cpu.model.generation == Generation::k8086;
  if (eip > cs.limit) cpu.fault(kGeneralProtection, 0);
  u8 bytes[kMaxInsnLength] = {};
  const u64 to_limit = u64{cs.limit} - eip + 1;
  u32 have = 0;
  for (;;) {
    const Linear next(cs.base + (wraps ? (eip + have) & 0xffff : eip + have));
    if (!wraps && have >= to_limit) cpu.fault(kGeneralProtection, 0);
    u64 run = std::min<u64>(kMaxInsnLength - have, kPageSize - page_offset(next));
    if (!wraps) run = std::min(run, to_limit - have);
    if (wraps) run = 1;
    fetch_bytes(cpu, next, bytes + have, static_cast<u32>(run));
    have += static_cast<u32>(run);
    Insn insn;
    if (decode_bound({bytes, have}, cpu.code_size(), cpu.model, insn)) return insn;
  }
}

void Interpreter::fetch_bytes(Cpu& cpu, Linear from, u8* to, u32 count) {
  const Fetch& fetch = fetch_page(cpu, from);
  for (u32 i = 0; i < count; ++i) {
    const u32 offset = page_offset(from) + i;
    to[i] = fetch.host != nullptr ? fetch.host[offset] : static_cast<u8>(memory_.load(fetch.page + offset, 1));
  }
}

}  // namespace umbra
