// What the oracle leaves out, and what it may not hold against an engine.
#pragma once

#include "cpu/insn.h"
#include "tests/oracle/case.h"

namespace umbra::oracle {

// Why an instruction is not run (in 32-bit code if `wide`), or null.
const char* excluded(const Insn& insn, bool wide);

// EFLAGS bits that the manuals leave undefined after this instruction (SDM vol. 1 appendix A), with these operands.
u32 undefined_flags(const Insn& insn, const Input& in);
// The instruction may have loaded some of its registers before it faulted.
bool partial_registers(const Insn& insn, u32 vector);
bool partial_memory(const Insn& insn, u32 vector);
// The manuals leave the destination itself undefined.
bool undefined_result(const Insn& insn, const Input& in);
// MXCSR bits that are not compared: PE beside an unmasked overflow or underflow, where Umbra reports what
// the masked result lost.
u32 undefined_mxcsr(const Input& in, u32 host);
// Condition codes of FSW that it leaves undefined.
u16 undefined_codes(const Insn& insn);

// A part of what the instruction stores that legitimately differs, by offset from its operand.
struct Hole {
  u32 offset, size;
};
std::span<const Hole> holes(const Insn& insn);

}  // namespace umbra::oracle
