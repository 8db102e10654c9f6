// Shifts and rotates by 1, CL or an immediate, and SHLD/SHRD. An 8086 uses the whole count, later models five bits.
#include "cpu/alu.h"
#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

unsigned masked(const Cpu& cpu, unsigned count) {
  return cpu.model.generation == Generation::k8086 ? count : count & 31;
}

unsigned count_of(Cpu& cpu, const Insn& insn, unsigned n) {
  return masked(cpu, insn.operands[n].kind == OperandKind::kReg ? cpu.s.r8(kEcx) : static_cast<u8>(insn.imm));
}

template <auto F>
Handler shift(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      const unsigned count = count_of(cpu, insn, 1);
      Place::modify(cpu, insn, [&](T d) { return F(d, count, cpu.s.eflags); });
    };
  });
}

template <auto F>
Handler double_shift(const Insn& insn) {
  return by_word_size(insn.operands[0].size, [&]<class T>() -> Handler {
    constexpr auto make = []<class Place>() -> Handler {
      return [](Cpu& cpu, const Insn& insn) {
        const unsigned count = count_of(cpu, insn, 2);
        const T source = reg<T>(cpu.s, insn.operands[1].reg);
        Place::modify(cpu, insn, [&](T d) { return F(d, source, count, cpu.s.eflags); });
      };
    };
    if (insn.operands[0].kind == OperandKind::kMem) return make.template operator()<Mem<T>>();
    return make.template operator()<Reg<T, 0>>();
  });
}

// A 386 whose count exceeds the operand shifts out a bit of it whenever the count is a multiple of its size, and zeros
// otherwise (SingleStepTests 80386, C0 and D2).
template <class T>
T shl_386(T a, unsigned count, u32& flags) {
  const T r = alu::shl(a, count, flags);
  if (count > alu::kBits<T> && count % alu::kBits<T> == 0 && (a & 1) != 0) flags |= flag::kCf | flag::kOf;
  return r;
}

template <class T>
T shr_386(T a, unsigned count, u32& flags) {
  const T r = alu::shr(a, count, flags);
  if (count > alu::kBits<T> && count % alu::kBits<T> == 0) alu::set_flag(flags, flag::kCf, alu::sign(a));
  return r;
}

// Counts beyond 16: the 386 goes on with the source, again.
template <class T>
T shld_386(T a, T b, unsigned count, u32& flags) {
  if (count <= 16) return alu::shld(a, b, count, flags);
  return alu::shld(b, b, count - 16, flags);
}

template <class T>
T shrd_386(T a, T b, unsigned count, u32& flags) {
  if (count <= 16) return alu::shrd(a, b, count, flags);
  return alu::shrd(b, b, count - 16, flags);
}

}  // namespace

Handler rol(const Insn& insn) {
  return shift<[](auto a, unsigned n, u32& f) { return alu::rol(a, n, f); }>(insn);
}
Handler ror(const Insn& insn) {
  return shift<[](auto a, unsigned n, u32& f) { return alu::ror(a, n, f); }>(insn);
}
Handler rcl(const Insn& insn) {
  return shift<[](auto a, unsigned n, u32& f) { return alu::rcl(a, n, f); }>(insn);
}
Handler rcr(const Insn& insn) {
  return shift<[](auto a, unsigned n, u32& f) { return alu::rcr(a, n, f); }>(insn);
}
Handler shl(const Insn& insn) {
  if (insn.old_way) return shift<[](auto a, unsigned n, u32& f) { return shl_386(a, n, f); }>(insn);
  return shift<[](auto a, unsigned n, u32& f) { return alu::shl(a, n, f); }>(insn);
}
Handler shr(const Insn& insn) {
  if (insn.old_way) return shift<[](auto a, unsigned n, u32& f) { return shr_386(a, n, f); }>(insn);
  return shift<[](auto a, unsigned n, u32& f) { return alu::shr(a, n, f); }>(insn);
}
Handler sar(const Insn& insn) {
  return shift<[](auto a, unsigned n, u32& f) { return alu::sar(a, n, f); }>(insn);
}
Handler shld(const Insn& insn) {
  if (insn.old_way) return double_shift<[](auto a, auto b, unsigned n, u32& f) { return shld_386(a, b, n, f); }>(insn);
  return double_shift<[](auto a, auto b, unsigned n, u32& f) { return alu::shld(a, b, n, f); }>(insn);
}
Handler shrd(const Insn& insn) {
  if (insn.old_way) return double_shift<[](auto a, auto b, unsigned n, u32& f) { return shrd_386(a, b, n, f); }>(insn);
  return double_shift<[](auto a, auto b, unsigned n, u32& f) { return alu::shrd(a, b, n, f); }>(insn);
}

// D0-D3 /6 of an 8086: all ones, by CL only when it is not 0.
Handler setmo(const Insn& insn) {
  return by_rm(insn, []<class T, class Place>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      if (count_of(cpu, insn, 1) == 0) return;
      Place::modify(cpu, insn, [&](T) { return alu::logic(static_cast<T>(-1), cpu.s.eflags); });
    };
  });
}

}  // namespace umbra::interp
