// Loads, stores, exchanges, sign changes, constants and the packed-decimal format.

#include "cpu/interp/x87.h"

namespace umbra::interp::fp {

namespace {

// The status is that of a conversion on the way in. An unmasked invalid operation keeps the value out; a denormal does
// not, masked or not.
void load(Cpu& cpu, const Computed& value) {
  FpuState& f = cpu.s.fpu;
  if (!x87_empty(f, 7)) {
    if (x87_overflow(cpu)) x87_push(f, kIndefinite);
    return;
  }
  if (!x87_commit(cpu, value.status, fsw::kC1, fsw::kIe)) return;
  x87_push(f, (value.status & fsw::kIe) != 0 ? quiet(value.value) : value.value);
}

template <class T, auto convert>
void fld(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const u32 at = effective_address(cpu.s, insn);
  const T bits = cpu.read<T>(segment(insn), at);
  x87_note_memory(cpu, insn, at);
  load(cpu, convert(bits));
}

template <class U, class I>
Computed convert_int(U bits) {
  return {from_int(static_cast<I>(bits)), 0, {}};
}

// FST and FIST: memory is written before anything else changes; an unmasked exception leaves memory and stack alone,
// but the address has been tried all the same.
template <class T, class Convert>
void store(Cpu& cpu, const Insn& insn, T indefinite, bool pops, Convert convert) {
  if (!x87_enter(cpu)) return;
  const u32 at = effective_address(cpu.s, insn);
  FpuState& f = cpu.s.fpu;
  const bool empty = x87_empty(f, 0);
  const Stored s = empty ? Stored{indefinite, fsw::kIe} : convert(x87_get(f, 0), f.fcw);
  const bool stopped = (s.status & ~f.fcw & (fsw::kIe | fsw::kOe | fsw::kUe)) != 0;
  if (stopped) {
    cpu.check(segment(insn), at, sizeof(T), Access::kWrite);
  } else {
    cpu.write<T>(segment(insn), at, static_cast<T>(s.bits));
  }
  x87_note_memory(cpu, insn, at);
  x87_commit(cpu, s.status);
  if (empty) f.fsw |= fsw::kSf;
  if (pops && !stopped) x87_pop(f);
}

template <bool pops>
void fst_f32(Cpu& cpu, const Insn& insn) {
  store<u32>(cpu, insn, 0xffc00000u, pops, x87_unit().to_f32);
}
template <bool pops>
void fst_f64(Cpu& cpu, const Insn& insn) {
  store<u64>(cpu, insn, u64{0xfff80000} << 32, pops, x87_unit().to_f64);
}

enum class Rounding : u8 { kControlled, kTruncate };

template <class T, bool pops, Rounding rounding = Rounding::kControlled>
void fist(Cpu& cpu, const Insn& insn) {
  constexpr u16 kTruncate = 0xc00;
  store<T>(cpu, insn, static_cast<T>(T{1} << (sizeof(T) * 8 - 1)), pops, [](Float80 v, u16 fcw) {
    return to_int(v, sizeof(T), rounding == Rounding::kTruncate ? fcw | kTruncate : fcw);
  });
}

struct Decimal {
  u64 low = 0;   // 16 digits
  u16 high = 0;  // 2 digits and the sign
};
constexpr Decimal kDecimalIndefinite{u64{0xc0000000} << 32, 0xffff};

Float80 from_decimal(Decimal d) {
  u64 value = 0;
  value = (d.high >> 4 & 0xf) * 10u + (d.high & 0xf);
  for (int i = 15; i >= 0; --i) value = value * 10 + (d.low >> (4 * i) & 0xf);
  Float80 v = from_int(static_cast<i64>(value));
  if ((d.high & 0x8000) != 0) v.sign_exponent |= 0x8000;
  return v;
}

Decimal to_decimal(u64 magnitude, bool sign) {
  Decimal d;
  for (int i = 0; i < 16; ++i, magnitude /= 10) d.low |= (magnitude % 10) << (4 * i);
  d.high = static_cast<u16>((magnitude / 10 << 4) | (magnitude % 10) | (sign ? 0x8000 : 0));
  return d;
}

void write_80(Cpu& cpu, const Insn& insn, u32 at, u64 low, u16 high) {
  prove_store(cpu, segment(insn), at, 10);
  cpu.write<u64>(segment(insn), at, low);
  cpu.write<u16>(segment(insn), at + 8, high);
}

// The seven constants, rounded down; one more in the last place for the modes that round that one up.
struct Constant {
  Float80 down;
  bool nearest_is_up;
  bool exact;
};
constexpr Constant kConstantValues[] = {
    {{kIntegerBit, 0x3fff}, false, true},
    {{0xd49a784bcd1b8afe, 0x4000}, false, false},
    {{0xb8aa3b295c17f0bb, 0x3fff}, true, false},
    {{0xc90fdaa22168c234, 0x4000}, true, false},
    {{0x9a209a84fbcff798, 0x3ffd}, true, false},
    {{0xb17217f7d1cf79ab, 0x3ffe}, true, false},
    {{0, 0}, false, true},
};

template <unsigned index>
void constant(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  const Constant& c = kConstantValues[index];
  const unsigned rc = (cpu.s.fpu.fcw >> 10) & 3;
  Float80 v = c.down;
  if (!c.exact && (rc == 2 || (rc == 0 && c.nearest_is_up))) ++v.mantissa;
  load(cpu, {v, 0, {}});
}

template <class Change>
void change_sign(Cpu& cpu, const Insn& insn, Change change) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  if (x87_empty(f, 0)) {
    if (x87_underflow(cpu)) x87_set(f, 0, kIndefinite);
    return;
  }
  f.fsw &= static_cast<u16>(~fsw::kC1);
  Float80 v = x87_get(f, 0);
  v.sign_exponent = static_cast<u16>(change(v.sign_exponent));
  x87_set(f, 0, v);
}

template <bool pops>
void fst_register(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const unsigned i = f.fop & 7;
  if (x87_empty(f, 0)) {
    if (!x87_underflow(cpu)) return;
    x87_set(f, i, kIndefinite);
  } else {
    f.fsw &= static_cast<u16>(~fsw::kC1);
    x87_set(f, i, x87_get(f, 0));
  }
  if (pops) x87_pop(f);
}

template <int by>
void move_top(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  x87_rotate(cpu.s.fpu, by);
  cpu.s.fpu.fsw &= static_cast<u16>(~fsw::kC1);
}

}  // namespace

void fld_st(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const unsigned i = f.fop & 7;
  if (x87_empty(f, i)) {
    if (x87_underflow(cpu)) x87_push(f, kIndefinite);
    return;
  }
  load(cpu, {x87_get(f, i), 0, {}});
}

void fld_f80(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const u32 at = effective_address(cpu.s, insn);
  const u64 low = cpu.read<u64>(segment(insn), at);
  const u16 high = cpu.read<u16>(segment(insn), at + 8);
  x87_note_memory(cpu, insn, at);
  load(cpu, {{low, high}, 0, {}});
}

void fbld(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const u32 at = effective_address(cpu.s, insn);
  Decimal d;
  d.low = cpu.read<u64>(segment(insn), at);
  d.high = cpu.read<u16>(segment(insn), at + 8);
  x87_note_memory(cpu, insn, at);
  load(cpu, {from_decimal(d), 0, {}});
}

void fstp_f80(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const u32 at = effective_address(cpu.s, insn);
  FpuState& f = cpu.s.fpu;
  const bool empty = x87_empty(f, 0);
  if (empty && (f.fcw & fsw::kIe) == 0) {
    cpu.check(segment(insn), at, 10, Access::kWrite);
  } else {
    const Float80 v = empty ? kIndefinite : x87_get(f, 0);
    write_80(cpu, insn, at, v.mantissa, v.sign_exponent);
  }
  x87_note_memory(cpu, insn, at);
  f.fsw &= static_cast<u16>(~fsw::kC1);
  if (!empty || x87_underflow(cpu)) x87_pop(f);
}

void fbstp(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const u32 at = effective_address(cpu.s, insn);
  FpuState& f = cpu.s.fpu;
  const bool empty = x87_empty(f, 0);
  constexpr u64 kLimit = 999'999'999'999'999'999;
  const Float80 v = x87_get(f, 0);
  Stored s = to_int(v, 8, f.fcw);
  const u64 magnitude = v.sign() ? u64{0} - s.bits : s.bits;
  if (empty || magnitude > kLimit) s.status = fsw::kIe;
  const bool stopped = (s.status & ~f.fcw & fsw::kIe) != 0;
  if (stopped) {
    cpu.check(segment(insn), at, 10, Access::kWrite);
  } else {
    const Decimal d = (s.status & fsw::kIe) != 0 ? kDecimalIndefinite : to_decimal(magnitude, v.sign());
    write_80(cpu, insn, at, d.low, d.high);
  }
  x87_note_memory(cpu, insn, at);
  x87_commit(cpu, s.status);
  if (empty) f.fsw |= fsw::kSf;
  if (!stopped) x87_pop(f);
}

void fst_st(Cpu& cpu, const Insn& insn) { fst_register<false>(cpu, insn); }
void fstp_st(Cpu& cpu, const Insn& insn) { fst_register<true>(cpu, insn); }

// An alias of FSTP ST(i), but for an empty ST(0): that is popped, and nothing reported or stored.
void fstpnce(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  f.fsw &= static_cast<u16>(~fsw::kC1);
  if (!x87_empty(f, 0)) x87_set(f, f.fop & 7, x87_get(f, 0));
  x87_pop(f);
}

void fxch(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  const unsigned i = f.fop & 7;
  if (x87_empty(f, 0) || x87_empty(f, i)) {
    if (!x87_underflow(cpu)) return;
    if (x87_empty(f, 0)) x87_set(f, 0, kIndefinite);
    if (x87_empty(f, i)) x87_set(f, i, kIndefinite);
  } else {
    f.fsw &= static_cast<u16>(~fsw::kC1);
  }
  const Float80 v = x87_get(f, 0);
  x87_set(f, 0, x87_get(f, i));
  x87_set(f, i, v);
}

void ffree(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  x87_tag(cpu.s.fpu, cpu.s.fpu.fop & 7, false);
  cpu.s.fpu.fsw &= static_cast<u16>(~fsw::kC1);
}

void ffreep(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  x87_note(cpu, insn);
  FpuState& f = cpu.s.fpu;
  x87_tag(f, f.fop & 7, false);
  f.fsw &= static_cast<u16>(~fsw::kC1);
  x87_pop(f);
}

void fincstp(Cpu& cpu, const Insn& insn) { move_top<1>(cpu, insn); }
void fdecstp(Cpu& cpu, const Insn& insn) { move_top<-1>(cpu, insn); }
void fchs(Cpu& cpu, const Insn& insn) {
  change_sign(cpu, insn, [](u16 v) { return v ^ 0x8000; });
}
void fabs(Cpu& cpu, const Insn& insn) {
  change_sign(cpu, insn, [](u16 v) { return v & 0x7fff; });
}

void fild_i64(Cpu& cpu, const Insn& insn) { fld<u64, convert_int<u64, i64>>(cpu, insn); }
void fistp_i64(Cpu& cpu, const Insn& insn) { fist<u64, true>(cpu, insn); }
void fisttp_i64(Cpu& cpu, const Insn& insn) { fist<u64, true, Rounding::kTruncate>(cpu, insn); }

const Map kMoveF32 = {fld<u32, from_f32>, {}, fst_f32<false>, fst_f32<true>};
const Map kMoveF64 = {fld<u64, from_f64>, {}, fst_f64<false>, fst_f64<true>};
const Map kMoveI16 = {fld<u16, convert_int<u16, i16>>, fist<u16, true, Rounding::kTruncate>, fist<u16, false>,
                      fist<u16, true>};
const Map kMoveI32 = {fld<u32, convert_int<u32, i32>>, fist<u32, true, Rounding::kTruncate>, fist<u32, false>,
                      fist<u32, true>};
const Map kConstants = {constant<0>, constant<1>, constant<2>, constant<3>, constant<4>, constant<5>, constant<6>, {}};

}  // namespace umbra::interp::fp
