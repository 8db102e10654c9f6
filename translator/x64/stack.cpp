// PUSH, POP, PUSHA, POPA and LEAVE: the slot is checked first, ESP moves last, and nothing in between touches the
// flags. A chain of additions to ESP is what pushes, pops, calls and returns would wait for, so it moves once for
// several of them, and until then is ahead of the register. Where two places are accessed, the flags are where they are
// from the first access on: a host fault asks.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

// kLinear32 := offset of the slot at ESP + displacement.
void Writer::stack_slot(i32 displacement) {
  displacement += esp_ahead_;
  if (displacement == 0) {
    a.mov(kLinear32, esp);
  } else {
    a.lea(kLinear32, ptr(rsp, displacement));
  }
  if (!block_.key.mode.stack_32()) a.movzx(kLinear32, kLinear.r16());
}

void Writer::stack_lane(i32 displacement, u32 size, Way way) {
  if (direct(kSs) && block_.key.mode.stack_32()) {
    operand_ = ptr(esp, displacement + esp_ahead_);
    operand_.setSegment(gs);
    return;
  }
  stack_slot(displacement);
  lane(kSs, size, way, offset_on_stack());
}

void Writer::move_esp(i32 by) {
  if (block_.key.mode.stack_32()) {
    esp_ahead_ += by;
    if (esp_ahead_ % 4 != 0 || esp_ahead_ < -8 * 4 || esp_ahead_ > 7 * 4) settle_esp();  // Mark::esp_ahead
  } else {
    a.lea(kLinear32, ptr(rsp, by));
    a.mov(sp, kLinear.r16());
  }
}

// The register is ESP again.
void Writer::settle_esp() {
  if (esp_ahead_ != 0) a.lea(esp, ptr(rsp, esp_ahead_));
  esp_ahead_ = 0;
}

// Whether the instruction can do with ESP ahead of the register: it reaches memory from there at most, or has an
// emitter that knows.
bool Writer::bears_esp_ahead() const {
  const Insn& insn = *now_.insn;
  for (const Operand& o : insn.operands)
    if (o.kind == OperandKind::kReg && o.reg == kEsp) return false;
  switch (insn.x64) {
    case Lowering::copy:
    case Lowering::x87:
    case Lowering::sse:
      return true;
    case Lowering::stack:
      return insn.op == Op::kPush || (insn.op == Op::kPop && insn.operands[0].kind == OperandKind::kReg);
    case Lowering::branch:
      return insn.op == Op::kCall || insn.op == Op::kRet;
    default:
      return false;
  }
}

bool Writer::stack() {
  if (!block_.key.mode.lanes() || now_.raw.lock) return false;
  switch (now_.insn->op) {
    case Op::kPush:
      return push();
    case Op::kPop:
      return pop();
    case Op::kLeave:
      return leave();
    case Op::kPusha:
    case Op::kPushad:
      return push_all();
    case Op::kPopa:
    case Op::kPopad:
      return pop_all();
    default:
      return false;
  }
}

bool Writer::push() {
  const Insn& insn = *now_.insn;
  const Operand& source = insn.operands[0];
  const u32 size = insn.operand_size;
  const i32 step = -static_cast<i32>(size);
  switch (source.kind) {
    case OperandKind::kReg:
      stack_lane(step, size, Way::kStore);
      a.mov(operand_, size == 4 ? guest32(source.reg) : gpw(source.reg));
      break;
    case OperandKind::kImm:
      stack_lane(step, size, Way::kStore);
      a.mov(sized(operand_, size), insn.imm & (size == 4 ? 0xffffffff : 0xffff));
      break;
    case OperandKind::kMem:
      if (!changes_nothing(kSs)) spare_flags();
      memory_lane(size, Way::kLoad);
      a.mov(size == 4 ? kTarget32 : kTarget.r16(), operand_);
      stack_lane(step, size, Way::kStore);
      a.mov(operand_, size == 4 ? kTarget32 : kTarget.r16());
      break;
    case OperandKind::kSeg: {  // with a 32-bit operand size, too, only the selector's two bytes are written
      const std::size_t at = offsetof(CpuState, seg) + source.reg * sizeof(Segment) + offsetof(Segment, selector);
      stack_lane(step, 2, Way::kStore);
      a.movzx(kTarget32, state_at(at, 2));
      a.mov(sized(operand_, 2), kTarget.r16());
      break;
    }
    default:
      return false;
  }
  move_esp(step);
  return true;
}

bool Writer::pop() {
  const Insn& insn = *now_.insn;
  const Operand& to = insn.operands[0];
  const u32 size = insn.operand_size;
  if (to.kind == OperandKind::kMem) return pop_to_memory();
  if (to.kind == OperandKind::kSeg) return pop_segment();
  if (to.kind != OperandKind::kReg) return false;
  stack_lane(0, size, Way::kLoad);
  const bool to_esp = to.reg == kEsp;  // what was read counts, not the step
  const Gp there = size == 4 ? guest32(to.reg) : gpw(to.reg), scratch = size == 4 ? kTarget32 : kTarget.r16();
  a.mov(to_esp ? scratch : there, operand_);
  move_esp(static_cast<i32>(size));
  if (!to_esp) return true;
  settle_esp();
  a.mov(there, scratch);
  return true;
}

// The destination's address is computed with ESP past the value already; ESP itself moves last.
bool Writer::pop_to_memory() {
  const Insn& insn = *now_.insn;
  const Mode mode = block_.key.mode;
  const u32 size = insn.operand_size;
  if (insn.base == kEsp && !mode.stack_32()) return false;
  const Gp value = size == 4 ? kTarget32 : kTarget.r16();
  if (!changes_nothing(insn.segment)) spare_flags();
  stack_lane(0, size, Way::kLoad);
  a.mov(value, operand_);
  Insn moved = insn;
  if (insn.base == kEsp) moved.disp += static_cast<i32>(size);
  now_.insn = &moved;
  memory_lane(size, Way::kStore);
  now_.insn = &insn;
  a.mov(operand_, value);
  move_esp(static_cast<i32>(size));
  return true;
}

bool Writer::leave() {
  const bool wide_stack = block_.key.mode.stack_32();
  const u32 size = now_.insn->operand_size;
  if (direct(kSs) && wide_stack) {
    operand_ = ptr(ebp);
    operand_.setSegment(gs);
  } else {
    wide_stack ? a.mov(kLinear32, ebp) : a.movzx(kLinear32, bp);
    lane(kSs, size, Way::kLoad, offset_on_stack());
  }
  a.mov(size == 4 ? kTarget32 : kTarget.r16(), operand_);
  a.lea(kLinear32, ptr(rbp, static_cast<i32>(size)));
  wide_stack ? a.mov(esp, kLinear32) : a.mov(sp, kLinear.r16());
  size == 4 ? a.mov(ebp, kTarget32) : a.mov(bp, kTarget.r16());
  return true;
}

// kLinear := the lowest of eight slots, from `displacement` on. They go through the table as one, so that either all
// can be reached or the instruction has not begun.
void Writer::eight_slots(i32 displacement, Way way) {
  const u32 bytes = 8 * now_.insn->operand_size;
  stack_slot(displacement);
  if (!block_.key.mode.stack_32() && block_.key.mode.segment(kSs) != SegClass::kShort) {
    spare_flags();
    const Label miss = miss_label();
    a.cmp(kLinear32, 0x10000 - bytes);
    a.ja(miss);
  }
  lane(kSs, bytes, way, offset_on_stack(), true);
}

bool Writer::push_all() {
  const u32 size = now_.insn->operand_size;
  eight_slots(-8 * static_cast<i32>(size), Way::kStore);
  for (unsigned r = 8; r-- > 0;) {
    a.mov(operand_, size == 4 ? guest32(r) : gpw(r));
    if (r != 0) a.lea(kLinear, ptr(kLinear, static_cast<i32>(size)));
  }
  move_esp(-8 * static_cast<i32>(size));
  return true;
}

bool Writer::pop_all() {
  const u32 size = now_.insn->operand_size;
  eight_slots(0, Way::kLoad);
  for (unsigned r = 8; r-- > 0;) {
    if (r != kEsp) a.mov(size == 4 ? guest32(r) : gpw(r), operand_);
    if (r != 0) a.lea(kLinear, ptr(kLinear, static_cast<i32>(size)));
  }
  move_esp(8 * static_cast<i32>(size));
  return true;
}

}  // namespace umbra::x64
