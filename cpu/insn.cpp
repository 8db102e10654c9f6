// Zydis in, Insn out. What Zydis does not know is done here: what each model lacks (from Zydis' instruction sets and
// the model's feature bits), and the opcodes that mean something else on an 8086 (Intel left them undecoded; see the
// SingleStepTests 8088 notes), which are rewritten to their documented twins before Zydis sees them.
#include "cpu/insn.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/insn_zydis.h"
#include "cpu/model.h"
#include "cpu/raw.h"

namespace umbra {

namespace trait::of {  // here the words of isa.def's last column need no qualification
#define INSN(name, interp, x64, a64, traits) constexpr u32 k##name = traits;
#include "cpu/isa.def"
#undef INSN
}  // namespace trait::of

namespace {

constexpr OpInfo kOps[] = {
// clang-format off
#define INSN(name, interp, x64, a64, traits) {#name, Lowering::x64, trait::of::k##name},
// clang-format on
#include "cpu/isa.def"
#undef INSN
    {"Invalid", Lowering::callout, trait::ends_block}};

// Zydis' mnemonic number to our row, by name.
struct Rows {
  std::array<Op, ZYDIS_MNEMONIC_MAX_VALUE + 1> of;
  Rows() {
    of.fill(Op::kInvalid);
    for (u32 m = 1; m <= ZYDIS_MNEMONIC_MAX_VALUE; ++m) {
      const std::string_view zydis = ZydisMnemonicGetString(static_cast<ZydisMnemonic>(m));
      for (u16 op = 0; op < kOpCount; ++op) {
        const std::string_view ours = kOps[op].name;
        const bool same = std::equal(zydis.begin(), zydis.end(), ours.begin(), ours.end(),
                                     [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
        if (same) of[m] = static_cast<Op>(op);
      }
    }
  }
};

Op row_named(std::string_view name) {
  for (u16 op = 0; op < kOpCount; ++op)
    if (name == kOps[op].name) return static_cast<Op>(op);
  return Op::kInvalid;
}

ZydisDecoder make_decoder(ZydisMachineMode mode, ZydisStackWidth width) {
  ZydisDecoder d;
  ZydisDecoderInit(&d, mode, width);
  // What came after the Pentium 4 was a hint NOP or a plain prefix before.
  for (ZydisDecoderMode later :
       {ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYDIS_DECODER_MODE_KNC, ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET,
        ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT, ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE})
    ZydisDecoderEnableMode(&d, later, ZYAN_FALSE);
  return d;
}

// Zydis counts these as the first MMX; the Pentium III brought them.
bool mmx_came_with_sse(ZydisMnemonic m) {
  switch (m) {
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MOVNTQ:
    case ZYDIS_MNEMONIC_PAVGB:
    case ZYDIS_MNEMONIC_PAVGW:
    case ZYDIS_MNEMONIC_PEXTRW:
    case ZYDIS_MNEMONIC_PINSRW:
    case ZYDIS_MNEMONIC_PMAXSW:
    case ZYDIS_MNEMONIC_PMAXUB:
    case ZYDIS_MNEMONIC_PMINSW:
    case ZYDIS_MNEMONIC_PMINUB:
    case ZYDIS_MNEMONIC_PMULHUW:
    case ZYDIS_MNEMONIC_PSADBW:
    case ZYDIS_MNEMONIC_PSHUFW:
      return true;
    default:
      return false;
  }
}

bool has_isa_set(const CpuModel& m, const ZydisDecodedInstruction& z) {
  switch (z.meta.isa_set) {
    case ZYDIS_ISA_SET_I86:
    case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_X87:
      return true;
    case ZYDIS_ISA_SET_I186:
    case ZYDIS_ISA_SET_I286REAL:
    case ZYDIS_ISA_SET_I286PROTECTED:
      return m.generation >= Generation::k286;
    case ZYDIS_ISA_SET_I386:
      if (z.mnemonic == ZYDIS_MNEMONIC_JCXZ) return true;
      return m.generation >= Generation::k386;
    case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL:
      return m.generation >= Generation::k486;
    case ZYDIS_ISA_SET_PENTIUMREAL:
      switch (z.mnemonic) {
        case ZYDIS_MNEMONIC_CPUID:
          return m.vendor[0] != 0;
        case ZYDIS_MNEMONIC_RDTSC:
          return (m.features_edx & cpuid::kTsc) != 0;
        case ZYDIS_MNEMONIC_CMPXCHG8B:
          return (m.features_edx & cpuid::kCx8) != 0;
        case ZYDIS_MNEMONIC_RDMSR:
        case ZYDIS_MNEMONIC_WRMSR:
          return (m.features_edx & cpuid::kMsr) != 0;
        default:
          return m.generation >= Generation::kPentium;
      }
    case ZYDIS_ISA_SET_PPRO:
      if (z.mnemonic == ZYDIS_MNEMONIC_SYSENTER || z.mnemonic == ZYDIS_MNEMONIC_SYSEXIT)
        return (m.features_edx & cpuid::kSep) != 0;
      // UD0 and UD1 raise #UD wherever they are decoded, so that a row for them changes nothing.
      return z.mnemonic == ZYDIS_MNEMONIC_UD2 || m.generation >= Generation::kP6;
    case ZYDIS_ISA_SET_FAT_NOP:
    case ZYDIS_ISA_SET_PREFETCH_NOP:
    case ZYDIS_ISA_SET_RDPMC:
      return m.generation >= Generation::kP6;
    case ZYDIS_ISA_SET_CMOV:
      return (m.features_edx & cpuid::kCmov) != 0;
    case ZYDIS_ISA_SET_FCMOV:
      return (m.features_edx & (cpuid::kCmov | cpuid::kFpu)) == (cpuid::kCmov | cpuid::kFpu);
    case ZYDIS_ISA_SET_PENTIUMMMX:
      return (m.features_edx & (mmx_came_with_sse(z.mnemonic) ? cpuid::kSse : cpuid::kMmx)) != 0;
    case ZYDIS_ISA_SET_FXSAVE:
      return (m.features_edx & cpuid::kFxsr) != 0;
    case ZYDIS_ISA_SET_SSE:
    case ZYDIS_ISA_SET_SSEMXCSR:
    case ZYDIS_ISA_SET_SSE_PREFETCH:
      return (m.features_edx & cpuid::kSse) != 0;
    case ZYDIS_ISA_SET_SSE2:
    case ZYDIS_ISA_SET_SSE2MMX:
      return (m.features_edx & cpuid::kSse2) != 0;
    case ZYDIS_ISA_SET_PAUSE:
      return true;  // REP NOP
    case ZYDIS_ISA_SET_CLFSH:
      return (m.features_edx & cpuid::kClfsh) != 0;
    case ZYDIS_ISA_SET_SSE3:
    case ZYDIS_ISA_SET_SSE3X87:
      return (m.features_ecx & cpuid::kSse3) != 0;
    case ZYDIS_ISA_SET_MONITOR:
      return (m.features_ecx & cpuid::kMonitor) != 0;
    case ZYDIS_ISA_SET_SSSE3:
    case ZYDIS_ISA_SET_SSSE3MMX:
      return (m.features_ecx & cpuid::kSsse3) != 0;
    default:
      return false;
  }
}

u8 gpr_or_none(ZydisRegister r) {
  return r == ZYDIS_REGISTER_NONE ? u8{kNoReg} : static_cast<u8>(ZydisRegisterGetId(r));
}

void fold_memory(Insn& out, const ZydisDecodedOperandMem& m) {
  out.segment = static_cast<u8>(ZydisRegisterGetId(m.segment));
  out.base = gpr_or_none(m.base);
  out.index = gpr_or_none(m.index);
  out.scale = m.scale != 0 ? m.scale : 1;
  out.disp = static_cast<i32>(m.disp.value);
}

OperandKind register_kind(ZydisRegister r) {
  switch (ZydisRegisterGetClass(r)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
      return OperandKind::kReg;
    case ZYDIS_REGCLASS_SEGMENT:
      return OperandKind::kSeg;
    case ZYDIS_REGCLASS_CONTROL:
      return OperandKind::kCr;
    case ZYDIS_REGCLASS_DEBUG:
      return OperandKind::kDr;
    case ZYDIS_REGCLASS_X87:
      return OperandKind::kSt;
    case ZYDIS_REGCLASS_MMX:
      return OperandKind::kMmx;
    case ZYDIS_REGCLASS_XMM:
      return OperandKind::kXmm;
    default:
      return OperandKind::kNone;
  }
}

// Explicit and implied operands become ours; hidden ones are in cpu/effects.
void fold_operands(Insn& out, const ZydisDecodedInstruction& z, const ZydisDecodedOperand* operands) {
  unsigned n = 0;
  bool first_immediate = true;
  for (unsigned i = 0; i < z.operand_count && n < 3; ++i) {
    const ZydisDecodedOperand& o = operands[i];
    if (o.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN) continue;
    Operand& ours = out.operands[n];
    ours.size = static_cast<u8>(o.size / 8);
    switch (o.type) {
      case ZYDIS_OPERAND_TYPE_REGISTER:
        ours.kind = register_kind(o.reg.value);
        ours.reg = static_cast<u8>(ZydisRegisterGetId(o.reg.value));
        if (ours.kind == OperandKind::kNone) continue;
        break;
      case ZYDIS_OPERAND_TYPE_MEMORY:
        ours.kind = OperandKind::kMem;
        fold_memory(out, o.mem);
        break;
      case ZYDIS_OPERAND_TYPE_POINTER:
        ours.kind = OperandKind::kFar;
        out.imm = o.ptr.offset;
        out.imm2 = o.ptr.segment;
        break;
      case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        ours.kind = o.imm.is_relative ? OperandKind::kRel : OperandKind::kImm;
        if (first_immediate) {
          out.imm = static_cast<u32>(o.imm.value.u);
          first_immediate = false;
        } else {
          out.imm2 = static_cast<u16>(o.imm.value.u);
        }
        break;
      default:
        continue;
    }
    ++n;
  }
}

void note_prefix(Insn& out, u8 byte) {
  constexpr u8 kSegments[] = {kEs, kCs, kSs, kDs};
  switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
      out.prefixes |= prefix::kSegment;
      out.segment = kSegments[(byte >> 3) & 3];
      break;
    case 0x64:
    case 0x65:
      out.prefixes |= prefix::kSegment;
      out.segment = byte == 0x64 ? kFs : kGs;
      break;
    case 0x66:
      out.prefixes |= prefix::kOperandSize;
      break;
    case 0x67:
      out.prefixes |= prefix::kAddressSize;
      break;
    case 0xf0:
    case 0xf1:
      out.prefixes |= prefix::kLock;
      break;
    case 0xf2:
      out.prefixes = static_cast<u8>((out.prefixes & ~prefix::kRep) | prefix::kRepne);
      break;
    case 0xf3:
      out.prefixes = static_cast<u8>((out.prefixes & ~prefix::kRepne) | prefix::kRep);
      break;
  }
}

// Turns 8086 opcodes into documented ones of the same meaning and length.
void rewrite_8086(u8* code) {
  u8& opcode = code[0];
  if ((opcode & 0xf0) == 0x60) opcode |= 0x10;                                            // Jcc
  if (opcode == 0xc0 || opcode == 0xc1 || opcode == 0xc8 || opcode == 0xc9) opcode |= 2;  // RET, RETF
  if (opcode == 0xc6 || opcode == 0xc7 || opcode == 0x8f) code[1] &= 0xc7;                // reg field is not looked at
  if (opcode == 0xff && (code[1] & 0x38) == 0x38) code[1] &= 0xf7;                        // PUSH
  if (opcode == 0x8c || opcode == 0x8e) code[1] &= 0xdf;  // two bits of segment register
}

Insn pop_cs(Insn insn, std::size_t length) {
  static const Op pop = row_named("Pop");
  insn.op = pop;
  insn.length = static_cast<u8>(length);
  insn.operands[0] = {OperandKind::kSeg, kCs, 2};
  return insn;
}

// The second byte of LOADALL, which only these two have and no manual names.
int loadall_opcode(const CpuModel& model) {
  if (model.generation == Generation::k286) return 0x05;
  return model.generation == Generation::k386 ? 0x07 : -1;
}

Insn loadall(Insn insn, std::size_t length) {
  static const Op row = row_named("Loadall");
  insn.op = row;
  insn.length = static_cast<u8>(length);
  return insn;
}

Decoded invalid(Decoded d, std::size_t length) {
  d.insn.op = Op::kInvalid;
  d.insn.length = static_cast<u8>(length);
  return d;
}

// What Zydis is given: the guest's bytes, or on models before the 386, where any instruction may be locked and the
// length limit differs, one prefix of each kind and then the opcode.
struct Code {
  u8 bytes[kMaxInsnLength + 8] = {};
  std::size_t size = 0;
  std::size_t dropped = 0;  // prefixes of the guest's that are not in `bytes`
};

Code code_for_zydis(const Insn& insn, std::size_t given, std::size_t prefixes, const CpuModel& model) {
  Code code;
  if (model.generation >= Generation::k386) {
    std::memcpy(code.bytes, insn.raw, given);
    code.size = given;
    return code;
  }
  constexpr u8 kOverride[] = {0x26, 0x2e, 0x36, 0x3e};
  if (insn.has(prefix::kSegment)) code.bytes[code.size++] = kOverride[insn.segment];
  if (insn.has(prefix::kRep)) code.bytes[code.size++] = 0xf3;
  if (insn.has(prefix::kRepne)) code.bytes[code.size++] = 0xf2;
  code.dropped = prefixes - code.size;
  std::memcpy(code.bytes + code.size, insn.raw + prefixes, given - prefixes);
  if (model.generation == Generation::k8086) rewrite_8086(code.bytes + code.size);
  code.size += given - prefixes;
  return code;
}

}  // namespace

const ZydisDecoder& zydis_decoder(CodeSize size) {
  static const ZydisDecoder d16 = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
  static const ZydisDecoder d32 = make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
  return size == CodeSize::k16 ? d16 : d32;
}

Op zydis_row(const ZydisDecodedInstruction& z) {
  static const Rows rows;
  static const Op call_far = row_named("CallFar"), jmp_far = row_named("JmpFar"), ret_far = row_named("RetFar");
  static const Op movsd_xmm = row_named("MovsdXmm"), cmpsd_xmm = row_named("CmpsdXmm");
  if (z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
    if (z.mnemonic == ZYDIS_MNEMONIC_CALL) return call_far;
    if (z.mnemonic == ZYDIS_MNEMONIC_JMP) return jmp_far;
    if (z.mnemonic == ZYDIS_MNEMONIC_RET) return ret_far;
  }
  if (z.meta.category != ZYDIS_CATEGORY_STRINGOP) {
    if (z.mnemonic == ZYDIS_MNEMONIC_MOVSD) return movsd_xmm;
    if (z.mnemonic == ZYDIS_MNEMONIC_CMPSD) return cmpsd_xmm;
  }
  return rows.of[z.mnemonic];
}

const OpInfo& info(Op op) { return kOps[static_cast<u16>(op)]; }

namespace {

bool must_close_block(const Insn& insn) {
  const u32 traits = info(insn.op).traits;
  if ((traits & trait::ends_block) != 0) return true;
  if ((traits & trait::string) != 0 && insn.has(prefix::kRep | prefix::kRepne)) return true;
  static const Op mov = row_named("Mov"), pop = row_named("Pop");
  if (insn.op != mov && insn.op != pop) return false;
  const Operand& to = insn.operands[0];
  if (to.kind == OperandKind::kSeg) return to.reg == kSs || to.reg == kCs;
  return to.kind == OperandKind::kCr || to.kind == OperandKind::kDr;
}

Decoded understand(std::span<const u8> bytes, CodeSize size, const CpuModel& model) {
  Decoded d;
  const std::size_t limit = model.generation == Generation::k286 ? 10 : kMaxInsnLength;
  const std::size_t given = std::min(bytes.size(), limit);
  if (given != 0) std::memcpy(d.insn.raw, bytes.data(), std::min<std::size_t>(bytes.size(), kMaxInsnLength));
  std::size_t prefixes = 0;
  while (prefixes < given && is_prefix(d.insn.raw[prefixes], model.generation))
    note_prefix(d.insn, d.insn.raw[prefixes++]);
  if (prefixes == given) {
    if (given == limit) return invalid(d, kMaxInsnLength + 1);
    d.truncated = true;
    return d;
  }
  const u8 opcode = d.insn.raw[prefixes];
  const bool is_8086 = model.generation == Generation::k8086;
  d.insn.operand_size = (size == CodeSize::k32) != d.insn.has(prefix::kOperandSize) ? 4 : 2;
  d.insn.address_size = (size == CodeSize::k32) != d.insn.has(prefix::kAddressSize) ? 4 : 2;
  d.insn.address_mask = d.insn.address_size == 4 ? 0xffffffff : 0xffff;
  if (is_8086 && opcode == 0x0f) {
    d.insn = pop_cs(d.insn, prefixes + 1);
    return d;
  }
  if (opcode == 0x0f && prefixes + 1 < given && d.insn.raw[prefixes + 1] == loadall_opcode(model)) {
    d.insn = loadall(d.insn, prefixes + 2);
    return d;
  }
  // To a 286 these are no prefixes, to Zydis they are.
  if (model.generation == Generation::k286 && (opcode & 0xfc) == 0x64) return invalid(d, prefixes + 1);
  // Without AVX these raise #UD by their ModRM byte alone; Zydis would want the rest of a VEX, EVEX or XOP instruction.
  if (prefixes + 1 < given) {
    const u8 modrm = d.insn.raw[prefixes + 1];
    const bool register_form = (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62) && modrm >= 0xc0;
    if (register_form || (opcode == 0x8f && (modrm & 0x38) != 0 && !is_8086)) return invalid(d, prefixes + 2);
  }
  // Zydis refuses MOV CS; an 8086 does not.
  Code code = code_for_zydis(d.insn, given, prefixes, model);
  const std::size_t at = prefixes - code.dropped;
  if (is_8086)
    std::memcpy(d.insn.raw + prefixes, code.bytes + at, given - prefixes);  // whoever copies it needs no list
  const bool mov_cs = is_8086 && opcode == 0x8e && (code.bytes[at + 1] & 0x38) == 0x08;
  if (mov_cs) code.bytes[at + 1] &= 0xc7;

  ZydisDecodedInstruction z;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  ZydisDecoderContext context;
  ZyanStatus status = ZydisDecoderDecodeInstruction(&zydis_decoder(size), &context, code.bytes,
                                                    std::min<std::size_t>(code.size, kMaxInsnLength), &z);
  if (status == ZYDIS_STATUS_NO_MORE_DATA) {
    if (given == limit) return invalid(d, kMaxInsnLength + 1);
    d.truncated = true;
    return d;
  }
  if (status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) return invalid(d, kMaxInsnLength + 1);
  if (!ZYAN_SUCCESS(status)) return invalid(d, prefixes + 1);
  if (z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || !has_isa_set(model, z)) return invalid(d, prefixes + 1);
  status = ZydisDecoderDecodeOperands(&zydis_decoder(size), &context, &z, operands, z.operand_count);
  if (!ZYAN_SUCCESS(status)) return invalid(d, prefixes + 1);

  const bool old = model.generation < Generation::k386;  // knows four segment registers
  for (unsigned i = 0; old && i < z.operand_count; ++i)
    if (operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
        (operands[i].reg.value == ZYDIS_REGISTER_FS || operands[i].reg.value == ZYDIS_REGISTER_GS))
      return invalid(d, prefixes + 1);
  static const Op escape = row_named("Escape");
  const bool no_unit = z.meta.isa_set == ZYDIS_ISA_SET_X87 && (model.features_edx & cpuid::kFpu) == 0;
  d.insn.op = no_unit && z.mnemonic != ZYDIS_MNEMONIC_FWAIT ? escape : zydis_row(z);
  static const Op setmo = row_named("Setmo");
  if (is_8086 && (opcode & 0xfc) == 0xd0 && z.raw.modrm.reg == 6) d.insn.op = setmo;
  d.insn.length = static_cast<u8>(z.length + code.dropped);
  fold_operands(d.insn, z, operands);
  if (mov_cs) d.insn.operands[0].reg = kCs;
  return d;
}

// Where hardware-captured tests of a 386 (SingleStepTests 80386) show other results than later processors give.
bool differs_on_386(const Insn& insn) {
  switch (insn.op) {
    case Op::kPusha:
    case Op::kPushad:
    case Op::kPopa:
    case Op::kPopad:
      return true;
    case Op::kShl:
    case Op::kShr:  // by more than the eight bits that there are
      return insn.operands[0].size == 1 && (insn.shift_by_immediate || insn.operands[1].kind == OperandKind::kReg);
    case Op::kShld:
    case Op::kShrd:
      return insn.operands[0].size == 2;
    case Op::kMov:  // Cpu::cr0_image
      return insn.operands[1].kind == OperandKind::kCr && insn.operands[1].reg == 0;
    default:
      return false;
  }
}

// A SIB byte with a scale and no index: the 386 scales the base.
bool scales_its_base(const Insn& insn) {
  if (insn.address_size != 4 || !insn.has_modrm || insn.base == kNoReg || insn.index != kNoReg) return false;
  const u8 modrm = insn.raw[insn.opcode_at + 1], sib = insn.raw[insn.opcode_at + 2];
  return modrm < 0xc0 && (modrm & 7) == 4 && sib >= 0x40;
}

void note_386(Insn& insn) {
  insn.old_way = differs_on_386(insn);
  if (!scales_its_base(insn)) return;
  insn.index = insn.base;
  insn.scale = static_cast<u8>(1 << (insn.raw[insn.opcode_at + 2] >> 6));
  insn.base = kNoReg;
  insn.old_way = 1;
}

}  // namespace

Decoded decode(std::span<const u8> bytes, CodeSize size, const CpuModel& model) {
  Decoded d = understand(bytes, size, model);
  if (d.truncated) return d;
  d.insn.x64 = info(d.insn.op).x64;
  d.insn.sensitive = (info(d.insn.op).traits & trait::sensitive) != 0;
  note_raw(d.insn, model.generation);
  d.insn.closes_block = must_close_block(d.insn);
  if (model.generation == Generation::k386) note_386(d.insn);
  if (d.insn.old_way) d.insn.verbatim = 0;
  return d;
}

std::string disassemble(const Insn& insn, u32 address, CodeSize size) {
  static const ZydisFormatter formatter = [] {
    ZydisFormatter f;
    ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterSetProperty(&f, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    return f;
  }();
  ZydisDecodedInstruction z;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&zydis_decoder(size), insn.raw, kMaxInsnLength, &z, operands)))
    return "(bad)";
  char text[128];
  ZydisFormatterFormatInstruction(&formatter, &z, operands, z.operand_count_visible, text, sizeof text, address,
                                  nullptr);
  return text;
}

}  // namespace umbra
