// SSE, SSE2 and SSE3 floating-point arithmetic and comparison on the host's own unit.
#include "cpu/interp/sse_unit.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace umbra::interp::simd {

bool has_denormal(const Vec& v, Tiny lanes) {
  const bool doubles = lanes == Tiny::kF64 || lanes == Tiny::kF64x2;
  const unsigned count = lanes == Tiny::kF32x4 ? 4 : lanes == Tiny::kF32x2 || lanes == Tiny::kF64x2 ? 2 : 1;
  for (unsigned i = 0; i < count; ++i) {
    if (doubles) {
      const u64 bits = v.get<u64>(i);
      if ((bits & u64{0x7ff} << 52) == 0 && bits << 12 != 0) return true;
    } else {
      const u32 bits = v.get<u32>(i);
      if ((bits & 0x7f800000) == 0 && bits << 9 != 0) return true;
    }
  }
  return false;
}

void raise_simd(Cpu& cpu, u32 flags) {
  u32& guest = cpu.s.fpu.mxcsr;
  const u32 unmasked = flags & ~(guest >> 7);
  if ((unmasked & mxcsr::kPreComputation) != 0) flags &= mxcsr::kPreComputation;
  guest |= flags;
  if (unmasked != 0) cpu.fault((cpu.s.cr4 & cr4::kOsxmmexcpt) != 0 ? kSimdFault : kInvalidOpcode);
}

#if defined(__x86_64__)

namespace {

__m128i host(const Vec& v) { return _mm_load_si128(reinterpret_cast<const __m128i*>(v.bytes)); }
Vec guest(__m128i h) {
  Vec v;
  _mm_store_si128(reinterpret_cast<__m128i*>(v.bytes), h);
  return v;
}

using Instruction = __m128i (*)(__m128i a, __m128i b);

// xmm, xmm/m of the operand's size. MOVUPS rules for nobody: sixteen bytes are aligned.
template <auto F, Tiny tiny>
void arithmetic(Cpu& cpu, const Insn& insn) {
  enter_sse(cpu);
  const Vec b = operand(cpu, insn, 1);
  const unsigned to = insn.operands[0].reg;
  const Vec a = get_xmm(cpu, to);
  const __m128i ha = host(a), hb = host(b);
  const Vec r = on_host_unit<tiny>(cpu, [&] { return guest(F(ha, hb)); });
  set_xmm(cpu, to, r);
}

// The guest's own instruction. Inline assembly and not an intrinsic: a compiler may exchange the operands of an
// addition, and then the other NaN comes out.
#define UMBRA_SSE(name, insn, tiny)                      \
  any(Op::k##name, arithmetic<[](__m128i a, __m128i b) { \
        asm volatile(insn " %1, %0" : "+x"(a) : "x"(b)); \
        return a;                                        \
      },                                                 \
                              Tiny::tiny>)

// CMPPS and its like: eight predicates, encoded in the immediate.
#define UMBRA_PREDICATE(insn, n)                              \
  case n:                                                     \
    asm volatile(insn " $" #n ", %1, %0" : "+x"(a) : "x"(b)); \
    break;
#define UMBRA_COMPARE(name, insn)                \
  any(Op::k##name, [](Cpu& cpu, const Insn& i) { \
    enter_sse(cpu);                              \
    const Vec source = operand(cpu, i, 1);       \
    const unsigned to = i.operands[0].reg;       \
    __m128i a = host(get_xmm(cpu, to));          \
    const __m128i b = host(source);              \
    const Vec r = on_host_unit(cpu, [&] {        \
      switch (i.imm & 7) {                       \
        UMBRA_PREDICATE(insn, 0)                 \
        UMBRA_PREDICATE(insn, 1)                 \
        UMBRA_PREDICATE(insn, 2)                 \
        UMBRA_PREDICATE(insn, 3)                 \
        UMBRA_PREDICATE(insn, 4)                 \
        UMBRA_PREDICATE(insn, 5)                 \
        UMBRA_PREDICATE(insn, 6)                 \
        UMBRA_PREDICATE(insn, 7)                 \
      }                                          \
      return guest(a);                           \
    });                                          \
    set_xmm(cpu, to, r);                         \
  })

// COMISS and its like: EFLAGS as an unsigned comparison sets them, all three when unordered.
#define UMBRA_COMPARE_FLAGS(name, insn)                                                                  \
  any(Op::k##name, [](Cpu& cpu, const Insn& i) {                                                         \
    enter_sse(cpu);                                                                                      \
    const __m128i b = host(operand(cpu, i, 1));                                                          \
    const __m128i a = host(get_xmm(cpu, i.operands[0].reg));                                             \
    const u32 flags = on_host_unit(cpu, [&] {                                                            \
      bool zf, pf, cf;                                                                                   \
      asm volatile(insn " %[b], %[a]" : "=@ccz"(zf), "=@ccp"(pf), "=@ccc"(cf) : [a] "x"(a), [b] "x"(b)); \
      return (zf ? flag::kZf : 0u) | (pf ? flag::kPf : 0u) | (cf ? flag::kCf : 0u);                      \
    });                                                                                                  \
    cpu.s.eflags = (cpu.s.eflags & ~flag::kArithmetic) | flags;                                          \
  })

constexpr Row kRows[] = {
    UMBRA_SSE(Addps, "addps", kF32x4),       UMBRA_SSE(Addss, "addss", kF32),
    UMBRA_SSE(Addpd, "addpd", kF64x2),       UMBRA_SSE(Addsd, "addsd", kF64),
    UMBRA_SSE(Subps, "subps", kF32x4),       UMBRA_SSE(Subss, "subss", kF32),
    UMBRA_SSE(Subpd, "subpd", kF64x2),       UMBRA_SSE(Subsd, "subsd", kF64),
    UMBRA_SSE(Mulps, "mulps", kF32x4),       UMBRA_SSE(Mulss, "mulss", kF32),
    UMBRA_SSE(Mulpd, "mulpd", kF64x2),       UMBRA_SSE(Mulsd, "mulsd", kF64),
    UMBRA_SSE(Divps, "divps", kF32x4),       UMBRA_SSE(Divss, "divss", kF32),
    UMBRA_SSE(Divpd, "divpd", kF64x2),       UMBRA_SSE(Divsd, "divsd", kF64),
    UMBRA_SSE(Sqrtps, "sqrtps", kNever),     UMBRA_SSE(Sqrtss, "sqrtss", kNever),
    UMBRA_SSE(Sqrtpd, "sqrtpd", kNever),     UMBRA_SSE(Sqrtsd, "sqrtsd", kNever),
    UMBRA_SSE(Minps, "minps", kNever),       UMBRA_SSE(Minss, "minss", kNever),
    UMBRA_SSE(Minpd, "minpd", kNever),       UMBRA_SSE(Minsd, "minsd", kNever),
    UMBRA_SSE(Maxps, "maxps", kNever),       UMBRA_SSE(Maxss, "maxss", kNever),
    UMBRA_SSE(Maxpd, "maxpd", kNever),       UMBRA_SSE(Maxsd, "maxsd", kNever),
    UMBRA_SSE(Rcpps, "rcpps", kNever),       UMBRA_SSE(Rcpss, "rcpss", kNever),
    UMBRA_SSE(Rsqrtps, "rsqrtps", kNever),   UMBRA_SSE(Rsqrtss, "rsqrtss", kNever),
    UMBRA_SSE(Addsubps, "addsubps", kF32x4), UMBRA_SSE(Addsubpd, "addsubpd", kF64x2),
    UMBRA_SSE(Haddps, "haddps", kF32x4),     UMBRA_SSE(Haddpd, "haddpd", kF64x2),
    UMBRA_SSE(Hsubps, "hsubps", kF32x4),     UMBRA_SSE(Hsubpd, "hsubpd", kF64x2),
    UMBRA_SSE(Cvtdq2ps, "cvtdq2ps", kNever), UMBRA_SSE(Cvtdq2pd, "cvtdq2pd", kNever),
    UMBRA_SSE(Cvtps2dq, "cvtps2dq", kNever), UMBRA_SSE(Cvttps2dq, "cvttps2dq", kNever),
    UMBRA_SSE(Cvtpd2dq, "cvtpd2dq", kNever), UMBRA_SSE(Cvttpd2dq, "cvttpd2dq", kNever),
    UMBRA_SSE(Cvtps2pd, "cvtps2pd", kNever), UMBRA_SSE(Cvtpd2ps, "cvtpd2ps", kF32x2),
    UMBRA_SSE(Cvtss2sd, "cvtss2sd", kNever), UMBRA_SSE(Cvtsd2ss, "cvtsd2ss", kF32),
    UMBRA_COMPARE(Cmpps, "cmpps"),           UMBRA_COMPARE(Cmpss, "cmpss"),
    UMBRA_COMPARE(Cmppd, "cmppd"),           UMBRA_COMPARE(CmpsdXmm, "cmpsd"),
    UMBRA_COMPARE_FLAGS(Comiss, "comiss"),   UMBRA_COMPARE_FLAGS(Ucomiss, "ucomiss"),
    UMBRA_COMPARE_FLAGS(Comisd, "comisd"),   UMBRA_COMPARE_FLAGS(Ucomisd, "ucomisd"),
};

// Conversions between XMM and general registers: operands[0] and [1] as decoded.
#define UMBRA_TO_GPR(name, insn)                           \
  any(Op::k##name, [](Cpu& cpu, const Insn& i) {           \
    enter_sse(cpu);                                        \
    const __m128i b = host(operand(cpu, i, 1));            \
    cpu.s.r32(i.operands[0].reg) = on_host_unit(cpu, [&] { \
      u32 r;                                               \
      asm volatile(insn " %1, %k0" : "=r"(r) : "x"(b));    \
      return r;                                            \
    });                                                    \
  })
#define UMBRA_FROM_GPR(name, insn)                      \
  any(Op::k##name, [](Cpu& cpu, const Insn& i) {        \
    enter_sse(cpu);                                     \
    const u32 b = load_operand<u32>(cpu, i, 1);         \
    __m128i a = host(get_xmm(cpu, i.operands[0].reg));  \
    const Vec r = on_host_unit(cpu, [&] {               \
      asm volatile(insn " %k1, %0" : "+x"(a) : "r"(b)); \
      return guest(a);                                  \
    });                                                 \
    set_xmm(cpu, i.operands[0].reg, r);                 \
  })

// Conversions with MMX registers, by the XMM twin of each: the low half counts, zeros in the other raise nothing. The
// x87 has become MMX even when the conversion then faults.
#define UMBRA_TO_MMX(name, insn)                                                \
  any(Op::k##name, [](Cpu& cpu, const Insn& i) {                                \
    enter_sse(cpu);                                                             \
    x87_check_pending(cpu);                                                     \
    Vec source = operand(cpu, i, 1);                                            \
    if (i.op == Op::kCvtps2pi || i.op == Op::kCvttps2pi) source.set<u64>(1, 0); \
    mmx_transition(cpu);                                                        \
    __m128i a = host(source);                                                   \
    const Vec r = on_host_unit(cpu, [&] {                                       \
      asm volatile(insn " %0, %0" : "+x"(a));                                   \
      return guest(a);                                                          \
    });                                                                         \
    set_mmx(cpu, i.operands[0].reg, r);                                         \
  })
#define UMBRA_FROM_MMX(name, insn, lanes)                                      \
  any(Op::k##name, [](Cpu& cpu, const Insn& i) {                               \
    enter_sse(cpu);                                                            \
    const bool from_register = i.operands[1].kind == OperandKind::kMmx;        \
    if (from_register) x87_check_pending(cpu);                                 \
    __m128i a = host(operand(cpu, i, 1));                                      \
    if (from_register) mmx_transition(cpu);                                    \
    const Vec converted = on_host_unit(cpu, [&] {                              \
      asm volatile(insn " %0, %0" : "+x"(a));                                  \
      return guest(a);                                                         \
    });                                                                        \
    Vec r = get_xmm(cpu, i.operands[0].reg);                                   \
    for (unsigned k = 0; k < lanes; ++k) r.set<u64>(k, converted.get<u64>(k)); \
    set_xmm(cpu, i.operands[0].reg, r);                                        \
  })

constexpr Row kConversions[] = {
    UMBRA_TO_GPR(Cvtss2si, "cvtss2si"),      UMBRA_TO_GPR(Cvttss2si, "cvttss2si"),
    UMBRA_TO_GPR(Cvtsd2si, "cvtsd2si"),      UMBRA_TO_GPR(Cvttsd2si, "cvttsd2si"),
    UMBRA_FROM_GPR(Cvtsi2ss, "cvtsi2ss"),    UMBRA_FROM_GPR(Cvtsi2sd, "cvtsi2sd"),
    UMBRA_TO_MMX(Cvtps2pi, "cvtps2dq"),      UMBRA_TO_MMX(Cvttps2pi, "cvttps2dq"),
    UMBRA_TO_MMX(Cvtpd2pi, "cvtpd2dq"),      UMBRA_TO_MMX(Cvttpd2pi, "cvttpd2dq"),
    UMBRA_FROM_MMX(Cvtpi2ps, "cvtdq2ps", 1), UMBRA_FROM_MMX(Cvtpi2pd, "cvtdq2pd", 2),
};

}  // namespace

std::span<const Row> float_rows() { return kRows; }
std::span<const Row> convert_rows() { return kConversions; }

#else

// No host unit to run them on: these rows raise #UD, and the models offered leave SSE out.
std::span<const Row> float_rows() { return {}; }
std::span<const Row> convert_rows() { return {}; }

#endif

}  // namespace umbra::interp::simd
