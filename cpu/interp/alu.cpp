// ADD ADC SUB SBB AND OR XOR CMP TEST INC DEC NEG NOT, XADD, CMPXCHG, CMPXCHG8B.
#include "cpu/alu.h"

#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

// F(destination, source, flags) gives the new destination.
template <auto F>
Handler two_operands(const Insn& insn) {
  return by_two(insn, []<class T, class To, class From>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      const T source = From::get(cpu, insn);
      To::modify(cpu, insn, [&](T d) { return F(d, source, cpu.s.eflags); });
    };
  });
}

// F only sets flags.
template <auto F>
Handler compare(const Insn& insn) {
  return by_two(insn, []<class T, class To, class From>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      const T source = From::get(cpu, insn);
      F(To::get(cpu, insn), source, cpu.s.eflags);
    };
  });
}

template <auto F>
Handler one_operand(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) { Place::modify(cpu, insn, [&](T d) { return F(d, cpu.s.eflags); }); };
  });
}

constexpr auto kAdd = [](auto a, auto b, u32& f) { return alu::add(a, b, f); };
constexpr auto kAdc = [](auto a, auto b, u32& f) { return alu::adc(a, b, f); };
constexpr auto kSub = [](auto a, auto b, u32& f) { return alu::sub(a, b, f); };
constexpr auto kSbb = [](auto a, auto b, u32& f) { return alu::sbb(a, b, f); };
constexpr auto kAnd = [](auto a, auto b, u32& f) { return alu::and_(a, b, f); };
constexpr auto kOr = [](auto a, auto b, u32& f) { return alu::or_(a, b, f); };
constexpr auto kXor = [](auto a, auto b, u32& f) { return alu::xor_(a, b, f); };
constexpr auto kInc = [](auto a, u32& f) { return alu::inc(a, f); };
constexpr auto kDec = [](auto a, u32& f) { return alu::dec(a, f); };
constexpr auto kNeg = [](auto a, u32& f) { return alu::neg(a, f); };
constexpr auto kNot = [](auto a, u32&) { return static_cast<decltype(a)>(~a); };

}  // namespace

Handler add(const Insn& insn) { return two_operands<kAdd>(insn); }
Handler adc(const Insn& insn) { return two_operands<kAdc>(insn); }
Handler sub(const Insn& insn) { return two_operands<kSub>(insn); }
Handler sbb(const Insn& insn) { return two_operands<kSbb>(insn); }
Handler and_(const Insn& insn) { return two_operands<kAnd>(insn); }
Handler or_(const Insn& insn) { return two_operands<kOr>(insn); }
Handler xor_(const Insn& insn) { return two_operands<kXor>(insn); }
Handler cmp(const Insn& insn) { return compare<kSub>(insn); }
Handler test(const Insn& insn) { return compare<kAnd>(insn); }
Handler inc(const Insn& insn) { return one_operand<kInc>(insn); }
Handler dec(const Insn& insn) { return one_operand<kDec>(insn); }
Handler neg(const Insn& insn) { return one_operand<kNeg>(insn); }
Handler not_(const Insn& insn) { return one_operand<kNot>(insn); }

Handler xadd(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      T& source = reg<T>(cpu.s, insn.operands[1].reg);
      T old = 0;
      const T addend = source;
      Place::modify(cpu, insn, [&](T d) {
        old = d;
        return alu::add(d, addend, cpu.s.eflags);
      });
      // XADD r,r with both the same leaves the sum; otherwise the source gets the old destination.
      if (insn.operands[0].kind == OperandKind::kMem || insn.operands[0].reg != insn.operands[1].reg) source = old;
    };
  });
}

// The destination is written in any case: a failed exchange stores the old value back.
Handler cmpxchg(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      T& accumulator = reg<T>(cpu.s, kEax);
      const T source = reg<T>(cpu.s, insn.operands[1].reg);
      T old = 0;
      Place::modify(cpu, insn, [&](T d) {
        old = d;
        alu::sub(accumulator, d, cpu.s.eflags);
        return d == accumulator ? source : d;
      });
      if ((cpu.s.eflags & flag::kZf) == 0) accumulator = old;
    };
  });
}

Handler cmpxchg8b(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) {
    CpuState& s = cpu.s;
    const u64 expected = u64{s.r32(kEdx)} << 32 | s.r32(kEax);
    const u64 replacement = u64{s.r32(kEcx)} << 32 | s.r32(kEbx);
    u64 old = 0;
    Mem<u64>::modify(cpu, insn, [&](u64 d) {
      old = d;
      return d == expected ? replacement : d;
    });
    alu::set_flag(s.eflags, flag::kZf, old == expected);
    if (old != expected) {
      s.r32(kEax) = static_cast<u32>(old);
      s.r32(kEdx) = static_cast<u32>(old >> 32);
    }
  };
}

}  // namespace umbra::interp
