// FADD FMUL FSUB FSUBR FDIV FDIVR in every operand form, and FCOM/FCOMP where they share the opcode map.
#include "cpu/interp/x87.h"

namespace umbra::interp::fp {

namespace {

// In ModRM.reg order. FSUB is always ST(0) − other, FSUBR the reverse, whichever of the two is the destination.
template <unsigned op>
Computed compute(Float80 st0, Float80 other, u16 fcw) {
  const X87Unit& unit = x87_unit();
  switch (op) {
    case 0:
      return unit.add(st0, other, fcw);
    case 1:
      return unit.mul(st0, other, fcw);
    case 4:
      return unit.sub(st0, other, fcw);
    case 5:
      return unit.sub(other, st0, fcw);
    case 6:
      return unit.div(st0, other, fcw);
    default:
      return unit.div(other, st0, fcw);
  }
}

struct F32 {
  static Computed load(Cpu& cpu, SegReg seg, u32 at) { return from_f32(cpu.read<u32>(seg, at)); }
};
struct F64 {
  static Computed load(Cpu& cpu, SegReg seg, u32 at) { return from_f64(cpu.read<u64>(seg, at)); }
};
template <class U, class I>
struct Integer {
  static Computed load(Cpu& cpu, SegReg seg, u32 at) { return {from_int(static_cast<I>(cpu.read<U>(seg, at))), 0, {}}; }
};

template <unsigned op, class Source>
void memory(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const u32 at = effective_address(cpu.s, insn);
  const Computed loaded = Source::load(cpu, static_cast<SegReg>(insn.segment), at);
  x87_note_memory(cpu, insn, at);
  FpuState& f = cpu.s.fpu;
  constexpr bool kCompares = op == 2 || op == 3;
  if (x87_empty(f, 0)) {
    if constexpr (kCompares) {
      f.fsw |= fsw::kC0 | fsw::kC2 | fsw::kC3;
      if (x87_underflow(cpu) && op == 3) x87_pop(f);
    } else {
      if (x87_underflow(cpu)) x87_set(f, 0, kIndefinite);
    }
    return;
  }
  const Float80 st0 = x87_get(f, 0);
  if constexpr (kCompares) {
    compare(cpu, st0, loaded.value, (loaded.status & fsw::kDe) != 0, Compare::kOrdered, op - 2);
  } else {
    Computed r = compute<op>(st0, loaded.value, f.fcw);
    // A denormal became normal on its way in, so the unit did not see it. NaNs and invalid operations come first.
    if ((loaded.status & fsw::kDe) != 0 && (r.status & (fsw::kIe | fsw::kZe)) == 0 && !is_nan(classify(st0))) {
      r.status |= fsw::kDe;
      if ((f.fcw & fsw::kDe) == 0) r.status = fsw::kDe;
    }
    if (x87_commit(cpu, r.status)) x87_set(f, 0, r.value);
  }
}

enum class To : u8 { kSt0, kSti, kStiAndPop };

template <unsigned op, To to>
void registers(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const unsigned i = f.fop & 7;
  const unsigned target = to == To::kSt0 ? 0 : i;
  if (x87_empty(f, 0) || x87_empty(f, i)) {
    if (!x87_underflow(cpu)) return;
    x87_set(f, target, kIndefinite);
  } else {
    const Computed r = compute<op>(x87_get(f, 0), x87_get(f, i), f.fcw);
    if (!x87_commit(cpu, r.status)) return;
    x87_set(f, target, r.value);
  }
  if (to == To::kStiAndPop) x87_pop(f);
}

}  // namespace

#define UMBRA_MEMORY(S) \
  { memory<0, S>, memory<1, S>, memory<2, S>, memory<3, S>, memory<4, S>, memory<5, S>, memory<6, S>, memory<7, S> }
#define UMBRA_REGISTERS(to, com, comp)                                                                   \
  {                                                                                                      \
    registers<0, to>, registers<1, to>, com, comp, registers<4, to>, registers<5, to>, registers<6, to>, \
        registers<7, to>                                                                                 \
  }

using I16 = Integer<u16, i16>;
using I32 = Integer<u32, i32>;
const Map kArithF32 = UMBRA_MEMORY(F32);
const Map kArithI32 = UMBRA_MEMORY(I32);
const Map kArithF64 = UMBRA_MEMORY(F64);
const Map kArithI16 = UMBRA_MEMORY(I16);
const Map kArithToSt0 = UMBRA_REGISTERS(To::kSt0, fcom, fcomp);
const Map kArithToSti = UMBRA_REGISTERS(To::kSti, fcom, fcomp);
const Map kArithToStiAndPop = UMBRA_REGISTERS(To::kStiAndPop, fcomp, fcompp);

}  // namespace umbra::interp::fp
