#include "cpu/effects.h"

#include <Zydis/Zydis.h>

#include "cpu/insn_zydis.h"

namespace umbra {
namespace {

constexpr u32 kAll = 0xffffffff;

Effects everything() {
  Effects e;
  e.reads = e.writes = 0xff;
  e.flags_read = e.flags_written = kAll;
  e.segments_read = e.segments_written = 0x3f;
  e.xmm_reads = e.xmm_writes = 0xffff;
  e.x87 = e.loads = e.stores = e.may_fault = true;
  return e;
}

u16 gpr_bit(ZydisRegister r) {
  switch (ZydisRegisterGetClass(r)) {
    case ZYDIS_REGCLASS_GPR8:
      return static_cast<u16>(1u << (ZydisRegisterGetId(r) & 3));
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
      return static_cast<u16>(1u << ZydisRegisterGetId(r));
    default:
      return 0;
  }
}

// AL…BL and AH…BH share a register; SP BP SI DI have no byte names.
static_assert(ZYDIS_REGISTER_AH - ZYDIS_REGISTER_AL == 4);

void add_register(Effects& e, ZydisRegister r, ZydisOperandActions actions) {
  const bool reads = (actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
  const bool writes = (actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  const bool always = (actions & ZYDIS_OPERAND_ACTION_WRITE) != 0;
  const ZydisRegisterClass type = ZydisRegisterGetClass(r);
  const u8 id = static_cast<u8>(ZydisRegisterGetId(r));
  if (const u16 bit = gpr_bit(r); bit != 0) {
    const bool whole = type == ZYDIS_REGCLASS_GPR32 && always;
    if (reads || (writes && !whole)) e.reads |= bit;
    if (writes) e.writes |= bit;
    if (whole && !reads) e.kills |= bit;
  }
  if (type == ZYDIS_REGCLASS_SEGMENT) {
    if (reads) e.segments_read |= static_cast<u8>(1u << id);
    if (writes) e.segments_written |= static_cast<u8>(1u << id);
  }
  if (type == ZYDIS_REGCLASS_XMM) {
    if (reads) e.xmm_reads |= static_cast<u16>(1u << id);
    if (writes) e.xmm_writes |= static_cast<u16>(1u << id);
  }
  if (type == ZYDIS_REGCLASS_X87 || type == ZYDIS_REGCLASS_MMX) e.x87 = true;
}

void add_memory(Effects& e, const ZydisDecodedOperand& o) {
  e.reads |= gpr_bit(o.mem.base);
  e.reads |= gpr_bit(o.mem.index);
  if (o.mem.type == ZYDIS_MEMOP_TYPE_AGEN) return;
  if (ZydisRegisterGetClass(o.mem.segment) == ZYDIS_REGCLASS_SEGMENT)
    e.segments_read |= static_cast<u8>(1u << ZydisRegisterGetId(o.mem.segment));
  if ((o.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0) e.loads = true;
  if ((o.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) e.stores = true;
  e.may_fault = true;
}

void add_flags(Effects& e, const ZydisAccessedFlags& f) {
  e.flags_read = f.tested;
  e.flags_written = f.modified | f.set_0 | f.set_1 | f.undefined;
  e.flags_killed = e.flags_written;
}

// --- what Zydis does not say
// ----------------------------------------------------------------------------------------------

bool shifts(ZydisMnemonic m) {
  switch (m) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
      return true;
    default:
      return false;
  }
}

// A count of 0, masked, changes nothing; one from CL may be 0. Zydis 4.0.0 reports flag writes in both cases.
void fix_shift(Effects& e, const ZydisDecodedInstruction& z, const ZydisDecodedOperand* operands) {
  const ZydisDecodedOperand& count =
      operands[z.mnemonic == ZYDIS_MNEMONIC_SHLD || z.mnemonic == ZYDIS_MNEMONIC_SHRD ? 2 : 1];
  if (count.type == ZYDIS_OPERAND_TYPE_REGISTER) {
    e.flags_killed = 0;
  } else if ((count.imm.value.u & 31) == 0) {
    e.flags_read = e.flags_written = e.flags_killed = 0;
  }
}

// Flags that the manual calls undefined and that processors leave as they were.
u32 kept_though_undefined(ZydisMnemonic m) {
  switch (m) {
    case ZYDIS_MNEMONIC_BSF:
    case ZYDIS_MNEMONIC_BSR:
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:
      return kAll;
    default:
      return 0;
  }
}

void override_some(Effects& e, const ZydisDecodedInstruction& z, const ZydisDecodedOperand* operands) {
  constexpr u16 kSpBp = 1 << kEsp | 1 << kEbp;
  if (shifts(z.mnemonic)) fix_shift(e, z, operands);
  if (z.cpu_flags != nullptr) e.flags_killed &= ~(z.cpu_flags->undefined & kept_though_undefined(z.mnemonic));
  switch (z.mnemonic) {
    case ZYDIS_MNEMONIC_PUSHA:
    case ZYDIS_MNEMONIC_PUSHAD:
      e.reads = 0xff;
      break;
    case ZYDIS_MNEMONIC_POPA:
    case ZYDIS_MNEMONIC_POPAD:
      e.reads |= 1 << kEsp;
      e.writes = 0xff;
      break;
    case ZYDIS_MNEMONIC_ENTER:
    case ZYDIS_MNEMONIC_LEAVE:
      e.reads |= kSpBp;
      e.writes |= kSpBp;
      e.kills = 0;
      e.loads = true;
      break;
    case ZYDIS_MNEMONIC_BSF:  // a zero source keeps the destination
    case ZYDIS_MNEMONIC_BSR:
      e.reads |= e.writes;
      e.kills = 0;
      break;
    case ZYDIS_MNEMONIC_DIV:
    case ZYDIS_MNEMONIC_IDIV:
    case ZYDIS_MNEMONIC_AAM:
    case ZYDIS_MNEMONIC_BOUND:
    case ZYDIS_MNEMONIC_INTO:
      e.may_fault = true;
      break;
    case ZYDIS_MNEMONIC_CMPXCHG8B:
      e.kills = 0;
      break;
    default:
      break;
  }
  const bool string = z.meta.category == ZYDIS_CATEGORY_STRINGOP || z.meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
  if (string && (z.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) != 0) {
    e.flags_killed = 0;  // no iteration at all is possible
    e.reads |= 1 << kEcx;
    e.writes |= 1 << kEcx;
    e.kills = 0;
  }
  // Sensitive instructions are callouts on every engine and may do anything to the machine.
  if (z.meta.category == ZYDIS_CATEGORY_X87_ALU || z.meta.category == ZYDIS_CATEGORY_MMX) e.x87 = true;
}

}  // namespace

Effects effects(const Insn& insn, CodeSize size) {
  ZydisDecodedInstruction z;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (insn.op == Op::kInvalid) return everything();
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&zydis_decoder(size), insn.raw, kMaxInsnLength, &z, operands)))
    return everything();
  if (zydis_row(z) != insn.op || z.length != insn.length) return everything();  // an 8086 opcode
  Effects e;
  const u32 traits = info(insn.op).traits;
  if ((traits & (trait::privileged | trait::sensitive)) != 0) e.may_fault = true;
  if ((traits & trait::fpu) != 0) e.x87 = e.may_fault = true;
  if ((traits & trait::sse) != 0) e.may_fault = true;
  for (unsigned i = 0; i < z.operand_count; ++i) {
    const ZydisDecodedOperand& o = operands[i];
    if (o.type == ZYDIS_OPERAND_TYPE_REGISTER) add_register(e, o.reg.value, o.actions);
    if (o.type == ZYDIS_OPERAND_TYPE_MEMORY) add_memory(e, o);
  }
  e.kills &= static_cast<u16>(~e.reads);
  if (z.cpu_flags != nullptr) add_flags(e, *z.cpu_flags);
  override_some(e, z, operands);
  return e;
}

}  // namespace umbra
