#include "tests/oracle/rules.h"

#include "cpu/cpu.h"
#include "cpu/interp/x87_float.h"

namespace umbra::oracle {

const char* excluded(const Insn& insn, bool wide) {
  switch (insn.op) {
    case Op::kInt:
    case Op::kInt1:
    case Op::kInt3:
    case Op::kIret:
    case Op::kIretd:
    case Op::kSysenter:
    case Op::kSysexit:
      return "enters the host's kernel";
    case Op::kCpuid:
    case Op::kRdtsc:
    case Op::kRdpmc:
      return "tells the host's model or time";
    case Op::kSgdt:
    case Op::kSidt:
    case Op::kSldt:
    case Op::kStr:
    case Op::kSmsw:
      return "system tables of the host's kernel (UMIP)";
    case Op::kLar:
    case Op::kLsl:
    case Op::kVerr:
    case Op::kVerw:
    case Op::kLds:
    case Op::kLes:
    case Op::kLfs:
    case Op::kLgs:
    case Op::kLss:
    case Op::kCallFar:
    case Op::kJmpFar:
    case Op::kRetFar:
      return "reads the host kernel's descriptor tables";
    case Op::kCli:
    case Op::kSti:
      return "depends on the kernel's choice of VME, PVI and IOPL";
    case Op::kBsf:
    case Op::kBsr:
      if (insn.has(prefix::kRep)) return "is TZCNT or LZCNT on the host";
      break;
    case Op::kLoope:
    case Op::kLoopne:
      if (insn.has(prefix::kRep) || insn.has(prefix::kRepne)) return "a REP prefix changes its condition on AMD hosts";
      break;
    case Op::kNop:
      if (insn.operands[0].kind == OperandKind::kReg) return "0F 0D with a register is invalid on AMD hosts";
      break;
    case Op::kCall:
      if (insn.operands[0].kind == OperandKind::kReg && insn.operands[0].reg == kEsp)
        return "CALL ESP: the stack and the target fault together, and which is reported is the processor's choice";
      break;
    case Op::kMaskmovq:
      if (insn.segment == kCs) return "through CS it faults after the change to MMX state on AMD hosts";
      break;
    case Op::kPush:
      if (insn.operands[0].kind == OperandKind::kSeg && insn.operand_size == 4)
        return "32 bits of a segment register: the upper half of the stack slot is written or not, by model";
      break;
    case Op::kUd0:
      return "its length differs between vendors";
    default:
      break;
  }
  const u32 traits = info(insn.op).traits;
  if ((traits & trait::string) != 0 && insn.address_size == 2 && wide) {
    return "16-bit addresses lie below the lowest mapping of a flat segment; they run in 16-bit code";
  }
  if ((traits & trait::privileged) != 0) return "privileged";
  if ((traits & trait::io) != 0) return "port input and output";
  for (const Operand& o : insn.operands) {
    if (o.kind == OperandKind::kCr || o.kind == OperandKind::kDr) return "privileged";
    if (o.kind == OperandKind::kFar) return "reads the host kernel's descriptor tables";
  }
  if (insn.operands[0].kind == OperandKind::kSeg && insn.op != Op::kPush) {
    return "loads a segment register from the host kernel's descriptor tables";
  }
  return nullptr;
}

namespace {

// The count of a shift or rotate, masked; `width` for what RCL and RCR make of it is left out: they are never masked
// to more.
unsigned shift_count(const Insn& insn, const Input& in) {
  for (unsigned i = 3; i-- > 0;) {
    const Operand& o = insn.operands[i];
    if (o.kind == OperandKind::kImm) return insn.imm & 31;
    if (i > 0 && o.kind == OperandKind::kReg) return in.gpr[kEcx] & 31;
  }
  return 1;
}

}  // namespace

u32 undefined_flags(const Insn& insn, const Input& in) {
  using namespace flag;
  switch (insn.op) {
    case Op::kAnd:
    case Op::kOr:
    case Op::kXor:
    case Op::kTest:
      return kAf;
    case Op::kMul:
    case Op::kImul:
      return kSf | kZf | kAf | kPf;
    case Op::kDiv:
    case Op::kIdiv:
      return kArithmetic;
    case Op::kAaa:
    case Op::kAas:
      return kOf | kSf | kZf | kPf;
    case Op::kAam:
    case Op::kAad:
      return kOf | kAf | kCf;
    case Op::kDaa:
    case Op::kDas:
      return kOf;
    case Op::kBsf:
    case Op::kBsr:
      return kCf | kOf | kSf | kAf | kPf;
    case Op::kBt:
    case Op::kBts:
    case Op::kBtr:
    case Op::kBtc:
      return kOf | kSf | kAf | kPf;
    case Op::kRol:
    case Op::kRor:
    case Op::kRcl:
    case Op::kRcr:
      return shift_count(insn, in) == 1 ? 0 : kOf;
    case Op::kShl:
    case Op::kShr:
    case Op::kSar: {
      const unsigned count = shift_count(insn, in);
      if (count == 0) return 0;
      const bool beyond = count >= insn.operands[0].size * 8u && insn.op != Op::kSar;
      return kAf | (count == 1 ? 0 : kOf) | (beyond ? kCf : 0);
    }
    case Op::kShld:
    case Op::kShrd: {
      const unsigned count = shift_count(insn, in);
      if (count == 0) return 0;
      if (count > insn.operands[0].size * 8u) return kArithmetic;
      return kAf | (count == 1 ? 0 : kOf);
    }
    default:
      return 0;
  }
}

bool partial_registers(const Insn& insn, u32 vector) {
  return (insn.op == Op::kPopa || insn.op == Op::kPopad) && vector != kBreakpoint;
}

bool partial_memory(const Insn& insn, u32 vector) {
  return (insn.op == Op::kPusha || insn.op == Op::kPushad) && vector != kBreakpoint;
}

bool undefined_result(const Insn& insn, const Input& in) {
  const bool double_shift = insn.op == Op::kShld || insn.op == Op::kShrd;
  return double_shift && shift_count(insn, in) > insn.operands[0].size * 8u;
}

u16 undefined_codes(const Insn& insn) {
  switch (insn.op) {
    case Op::kFcomi:
    case Op::kFcomip:
    case Op::kFucomi:
    case Op::kFucomip:
      return fsw::kC1;  // Intel clears it, AMD leaves it
    default:
      return 0;
  }
}

u32 undefined_mxcsr(const Input& in, u32 host) {
  constexpr u32 kOverflowAndUnderflow = 0x18, kPe = 0x20;
  return (host & ~(in.fpu.mxcsr >> 7) & kOverflowAndUnderflow) != 0 ? kPe : 0;
}

std::span<const Hole> holes(const Insn& insn) {
  // Instruction and data pointers: an AMD host keeps them only while an exception is pending, and an Intel one of
  // today keeps no selectors.
  static constexpr Hole kEnvironment32[] = {{12, 16}}, kEnvironment16[] = {{6, 8}},
                        kFxsave[] = {{6, 18}, {28, 4}, {416, 96}};
  switch (insn.op) {
    case Op::kFnstenv:
    case Op::kFnsave:
      if (insn.operand_size == 4) return kEnvironment32;
      return kEnvironment16;
    case Op::kFxsave:
      return kFxsave;
    default:
      return {};
  }
}

}  // namespace umbra::oracle
