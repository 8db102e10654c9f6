// FCOM, FUCOM, FCOMI, FTST, FXAM and FCMOVcc.
#include "cpu/interp/x87.h"

namespace umbra::interp::fp {

namespace {

enum class Relation : u8 { kGreater, kLess, kEqual, kUnordered };

struct Compared {
  Relation relation;
  u16 status;
};

// A magnitude that orders: exponent then significand. Pseudo-denormals are where a normal of exponent 1 would be.
bool below(Float80 a, Float80 b) {
  const i32 ea = a.exponent() == 0 ? 1 : a.exponent(), eb = b.exponent() == 0 ? 1 : b.exponent();
  return ea != eb ? ea < eb : a.mantissa < b.mantissa;
}

Compared relate(Float80 a, Float80 b, bool denormal, Compare kind) {
  const FloatClass ca = classify(a), cb = classify(b);
  if (ca == FloatClass::kUnsupported || cb == FloatClass::kUnsupported) return {Relation::kUnordered, fsw::kIe};
  if (is_nan(ca) || is_nan(cb)) {
    const bool signaling = ca == FloatClass::kSignalingNan || cb == FloatClass::kSignalingNan;
    return {Relation::kUnordered, signaling || kind == Compare::kOrdered ? fsw::kIe : u16{0}};
  }
  denormal |= ca == FloatClass::kDenormal || cb == FloatClass::kDenormal;
  const u16 status = denormal ? fsw::kDe : u16{0};
  if (ca == FloatClass::kZero && cb == FloatClass::kZero) return {Relation::kEqual, status};
  const bool a_sign = a.sign(), b_sign = b.sign();
  if (ca == FloatClass::kZero) return {b_sign ? Relation::kGreater : Relation::kLess, status};
  if (cb == FloatClass::kZero || a_sign != b_sign) return {a_sign ? Relation::kLess : Relation::kGreater, status};
  const bool less = below(a, b), greater = below(b, a);
  if (!less && !greater) return {Relation::kEqual, status};
  return {less != a_sign ? Relation::kLess : Relation::kGreater, status};
}

constexpr u16 kCompareCodes = fsw::kC0 | fsw::kC2 | fsw::kC3;

void set_codes(FpuState& f, Relation r) {
  constexpr u16 kCodes[] = {0, fsw::kC0, fsw::kC3, kCompareCodes};
  f.fsw = static_cast<u16>((f.fsw & ~kCompareCodes) | kCodes[static_cast<unsigned>(r)]);
}

void set_eflags(Cpu& cpu, Relation r) {
  constexpr u32 kFlags[] = {0, flag::kCf, flag::kZf, flag::kZf | flag::kPf | flag::kCf};
  cpu.s.eflags = (cpu.s.eflags & ~flag::kArithmetic) | kFlags[static_cast<unsigned>(r)];
}

void pop(FpuState& f, unsigned count) {
  while (count-- != 0) x87_pop(f);
}

template <Compare kind, unsigned pops>
void with_register(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const unsigned i = f.fop & 7;
  if (x87_empty(f, 0) || x87_empty(f, i)) {
    set_codes(f, Relation::kUnordered);
    if (x87_underflow(cpu)) pop(f, pops);
    return;
  }
  compare(cpu, x87_get(f, 0), x87_get(f, i), false, kind, pops);
}

// EFLAGS are set even when an unmasked exception keeps the stack from being popped (found on hardware).
template <Compare kind, unsigned pops>
void to_eflags(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const unsigned i = f.fop & 7;
  if (x87_empty(f, 0) || x87_empty(f, i)) {
    set_eflags(cpu, Relation::kUnordered);
    if (x87_underflow(cpu)) pop(f, pops);
  } else {
    const Compared c = relate(x87_get(f, 0), x87_get(f, i), false, kind);
    set_eflags(cpu, c.relation);
    if (x87_commit(cpu, c.status)) pop(f, pops);
  }
}

template <unsigned condition, bool negate>
void fcmov(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const unsigned i = f.fop & 7;
  constexpr u32 kFlags[] = {flag::kCf, flag::kZf, flag::kCf | flag::kZf, flag::kPf};
  const bool taken = ((cpu.s.eflags & kFlags[condition]) != 0) != negate;
  if (x87_empty(f, 0) || x87_empty(f, i)) {
    if (x87_underflow(cpu)) x87_set(f, 0, kIndefinite);
    return;
  }
  if (taken) x87_set(f, 0, x87_get(f, i));
}

}  // namespace

void compare(Cpu& cpu, Float80 a, Float80 b, bool denormal, Compare kind, unsigned pops) {
  FpuState& f = cpu.s.fpu;
  const Compared c = relate(a, b, denormal, kind);
  set_codes(f, c.relation);
  if (x87_commit(cpu, c.status)) pop(f, pops);
}

void fcom(Cpu& cpu, const Insn& insn) { with_register<Compare::kOrdered, 0>(cpu, insn); }
void fcomp(Cpu& cpu, const Insn& insn) { with_register<Compare::kOrdered, 1>(cpu, insn); }
void fcompp(Cpu& cpu, const Insn& insn) { with_register<Compare::kOrdered, 2>(cpu, insn); }
void fucom(Cpu& cpu, const Insn& insn) { with_register<Compare::kUnordered, 0>(cpu, insn); }
void fucomp(Cpu& cpu, const Insn& insn) { with_register<Compare::kUnordered, 1>(cpu, insn); }
void fucompp(Cpu& cpu, const Insn& insn) { with_register<Compare::kUnordered, 2>(cpu, insn); }
void fcomi(Cpu& cpu, const Insn& insn) { to_eflags<Compare::kOrdered, 0>(cpu, insn); }
void fcomip(Cpu& cpu, const Insn& insn) { to_eflags<Compare::kOrdered, 1>(cpu, insn); }
void fucomi(Cpu& cpu, const Insn& insn) { to_eflags<Compare::kUnordered, 0>(cpu, insn); }
void fucomip(Cpu& cpu, const Insn& insn) { to_eflags<Compare::kUnordered, 1>(cpu, insn); }

void ftst(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  if (x87_empty(f, 0)) {
    set_codes(f, Relation::kUnordered);
    x87_underflow(cpu);
    return;
  }
  compare(cpu, x87_get(f, 0), {}, false, Compare::kOrdered, 0);
}

void fxam(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const Float80 v = x87_get(f, 0);
  u16 codes = v.sign() ? fsw::kC1 : u16{0};
  if (x87_empty(f, 0)) {
    codes |= fsw::kC3 | fsw::kC0;
  } else {
    switch (classify(v)) {
      case FloatClass::kUnsupported:
        break;
      case FloatClass::kQuietNan:
      case FloatClass::kSignalingNan:
        codes |= fsw::kC0;
        break;
      case FloatClass::kNormal:
        codes |= fsw::kC2;
        break;
      case FloatClass::kInfinity:
        codes |= fsw::kC2 | fsw::kC0;
        break;
      case FloatClass::kZero:
        codes |= fsw::kC3;
        break;
      case FloatClass::kDenormal:
        codes |= fsw::kC3 | fsw::kC2;
        break;
    }
  }
  f.fsw = static_cast<u16>((f.fsw & ~fsw::kCodes) | codes);
}

const Map kFcmov[2] = {{fcmov<0, false>, fcmov<1, false>, fcmov<2, false>, fcmov<3, false>},
                       {fcmov<0, true>, fcmov<1, true>, fcmov<2, true>, fcmov<3, true>}};

}  // namespace umbra::interp::fp
