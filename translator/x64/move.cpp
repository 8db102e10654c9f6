// Data movement that the host has no instruction for here: MOV from segment registers and from control registers,
// XLAT.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

namespace {

Mem selector_of(unsigned seg) {
  return state_at(offsetof(CpuState, seg) + seg * sizeof(Segment) + offsetof(Segment, selector), 2);
}

}  // namespace

bool Writer::move_special() {
  const Insn& insn = *now_.insn;
  if (now_.raw.lock) return false;
  if (insn.operands[0].kind == OperandKind::kSeg) return move_to_segment();
  switch (insn.operands[1].kind) {
    case OperandKind::kSeg:
      return move_from_segment();
    case OperandKind::kCr:
      return move_from_control();
    default:
      return false;
  }
}

bool Writer::move_from_segment() {
  const Insn& insn = *now_.insn;
  const Operand& to = insn.operands[0];
  const Mem selector = selector_of(insn.operands[1].reg);
  if (to.kind == OperandKind::kReg) {
    if (insn.operand_size == 4) {
      a.movzx(guest32(to.reg), selector);
    } else {
      a.mov(gpw(to.reg), selector);
    }
    return true;
  }
  if (!block_.key.mode.lanes()) return false;
  memory_lane(2, Way::kStore);
  a.movzx(kTarget32, selector);
  a.mov(operand_, kTarget.r16());
  return true;
}

bool Writer::move_from_control() {
  const Insn& insn = *now_.insn;
  std::size_t at = 0;
  switch (insn.operands[1].reg) {  // CR4 is not there on every model
    case 0:
      at = offsetof(CpuState, cr0);
      break;
    case 2:
      at = offsetof(CpuState, cr2);
      break;
    case 3:
      at = offsetof(CpuState, cr3);
      break;
    default:
      return false;
  }
  if (block_.key.mode.user()) return false;
  spare_flags();
  const Label miss = miss_label();  // in rings 1 and 2
  a.cmp(state_at(offsetof(CpuState, cpl), 1), 0);
  a.jne(miss);
  a.mov(guest32(insn.operands[0].reg), state_at(at, 4));
  return true;
}

bool Writer::xlat() {
  const Insn& insn = *now_.insn;
  if (now_.raw.lock || !block_.key.mode.lanes()) return false;
  a.movzx(kLinear32, al);
  a.lea(kLinear32, ptr(rbx, kLinear));
  if (insn.address_size == 2) a.movzx(kLinear32, kLinear.r16());
  lane(insn.segment, 1, Way::kLoad, offset_of_operand());
  a.mov(al, operand_);
  return true;
}

}  // namespace umbra::x64
