#include "cpu/raw.h"

namespace umbra {
namespace {

using namespace flag;

unsigned address_bytes(u8 modrm, const u8* after, bool address_16) {
  const unsigned mod = modrm >> 6, rm = modrm & 7;
  if (mod == 3) return 0;
  if (address_16) return mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;
  unsigned n = 0;
  unsigned base = rm;
  if (rm == 4) {
    n = 1;
    base = after[0] & 7;
  }
  if (mod == 1) return n + 1;
  if (mod == 2 || (mod == 0 && base == 5)) return n + 4;
  return n;
}

constexpr u32 kAll = kArithmetic;

// With a count that is not zero; flag_use() sees to an immediate that is.
FlagUse shift_use(unsigned reg, bool by_cl) {
  const bool through_carry = reg == 2 || reg == 3;
  const bool kills = reg >= 4 && !by_cl;  // rotates write CF and, for a count of one, OF
  return {through_carry ? kCf : 0, kills ? kAll : 0};
}

constexpr u32 condition_reads(unsigned cc) {
  constexpr u32 kReads[] = {kOf, kCf, kZf, kCf | kZf, kSf, kPf, kSf | kOf, kZf | kSf | kOf};
  return kReads[(cc & 15) >> 1];
}

FlagUse alu_use(unsigned which) {  // ADD OR ADC SBB AND SUB XOR CMP
  return {which == 2 || which == 3 ? kCf : 0, kAll};
}

FlagUse one_byte_use(const RawLayout& r) {
  const u8 op = r.opcode;
  const unsigned reg = r.reg();
  if (op < 0x40 && (op & 7) < 6) return alu_use(op >> 3);
  if (op >= 0x40 && op <= 0x4f) return {0, kAll & ~kCf};
  if (op >= 0x50 && op <= 0x5f) return {};
  if (op >= 0x70 && op <= 0x7f) return {condition_reads(op), 0};
  if (op >= 0x80 && op <= 0x83) return alu_use(reg);
  if (op >= 0xb0 && op <= 0xbf) return {};
  if (op >= 0xd8 && op <= 0xdf) {  // x87: FCMOVcc reads, FCOMI writes
    const bool registers = r.modrm >= 0xc0;
    if (registers && (op == 0xda || op == 0xdb) && reg < 4) return {kCf | kZf | kPf, 0};
    if (registers && (op == 0xdb || op == 0xdf) && (reg == 5 || reg == 6)) return {0, kCf | kZf | kPf};
    return {};
  }
  switch (op) {
    case 0x9d:  // POPF
      return {0, kAll};
    case 0x06:
    case 0x0e:
    case 0x16:
    case 0x1e:
    case 0x60:
    case 0x61:
    case 0x68:
    case 0x6a:
    case 0x8d:
    case 0x86:
    case 0x87:
    case 0x88:
    case 0x89:
    case 0x8a:
    case 0x8b:
    case 0x8c:
    case 0x8f:
    case 0x90:
    case 0x91:
    case 0x92:
    case 0x93:
    case 0x94:
    case 0x95:
    case 0x96:
    case 0x97:
    case 0x98:
    case 0x99:
    case 0x9b:
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa3:
    case 0xc6:
    case 0xc7:
    case 0xc9:
    case 0xd7:
    case 0xc2:
    case 0xc3:
    case 0xe2:
    case 0xe3:
    case 0xe8:
    case 0xe9:
    case 0xeb:
    case 0xfa:
    case 0xfc:
    case 0xfd:
      return {};
    case 0x84:
    case 0x85:
    case 0xa8:
    case 0xa9:
      return {0, kAll};
    case 0x69:
    case 0x6b:
      return {0, kAll};
    case 0x9e:
      return {0, kAll & ~kOf};  // SAHF
    case 0x9f:
      return {kAll & ~kOf, 0};  // LAHF
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
      return shift_use(reg, false);
    case 0xd2:
    case 0xd3:
      return shift_use(reg, true);
    case 0xe0:
    case 0xe1:
      return {kZf, 0};
    case 0xf5:
      return {kCf, kCf};
    case 0xf8:
    case 0xf9:
      return {0, kCf};
    case 0xf6:
    case 0xf7:
      if (reg == 2) return {};  // NOT
      if (reg >= 6) return {0, kAll};
      return {0, kAll};
    case 0xfe:
      return {0, kAll & ~kCf};
    case 0xff:
      if (reg < 2) return {0, kAll & ~kCf};
      if (reg == 2 || reg == 4 || reg == 6) return {};
      break;
  }
  return {kAll, 0};
}

FlagUse two_byte_use(const RawLayout& r) {
  const u8 op = r.opcode;
  if (op >= 0x40 && op <= 0x4f) return {condition_reads(op), 0};
  if (op >= 0x80 && op <= 0x9f) return {condition_reads(op), 0};
  switch (op) {
    case 0x20:
    case 0x77:
    case 0xa0:
    case 0xa8:
      return {};
    case 0xa3:
    case 0xab:
    case 0xb3:
    case 0xbb:
    case 0xba:
      return {0, kCf};
    case 0xa4:
    case 0xac:
      return {0, kAll};
    case 0xa5:
    case 0xad:
      return {};
    case 0xaf:
      return {0, kAll};
    case 0xb0:
    case 0xb1:
    case 0xc0:
    case 0xc1:
      return {0, kAll};
    case 0xbc:
    case 0xbd:
      return {0, kZf};
    case 0xc7:
      return r.reg() == 1 ? FlagUse{0, kZf} : FlagUse{kAll, 0};
    case 0x2e:
    case 0x2f:
      return {0, kAll};
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf:
    case 0xc3:
    case 0x0d:
    case 0x18:
    case 0x1f:
    case 0x31:
      return {};
  }
  if (op >= 0xc8 && op <= 0xcf) return {};
  if (op >= 0x10 && op <= 0x17) return {};
  if (op >= 0x28 && op <= 0x2d) return {};
  if ((op >= 0x50 && op <= 0x7f && op != 0x78 && op != 0x79) || op >= 0xd0 || op == 0xc2 || (op >= 0xc4 && op <= 0xc6))
    return {};
  return {kAll, 0};
}

MemoryUse x87_use(const RawLayout& r) {
  const unsigned reg = r.reg();
  switch (r.opcode) {
    case 0xd8:
    case 0xda:
    case 0xdc:
    case 0xde:
      return MemoryUse::kLoad;
    case 0xd9:
      return reg == 0 ? MemoryUse::kLoad : reg == 2 || reg == 3 || reg == 7 ? MemoryUse::kStore : MemoryUse::kNone;
    case 0xdb:
      return reg == 0 || reg == 5 ? MemoryUse::kLoad : reg == 4 || reg == 6 ? MemoryUse::kNone : MemoryUse::kStore;
    case 0xdd:
      return reg == 0 ? MemoryUse::kLoad : reg < 4 || reg == 7 ? MemoryUse::kStore : MemoryUse::kNone;
    default:
      return reg == 0 || reg == 4 || reg == 5 ? MemoryUse::kLoad : MemoryUse::kStore;  // DF
  }
}

MemoryUse one_byte_memory(const RawLayout& r) {
  const u8 op = r.opcode;
  const unsigned reg = r.reg();
  if (op < 0x40) return (op & 2) != 0 || (op & 0x38) == 0x38 ? MemoryUse::kLoad : MemoryUse::kModify;
  if (op >= 0xd8 && op <= 0xdf) return x87_use(r);
  switch (op) {
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x83:
      return reg == 7 ? MemoryUse::kLoad : MemoryUse::kModify;
    case 0x84:
    case 0x85:
    case 0x8a:
    case 0x8b:
    case 0x69:
    case 0x6b:
    case 0xa0:
    case 0xa1:
      return MemoryUse::kLoad;
    case 0x86:
    case 0x87:
      return MemoryUse::kModify;
    case 0x88:
    case 0x89:
    case 0xc6:
    case 0xc7:
    case 0xa2:
    case 0xa3:
      return MemoryUse::kStore;
    case 0xc0:
    case 0xc1:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return MemoryUse::kModify;
    case 0xf6:
    case 0xf7:
      return reg == 2 || reg == 3 ? MemoryUse::kModify : MemoryUse::kLoad;
    case 0xfe:
      return reg < 2 ? MemoryUse::kModify : MemoryUse::kNone;
    case 0xff:
      return reg < 2 ? MemoryUse::kModify : MemoryUse::kNone;
  }
  return MemoryUse::kNone;
}

MemoryUse two_byte_memory(const RawLayout& r) {
  const u8 op = r.opcode;
  const unsigned reg = r.reg();
  if (op >= 0x40 && op <= 0x4f) return MemoryUse::kLoad;
  if (op >= 0x90 && op <= 0x9f) return MemoryUse::kStore;
  switch (op) {
    case 0xba:
      return reg < 4 ? MemoryUse::kNone : reg == 4 ? MemoryUse::kLoad : MemoryUse::kModify;
    case 0xa4:
    case 0xa5:
    case 0xac:
    case 0xad:
    case 0xb0:
    case 0xb1:
    case 0xc0:
    case 0xc1:
      return MemoryUse::kModify;
    case 0xc7:
      return reg == 1 ? MemoryUse::kModify : MemoryUse::kNone;
    case 0xae:
      return reg == 3 ? MemoryUse::kStore : MemoryUse::kNone;  // STMXCSR
    case 0xaf:
    case 0xb6:
    case 0xb7:
    case 0xbe:
    case 0xbf:
    case 0xbc:
    case 0xbd:
      return MemoryUse::kLoad;
    case 0xc3:
    case 0x11:
    case 0x13:
    case 0x17:
    case 0x29:
    case 0x2b:
    case 0x7f:
    case 0xe7:
      return MemoryUse::kStore;
    case 0x7e:
    case 0xd6:
      return r.mandatory == 0xf3 && op == 0x7e ? MemoryUse::kLoad : MemoryUse::kStore;
    case 0x10:
    case 0x12:
    case 0x14:
    case 0x15:
    case 0x16:
    case 0x28:
    case 0x2a:
    case 0x2c:
    case 0x2d:
    case 0x2e:
    case 0x2f:
    case 0x51:
    case 0x52:
    case 0x53:
    case 0xc2:
    case 0xc4:
    case 0xc6:
    case 0xf0:
      return MemoryUse::kLoad;
  }
  if (op >= 0x54 && op <= 0x76 && op != 0x71 && op != 0x72 && op != 0x73) return MemoryUse::kLoad;
  if (op == 0x7c || op == 0x7d || (op >= 0xd0 && op <= 0xfe && op != 0xd7 && op != 0xf7)) return MemoryUse::kLoad;
  return MemoryUse::kNone;
}

// Opcodes that are a prefix in 64-bit code, have an absolute address, are no instruction there, do nothing, or reach
// bits beyond their operand.
bool differs_in_64_bits(const Insn& insn, const RawLayout& r) {
  if (r.map == 0)
    return (r.opcode & 0xf0) == 0x40 || (r.opcode & 0xfc) == 0xa0 || r.opcode == 0x82 || r.opcode == 0x8d ||
           r.opcode == 0x90 || r.opcode == 0xd7;
  const bool hint = r.opcode == 0x0d || (r.opcode & 0xf8) == 0x18 || r.opcode == 0xae;
  const bool swap = (r.opcode & 0xf8) == 0xc8;
  return r.map > 1 || hint || (swap && insn.operand_size == 2) || (r.is_memory() && (r.opcode & 0xe7) == 0xa3);
}

// Arithmetic and data movement, between general registers and memory at an address that is not absolute.
bool is_verbatim(const Insn& insn, const RawLayout& r) {
  if (insn.x64 != Lowering::copy || (info(insn.op).traits & (trait::sse | trait::fpu)) != 0) return false;
  if (r.lock || differs_in_64_bits(insn, r)) return false;
  for (const Operand& o : insn.operands)
    if (o.kind == OperandKind::kSeg || o.kind == OperandKind::kCr || o.kind == OperandKind::kDr) return false;
  if (!r.is_memory()) return true;
  const bool absolute = (r.modrm & 0xc7) == 5;
  return insn.memory_use != 0 && insn.memory_size <= 4 && insn.address_size == 4 && !absolute;
}

}  // namespace

bool one_byte_has_modrm(u8 op) {
  if (op < 0x40) return (op & 7) < 4;
  if (op >= 0x80 && op <= 0x8f) return true;
  if (op >= 0xd8 && op <= 0xdf) return true;
  switch (op) {
    case 0x62:
    case 0x63:
    case 0x69:
    case 0x6b:
    case 0xc0:
    case 0xc1:
    case 0xc4:
    case 0xc5:
    case 0xc6:
    case 0xc7:
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xf6:
    case 0xf7:
    case 0xfe:
    case 0xff:
      return true;
    default:
      return false;
  }
}

bool two_byte_has_modrm(u8 op) {
  if (op >= 0x80 && op <= 0x8f) return false;  // Jcc
  if (op >= 0xc8 && op <= 0xcf) return false;  // BSWAP
  if (op >= 0x30 && op <= 0x37) return false;  // MSRs, SYSENTER…
  switch (op) {
    case 0x05:
    case 0x06:
    case 0x07:
    case 0x08:
    case 0x09:
    case 0x0b:
    case 0x0e:
    case 0x77:
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa8:
    case 0xa9:
    case 0xaa:
      return false;
    default:
      return true;
  }
}

bool is_prefix(u8 byte, Generation generation) {
  switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0xf0:
    case 0xf2:
    case 0xf3:
      return true;
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
      return generation >= Generation::k386;
    case 0xf1:  // an undecoded twin of LOCK
      return generation == Generation::k8086;
    default:
      return false;
  }
}

void note_raw(Insn& insn, Generation generation) {
  insn.flags_read = pack_flags(kAll);
  if (insn.op == Op::kInvalid) return;
  const u8* p = insn.raw;
  unsigned i = 0;
  while (is_prefix(p[i], generation)) ++i;
  if (p[i] == 0x0f && generation != Generation::k8086) {
    ++i;
    insn.map = 1;
    if (p[i] == 0x38 || p[i] == 0x3a) insn.map = p[i++] == 0x38 ? 2 : 3;
  }
  insn.opcode_at = i & 15;
  const u8 opcode = p[i++];
  const bool moffs = insn.map == 0 && opcode >= 0xa0 && opcode <= 0xa3;  // MOV with an absolute address
  insn.has_modrm = insn.map == 0 ? one_byte_has_modrm(opcode) : insn.map == 1 ? two_byte_has_modrm(opcode) : true;
  if (insn.has_modrm) {
    const bool registers = insn.map == 1 && modrm_names_registers(opcode);
    i += 1 + (registers ? 0 : address_bytes(p[i], p + i + 1, insn.address_size == 2));
  } else if (moffs) {
    i += insn.address_size;
  }
  insn.tail_at = i & 15;
  const RawLayout r = layout(insn);
  const FlagUse flags = r.map == 0 ? one_byte_use(r) : r.map == 1 ? two_byte_use(r) : FlagUse{};
  insn.flags_read = pack_flags(flags.read);
  insn.flags_killed = pack_flags(flags.killed);
  insn.shift_by_immediate = (r.map == 0 && (opcode & 0xfe) == 0xc0) || (r.map == 1 && (opcode & 0xf7) == 0xa4);
  if (r.is_memory() || moffs) {
    const MemoryUse use = r.map == 0   ? one_byte_memory(r)
                          : r.map == 1 ? two_byte_memory(r)
                                       : MemoryUse::kLoad;  // SSSE3
    insn.memory_use = static_cast<u8>(use);
    for (const Operand& o : insn.operands)
      if (o.kind == OperandKind::kMem) insn.memory_size = o.size;
  }
  insn.verbatim = is_verbatim(insn, r);
}

}  // namespace umbra
