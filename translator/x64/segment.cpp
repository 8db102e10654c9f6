// Loading segment registers in real and V86 mode, where that is a shift. A register whose segment was 64 KiB, readable
// and writable, is that again: nothing but base and selector changes, and what real mode makes of the rights. SDM vol.
// 3 section 20.1.1. Any other is a callout.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

bool Writer::segment_is_base(unsigned seg) const {
  const Mode mode = block_.key.mode;
  return !mode.protected_mode() && mode.segment(seg) == SegClass::kShort && mode.lanes() && seg != kCs && bmi2_;
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
  if (!segment_is_base(seg) || (seg == kSs && !shields_stack())) return false;
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
  if (now_.insn->operand_size != 2 || !segment_is_base(seg) || (seg == kSs && !shields_stack())) return false;
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
  if (insn.operand_size != 2 || !together || !segment_is_base(seg)) return false;
  memory_lane(4, Way::kLoad);
  a.mov(kTarget32, sized(operand_, 4));
  a.mov(gpw(insn.operands[0].reg), kTarget.r16());
  a.rorx(kTarget32, kTarget32, 16);
  a.movzx(kTarget32, kTarget.r16());
  set_segment(seg);
  return true;
}

}  // namespace umbra::x64
