// What the x87 handlers share: guards, the register stack on the FXSAVE image, and the exception model of SDM vol. 1
// chapter 8. A handler first passes a guard, then does every memory access that can fault, then changes state.
#pragma once

#include "cpu/cpu.h"
#include "cpu/interp/operands.h"
#include "cpu/interp/x87_float.h"

namespace umbra {

// --- guards ----------------------------------------------------------------------------------------------------------
// x87 instructions: #NM, and for the waiting ones the #MF that an earlier one left pending. False on a model without
// the unit, where an escape does nothing (that is how a BIOS finds out).
bool x87_enter(Cpu& cpu);
bool x87_enter_no_wait(Cpu& cpu);
void x87_check_pending(Cpu& cpu);

// For stores of several pieces: faults now if a later piece could.
inline void prove_store(Cpu& cpu, SegReg seg, u32 at, u32 size) {
  const Segment& g = cpu.s.seg[seg];
  if (!g.inside(at, size) || page_offset(Linear(g.base + at)) + size > kPageSize) {
    cpu.check(seg, at, size, Access::kWrite);
  }
}

// --- the instruction -------------------------------------------------------------------------------------------------
u16 x87_opcode(const Insn& insn);  // FOP: the low three bits of the escape, and ModRM
// FIP, FOP and the data pointer, kept by every instruction but the control ones.
void x87_note(Cpu& cpu, const Insn& insn);
void x87_note_memory(Cpu& cpu, const Insn& insn, u32 offset);

// --- the stack -------------------------------------------------------------------------------------------------------
inline unsigned x87_top(const FpuState& f) { return (f.fsw >> 11) & 7; }
inline bool x87_empty(const FpuState& f, unsigned i) { return ((f.ftw >> ((x87_top(f) + i) & 7)) & 1) == 0; }
inline void x87_tag(FpuState& f, unsigned i, bool valid) {
  const u8 mask = static_cast<u8>(1u << ((x87_top(f) + i) & 7));
  f.ftw = static_cast<u8>(valid ? f.ftw | mask : f.ftw & ~mask);
}
inline Float80 x87_get(const FpuState& f, unsigned i) {
  Float80 v;
  __builtin_memcpy(&v.mantissa, f.st[i], 8);
  __builtin_memcpy(&v.sign_exponent, f.st[i] + 8, 2);
  return v;
}
inline void x87_set(FpuState& f, unsigned i, Float80 v) {
  __builtin_memcpy(f.st[i], &v.mantissa, 8);
  __builtin_memcpy(f.st[i] + 8, &v.sign_exponent, 2);
  x87_tag(f, i, true);
}
void x87_rotate(FpuState& f, int by);  // TOP += by; the image, which starts with ST(0), turns with it
inline void x87_push(FpuState& f, Float80 v) {
  x87_rotate(f, -1);
  x87_set(f, 0, v);
}
inline void x87_pop(FpuState& f) {
  x87_tag(f, 0, false);
  x87_rotate(f, 1);
}

// --- exceptions ------------------------------------------------------------------------------------------------------
void x87_update_summary(Cpu& cpu);  // ES and B follow the flags and masks; FERR# follows ES
// Merges the status of an operation (exceptions, and C1 or the codes in `codes`) into FSW. False if an unmasked
// exception of the kinds in `stopping` keeps the result from being written.
bool x87_commit(Cpu& cpu, u16 status, u16 codes = fsw::kC1, u16 stopping = fsw::kPreComputation);
// Stack faults: sets IE, SF and C1. True if masked: the caller then goes on with the indefinite value.
bool x87_underflow(Cpu& cpu);
bool x87_overflow(Cpu& cpu);

// --- handlers, for the opcode maps in x87.cpp ------------------------------------------------------------------------
namespace interp::fp {
using Map = Handler[8];

// x87_arith.cpp, by ModRM.reg
extern const Map kArithF32, kArithI32, kArithF64, kArithI16;   // with memory
extern const Map kArithToSt0, kArithToSti, kArithToStiAndPop;  // with ST(i); compares stand at 2 and 3
// x87_compare.cpp
enum class Compare : u8 { kOrdered, kUnordered };
void compare(Cpu& cpu, Float80 a, Float80 b, bool denormal, Compare kind, unsigned pops);
void fcom(Cpu&, const Insn&), fcomp(Cpu&, const Insn&), fcompp(Cpu&, const Insn&);
void fucom(Cpu&, const Insn&), fucomp(Cpu&, const Insn&), fucompp(Cpu&, const Insn&);
void fcomi(Cpu&, const Insn&), fcomip(Cpu&, const Insn&), fucomi(Cpu&, const Insn&), fucomip(Cpu&, const Insn&);
void ftst(Cpu&, const Insn&), fxam(Cpu&, const Insn&);
extern const Map kFcmov[2];  // B E BE U, and their opposites
// x87_move.cpp
void fld_st(Cpu&, const Insn&), fst_st(Cpu&, const Insn&), fstp_st(Cpu&, const Insn&), fstpnce(Cpu&, const Insn&);
void fxch(Cpu&, const Insn&), ffree(Cpu&, const Insn&), ffreep(Cpu&, const Insn&);
void fincstp(Cpu&, const Insn&), fdecstp(Cpu&, const Insn&), fchs(Cpu&, const Insn&), fabs(Cpu&, const Insn&);
void fld_f80(Cpu&, const Insn&), fstp_f80(Cpu&, const Insn&), fbld(Cpu&, const Insn&), fbstp(Cpu&, const Insn&);
extern const Map kMoveF32, kMoveF64;  // FLD - FST FSTP
extern const Map kMoveI16, kMoveI32;  // FILD FISTTP FIST FISTP
void fild_i64(Cpu&, const Insn&), fisttp_i64(Cpu&, const Insn&), fistp_i64(Cpu&, const Insn&);
extern const Map kConstants;  // D9 E8-EF
// x87_functions.cpp
extern const Map kFunctions[2];  // D9 F0-FF, FDECSTP and FINCSTP included
// x87_control.cpp
void fnop(Cpu&, const Insn&), fninit(Cpu&, const Insn&), fnclex(Cpu&, const Insn&), ignored(Cpu&, const Insn&);
void fldcw(Cpu&, const Insn&), fnstcw(Cpu&, const Insn&), fnstsw_memory(Cpu&, const Insn&),
    fnstsw_ax(Cpu&, const Insn&);
void fldenv(Cpu&, const Insn&), fnstenv(Cpu&, const Insn&), frstor(Cpu&, const Insn&), fnsave(Cpu&, const Insn&);
}  // namespace interp::fp

}  // namespace umbra
