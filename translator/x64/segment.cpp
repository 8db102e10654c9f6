// Loading segment registers in real and V86 mode, where that is a shift. A register whose segment was 64 KiB, readable
// and writable, is that again: nothing but base and selector changes, and what real mode makes of the rights. SDM
// vol. 3 section 20.1.1. Any other is a callout. Far transfers load CS like that, and go on by that segment's dispatch
// table.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

bool Writer::segment_is_base(unsigned seg) const {
  const Mode mode = block_.key.mode;
  return !mode.protected_mode() && mode.segment(seg) == SegClass::kShort && mode.lanes() && bmi2_;
}

// The selector is in kTarget32, zero-extended.
void Writer::set_segment(unsigned seg) {
  const std::size_t at = offsetof(CpuState, seg) + seg * sizeof(Segment);
  a.mov(state_at(at + offsetof(Segment, selector), 2), kTarget.r16());
  if (!block_.key.mode.user()) a.mov(state_at(at + offsetof(Segment, rights), 1), 0x93);
  a.lea(kTarget32, ptr(0, kTarget, 3));
  a.lea(kTarget32, ptr(kTarget, kTarget));
  a.mov(state_at(at + offsetof(Segment, base), 4), kTarget32);
}

// In protected mode a stub finds the descriptor among those seen before (segment_stubs.cpp). What it does not find is
// the shortcut's.
bool Writer::segment_is_known(unsigned seg) const {
  const Mode mode = block_.key.mode;
  return mode.protected_mode() && mode.lanes() && bmi2_ && stubs_.segments.of(seg, false) != nullptr && !now_.raw.lock;
}

// Behind the access to memory, which finds flags and ESP as they are before it.
void Writer::begin_load() {
  want_flags_again();
  settle_esp();
}

// The selector is in kLinear32. `to` becomes `value`, which is in kEntry or kTarget, only if the stub does it all.
void Writer::load_known(unsigned seg, Gp to, Gp value) {
  Site& site = take_site();
  site.loads = block_.key.mode.segment(seg);
  call_with(site, stubs_.segments.of(seg, block_.key.mode.free_fs_gs()));
  const u32 before = size();
  if (to == rsp) {
    a.mov(gpr_slot(kEsp), value);
  } else {
    a.mov(to, value);
  }
  CHECK(size() - before == kSegmentStubSkips);
  a.mov(esp, gpr_low(kEsp));
}

// The boundary behind a load of SS is no place for an interrupt. None is when nothing is pending and the block goes on.
bool Writer::shields_stack() {
  if (now_.index + 1 == block_.count) return false;
  miss_if_pending();
  return true;
}

bool Writer::move_to_segment() {
  const Insn& insn = *now_.insn;
  const unsigned seg = insn.operands[0].reg;
  const Operand& from = insn.operands[1];
  if (segment_is_known(seg)) {
    if (from.kind == OperandKind::kReg) {
      begin_load();
      a.movzx(kLinear32, gpw(from.reg));
    } else {
      memory_lane(2, Way::kLoad);
      a.movzx(kLinear32, sized(operand_, 2));
      begin_load();
    }
    a.mov(kEntry, rsp);
    load_known(seg, rsp, kEntry);
    return true;
  }
  if (seg == kCs || !segment_is_base(seg) || (seg == kSs && !shields_stack())) return false;
  if (from.kind == OperandKind::kReg) {
    a.movzx(kTarget32, gpw(from.reg));
  } else {
    memory_lane(2, Way::kLoad);
    a.movzx(kTarget32, sized(operand_, 2));
  }
  set_segment(seg);
  return true;
}

bool Writer::pop_segment() {
  const unsigned seg = now_.insn->operands[0].reg;
  if (segment_is_known(seg)) {
    stack_lane(0, 2, Way::kLoad);
    a.movzx(kLinear32, sized(operand_, 2));
    begin_load();
    const i32 by = static_cast<i32>(now_.insn->operand_size);
    if (block_.key.mode.stack_32()) {
      a.lea(kEntry32, ptr(rsp, by));
    } else {
      a.lea(kTarget32, ptr(rsp, by));
      a.mov(kEntry, rsp);
      a.mov(kEntry.r16(), kTarget.r16());
    }
    load_known(seg, rsp, kEntry);
    return true;
  }
  if (now_.insn->operand_size != 2 || seg == kCs || !segment_is_base(seg) || (seg == kSs && !shields_stack()))
    return false;
  stack_lane(0, 2, Way::kLoad);
  a.movzx(kTarget32, sized(operand_, 2));
  move_esp(2);
  set_segment(seg);
  return true;
}

// Offset and selector are read as one, which a pointer that wraps at 64 KiB forbids: it is a miss.
bool Writer::far_pointer(unsigned seg) {
  const Insn& insn = *now_.insn;
  const bool together = block_.key.mode.segment(insn.segment) == SegClass::kShort && insn.address_size == 2;
  if (segment_is_known(seg)) {
    if (insn.operand_size != 2 || !together || insn.operands[0].reg == kEsp) return false;
    memory_lane(4, Way::kLoad);
    a.mov(kTarget32, sized(operand_, 4));
    begin_load();
    a.rorx(kLinear32, kTarget32, 16);
    a.movzx(kLinear32, kLinear.r16());
    load_known(seg, gpw(insn.operands[0].reg), kTarget.r16());
    return true;
  }
  if (insn.operand_size != 2 || !together || !segment_is_base(seg)) return false;
  memory_lane(4, Way::kLoad);
  a.mov(kTarget32, sized(operand_, 4));
  a.mov(gpw(insn.operands[0].reg), kTarget.r16());
  a.rorx(kTarget32, kTarget32, 16);
  a.movzx(kTarget32, kTarget.r16());
  set_segment(seg);
  return true;
}

// What a transfer pushes or pops is accessed as one, so it must not wrap.
bool Writer::far_allowed() const {
  const Mode mode = block_.key.mode;
  return now_.insn->operand_size == 2 && !mode.code_32() && segment_is_base(kCs) && segment_is_base(kSs);
}

// A far pointer in kTarget32, for later: no generated code looks at EIP there.
void Writer::keep_pointer() { a.mov(state_at(offsetof(CpuState, eip), 4), kTarget32); }

void Writer::to_kept_pointer() {
  a.mov(kTarget32, state_at(offsetof(CpuState, eip), 4));
  a.rorx(kLinear32, kTarget32, 16);
  a.movzx(kLinear32, kLinear.r16());
  a.movzx(kTarget32, kTarget.r16());
  far_transfer();
}

// The selector is in kLinear32, EIP in kTarget32.
void Writer::far_transfer() {
  want_flags_again();
  settle_esp();
  const std::size_t rights = offsetof(CpuState, seg) + kCs * sizeof(Segment) + offsetof(Segment, rights);
  if (!block_.key.mode.user()) a.mov(state_at(rights, 1), 0x93);
  a.jmp(reinterpret_cast<u64>(stubs_.far));
  ended_ = true;
}

bool Writer::far_jump_or_call() {
  const Insn& insn = *now_.insn;
  const bool call = insn.op == Op::kCallFar, indirect = insn.operands[0].kind == OperandKind::kMem;
  if (!far_allowed()) return false;
  if (indirect) {
    if (block_.key.mode.segment(insn.segment) != SegClass::kShort || insn.address_size != 2) return false;
    if (call) spare_flags();
    memory_lane(4, Way::kLoad);
    a.mov(kTarget32, sized(operand_, 4));
    keep_pointer();
  }
  if (call) {
    const std::size_t selector = offsetof(CpuState, seg) + kCs * sizeof(Segment) + offsetof(Segment, selector);
    stack_lane(-4, 4, Way::kStore);
    a.movzx(kTarget32, state_at(selector, 2));
    a.rorx(kTarget32, kTarget32, 16);
    a.lea(kTarget32, ptr(kTarget, static_cast<i32>(now_.next_eip)));
    a.mov(operand_, kTarget32);
    move_esp(-4);
  }
  if (indirect) {
    to_kept_pointer();
  } else {
    a.mov(kLinear32, insn.imm2);
    a.mov(kTarget32, insn.imm & 0xffff);
    far_transfer();
  }
  return true;
}

bool Writer::far_ret() {
  if (!far_allowed()) return false;
  stack_lane(0, 4, Way::kLoad);
  a.mov(kTarget32, sized(operand_, 4));
  keep_pointer();
  move_esp(static_cast<i32>(4 + (now_.raw.opcode == 0xca ? now_.insn->imm & 0xffff : 0)));
  to_kept_pointer();
  return true;
}

bool Writer::far_iret() {
  const Mode mode = block_.key.mode;
  if (!far_allowed() || !mode.plain_flags() || !mode.interrupt_flag()) return false;
  spare_flags();
  const Label miss = miss_label();
  stack_lane(0, 4, Way::kLoad);
  a.mov(kTarget32, sized(operand_, 4));
  keep_pointer();
  stack_lane(4, 2, Way::kLoad);
  a.movzx(kTarget32, sized(operand_, 2));
  take_popped_flags(2, miss);
  a.mov(state_at(offsetof(CpuState, nmi_blocked), 1), 0);
  move_esp(6);
  overwrite_flags();
  a.mov(kSaved, rax);
  spread_flags();
  to_kept_pointer();
  return true;
}

}  // namespace umbra::x64
