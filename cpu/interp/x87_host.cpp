// The host's own x87 as the arithmetic unit. The guest's control word is loaded as it is, unmasked exceptions
// included: the host would trap at the next *waiting* instruction only, and between the operation and FNCLEX there is
// none. So biased results of unmasked overflow and underflow come out right too. The C++ ABI wants an empty stack and
// control word 037Fh around every call; each function restores that.
#include "cpu/interp/x87_float.h"

namespace umbra {

#if defined(__x86_64__)

namespace {

constexpr u16 kAbiControlWord = 0x37f;
constexpr u16 kUnitBits = fsw::kExceptions | fsw::kCodes;

struct Image {
  u8 bytes[16];
};

Image image(Float80 v) {
  Image i{};
  __builtin_memcpy(i.bytes, &v.mantissa, 8);
  __builtin_memcpy(i.bytes + 8, &v.sign_exponent, 2);
  return i;
}

Float80 value(const Image& i) {
  Float80 v;
  __builtin_memcpy(&v.mantissa, i.bytes, 8);
  __builtin_memcpy(&v.sign_exponent, i.bytes + 8, 2);
  return v;
}

// The instruction leaves one result in ST(0), `cleanup` removes what else is on the stack.
#define UMBRA_BINARY(insn, cleanup)                                                         \
  [](Float80 a, Float80 b, u16 fcw) -> Computed {                                           \
    const Image ia = image(a), ib = image(b);                                               \
    Image r;                                                                                \
    u16 status;                                                                             \
    const u16 abi = kAbiControlWord;                                                        \
    asm volatile("fldt %[b]\n\tfldt %[a]\n\tfnclex\n\tfldcw %[fcw]\n\t" insn                \
                 "\n\tfnstsw %[status]\n\tfnclex\n\tfldcw %[abi]\n\tfstpt %[r]\n\t" cleanup \
                 : [r] "=m"(r), [status] "=a"(status)                                       \
                 : [a] "m"(ia), [b] "m"(ib), [fcw] "m"(fcw), [abi] "m"(abi));               \
    return {value(r), static_cast<u16>(status & kUnitBits), {}};                            \
  }

#define UMBRA_UNARY(insn)                                                       \
  [](Float80 a, u16 fcw) -> Computed {                                          \
    const Image ia = image(a);                                                  \
    Image r;                                                                    \
    u16 status;                                                                 \
    const u16 abi = kAbiControlWord;                                            \
    asm volatile("fldt %[a]\n\tfnclex\n\tfldcw %[fcw]\n\t" insn                 \
                 "\n\tfnstsw %[status]\n\tfnclex\n\tfldcw %[abi]\n\tfstpt %[r]" \
                 : [r] "=m"(r), [status] "=a"(status)                           \
                 : [a] "m"(ia), [fcw] "m"(fcw), [abi] "m"(abi));                \
    return {value(r), static_cast<u16>(status & kUnitBits), {}};                \
  }

// Two results, the second one pushed; none is when the argument is out of range (C2) or an unmasked exception stops
// the operation. A zero lies below, so that the second FSTP always has something to pop.
#define UMBRA_PUSHING(insn)                                                                      \
  [](Float80 a, u16 fcw) -> Computed {                                                           \
    const Image ia = image(a);                                                                   \
    Image r, below;                                                                              \
    u16 status;                                                                                  \
    asm volatile("fldz\n\tfldt %[a]\n\tfnclex\n\tfldcw %[fcw]\n\t" insn                          \
                 "\n\tfnstsw %[status]\n\tfnclex\n\tfstpt %[r]\n\tfstpt %[below]\n\tfninit"      \
                 : [r] "=m"(r), [below] "=m"(below), [status] "=a"(status)                       \
                 : [a] "m"(ia), [fcw] "m"(fcw));                                                 \
    const u16 bits = static_cast<u16>(status & kUnitBits);                                       \
    const bool pushed = (status & fsw::kC2) == 0 && (bits & ~fcw & fsw::kPreComputation) == 0;   \
    return pushed ? Computed{value(below), bits, value(r)} : Computed{value(r), bits, value(r)}; \
  }

#define UMBRA_STORE(insn, T)                                                           \
  [](Float80 a, u16 fcw) -> Stored {                                                   \
    const Image ia = image(a);                                                         \
    T r = 0;                                                                           \
    u16 status;                                                                        \
    const u16 abi = kAbiControlWord;                                                   \
    asm volatile("fldt %[a]\n\tfnclex\n\tfldcw %[fcw]\n\t" insn                        \
                 " %[r]\n\tfnstsw %[status]\n\tfnclex\n\tfldcw %[abi]\n\tfstp %%st(0)" \
                 : [r] "+m"(r), [status] "=a"(status)                                  \
                 : [a] "m"(ia), [fcw] "m"(fcw), [abi] "m"(abi));                       \
    return {r, static_cast<u16>(status & kUnitBits)};                                  \
  }

// FYL2X and FPATAN pop; when an unmasked exception stops them they do not, and FNINIT clears up.
#define UMBRA_POPPING(insn)                                                  \
  [](Float80 a, Float80 b, u16 fcw) -> Computed {                            \
    const Image ia = image(a), ib = image(b);                                \
    Image r;                                                                 \
    u16 status;                                                              \
    asm volatile("fldt %[b]\n\tfldt %[a]\n\tfnclex\n\tfldcw %[fcw]\n\t" insn \
                 "\n\tfnstsw %[status]\n\tfnclex\n\tfstpt %[r]\n\tfninit"    \
                 : [r] "=m"(r), [status] "=a"(status)                        \
                 : [a] "m"(ia), [b] "m"(ib), [fcw] "m"(fcw));                \
    return {value(r), static_cast<u16>(status & kUnitBits), {}};             \
  }

#define UMBRA_DROP "fstp %%st(0)"

constexpr X87Unit kHostUnit = {
    .add = UMBRA_BINARY("fadd %%st(1), %%st", UMBRA_DROP),
    .sub = UMBRA_BINARY("fsub %%st(1), %%st", UMBRA_DROP),
    .mul = UMBRA_BINARY("fmul %%st(1), %%st", UMBRA_DROP),
    .div = UMBRA_BINARY("fdiv %%st(1), %%st", UMBRA_DROP),
    .sqrt = UMBRA_UNARY("fsqrt"),
    .scale = UMBRA_BINARY("fscale", UMBRA_DROP),
    .prem = UMBRA_BINARY("fprem", UMBRA_DROP),
    .prem1 = UMBRA_BINARY("fprem1", UMBRA_DROP),
    .to_f32 = UMBRA_STORE("fsts", u32),
    .to_f64 = UMBRA_STORE("fstl", u64),
    .f2xm1 = UMBRA_UNARY("f2xm1"),
    .fsin = UMBRA_UNARY("fsin"),
    .fcos = UMBRA_UNARY("fcos"),
    .fsincos = UMBRA_PUSHING("fsincos"),
    .fptan = UMBRA_PUSHING("fptan"),
    .fyl2x = UMBRA_POPPING("fyl2x"),
    .fyl2xp1 = UMBRA_POPPING("fyl2xp1"),
    .fpatan = UMBRA_POPPING("fpatan"),
};

const X87Unit* g_unit = &kHostUnit;

}  // namespace

void x87_use_portable(bool yes) { g_unit = yes ? &kPortableUnit : &kHostUnit; }
const X87Unit& x87_unit() { return *g_unit; }

#else

void x87_use_portable(bool) {}
const X87Unit& x87_unit() { return kPortableUnit; }

#endif

}  // namespace umbra
