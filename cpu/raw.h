// Where the parts of a guest instruction lie in its bytes, and facts per opcode that rewriting works from:
// how it uses its memory operand and what it does to the arithmetic flags. SDM vol. 2, appendix A. What is not listed
// is left to callouts, which are always right. decode() finds all this once (note_raw); here it is looked up.
#pragma once

#include "cpu/insn.h"
#include "cpu/model.h"

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

// Use of the memory operand by instructions whose bytes can be copied. kNone: no memory operand, or not to be copied.
enum class MemoryUse : u8 { kNone, kLoad, kStore, kModify };

// Arithmetic flags (flag::kArithmetic bits). `killed` lists those that are written whatever happens; what the manual
// leaves undefined counts as written. Unknown instructions read all and kill none.
struct FlagUse {
  u32 read = 0;
  u32 killed = 0;
};

// The six arithmetic flags in a byte: OF takes the place of the bit that is always one.
constexpr u8 pack_flags(u32 flags) { return static_cast<u8>((flags & 0xd5) | (flags & flag::kOf) >> 10); }
constexpr u32 unpack_flags(u8 packed) { return (packed & 0xd5u) | (packed & 2u) << 10; }

bool is_prefix(u8 byte, Generation generation);
bool one_byte_has_modrm(u8 opcode);
bool two_byte_has_modrm(u8 opcode);
inline bool modrm_names_registers(u8 two_byte) { return (two_byte & 0xfc) == 0x20; }  // MOV CR, DR: whatever mod says

// Fills in the facts of a decoded instruction that follow from its bytes.
void note_raw(Insn& insn, Generation generation);

inline RawLayout layout(const Insn& insn) {
  RawLayout r;
  r.map = insn.map;
  r.opcode_at = insn.opcode_at;
  r.opcode = insn.raw[insn.opcode_at];
  r.tail_at = insn.tail_at;
  if (insn.has_modrm) {
    r.has_modrm = true;
    r.modrm_at = static_cast<u8>(insn.opcode_at + 1);
    r.modrm = insn.raw[insn.opcode_at + 1];
  }
  r.mandatory = insn.has(prefix::kRep) ? 0xf3 : insn.has(prefix::kRepne) ? 0xf2 : 0;
  r.operand_16 = insn.has(prefix::kOperandSize);
  r.lock = insn.has(prefix::kLock);
  return r;
}

inline MemoryUse memory_use(const Insn& insn, const RawLayout&) { return static_cast<MemoryUse>(insn.memory_use); }

inline FlagUse flag_use(const Insn& insn, const RawLayout&) {
  FlagUse use{unpack_flags(insn.flags_read), unpack_flags(insn.flags_killed)};
  if (insn.shift_by_immediate && (insn.imm & 31) == 0) use.killed = 0;
  return use;
}

}  // namespace umbra
