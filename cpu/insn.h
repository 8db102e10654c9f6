// A decoded guest instruction. It is the intermediate representation of every engine: the interpreter calls its
// handler, the translators rewrite its bytes. Zydis decodes; what it says is folded into one cache line here.
#pragma once

#include <span>
#include <string>

#include "cpu/base/types.h"
#include "cpu/regs.h"

namespace umbra {

class Cpu;
struct CpuModel;
struct Insn;
using Handler = void (*)(Cpu& cpu, const Insn& insn);

enum class Op : u16 {  // one per row of isa.def
#define INSN(name, interp, x64, a64, traits) k##name,
#include "cpu/isa.def"
#undef INSN
  kInvalid,
};
inline constexpr u16 kOpCount = static_cast<u16>(Op::kInvalid);

// isa.def, column "x64": how the x86-64 translator lowers the row. `copy` emits the guest's own instruction;
// `callout` calls the handler; the others name an emitter of translator/x64.
enum class Lowering : u8 { copy, callout, stack, branch, string, memory, flags, system, x87, sse };

namespace trait {
inline constexpr u32 none = 0;
inline constexpr u32 privileged = 1u << 0;  // #GP outside ring 0
inline constexpr u32 sensitive = 1u << 1;   // Popek-Goldberg: behaves differently under deprivileging
inline constexpr u32 ends_block = 1u << 2;  // changes EIP, mode or mapping: nothing after it belongs to the block
inline constexpr u32 fpu = 1u << 3;         // touches x87 or MMX state
inline constexpr u32 sse = 1u << 4;
inline constexpr u32 io = 1u << 5;
inline constexpr u32 branch = 1u << 6;
inline constexpr u32 string = 1u << 7;
inline constexpr u32 stack = 1u << 8;  // pushes or pops
}  // namespace trait

struct OpInfo {
  const char* name;  // as in isa.def
  Lowering x64;
  u32 traits;
};
const OpInfo& info(Op op);

enum class OperandKind : u8 { kNone, kReg, kSeg, kMem, kImm, kFar, kRel, kCr, kDr, kSt, kMmx, kXmm };

struct Operand {
  OperandKind kind = OperandKind::kNone;
  u8 reg = 0;   // number in its file; for 8-bit general registers 0-7 = AL CL DL BL AH CH DH BH
  u8 size = 0;  // bytes; 16-bit values are 2, m80 is 10, xmm is 16
  bool operator==(const Operand&) const = default;
};

namespace prefix {
inline constexpr u8 kLock = 1, kRep = 2, kRepne = 4, kOperandSize = 8, kAddressSize = 16, kSegment = 32;
}

inline constexpr unsigned kMaxInsnLength = 15;

// One cache line, so the order is one without gaps.
struct Insn {
  Handler handler = nullptr;  // bound by the interpreter
  Op op = Op::kInvalid;
  u8 length = 0;
  u8 operand_size = 4;  // 2 or 4: the effective operand size attribute (operands carry their own sizes)
  u8 address_size = 4;  // 2 or 4
  u8 prefixes = 0;
  Operand operands[3];  // explicit ones, then implied ones that matter (CL in shifts)
  // The memory operand, if any: segment:[base + index * scale + disp], wrapped at address_size. String instructions
  // use `segment` for their source.
  u8 segment = kDs;
  u8 base = kNoReg;
  u8 index = kNoReg;
  u8 scale = 1;
  u8 raw[kMaxInsnLength] = {};  // what was given, at most; beyond `length` it is what follows
  u8 memory_size = 0;           // of the memory operand, if any
  Lowering x64 = Lowering::callout;
  i32 disp = 0;
  u32 address_mask = 0xffffffff;
  u32 imm = 0;   // sign-extended to the operand size; kRel: the displacement; kFar: the offset
  u16 imm2 = 0;  // kFar: the selector; ENTER: the level
  // What follows from the bytes alone: cpu/raw.h reads these.
  u8 flags_read = 0;
  u8 flags_killed = 0;
  u8 opcode_at : 4 = 0;
  u8 tail_at : 4 = 0;
  u8 map : 2 = 0;
  u8 has_modrm : 1 = 0;
  u8 memory_use : 2 = 0;
  u8 shift_by_immediate : 1 = 0;
  u8 closes_block : 1 = 0;  // nothing after it belongs to its block
  u8 old_way : 1 = 0;       // the model does it otherwise than a host: its handler alone knows how
  u8 sensitive : 1 = 0;     // trait::sensitive
  u8 verbatim : 1 = 0;      // its bytes from the opcode on are what a 64-bit host needs to do the same (raw.cpp)

  bool has(u8 p) const { return (prefixes & p) != 0; }
  bool too_long() const { return length > kMaxInsnLength; }  // only with op kInvalid: #GP(0) instead of #UD
  bool operator==(const Insn&) const = default;
};
static_assert(sizeof(Insn) == 64);

enum class CodeSize : u8 { k16, k32 };

// Decodes one instruction as `model` would. `bytes` may be shorter than an instruction at the end of a readable page:
// `truncated` means that more bytes are needed. An encoding that is invalid, or that the model lacks, gives op
// kInvalid.
struct Decoded {
  Insn insn;
  bool truncated = false;
};
Decoded decode(std::span<const u8> bytes, CodeSize size, const CpuModel& model);
std::string disassemble(const Insn& insn, u32 address, CodeSize size);  // Intel syntax

// trait::ends_block, loads of SS, CS, control and debug registers, and repeated string instructions, which may leave
// EIP on themselves.
inline bool closes_block(const Insn& insn) { return insn.closes_block; }

}  // namespace umbra
