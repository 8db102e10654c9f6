// MMX and SSE data movement, masked stores, MXCSR, and the instructions that only hint or order.
#include "cpu/interp/simd.h"

namespace umbra::interp::simd {

namespace {

bool to_memory(const Insn& insn) { return insn.operands[0].kind == OperandKind::kMem; }

// The destination keeps nothing: loads zero-extend, stores take the low bytes.
void store_mmx(Cpu& cpu, const Insn& insn) {  // MOVQ m64, mm; MOVD r/m32, mm; MOVNTQ
  enter_mmx(cpu);
  const Vec v = get_mmx(cpu, insn.operands[1].reg);
  if (to_memory(insn)) {
    store(cpu, insn, v, insn.operands[0].size, Alignment::kFree);
  } else {
    cpu.s.r32(insn.operands[0].reg) = v.get<u32>(0);
  }
  mmx_transition(cpu);
}

void load_mmx(Cpu& cpu, const Insn& insn) {  // MOVQ mm, mm/m64; MOVD mm, r/m32
  enter_mmx(cpu);
  Vec v{};
  if (insn.operands[1].kind == OperandKind::kReg) {
    v.set<u32>(0, cpu.s.r32(insn.operands[1].reg));
  } else {
    v = operand(cpu, insn, 1);
  }
  set_mmx(cpu, insn.operands[0].reg, v);
}

void movq_mmx(Cpu& cpu, const Insn& insn) {
  if (insn.operands[0].kind == OperandKind::kMmx) {
    load_mmx(cpu, insn);
  } else {
    store_mmx(cpu, insn);
  }
}

void movd_xmm(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  if (insn.operands[0].kind == OperandKind::kXmm) {
    Vec v{};
    v.set<u32>(0, load_operand<u32>(cpu, insn, 1));
    set_xmm(cpu, insn.operands[0].reg, v);
  } else {
    store_operand<u32>(cpu, insn, 0, get_xmm(cpu, insn.operands[1].reg).get<u32>(0));
  }
}

void movq_xmm(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  if (to_memory(insn)) return store(cpu, insn, get_xmm(cpu, insn.operands[1].reg), 8, Alignment::kFree);
  Vec v = operand(cpu, insn, 1);
  v.set<u64>(1, 0);
  set_xmm(cpu, insn.operands[0].reg, v);
}

template <Alignment alignment>
void mov_xmm(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  if (to_memory(insn)) return store(cpu, insn, get_xmm(cpu, insn.operands[1].reg), 16, alignment);
  set_xmm(cpu, insn.operands[0].reg, operand(cpu, insn, 1, alignment));
}

// MOVSS and MOVSD: memory zero-extends, a register replaces the low lane alone.
template <class T>
void mov_scalar(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  if (to_memory(insn)) return store(cpu, insn, get_xmm(cpu, insn.operands[1].reg), sizeof(T), Alignment::kFree);
  Vec v = operand(cpu, insn, 1);
  if (insn.operands[1].kind == OperandKind::kXmm) {
    const T low = v.get<T>(0);
    v = get_xmm(cpu, insn.operands[0].reg);
    v.set<T>(0, low);
  }
  set_xmm(cpu, insn.operands[0].reg, v);
}

// One half moves; the other stays. For memory operands `from` and `to` name the register's half.
template <unsigned to, unsigned from>
void mov_half(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  if (to_memory(insn)) {
    Vec v{};
    v.set<u64>(0, get_xmm(cpu, insn.operands[1].reg).get<u64>(to));
    return store(cpu, insn, v, 8, Alignment::kFree);
  }
  const Vec source = operand(cpu, insn, 1);
  Vec v = get_xmm(cpu, insn.operands[0].reg);
  v.set<u64>(to, source.get<u64>(insn.operands[1].kind == OperandKind::kMem ? 0 : from));
  set_xmm(cpu, insn.operands[0].reg, v);
}

void movdq2q(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  x87_check_pending(cpu);
  set_mmx(cpu, insn.operands[0].reg, get_xmm(cpu, insn.operands[1].reg));
}

void movq2dq(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  x87_check_pending(cpu);
  set_xmm(cpu, insn.operands[0].reg, get_mmx(cpu, insn.operands[1].reg));
  mmx_transition(cpu);
}

void movnti(Cpu& cpu, const Insn& insn) { store_operand<u32>(cpu, insn, 0, cpu.s.r32(insn.operands[1].reg)); }

// Gathers the sign bits of the lanes into a general register.
template <class T, bool mmx>
void move_mask(Cpu& cpu, const Insn& insn) {
  if (mmx) {
    enter_mmx(cpu);
  } else {
    enter_sse(cpu);
  }
  const Vec v = operand(cpu, insn, 1);
  u32 mask = 0;
  for (unsigned i = 0; i < (mmx ? 8 : 16) / sizeof(T); ++i) mask |= u32{v.get<T>(i) >> (sizeof(T) * 8 - 1) != 0} << i;
  cpu.s.r32(insn.operands[0].reg) = mask;
  if (mmx) mmx_transition(cpu);
}

template <bool mmx>
void pextrw(Cpu& cpu, const Insn& insn) {
  if (mmx) {
    enter_mmx(cpu);
  } else {
    enter_sse(cpu);
  }
  cpu.s.r32(insn.operands[0].reg) = operand(cpu, insn, 1).get<u16>(insn.imm & (mmx ? 3 : 7));
  if (mmx) mmx_transition(cpu);
}

template <bool mmx>
void pinsrw(Cpu& cpu, const Insn& insn) {
  if (mmx) {
    enter_mmx(cpu);
  } else {
    enter_sse(cpu);
  }
  const u16 word = load_operand<u16>(cpu, insn, 1);
  const unsigned to = insn.operands[0].reg;
  Vec v = operand(cpu, insn, 0);
  v.set<u16>(insn.imm & (mmx ? 3 : 7), word);
  if (mmx) {
    set_mmx(cpu, to, v);
  } else {
    set_xmm(cpu, to, v);
  }
}

// Bytes that the mask leaves out are not touched, and cannot fault.
template <bool mmx>
void mask_move(Cpu& cpu, const Insn& insn) {
  if (mmx) {
    enter_mmx(cpu);
  } else {
    enter_sse(cpu);
  }
  const Vec v = operand(cpu, insn, 0), mask = operand(cpu, insn, 1);
  const u32 at = cpu.s.r32(kEdi) & insn.address_mask;
  const auto each = [&](auto action) {
    for (unsigned i = 0; i < (mmx ? 8 : 16); ++i) {
      if ((mask.bytes[i] & 0x80) != 0) action(i);
    }
  };
  const Segment& g = cpu.s.seg[insn.segment];
  if ((g.access & Segment::kWritable) == 0) cpu.check(segment(insn), at, 1, Access::kWrite);  // even with nothing to do
  each([&](unsigned i) { cpu.check(segment(insn), at + i, 1, Access::kWrite); });
  each([&](unsigned i) { cpu.write<u8>(segment(insn), at + i, v.bytes[i]); });
  if (mmx) mmx_transition(cpu);
}

void emms(Cpu& cpu, const Insn&) {
  enter_mmx(cpu);
  mmx_transition(cpu);
  cpu.s.fpu.ftw = 0;
}

void ldmxcsr(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  const u32 value = load_operand<u32>(cpu, insn, 0);
  if ((value & ~cpu.s.fpu.mxcsr_mask) != 0) cpu.fault(kGeneralProtection, 0);
  cpu.s.fpu.mxcsr = value;
}

void stmxcsr(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  store_operand<u32>(cpu, insn, 0, cpu.s.fpu.mxcsr);
}

void hint(Cpu&, const Insn&) {}

// Faults as a load of one byte would.
void clflush(Cpu& cpu, const Insn& insn) { cpu.read<u8>(segment(insn), effective_address(cpu.s, insn)); }

constexpr Row kRows[] = {
    {Op::kMovd, movq_mmx, movd_xmm},
    {Op::kMovq, movq_mmx, movq_xmm},
    {Op::kMovntq, store_mmx, nullptr},
    any(Op::kMovaps, mov_xmm<Alignment::kChecked>),
    any(Op::kMovapd, mov_xmm<Alignment::kChecked>),
    any(Op::kMovdqa, mov_xmm<Alignment::kChecked>),
    any(Op::kMovntps, mov_xmm<Alignment::kChecked>),
    any(Op::kMovntpd, mov_xmm<Alignment::kChecked>),
    any(Op::kMovntdq, mov_xmm<Alignment::kChecked>),
    any(Op::kMovups, mov_xmm<Alignment::kFree>),
    any(Op::kMovupd, mov_xmm<Alignment::kFree>),
    any(Op::kMovdqu, mov_xmm<Alignment::kFree>),
    any(Op::kLddqu, mov_xmm<Alignment::kFree>),
    any(Op::kMovss, mov_scalar<u32>),
    any(Op::kMovsdXmm, mov_scalar<u64>),
    any(Op::kMovlps, mov_half<0, 0>),
    any(Op::kMovlpd, mov_half<0, 0>),
    any(Op::kMovhps, mov_half<1, 0>),
    any(Op::kMovhpd, mov_half<1, 0>),
    any(Op::kMovhlps, mov_half<0, 1>),
    any(Op::kMovlhps, mov_half<1, 0>),
    any(Op::kMovdq2q, movdq2q),
    any(Op::kMovq2dq, movq2dq),
    any(Op::kMovnti, movnti),
    any(Op::kMovmskps, move_mask<u32, false>),
    any(Op::kMovmskpd, move_mask<u64, false>),
    {Op::kPmovmskb, move_mask<u8, true>, move_mask<u8, false>},
    {Op::kPextrw, pextrw<true>, pextrw<false>},
    {Op::kPinsrw, pinsrw<true>, pinsrw<false>},
    {Op::kMaskmovq, mask_move<true>, nullptr},
    any(Op::kMaskmovdqu, mask_move<false>),
    any(Op::kEmms, emms),
    any(Op::kLdmxcsr, ldmxcsr),
    any(Op::kStmxcsr, stmxcsr),
    any(Op::kSfence, hint),
    any(Op::kLfence, hint),
    any(Op::kMfence, hint),
    any(Op::kClflush, clflush),
};

}  // namespace

std::span<const Row> move_rows() { return kRows; }

}  // namespace umbra::interp::simd
