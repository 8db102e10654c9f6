// Who lives where in generated code, said once.
//
//   RAX … RDI  guest EAX … EDI, zero-extended; RSP is guest ESP (within a block less Mark::esp_ahead), so no host PUSH,
//              CALL or RET outside the C++ stack
//   EFLAGS     the guest's arithmetic flags; DF and everything else clear (the guest's DF is in CpuState)
//   R8–R11     scratch: R8 shadow entry or dispatch offset, R9 linear address, R10 saved RAX and flags or a Site*,
//              R11 EIP on the way to the dispatcher
//   R12        code base (the Context lies below it)
//   R13        dispatch table    R14 shadow table    R15 CpuState
#pragma once

#include <asmjit/x86.h>

#include "cpu/regs.h"
#include "translator/context.h"

namespace umbra::x64 {

namespace x86 = asmjit::x86;

inline constexpr x86::Gp kEntry = x86::r8, kEntry32 = x86::r8d;
inline constexpr x86::Gp kLinear = x86::r9, kLinear32 = x86::r9d;
inline constexpr x86::Gp kSaved = x86::r10;
inline constexpr x86::Gp kTarget = x86::r11, kTarget32 = x86::r11d;
inline constexpr x86::Gp kCode = x86::r12, kDispatch = x86::r13, kShadow = x86::r14, kState = x86::r15;

inline x86::Gp guest32(unsigned r) { return x86::gpd(r); }
inline x86::Gp guest64(unsigned r) { return x86::gpq(r); }

inline x86::Mem state_at(std::size_t offset, u32 size) { return x86::ptr(kState, static_cast<i32>(offset), size); }
inline x86::Mem gpr_slot(unsigned r) { return state_at(offsetof(CpuState, gpr) + 8 * r, 8); }
// To load from: C++ writes registers by their low halves, and a load waits for the parts of what it reads.
inline x86::Mem gpr_low(unsigned r) { return state_at(offsetof(CpuState, gpr) + 8 * r, 4); }
inline x86::Mem context_at(std::size_t offset, u32 size) {
  return x86::ptr(kCode, static_cast<i32>(offset) - static_cast<i32>(sizeof(Context)), size);
}
inline x86::Mem sized(x86::Mem m, u32 bytes) {
  m.setSize(bytes);
  return m;
}
inline x86::Mem poll_word() { return x86::ptr(kCode, -static_cast<i32>(kPollToCode), 4); }

}  // namespace umbra::x64
