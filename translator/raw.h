// Where the parts of a guest instruction lie in its bytes, and two facts per opcode that the decoder does not carry:
// how it uses its memory operand and what it does to the arithmetic flags. Rewriting and liveness work from this.
// SDM vol. 2, appendix A. What is not listed is left to callouts, which are always right.
#pragma once

#include "cpu/insn.h"

namespace umbra {

struct RawLayout {
  u8 map = 0;     // 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A
  u8 opcode = 0;  // last opcode byte
  u8 opcode_at = 0;
  bool has_modrm = false;
  u8 modrm = 0;
  u8 modrm_at = 0;
  u8 tail_at = 0;           // immediates: after ModRM, SIB and displacement (or after the opcode)
  u8 mandatory = 0;         // the F2 or F3 prefix byte, if any
  bool operand_16 = false;  // a 66 prefix is present
  bool lock = false;

  unsigned reg() const { return (modrm >> 3) & 7; }
  unsigned rm() const { return modrm & 7; }
  bool is_memory() const { return has_modrm && modrm < 0xc0; }
};
RawLayout layout(const Insn& insn);

// Use of the memory operand by instructions whose bytes can be copied. kNone: no memory operand, or not to be copied.
enum class MemoryUse : u8 { kNone, kLoad, kStore, kModify };
MemoryUse memory_use(const Insn& insn, const RawLayout& raw);

// Arithmetic flags (flag::kArithmetic bits). `killed` lists those that are written whatever happens; what the manual
// leaves undefined counts as written. Unknown instructions read all and kill none.
struct FlagUse {
  u32 read = 0;
  u32 killed = 0;
};
FlagUse flag_use(const Insn& insn, const RawLayout& raw);

}  // namespace umbra
