// Transfers inside the code segment. Direct ones are rel32 fields that the engine points at their target; everything
// else goes through the flat table. None of it touches the flags.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

u32 Writer::target() const {
  const u32 eip = now_.next_eip + now_.insn->imm;
  return now_.insn->operand_size == 2 ? eip & 0xffff : eip;
}

// A target in a register needs no limit check.
bool Writer::indirect_allowed() const {
  const u32 limit = block_.key.cs_limit;
  return limit == 0xffffffff || (now_.insn->operand_size == 2 && limit >= 0xffff);
}

void Writer::dispatch() {
  CHECK(!flags_saved_ && esp_ahead_ == 0);
  a.mov(kEntry32, ptr(kDispatch, kTarget, 2));
  a.lea(kEntry, ptr(kCode, kEntry));
  a.jmp(kEntry);
}

bool Writer::inside_page(u32 eip) const {
  const u32 linear = block_.key.linear + (eip - block_.key.eip);
  return (linear ^ block_.key.linear) >> kPageBits == 0;
}

// The rel32 just emitted, and its cold path, become an exit.
u32 Writer::add_exit(u32 eip) {
  CHECK(!flags_saved_ && esp_ahead_ == 0);
  Exit& exit = draft_.exits[block_.exit_count] = Exit{};
  exit.rel32 = size() - 4;
  exit.eip = eip;
  exit.poll = eip <= now_.eip;
  exit.fpu = fpu_checked_;
  exit.far = !inside_page(eip);
  exit.from = &block_;
  return block_.exit_count++;
}

void Writer::exit_to(u32 eip) {
  a.jmp_ahead();
  later_exit(eip);
}

void Writer::exit_if(CondCode cc, u32 eip) {
  a.j_ahead(cc);
  later_exit(eip);
}

// To `eip`, by the field just emitted, which leads to a cold path first.
void Writer::later_exit(u32 eip) {
  Cold cold{};
  cold.kind = Cold::Kind::kExit;
  cold.index = add_exit(eip);
  later(cold);
}

Label Writer::inside(u32 index) {
  fpu_at_target_[index] = fpu_at_target_[index] && fpu_checked_;
  return target_[index];
}

bool Writer::branch() {
  if (now_.raw.lock) return false;
  const u8 op = now_.raw.opcode;
  bool done;
  if (now_.raw.map == 1 || (op >= 0x70 && op <= 0x7f)) {
    done = conditional();
  } else if (op >= 0xe0 && op <= 0xe3) {
    done = loop();
  } else if (op == 0xc2 || op == 0xc3) {
    done = ret();
  } else {
    done = jump_or_call();
  }
  ended_ = done;
  return done;
}

bool Writer::conditional() {
  if (!reachable(target())) return false;
  want_flags();
  // Condition codes in the order of the encoding.
  constexpr CondCode kCodes[] = {CondCode::kO, CondCode::kNO, CondCode::kB,  CondCode::kAE,
                                 CondCode::kE, CondCode::kNE, CondCode::kBE, CondCode::kA,
                                 CondCode::kS, CondCode::kNS, CondCode::kPE, CondCode::kPO,
                                 CondCode::kL, CondCode::kGE, CondCode::kLE, CondCode::kG};
  const CondCode code = kCodes[now_.raw.opcode & 15];
  const u8 inner = inner_[now_.index];
  if (inner != kOut) {
    a.j(code, inside(inner));
  } else {
    exit_if(code, target());
  }
  if (now_.last) exit_to(now_.next_eip);
  return true;
}

bool Writer::loop() {
  if (!reachable(target())) return false;
  want_flags();
  const u8 op = now_.raw.opcode;
  const bool jcxz = op == 0xe3;
  const bool short_count = now_.insn->address_size == 2;
  const Label zero = a.newLabel(), over = a.newLabel();
  if (short_count) {
    a.lea(kLinear32, ptr(rcx, jcxz ? 0 : -1));
    a.mov(cx, kLinear.r16());
    a.movzx(kLinear32, cx);
    a.mov(kSaved, rcx);
    a.mov(rcx, kLinear);
    a.jecxz(rcx, zero);
    a.mov(rcx, kSaved);
  } else {
    if (!jcxz) a.lea(ecx, ptr(rcx, -1));
    a.jecxz(rcx, zero);
  }
  // The count is not zero.
  if (op == 0xe0) a.jz(over);   // LOOPNE
  if (op == 0xe1) a.jnz(over);  // LOOPE
  exit_to(jcxz ? now_.next_eip : target());
  a.bind(zero);
  if (short_count) a.mov(rcx, kSaved);
  a.bind(over);
  exit_to(jcxz ? target() : now_.next_eip);
  return true;
}

bool Writer::jump_or_call() {
  const Insn& insn = *now_.insn;
  const Operand& to = insn.operands[0];
  const bool call = insn.op == Op::kCall;
  const u32 size = insn.operand_size;
  if (!block_.key.mode.lanes()) return false;
  switch (to.kind) {
    case OperandKind::kRel:
      if (!reachable(target())) return false;
      break;
    case OperandKind::kReg:
      if (!indirect_allowed()) return false;
      break;
    case OperandKind::kMem:
      if (!indirect_allowed()) return false;
      memory_lane(size, Way::kLoad);
      want_flags();
      if (size == 4) {
        a.mov(kTarget32, operand_);
      } else {
        a.movzx(kTarget32, sized(operand_, 2));
      }
      break;
    default:
      return false;
  }
  if (call) {
    stack_lane(-static_cast<i32>(size), size, Way::kStore);
    want_flags();
    a.mov(sized(operand_, size), size == 4 ? now_.next_eip : now_.next_eip & 0xffff);
    if (size == 4) a.note(Relocation::Kind::kEip);
  }
  want_flags();
  if (to.kind == OperandKind::kReg) {  // read before ESP moves
    if (size == 4) {
      a.mov(kTarget32, guest32(to.reg));
    } else {
      a.movzx(kTarget32, gpw(to.reg));
    }
  }
  if (const u8 reg = draft_.locators[now_.index]; reg != kNoReg) {
    call_locator(reg);
    return true;
  }
  if (call) move_esp(-static_cast<i32>(size));
  settle_esp();
  if (to.kind != OperandKind::kRel) {
    dispatch();
  } else if (const u8 inner = inner_[now_.index]; inner != kOut) {
    a.jmp(inside(inner));
  } else {
    exit_to(target());
  }
  return true;
}

// The return address has been stored. As long as the locator is one, its caller goes on behind the call.
void Writer::call_locator(u8 reg) {
  settle_esp();
  exit_to(target());
  draft_.exits[block_.exit_count - 1].locator = reg;
  a.mov(guest32(reg), now_.next_eip);
  a.note(Relocation::Kind::kEip);
  if (now_.last) exit_to(now_.next_eip);
}

bool Writer::ret() {
  const Insn& insn = *now_.insn;
  const u32 size = insn.operand_size;
  if (!block_.key.mode.lanes() || !indirect_allowed()) return false;
  stack_lane(0, size, Way::kLoad);
  want_flags();
  if (size == 4) {
    a.mov(kTarget32, operand_);
  } else {
    a.movzx(kTarget32, sized(operand_, 2));
  }
  move_esp(static_cast<i32>(size + (now_.raw.opcode == 0xc2 ? insn.imm & 0xffff : 0)));
  settle_esp();
  dispatch();
  return true;
}

}  // namespace umbra::x64
