// Operands with a bias to the edges, placed so that most memory operands hit, some cross a page and some fault.
#include <bit>
#include <cstring>

#include "tests/oracle/streams.h"

namespace umbra::oracle {

namespace {

constexpr u32 kMisalignedMode = 1u << 17;  // of MXCSR, on AMD hosts alone

template <class T, std::size_t N>
T pick(const T (&list)[N], unsigned n) {
  return list[n % N];
}

bool is(const Insn& insn, std::initializer_list<Op> ops) {
  for (Op op : ops) {
    if (insn.op == op) return true;
  }
  return false;
}

bool has_trait(const Insn& insn, u32 trait) { return (info(insn.op).traits & trait) != 0; }

bool memory_operand(const Insn& insn) {
  for (const Operand& o : insn.operands) {
    if (o.kind == OperandKind::kMem) return true;
  }
  return false;
}

}  // namespace

u32 Operands::edge() {
  constexpr u32 kEdges[] = {0,    1,     2,          0xffffffff, 0x80000000, 0x7fffffff, 0x80,   0x7f,
                            0xff, 0x100, 0x8000,     0x7fff,     0xffff,     0x10000,    0xff80, 0xffff8000,
                            0x0f, 0x10,  0xfffffffe, 0x80008000, 0x01010101, 0x99,       0x9a,   0x66};
  switch (below(6)) {
    case 0:
    case 1:
      return pick(kEdges, below(64));
    case 2:
      return bits() & 0xff;
    case 3:
      return (u32{1} << below(32)) - below(3) + 1;
    default:
      return bits();
  }
}

u32 Operands::code_target(const Template& t) {
  u32 at;
  do {
    at = kCodeAt + 0x10 + below(kCodeSize - 0x20);
  } while (at + 1 >= kEntry && at < kEntry + kMaxInsnLength);
  return offset_in(t.wide, at);
}

// An offset in the region.
u32 Operands::data_address(u32 size) {
  const unsigned kind = below(32);
  if (kind == 0) return kDataAt + kDataSize - below(size + 1);  // reaches behind the last page
  if (kind == 1) return kDataAt + kPageSize - below(size + 1);  // crosses pages
  if (kind == 2) return kDataAt - below(size + 1);              // begins before the first page
  const u32 at = kDataAt + 64 + below(kDataSize - 2048);
  return kind < 8 ? at : at & ~15u;
}

u32 Operands::solve_address(const Insn& insn, Input& in, u32 target) {
  const auto set = [&](unsigned reg, u32 value) {
    in.gpr[reg] = insn.address_size == 2 ? (in.gpr[reg] & 0xffff0000) | (value & 0xffff) : value;
  };
  const u32 disp = static_cast<u32>(insn.disp);
  if (insn.base != kNoReg && insn.base == insn.index) {
    set(insn.base, (target - disp) / (1u + insn.scale));
  } else if (insn.base == kEsp && insn.index != kNoReg) {  // the stack stays where it is
    set(insn.index, (target - disp - in.gpr[kEsp]) / insn.scale);
  } else if (insn.base != kNoReg) {
    const u32 scaled = insn.index != kNoReg ? in.gpr[insn.index] * insn.scale : 0;
    set(insn.base, target - disp - scaled);
  } else if (insn.index != kNoReg) {
    set(insn.index, (target - disp) / insn.scale);
  }
  const auto get = [&](unsigned reg) { return reg == kNoReg ? 0 : in.gpr[reg]; };
  return (get(insn.base) + get(insn.index) * insn.scale + disp) & insn.address_mask;
}

void Operands::fill_vector(u8* to) {
  const auto f32 = [&]() -> u32 {
    constexpr u32 kExponents[] = {0, 0, 1, 2, 0x3f, 0x7e, 0x7f, 0x80, 0x9e, 0x9d, 0xfd, 0xfe, 0xff, 0xff};
    const u32 exponent = below(3) != 0 ? pick(kExponents, below(64)) : below(256);
    constexpr u32 kFractions[] = {0, 1, 0x7fffff, 0x400000, 0x3fffff, 0x400001};
    const u32 fraction = below(2) != 0 ? pick(kFractions, below(64)) : bits() & 0x7fffff;
    return (bits() & 0x80000000) | exponent << 23 | fraction;
  };
  const auto f64 = [&]() -> u64 {
    constexpr u64 kExponents[] = {0,     0,     1,     2,     0x380, 0x36a, 0x3fe, 0x3ff,
                                  0x400, 0x41d, 0x41e, 0x47e, 0x47f, 0x7fe, 0x7ff, 0x7ff};
    const u64 exponent = below(3) != 0 ? pick(kExponents, below(64)) : below(2048);
    constexpr u64 kAll = (u64{1} << 52) - 1;
    constexpr u64 kFractions[] = {0, 1, kAll, u64{1} << 51, (u64{1} << 51) - 1, (u64{1} << 51) + 1, u64{1} << 28};
    const u64 fraction = below(2) != 0 ? pick(kFractions, below(64)) : floats_.bits() & kAll;
    return (floats_.bits() & (u64{1} << 63)) | exponent << 52 | fraction;
  };
  switch (below(3)) {
    case 0:
      for (unsigned i = 0; i < 4; ++i) {
        const u32 v = f32();
        std::memcpy(to + 4 * i, &v, 4);
      }
      break;
    case 1:
      for (unsigned i = 0; i < 2; ++i) {
        const u64 v = f64();
        std::memcpy(to + 8 * i, &v, 8);
      }
      break;
    default:
      for (unsigned i = 0; i < 4; ++i) {
        const u32 v = edge();
        std::memcpy(to + 4 * i, &v, 4);
      }
  }
}

void Operands::fill_fpu(FpuState& f) {
  f.fcw = static_cast<u16>(below(4) != 0 ? 0x37f | (below(4) << 10) : floats_.control_word());
  const u16 flags = static_cast<u16>(below(16) == 0 ? bits() & 0x7f : 0);
  f.fsw = static_cast<u16>((bits() & 0x7f00) | flags);
  if ((flags & ~f.fcw & 0x3f) != 0) f.fsw |= fsw::kEs | fsw::kBusy;
  f.ftw = static_cast<u8>(below(3) != 0 ? 0xff : bits());
  f.mxcsr = 0x1f80 | (below(4) << 13) | (below(8) == 0 ? 0x8000 : 0) | (below(8) == 0 ? 0x40 : 0);
  if (below(6) == 0) f.mxcsr &= ~((bits() & 0x3f) << 7);
  if (below(6) == 0) f.mxcsr |= bits() & 0x3f;
  for (auto& st : f.st) {
    const Float80 v = floats_.value();
    std::memcpy(st, &v.mantissa, 8);
    std::memcpy(st + 8, &v.sign_exponent, 2);
  }
  if (below(4) == 0) {  // integers and packed decimals come from here
    for (auto& st : f.st) {
      const Float80 v = from_int(static_cast<i64>(floats_.bits()) >> below(64));
      std::memcpy(st, &v.mantissa, 8);
      std::memcpy(st + 8, &v.sign_exponent, 2);
    }
  }
  for (unsigned i = 0; i < 8; ++i) fill_vector(f.xmm[i]);
}

void Operands::fill_memory(const Template& t, u32 at, const Poke& poke) {
  const Insn& insn = t.insn;
  u8 bytes[32];
  for (unsigned i = 0; i < 32; i += 4) {
    const u32 v = edge();
    std::memcpy(bytes + i, &v, 4);
  }
  if (has_trait(insn, trait::branch)) {
    const u32 target = code_target(t);
    std::memcpy(bytes, &target, 4);
  } else if (insn.op == Op::kLdmxcsr) {
    const u32 v = below(4) != 0 ? bits() & 0xffff : bits() & ~kMisalignedMode;
    std::memcpy(bytes, &v, 4);
  } else if (is(insn, {Op::kFldenv, Op::kFrstor, Op::kFxrstor})) {
    FpuState f;
    fill_fpu(f);
    if (insn.op == Op::kFrstor) f.fsw = static_cast<u16>(bits());
    if (below(8) == 0 && at >= kDataAt && at + sizeof f <= kDataAt + kDataSize) f.mxcsr = bits() & ~kMisalignedMode;
    poke(at, &f, sizeof f);
    return;
  } else if (insn.op == Op::kFbld) {
    for (unsigned i = 0; i < 9; ++i) bytes[i] = static_cast<u8>(below(10) << 4 | below(10));
    bytes[9] = static_cast<u8>(bits() & 0x80);
  } else if (has_trait(insn, trait::fpu | trait::sse)) {
    fill_vector(bytes);
    if (below(3) == 0) {
      const Float80 v = floats_.value();
      std::memcpy(bytes, &v.mantissa, 8);
      std::memcpy(bytes + 8, &v.sign_exponent, 2);
    }
  }
  poke(at, bytes, sizeof bytes);
}

void Operands::place_memory(const Template& t, Input& in, const Poke& poke) {
  const Insn& insn = t.insn;
  if (!memory_operand(insn)) return;
  u32 size = 4;
  for (const Operand& o : insn.operands) {
    if (o.kind == OperandKind::kMem) size = o.size;
  }
  if (has_trait(insn, trait::string)) return;
  const u32 wanted = offset_in(t.wide, data_address(size));
  const u32 at = solve_address(insn, in, wanted) - (t.wide ? kRegion : 0);
  fill_memory(t, at, poke);
  if (insn.op == Op::kLea) in.gpr[insn.base == kNoReg ? 0 : insn.base] = edge();
  const Operand& source = insn.operands[1];
  const bool bit_string = is(insn, {Op::kBt, Op::kBts, Op::kBtr, Op::kBtc}) && source.kind == OperandKind::kReg;
  if (bit_string && below(4) != 0 && source.reg != insn.base && source.reg != insn.index) {
    in.gpr[source.reg] = below(0x2000) - 0x1000;
  }
}

void Operands::place_implied(const Template& t, Input& in, const Poke& poke) {
  const Insn& insn = t.insn;
  const auto set = [&](unsigned reg, u32 value) {
    in.gpr[reg] = insn.address_size == 2 ? (in.gpr[reg] & 0xffff0000) | (value & 0xffff) : value;
  };
  const u32 stack = in.gpr[kEsp] - (t.wide ? kRegion : kEspHigh16);
  if (has_trait(insn, trait::string)) {
    // Which of two faulting operands is reported is the processor's choice: the source is always there.
    const u32 source = kDataAt + 64 + below(kDataSize - 512), target = data_address(64);
    set(kEsi, offset_in(t.wide, source));
    set(kEdi, offset_in(t.wide, target));
    set(kEcx, below(3) == 0 ? below(3) : below(24));
    u8 pattern[64];
    for (u8& b : pattern) b = static_cast<u8>(below(16) == 0 ? bits() : in.gpr[kEax]);
    poke(source, pattern, sizeof pattern);
    pattern[below(64)] ^= 1;
    poke(target, pattern, sizeof pattern);
  } else if (insn.op == Op::kXlat) {
    set(kEbx, offset_in(t.wide, data_address(1)) - (in.gpr[kEax] & 0xff));
  } else if (is(insn, {Op::kMaskmovq, Op::kMaskmovdqu})) {
    // Whether masked-out bytes can fault, and whether the state is MMX then, differs between processors.
    set(kEdi, offset_in(t.wide, kDataAt + below(kDataSize - 16)));
  } else if (is(insn, {Op::kEnter, Op::kLeave})) {
    in.gpr[kEbp] = (t.wide ? kRegion : bits() & 0xffff0000) + kStackAt + 0x200 + below(0xc00);
  } else if (insn.op == Op::kRet) {
    const u32 target = code_target(t);
    poke(stack, &target, 4);
  } else if (is(insn, {Op::kPopf, Op::kPopfd})) {
    const u32 flags = bits() & ~(flag::kTf | flag::kAc | flag::kNt);
    poke(stack, &flags, 4);
  } else if (has_trait(insn, trait::branch) && insn.operands[0].kind == OperandKind::kReg) {
    in.gpr[insn.operands[0].reg] = code_target(t);
  } else if (is(insn, {Op::kLoop, Op::kLoope, Op::kLoopne, Op::kJcxz, Op::kJecxz})) {
    in.gpr[kEcx] = below(2) != 0 ? below(3) | (bits() & 0xffff0000) : edge();
  } else if (is(insn, {Op::kDiv, Op::kIdiv}) && below(4) != 0) {
    const u32 high = below(2) != 0 ? 0 : insn.op == Op::kIdiv ? ~0u : below(4);
    if (insn.operands[0].size == 1) {
      in.gpr[kEax] = (in.gpr[kEax] & 0xffff00ff) | (high & 0xff) << 8;
    } else if (insn.base != kEdx && insn.index != kEdx) {
      in.gpr[kEdx] = high;
    }
  } else if (insn.op == Op::kCmpxchg && insn.operands[0].kind == OperandKind::kReg && below(2) != 0) {
    in.gpr[kEax] = in.gpr[insn.operands[0].reg & (insn.operands[0].size == 1 ? 3 : 7)];
  }
}

Input Operands::make(const Template& t, const Poke& poke) {
  Input in;
  in.wide = t.wide;
  in.branches = has_trait(t.insn, trait::branch);
  for (u32& r : in.gpr) r = edge();
  in.eflags = bits() & flag::kArithmetic;
  if (below(8) == 0) in.eflags |= flag::kDf;
  u32 stack = kStackAt + 0x300 + (below(0xa00) & ~3u);
  if (below(16) == 0) stack += below(4);
  if (below(32) == 0) stack = kStackAt + below(80);
  if (below(32) == 0) stack = kStackAt + kStackSize - below(80);
  in.gpr[kEsp] = (t.wide ? kRegion : kEspHigh16) + stack;
  fill_fpu(in.fpu);
  place_memory(t, in, poke);
  const auto fix_stack = [&] {
    if (!t.wide) in.gpr[kEsp] = kEspHigh16 | (in.gpr[kEsp] & 0xffff);
  };
  fix_stack();
  place_implied(t, in, poke);
  fix_stack();
  return in;
}

}  // namespace umbra::oracle
