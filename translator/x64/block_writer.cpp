// A block from top to bottom: one instruction after the other, then what waits off the path.
#include <algorithm>

#include "translator/shortcuts.h"
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

void Writer::find_inner() {
  inner_.fill(kOut);
  is_target_.fill(false);
  fpu_at_target_.fill(true);
  for (const u32 i : std::span(draft_.jumps, draft_.jump_count)) {
    const u32 offset = target_offset(block_, draft_.marks[i].guest, draft_.insns[i]);
    Mark* end = draft_.marks + block_.count;
    Mark* found = std::find_if(draft_.marks + i + 1, end, [&](const Mark& m) { return m.guest == offset; });
    if (found == end) continue;
    const u32 index = static_cast<u32>(found - draft_.marks);
    inner_[i] = static_cast<u8>(index);
    if (!is_target_[index]) target_[index] = a.newLabel();
    is_target_[index] = true;
  }
}

void Writer::block() {
  find_inner();
  block_.exit_count = 0;
  if (uses_fpu()) need_fpu();
  block_.poll = size();
  a.mov(kEntry32, poll_word());
  block_.entry = size();
  for (u32 i = 0; i < block_.count; ++i) {
    const Insn& insn = draft_.insns[i];
    const u32 eip = block_.key.eip + draft_.marks[i].guest;
    now_.index = i;
    now_.eip = eip;
    now_.insn = &insn;
    now_.next_eip = (eip + insn.length) & block_.key.eip_mask();
    now_.last = i + 1 == block_.count;
    instruction();
  }
  cold_paths();
  block_.host_size = size();
}

void Writer::instruction() {
  Mark& mark = draft_.marks[now_.index];
  ended_ = false;
  if (esp_ahead_ != 0 && (is_target_[now_.index] || !bears_esp_ahead())) settle_esp();
  if (is_target_[now_.index]) {
    want_flags();
    a.bind(target_[now_.index]);
    fpu_checked_ = fpu_checked_ && fpu_at_target_[now_.index];
  }
  mark.host = static_cast<u16>(size());
  mark.flags_saved = false;
  mark.esp_ahead = esp_ahead_ / 4;
  const Insn* insn = now_.insn;
  if (insn->base == kEsp && esp_ahead_ != 0) {
    shifted_ = *insn;
    shifted_.disp += esp_ahead_;
    now_.insn = &shifted_;
  }
  mark.inline_code = verbatim() || native();
  now_.insn = insn;
  if (!mark.inline_code) callout();
  if (flags_saved_) mark.flags_saved = true;
  if (!now_.last || !mark.inline_code || ended_) return;
  want_flags();
  settle_esp();
  exit_to(now_.next_eip);
}

bool Writer::native() {
  const Insn& insn = *now_.insn;
  now_.raw = layout(insn);
  if (insn.op == Op::kInvalid || insn.old_way) return false;
  switch (insn.x64) {
    case Lowering::copy:
      return copy();
    case Lowering::stack:
      return stack();
    case Lowering::branch:
      return branch();
    case Lowering::string:
      return string();
    case Lowering::flags:
      return bmi2_ && flag_instruction();
    case Lowering::system:
      return bmi2_ && system();
    case Lowering::x87:
    case Lowering::sse:
      return fpu_instruction();
    default:
      return false;
  }
}

Site& Writer::take_site() {
  Site& site = draft_.sites[draft_.site_count++];
  site.block = &block_;
  site.eip = now_.eip;
  site.index = now_.index;
  site.inline_code = false;
  site.insn = *now_.insn;
  site.keeps_mode = keeps_mode(site.insn);
  site.guarded = is_guarded(site.insn);
  site.shortcut = shortcut_for(site.insn, block_.key.mode);
  return site;
}

void Writer::call_with(const Site& site, const u8* stub) {
  fpu_checked_ = false;  // callouts leave it away
  a.mov(kSaved, reinterpret_cast<u64>(&site));
  a.mov(gpr_slot(kEsp), rsp);
  a.mov(rsp, context_at(offsetof(Context, host_rsp), 8));
  a.call(reinterpret_cast<u64>(stub));
}

void Writer::callout() {
  want_flags();
  settle_esp();
  const Site& site = take_site();
  call_with(site, site.shortcut != nullptr ? stubs_.shortcut : stubs_.callout);
  a.mov(esp, gpr_low(kEsp));
}

// DF sits in CpuState.
bool Writer::flag_instruction() {
  const Op op = now_.insn->op;
  if (now_.raw.lock || (op != Op::kCld && op != Op::kStd)) return false;
  change_flag(10, op == Op::kStd);
  return true;
}

bool Writer::fpu_allowed(const Insn& insn) const {
  const u32 traits = info(insn.op).traits;
  const Mode mode = block_.key.mode;
  if ((traits & trait::fpu) != 0 && !mode.x87()) return false;
  return (traits & trait::sse) == 0 || mode.sse();
}

// Before a callout sends it away: then it is fetched where the block begins, so that loops need not look.
bool Writer::uses_fpu() const {
  for (const Insn& insn : std::span(draft_.insns, block_.count)) {
    const bool fpu = insn.x64 == Lowering::x87 || insn.x64 == Lowering::sse;
    if (insn.x64 == Lowering::callout || (fpu && !fpu_allowed(insn))) return false;
    if (fpu && insn.op != Op::kFwait) return true;
  }
  return false;
}

// x87, MMX and SSE run on the host's units with the guest's state in them. Whatever can raise an unmasked exception,
// changes control words or shows instruction pointers is a callout, by mode or by its row.
bool Writer::fpu_instruction() {
  const Insn& insn = *now_.insn;
  if (!fpu_allowed(insn)) return false;
  const RawLayout& r = now_.raw;
  if (r.lock) return false;
  if (insn.op == Op::kFwait) return true;  // every exception is masked
  if (insn.op == Op::kFldcw || insn.op == Op::kLdmxcsr) return load_control_word();
  const bool memory_copied = memory_use(insn, r) != MemoryUse::kNone;
  const bool mask_store = r.map == 1 && r.opcode == 0xf7;  // MASKMOVQ stores through EDI
  if (mask_store || (r.is_memory() && !memory_copied) || (memory_copied && !block_.key.mode.lanes())) return false;
  need_fpu();
  return copy();
}

void Writer::need_fpu() {
  if (fpu_checked_) return;
  fpu_checked_ = true;
  Cold cold{};
  cold.kind = Cold::Kind::kFpu;
  cold.enter = a.newLabel();
  cold.back = a.newLabel();
  const Mem away = context_at(offsetof(Context, fpu_away), 4);
  if (!flags_saved_) {
    a.mov(kSaved, rcx);
    a.mov(ecx, away);
    a.jecxz(rcx, cold.back);
    a.jmp(cold.enter);
    a.bind(cold.back);
    a.mov(rcx, kSaved);
  } else {
    a.cmp(away, 0);
    a.jne(cold.enter);
    a.bind(cold.back);
  }
  later(cold);
}

}  // namespace umbra::x64
