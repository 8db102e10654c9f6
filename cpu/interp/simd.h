// What the MMX and SSE handlers share: a vector value, guards, operand access, and the shapes that handlers come in.
// A functor is a template over the vector's size in bytes, 8 for MMX and 16 for XMM, and sees MMX values in the low
// half.
#pragma once

#include <cstring>

#include "cpu/interp/x87.h"

namespace umbra::interp::simd {

struct alignas(16) Vec {
  u8 bytes[16];

  template <class T>
  T get(unsigned i) const {
    T value;
    std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void set(unsigned i, T value) {
    std::memcpy(bytes + i * sizeof(T), &value, sizeof(T));
  }
};

// --- guards ----------------------------------------------------------------------------------------------------------
inline void enter_mmx(Cpu& cpu) {
  if ((cpu.s.cr0 & cr0::kEm) != 0) cpu.fault(kInvalidOpcode);
  if ((cpu.s.cr0 & cr0::kTs) != 0) cpu.fault(kDeviceNotAvailable);
  x87_check_pending(cpu);
}
inline void enter_sse(Cpu& cpu) {
  if ((cpu.s.cr0 & cr0::kEm) != 0 || (cpu.s.cr4 & cr4::kOsfxsr) == 0) cpu.fault(kInvalidOpcode);
  if ((cpu.s.cr0 & cr0::kTs) != 0) cpu.fault(kDeviceNotAvailable);
}

// --- registers -------------------------------------------------------------------------------------------------------
// MMX registers are the x87's by physical number; the image starts with ST(0).
inline Vec get_mmx(const Cpu& cpu, unsigned n) {
  Vec v{};
  std::memcpy(v.bytes, cpu.s.fpu.st[(n - x87_top(cpu.s.fpu)) & 7], 8);
  return v;
}
// Every MMX instruction but EMMS leaves TOP 0 and all registers valid. Called once nothing can fault any more.
inline void mmx_transition(Cpu& cpu) {
  FpuState& f = cpu.s.fpu;
  if (x87_top(f) != 0) x87_rotate(f, -static_cast<int>(x87_top(f)));
  f.ftw = 0xff;
}
inline void set_mmx(Cpu& cpu, unsigned n, const Vec& v) {
  mmx_transition(cpu);
  std::memcpy(cpu.s.fpu.st[n], v.bytes, 8);
  std::memset(cpu.s.fpu.st[n] + 8, 0xff, 2);
}
inline Vec get_xmm(const Cpu& cpu, unsigned n) {
  Vec v;
  std::memcpy(v.bytes, cpu.s.fpu.xmm[n], 16);
  return v;
}
inline void set_xmm(Cpu& cpu, unsigned n, const Vec& v) { std::memcpy(cpu.s.fpu.xmm[n], v.bytes, 16); }

// --- memory ----------------------------------------------------------------------------------------------------------
enum class Alignment : u8 { kChecked, kFree };

inline void check_alignment(Cpu& cpu, const Insn& insn, u32 at) {
  const Segment& g = cpu.s.seg[insn.segment];
  if (((g.base + at) & 15) != 0) cpu.fault(kGeneralProtection, 0);
}

Vec load(Cpu& cpu, const Insn& insn, unsigned size, Alignment alignment);
void store(Cpu& cpu, const Insn& insn, const Vec& v, unsigned size, Alignment alignment);

// Operand n: a register of either kind, memory of its size zero-extended, or an immediate in the low quadword.
inline Vec operand(Cpu& cpu, const Insn& insn, unsigned n, Alignment alignment = Alignment::kChecked) {
  const Operand& o = insn.operands[n];
  switch (o.kind) {
    case OperandKind::kMmx:
      return get_mmx(cpu, o.reg);
    case OperandKind::kXmm:
      return get_xmm(cpu, o.reg);
    case OperandKind::kMem:
      return load(cpu, insn, o.size, alignment);
    default:
      break;
  }
  Vec v{};
  v.set<u64>(0, insn.imm & 0xff);
  return v;
}

// --- shapes ----------------------------------------------------------------------------------------------------------
// destination = F<size>(destination, source, immediate)
template <auto F>
void mmx_op(Cpu& cpu, const Insn& insn) {
  enter_mmx(cpu);
  const Vec b = operand(cpu, insn, 1);
  const unsigned to = insn.operands[0].reg;
  set_mmx(cpu, to, F.template operator()<8>(get_mmx(cpu, to), b, static_cast<u8>(insn.imm)));
}
template <auto F>
void xmm_op(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  const Vec b = operand(cpu, insn, 1);
  const unsigned to = insn.operands[0].reg;
  set_xmm(cpu, to, F.template operator()<16>(get_xmm(cpu, to), b, static_cast<u8>(insn.imm)));
}

struct Row {
  Op op;
  Handler mmx;  // the first register operand is MMX
  Handler xmm;  // everything else
};
template <auto F>
constexpr Row both(Op op) {
  return {op, mmx_op<F>, xmm_op<F>};
}
template <auto F>
constexpr Row xmm_only(Op op) {
  return {op, nullptr, xmm_op<F>};
}
template <auto F>
constexpr Row mmx_only(Op op) {
  return {op, mmx_op<F>, nullptr};
}
constexpr Row any(Op op, Handler handler) { return {op, handler, handler}; }

// F(a, b) on each lane.
template <class T, auto F>
constexpr auto kLanes = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  for (unsigned i = 0; i < N / sizeof(T); ++i) r.set<T>(i, static_cast<T>(F(a.get<T>(i), b.get<T>(i))));
  return r;
};

std::span<const Row> integer_rows();  // simd_integer.cpp
std::span<const Row> shuffle_rows();  // simd_shuffle.cpp
std::span<const Row> move_rows();     // simd_move.cpp
std::span<const Row> float_rows();    // sse_float.cpp
std::span<const Row> convert_rows();  // sse_convert.cpp

}  // namespace umbra::interp::simd
