// Checks and results that system instructions share.
#pragma once

#include "cpu/interp/operands.h"

namespace umbra::interp {

inline void require_ring0(Cpu& cpu) {
  if (cpu.s.cpl != 0) cpu.fault(kGeneralProtection, 0);
}

// Instructions that real and V86 mode do not have.
inline void require_protected_mode(Cpu& cpu) {
  if (!cpu.protected_mode()) cpu.fault(kInvalidOpcode);
}

// SMSW, SLDT, STR: a word to memory or a 16-bit register, a zero-extended one to a 32-bit register.
inline void store_status(Cpu& cpu, const Insn& insn, u32 value) {
  if (insn.operands[0].kind == OperandKind::kReg && insn.operand_size == 4) {
    cpu.s.r32(insn.operands[0].reg) = value;
  } else {
    store_operand<u16>(cpu, insn, 0, static_cast<u16>(value));
  }
}

}  // namespace umbra::interp
