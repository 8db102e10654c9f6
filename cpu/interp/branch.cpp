// Near JMP CALL RET, Jcc, LOOP, JCXZ, BOUND. Far transfers and interrupts are in system.cpp and segment.cpp.
#include "cpu/alu.h"
#include "cpu/interp/operands.h"
#include "cpu/interp/stack.h"

namespace umbra::interp {
namespace {

u32 relative_target(const Cpu& cpu, const Insn& insn) {
  const u32 target = static_cast<u32>(cpu.s.eip) + insn.imm;
  return insn.operand_size == 2 ? target & 0xffff : target;
}

template <unsigned Code>
void jump_if(Cpu& cpu, const Insn& insn) {
  if (alu::condition<Code>(cpu.s.eflags)) jump(cpu, relative_target(cpu, insn));
}

void jump_relative(Cpu& cpu, const Insn& insn) { jump(cpu, relative_target(cpu, insn)); }

template <class T>
void jump_indirect(Cpu& cpu, const Insn& insn) {
  jump(cpu, load_operand<T>(cpu, insn, 0));
}

// The limit is checked first, then the push: both before anything is committed.
template <class T>
void call_to(Cpu& cpu, u32 target) {
  if (target > cpu.s.seg[kCs].limit) cpu.fault(kGeneralProtection, 0);
  push<T>(cpu, static_cast<T>(cpu.s.eip));
  cpu.s.eip = target;
}

template <class T>
void call_relative(Cpu& cpu, const Insn& insn) {
  call_to<T>(cpu, relative_target(cpu, insn));
}

template <class T>
void call_indirect(Cpu& cpu, const Insn& insn) {
  call_to<T>(cpu, load_operand<T>(cpu, insn, 0));
}

template <class T>
void return_near(Cpu& cpu, const Insn& insn) {
  const u32 top = stack_pointer(cpu);
  jump(cpu, cpu.read<T>(kSs, top));
  set_stack_pointer(cpu, top + sizeof(T) + static_cast<u16>(insn.imm));
}

u32 count_register(CpuState& s, const Insn& insn) { return s.r32(kEcx) & insn.address_mask; }

// The count is of the address size, and is left alone when the jump faults on the limit of CS: the instruction
// restarts.
template <bool OnZero, bool OnNotZero>
void loop_if(Cpu& cpu, const Insn& insn) {
  CpuState& s = cpu.s;
  const u32 count = (count_register(s, insn) - 1) & insn.address_mask;
  const bool zero = (s.eflags & flag::kZf) != 0;
  if (count != 0 && !(OnZero && !zero) && !(OnNotZero && zero)) jump(cpu, relative_target(cpu, insn));
  if (insn.address_size == 4) {
    s.r32(kEcx) = count;
  } else {
    s.r16(kEcx) = static_cast<u16>(count);
  }
}

void jump_if_count_zero(Cpu& cpu, const Insn& insn) {
  if (count_register(cpu.s, insn) == 0) jump(cpu, relative_target(cpu, insn));
}

template <class T>
void check_bounds(Cpu& cpu, const Insn& insn) {
  using S = std::make_signed_t<T>;
  const u32 offset = effective_address(cpu.s, insn);
  const S index = static_cast<S>(reg<T>(cpu.s, insn.operands[0].reg));
  const S lower = static_cast<S>(cpu.read<T>(segment(insn), offset));
  const S upper = static_cast<S>(cpu.read<T>(segment(insn), (offset + sizeof(T)) & insn.address_mask));
  if (index < lower || index > upper) cpu.fault(kBound);
}

}  // namespace

Handler jmp(const Insn& insn) {
  if (insn.operands[0].kind == OperandKind::kRel) return jump_relative;
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return jump_indirect<T>; });
}

Handler call(const Insn& insn) {
  return by_word_size(insn.operand_size, [&]<class T>() -> Handler {
    return insn.operands[0].kind == OperandKind::kRel ? call_relative<T> : call_indirect<T>;
  });
}

Handler ret(const Insn& insn) {
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return return_near<T>; });
}

Handler loop(const Insn&) { return loop_if<false, false>; }
Handler loope(const Insn&) { return loop_if<true, false>; }
Handler loopne(const Insn&) { return loop_if<false, true>; }
Handler jcxz(const Insn&) { return jump_if_count_zero; }
Handler jecxz(const Insn&) { return jump_if_count_zero; }

Handler bound(const Insn& insn) {
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return check_bounds<T>; });
}

Handler jo(const Insn&) { return jump_if<0>; }
Handler jno(const Insn&) { return jump_if<1>; }
Handler jb(const Insn&) { return jump_if<2>; }
Handler jnb(const Insn&) { return jump_if<3>; }
Handler jz(const Insn&) { return jump_if<4>; }
Handler jnz(const Insn&) { return jump_if<5>; }
Handler jbe(const Insn&) { return jump_if<6>; }
Handler jnbe(const Insn&) { return jump_if<7>; }
Handler js(const Insn&) { return jump_if<8>; }
Handler jns(const Insn&) { return jump_if<9>; }
Handler jp(const Insn&) { return jump_if<10>; }
Handler jnp(const Insn&) { return jump_if<11>; }
Handler jl(const Insn&) { return jump_if<12>; }
Handler jnl(const Insn&) { return jump_if<13>; }
Handler jle(const Insn&) { return jump_if<14>; }
Handler jnle(const Insn&) { return jump_if<15>; }

}  // namespace umbra::interp
