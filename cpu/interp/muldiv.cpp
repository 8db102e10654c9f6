// MUL IMUL DIV IDIV.
#include <cstdlib>

#include "cpu/alu.h"
#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

template <class T>
alu::Wide<T> accumulator(CpuState& s) {
  if constexpr (sizeof(T) == 1) return {s.r8(kEax), s.r8(4)};
  return {reg<T>(s, kEax), reg<T>(s, kEdx)};
}

template <class T>
void set_accumulator(CpuState& s, T low, T high) {
  if constexpr (sizeof(T) == 1) {
    s.r16(kEax) = static_cast<u16>(high << 8 | low);
  } else {
    reg<T>(s, kEax) = low;
    reg<T>(s, kEdx) = high;
  }
}

template <auto F>
Handler multiply(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      const T factor = Place::get(cpu, insn);
      const auto r = F(accumulator<T>(cpu.s).low, factor, cpu.s.eflags);
      set_accumulator<T>(cpu.s, r.low, r.high);
    };
  });
}

template <auto F>
Handler divide(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      const T divisor = Place::get(cpu, insn);
      T quotient = 0, remainder = 0;
      if (!F(accumulator<T>(cpu.s), divisor, quotient, remainder)) divide_error(cpu);
      set_accumulator<T>(cpu.s, quotient, remainder);
    };
  });
}

// The 286 and 386 notice an overflow of a negative quotient of eight bits one subtraction late: up to then it is the
// most negative one, and the remainder what is left of the second 128 divisors (SingleStepTests 80386, F6.7).
bool overflow_unnoticed(u16 dividend, u8 divisor, u8& quotient, u8& remainder) {
  const int n = static_cast<i16>(dividend), d = static_cast<i8>(divisor);
  const int left = std::abs(n) - 128 * (std::abs(d) + 128);
  if ((n < 0) == (d < 0) || left < 0 || left >= std::abs(d)) return false;
  quotient = 0x80;
  remainder = static_cast<u8>(n < 0 ? -left : left);
  return true;
}

// The 8086 refuses the most negative quotient, and keeps its sign where it also keeps "repeated": any REP prefix turns
// the quotient round (SingleStepTests 8088, F6.7).
template <class T>
void idiv(Cpu& cpu, const Insn& insn, T divisor) {
  T quotient = 0, remainder = 0;
  if (!alu::idiv<T>(accumulator<T>(cpu.s), divisor, quotient, remainder)) {
    const bool old = cpu.model.generation == Generation::k286 || cpu.model.generation == Generation::k386;
    bool unnoticed = false;
    if constexpr (sizeof(T) == 1) unnoticed = old && overflow_unnoticed(cpu.s.r16(kEax), divisor, quotient, remainder);
    if (!unnoticed) divide_error(cpu);
  }
  if (cpu.model.generation == Generation::k8086) {
    if (quotient == static_cast<T>(T{1} << (alu::kBits<T> - 1))) divide_error(cpu);
    if (insn.has(prefix::kRep | prefix::kRepne)) quotient = static_cast<T>(-quotient);
  }
  set_accumulator<T>(cpu.s, quotient, remainder);
}

}  // namespace

// Up to the 186 a divide error is a trap: the address pushed is that of the next instruction.
void divide_error(Cpu& cpu) {
  if (cpu.model.generation == Generation::k8086) cpu.s.insn_eip = cpu.s.eip;
  cpu.fault(kDivideError);
}

Handler mul(const Insn& insn) {
  return multiply<[](auto a, auto b, u32& f) { return alu::mul(a, b, f); }>(insn);
}

Handler imul(const Insn& insn) {
  if (insn.operands[1].kind == OperandKind::kNone || insn.operands[0].size == 1)
    return multiply<[](auto a, auto b, u32& f) { return alu::imul(a, b, f); }>(insn);
  return by_word_size(insn.operands[0].size, [&]<class T>() -> Handler {
    if (insn.operands[2].kind == OperandKind::kImm)
      return [](Cpu& cpu, const Insn& insn) {
        const T factor = load_operand<T>(cpu, insn, 1);
        reg<T>(cpu.s, insn.operands[0].reg) = alu::imul(factor, static_cast<T>(insn.imm), cpu.s.eflags).low;
      };
    return [](Cpu& cpu, const Insn& insn) {
      const T factor = load_operand<T>(cpu, insn, 1);
      T& to = reg<T>(cpu.s, insn.operands[0].reg);
      to = alu::imul(to, factor, cpu.s.eflags).low;
    };
  });
}

Handler div(const Insn& insn) {
  return divide<[](auto n, auto d, auto& q, auto& r) { return alu::div(n, d, q, r); }>(insn);
}

Handler idiv(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) { idiv<T>(cpu, insn, Place::get(cpu, insn)); };
  });
}

}  // namespace umbra::interp
