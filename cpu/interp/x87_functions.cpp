// The D9 F0-FF group: roots, remainders, scaling and the transcendental functions, computed by the arithmetic unit.
#include "cpu/interp/x87.h"

namespace umbra::interp::fp {

namespace {

constexpr u16 kRange = fsw::kC1 | fsw::kC2;

// ST(0) = f(ST(0)). C2 is FSIN's and FCOS's word that the argument is out of range.
template <class Function>
void unary(Cpu& cpu, const Insn& insn, u16 codes, Function function) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  f.fsw &= static_cast<u16>(~(codes & fsw::kC2));  // also when the stack faults
  if (x87_empty(f, 0)) {
    if (x87_underflow(cpu)) x87_set(f, 0, kIndefinite);
    return;
  }
  const Computed r = function(x87_get(f, 0), f.fcw);
  if (x87_commit(cpu, r.status, codes)) x87_set(f, 0, r.value);
}

// f(ST(0), ST(1)) into ST(0), or into ST(1) with a pop. FPREM without a quotient leaves C0 and C3 as they were.
template <class Function>
void binary(Cpu& cpu, const Insn& insn, u16 codes, bool pops, Function function) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  f.fsw &= static_cast<u16>(~(codes & fsw::kC2));  // also when the stack faults
  const unsigned target = pops ? 1 : 0;
  if (x87_empty(f, 0) || x87_empty(f, 1)) {
    if (!x87_underflow(cpu)) return;
    x87_set(f, target, kIndefinite);
  } else {
    const Computed r = function(x87_get(f, 0), x87_get(f, 1), f.fcw);
    const bool quotient = !is_nan(classify(r.value)) && (r.status & ~f.fcw & fsw::kPreComputation) == 0;
    if (!x87_commit(cpu, r.status, quotient ? codes : codes & kRange)) return;
    x87_set(f, target, r.value);
  }
  if (pops) x87_pop(f);
}

// ST(0) = first result, then the second is pushed; out of range (C2) nothing changes.
template <class Function>
void pushing(Cpu& cpu, const Insn& insn, u16 codes, Function function) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  f.fsw &= static_cast<u16>(~(codes & fsw::kC2));  // also when the stack faults
  Computed r{kIndefinite, 0, kIndefinite};
  if (x87_empty(f, 0)) {
    if (!x87_underflow(cpu)) return;
  } else if (!x87_empty(f, 7)) {
    if (!x87_overflow(cpu)) return;
  } else {
    r = function(x87_get(f, 0), f.fcw);
    if (!x87_commit(cpu, r.status, codes)) return;
    if ((r.status & codes & fsw::kC2) != 0) return;
  }
  x87_set(f, 0, r.value);
  x87_push(f, r.pushed);
}

void f2xm1(Cpu& cpu, const Insn& insn) { unary(cpu, insn, fsw::kC1, x87_unit().f2xm1); }
void fsqrt(Cpu& cpu, const Insn& insn) { unary(cpu, insn, fsw::kC1, x87_unit().sqrt); }
void frndint(Cpu& cpu, const Insn& insn) { unary(cpu, insn, fsw::kC1, round_to_int); }
void fsin(Cpu& cpu, const Insn& insn) { unary(cpu, insn, kRange, x87_unit().fsin); }
void fcos(Cpu& cpu, const Insn& insn) { unary(cpu, insn, kRange, x87_unit().fcos); }
void fyl2x(Cpu& cpu, const Insn& insn) { binary(cpu, insn, fsw::kC1, true, x87_unit().fyl2x); }
void fyl2xp1(Cpu& cpu, const Insn& insn) { binary(cpu, insn, fsw::kC1, true, x87_unit().fyl2xp1); }
void fpatan(Cpu& cpu, const Insn& insn) { binary(cpu, insn, fsw::kC1, true, x87_unit().fpatan); }
void fprem(Cpu& cpu, const Insn& insn) { binary(cpu, insn, fsw::kCodes, false, x87_unit().prem); }
void fprem1(Cpu& cpu, const Insn& insn) { binary(cpu, insn, fsw::kCodes, false, x87_unit().prem1); }
void fscale(Cpu& cpu, const Insn& insn) { binary(cpu, insn, fsw::kC1, false, x87_unit().scale); }
void fptan(Cpu& cpu, const Insn& insn) { pushing(cpu, insn, kRange, x87_unit().fptan); }
void fsincos(Cpu& cpu, const Insn& insn) { pushing(cpu, insn, kRange, x87_unit().fsincos); }
void fxtract(Cpu& cpu, const Insn& insn) {
  pushing(cpu, insn, fsw::kC1, [](Float80 v, u16) { return extract(v); });
}

}  // namespace

const Map kFunctions[2] = {{f2xm1, fyl2x, fptan, fpatan, fxtract, fprem1, fdecstp, fincstp},
                           {fprem, fyl2xp1, fsqrt, fsincos, frndint, fscale, fsin, fcos}};

}  // namespace umbra::interp::fp
