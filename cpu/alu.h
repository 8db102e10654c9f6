// Integer arithmetic with flags: pure functions of width-typed values, shared by the interpreter, the AArch64 helpers
// and the tests. Each takes EFLAGS by reference and changes the arithmetic flags only. Flags that the manuals call
// undefined are as current hardware leaves them, as far as that is a simple rule.
#pragma once

#include <array>
#include <bit>
#include <type_traits>

#include "cpu/base/types.h"
#include "cpu/regs.h"

namespace umbra::alu {

template <class T>
inline constexpr unsigned kBits = sizeof(T) * 8;

template <class T>
constexpr bool sign(T v) {
  return (v >> (kBits<T> - 1)) & 1;
}

inline constexpr std::array<u8, 256> kParity = [] {
  std::array<u8, 256> table{};
  for (unsigned i = 0; i < 256; ++i) table[i] = std::popcount(i) % 2 == 0 ? flag::kPf : 0;
  return table;
}();

// SF, ZF and PF of a result.
template <class T>
constexpr u32 szp(T r) {
  return u32{sign(r)} << 7 | u32{r == 0} << 6 | kParity[static_cast<u8>(r)];
}

constexpr void set_all(u32& flags, u32 arithmetic) { flags = (flags & ~flag::kArithmetic) | arithmetic; }
constexpr void set_flag(u32& flags, u32 which, bool on) { flags = on ? flags | which : flags & ~which; }

template <class T>
constexpr T add_with(T a, T b, bool carry, u32& flags) {
  const T r = static_cast<T>(a + b + carry);
  const T carries = static_cast<T>((a & b) | ((a | b) & ~r));  // carry out of each bit
  const T overflow = static_cast<T>((a ^ r) & (b ^ r));
  set_all(flags,
          u32{sign(carries)} | (u32{static_cast<u8>(a ^ b ^ r)} & flag::kAf) | u32{sign(overflow)} << 11 | szp(r));
  return r;
}

template <class T>
constexpr T sub_with(T a, T b, bool borrow, u32& flags) {
  const T r = static_cast<T>(a - b - borrow);
  const T borrows = static_cast<T>((~a & b) | ((~a | b) & r));
  const T overflow = static_cast<T>((a ^ b) & (a ^ r));
  set_all(flags,
          u32{sign(borrows)} | (u32{static_cast<u8>(a ^ b ^ r)} & flag::kAf) | u32{sign(overflow)} << 11 | szp(r));
  return r;
}

template <class T>
constexpr T add(T a, T b, u32& flags) {
  const T r = static_cast<T>(a + b);
  const T overflow = static_cast<T>((a ^ r) & (b ^ r));
  set_all(flags, u32{r < a} | (u32{static_cast<u8>(a ^ b ^ r)} & flag::kAf) | u32{sign(overflow)} << 11 | szp(r));
  return r;
}

template <class T>
constexpr T sub(T a, T b, u32& flags) {
  const T r = static_cast<T>(a - b);
  const T overflow = static_cast<T>((a ^ b) & (a ^ r));
  set_all(flags, u32{a < b} | (u32{static_cast<u8>(a ^ b ^ r)} & flag::kAf) | u32{sign(overflow)} << 11 | szp(r));
  return r;
}

template <class T>
constexpr T adc(T a, T b, u32& flags) {
  return add_with(a, b, (flags & flag::kCf) != 0, flags);
}
template <class T>
constexpr T sbb(T a, T b, u32& flags) {
  return sub_with(a, b, (flags & flag::kCf) != 0, flags);
}

template <class T>
constexpr T logic(T r, u32& flags) {
  set_all(flags, szp(r));
  return r;
}
template <class T>
constexpr T and_(T a, T b, u32& flags) {
  return logic(static_cast<T>(a & b), flags);
}
template <class T>
constexpr T or_(T a, T b, u32& flags) {
  return logic(static_cast<T>(a | b), flags);
}
template <class T>
constexpr T xor_(T a, T b, u32& flags) {
  return logic(static_cast<T>(a ^ b), flags);
}

template <class T>
constexpr T inc(T a, u32& flags) {
  const u32 carry = flags & flag::kCf;
  const T r = add(a, T{1}, flags);
  flags = (flags & ~flag::kCf) | carry;
  return r;
}
template <class T>
constexpr T dec(T a, u32& flags) {
  const u32 carry = flags & flag::kCf;
  const T r = sub(a, T{1}, flags);
  flags = (flags & ~flag::kCf) | carry;
  return r;
}
template <class T>
constexpr T neg(T a, u32& flags) {
  return sub(T{0}, a, flags);
}

// --- shifts and rotates; the caller has masked the count as its model does, and a count of 0 changes nothing ---------

template <class T>
constexpr T rotate_flags(T r, bool carry, bool overflow, u32& flags) {
  set_flag(flags, flag::kCf, carry);
  set_flag(flags, flag::kOf, overflow);
  return r;
}

template <class T>
constexpr T rol(T a, unsigned count, u32& flags) {
  if (count == 0) return a;
  const T r = std::rotl(a, static_cast<int>(count % kBits<T>));
  return rotate_flags(r, (r & 1) != 0, sign(r) != ((r & 1) != 0), flags);
}

template <class T>
constexpr T ror(T a, unsigned count, u32& flags) {
  if (count == 0) return a;
  const T r = std::rotr(a, static_cast<int>(count % kBits<T>));
  return rotate_flags(r, sign(r), sign(r) != sign(static_cast<T>(r << 1)), flags);
}

template <class T>
constexpr T rcl(T a, unsigned count, u32& flags) {
  if (count == 0) return a;
  const unsigned n = count % (kBits<T> + 1);
  const u64 wide = u64{a} | u64{flags & flag::kCf} << kBits<T>;
  const u64 turned = n == 0 ? wide : wide << n | wide >> (kBits<T> + 1 - n);
  const T r = static_cast<T>(turned);
  const bool carry = (turned >> kBits<T>)&1;
  return rotate_flags(r, carry, sign(r) != carry, flags);
}

template <class T>
constexpr T rcr(T a, unsigned count, u32& flags) {
  if (count == 0) return a;
  const unsigned n = count % (kBits<T> + 1);
  const u64 wide = u64{a} | u64{flags & flag::kCf} << kBits<T>;
  const u64 mask = (u64{1} << (kBits<T> + 1)) - 1;
  const u64 turned = n == 0 ? wide : (wide >> n | wide << (kBits<T> + 1 - n)) & mask;
  const T r = static_cast<T>(turned);
  return rotate_flags(r, (turned >> kBits<T>)&1, sign(r) != sign(static_cast<T>(r << 1)), flags);
}

template <class T>
constexpr T shl(T a, unsigned count, u32& flags) {
  if (count == 0) return a;
  const bool carry = count <= kBits<T> && ((u64{a} >> (kBits<T> - count)) & 1) != 0;
  const T r = count < kBits<T> ? static_cast<T>(u64{a} << count) : T{0};
  set_all(flags, u32{carry} | u32{carry != sign(r)} << 11 | szp(r));
  return r;
}

template <class T>
constexpr T shr(T a, unsigned count, u32& flags) {
  if (count == 0) return a;
  const bool carry = count <= kBits<T> && ((u64{a} >> (count - 1)) & 1) != 0;
  const T r = count < kBits<T> ? static_cast<T>(u64{a} >> count) : T{0};
  const bool overflow = sign(static_cast<T>(r ^ (r << 1)));
  set_all(flags, u32{carry} | u32{overflow} << 11 | szp(r));
  return r;
}

template <class T>
constexpr T sar(T a, unsigned count, u32& flags) {
  if (count == 0) return a;
  using S = std::make_signed_t<T>;
  const unsigned n = count < kBits<T> ? count : kBits<T>;
  const i64 wide = static_cast<S>(a);
  const T r = static_cast<T>(wide >> (n < 63 ? n : 63));
  set_all(flags, u32((wide >> (n - 1)) & 1) | szp(r));
  return r;
}

// Counts beyond 16 in the 16-bit form are undefined; P6 and later shift the source in and then the destination again.
template <class T>
constexpr T shld(T a, T b, unsigned count, u32& flags) {
  if (count == 0) return a;
  if constexpr (sizeof(T) == 2) {
    const u64 wide = u64{a} << 32 | u64{b} << 16 | a;
    const T r = static_cast<T>(wide >> (32 - count));
    const bool carry = (wide >> (48 - count)) & 1;
    set_all(flags, u32{carry} | u32{carry != sign(r)} << 11 | szp(r));
    return r;
  } else {
    const T r = static_cast<T>(a << count | b >> (kBits<T> - count));
    const bool carry = (a >> (kBits<T> - count)) & 1;
    set_all(flags, u32{carry} | u32{sign(a) != sign(r)} << 11 | szp(r));
    return r;
  }
}

template <class T>
constexpr T shrd(T a, T b, unsigned count, u32& flags) {
  if (count == 0) return a;
  if constexpr (sizeof(T) == 2) {
    const u64 wide = u64{a} << 32 | u64{b} << 16 | a;
    const T r = static_cast<T>(wide >> count);
    const bool carry = (wide >> (count - 1)) & 1;
    set_all(flags, u32{carry} | u32{sign(static_cast<T>(r ^ (r << 1)))} << 11 | szp(r));
    return r;
  } else {
    const T r = static_cast<T>(a >> count | b << (kBits<T> - count));
    const bool carry = (a >> (count - 1)) & 1;
    set_all(flags, u32{carry} | u32{sign(static_cast<T>(r ^ (r << 1)))} << 11 | szp(r));
    return r;
  }
}

// --- multiplication and division
// --------------------------------------------------------------------------------------

template <class T>
struct Wide {
  T low, high;
};
template <class T>
using Double = std::conditional_t<sizeof(T) == 1, u16, std::conditional_t<sizeof(T) == 2, u32, u64>>;

template <class T>
constexpr Wide<T> mul(T a, T b, u32& flags) {
  const Double<T> r = static_cast<Double<T>>(Double<T>{a} * b);
  const Wide<T> w{static_cast<T>(r), static_cast<T>(r >> kBits<T>)};
  const bool big = w.high != 0;
  set_all(flags, (szp(w.low) & ~flag::kZf) | (big ? flag::kCf | flag::kOf : 0));
  return w;
}

template <class T>
constexpr Wide<T> imul(T a, T b, u32& flags) {
  using S = std::make_signed_t<T>;
  const i64 r = i64{static_cast<S>(a)} * static_cast<S>(b);
  const Wide<T> w{static_cast<T>(r), static_cast<T>(r >> kBits<T>)};
  const bool big = r != static_cast<S>(w.low);
  set_all(flags, (szp(w.low) & ~flag::kZf) | (big ? flag::kCf | flag::kOf : 0));
  return w;
}

// False: #DE. Flags are left alone, as current hardware does.
template <class T>
constexpr bool div(Wide<T> dividend, T divisor, T& quotient, T& remainder) {
  if (divisor == 0 || dividend.high >= divisor) return false;
  const Double<T> n = static_cast<Double<T>>(Double<T>{dividend.high} << kBits<T> | dividend.low);
  quotient = static_cast<T>(n / divisor);
  remainder = static_cast<T>(n % divisor);
  return true;
}

template <class T>
constexpr bool idiv(Wide<T> dividend, T divisor, T& quotient, T& remainder) {
  using S = std::make_signed_t<T>;
  using D = std::make_signed_t<Double<T>>;
  const Double<T> bits = static_cast<Double<T>>(Double<T>{dividend.high} << kBits<T> | dividend.low);
  const i64 n = static_cast<D>(bits);
  const i64 d = static_cast<S>(divisor);
  if (d == 0 || (d == -1 && n == INT64_MIN)) return false;
  const i64 q = n / d;
  if (q != static_cast<S>(q)) return false;
  quotient = static_cast<T>(q);
  remainder = static_cast<T>(n % d);
  return true;
}

// --- decimal
// -----------------------------------------------------------------------------------------------------------

constexpr u8 daa(u8 al, u32& flags) {
  const u8 old = al;
  const bool old_carry = (flags & flag::kCf) != 0;
  const bool low = (al & 0xf) > 9 || (flags & flag::kAf) != 0;
  const bool high = old > 0x99 || old_carry;
  if (low) al = static_cast<u8>(al + 6);
  if (high) al = static_cast<u8>(al + 0x60);
  set_all(flags, u32{high} | (low ? flag::kAf : 0) | szp(al));
  return al;
}

constexpr u8 das(u8 al, u32& flags) {
  const u8 old = al;
  const bool old_carry = (flags & flag::kCf) != 0;
  const bool low = (al & 0xf) > 9 || (flags & flag::kAf) != 0;
  const bool high = old > 0x99 || old_carry;
  const bool borrow = low && old < 6;
  if (low) al = static_cast<u8>(al - 6);
  if (high) al = static_cast<u8>(al - 0x60);
  set_all(flags, u32{high || borrow} | (low ? flag::kAf : 0) | szp(al));
  return al;
}

constexpr u16 aaa(u16 ax, u32& flags) {
  const bool adjust = (ax & 0xf) > 9 || (flags & flag::kAf) != 0;
  if (adjust) ax = static_cast<u16>(ax + 0x106);
  ax &= 0xff0f;
  set_all(flags, (adjust ? flag::kAf | flag::kCf : 0) | szp(static_cast<u8>(ax)));
  return ax;
}

constexpr u16 aas(u16 ax, u32& flags) {
  const bool adjust = (ax & 0xf) > 9 || (flags & flag::kAf) != 0;
  if (adjust) ax = static_cast<u16>(ax - 0x106);
  ax &= 0xff0f;
  set_all(flags, (adjust ? flag::kAf | flag::kCf : 0) | szp(static_cast<u8>(ax)));
  return ax;
}

constexpr u16 aam(u8 al, u8 base, u32& flags) {  // base is not 0: the caller raises #DE
  const u8 low = static_cast<u8>(al % base);
  set_all(flags, szp(low));
  return static_cast<u16>(al / base << 8 | low);
}

constexpr u16 aad(u16 ax, u8 base, u32& flags) {
  const u8 r = static_cast<u8>((ax >> 8) * base + ax);
  set_all(flags, szp(r));
  return r;
}

// --- conditions: the low four bits of Jcc, SETcc, CMOVcc
// ------------------------------------------------------------------

template <unsigned Code>
constexpr bool condition(u32 f) {
  const bool sf_ne_of = ((f >> 7) & 1) != ((f >> 11) & 1);
  bool r = false;
  switch (Code >> 1) {
    case 0:
      r = (f & flag::kOf) != 0;
      break;
    case 1:
      r = (f & flag::kCf) != 0;
      break;
    case 2:
      r = (f & flag::kZf) != 0;
      break;
    case 3:
      r = (f & (flag::kCf | flag::kZf)) != 0;
      break;
    case 4:
      r = (f & flag::kSf) != 0;
      break;
    case 5:
      r = (f & flag::kPf) != 0;
      break;
    case 6:
      r = sf_ne_of;
      break;
    case 7:
      r = sf_ne_of || (f & flag::kZf) != 0;
      break;
  }
  return r != ((Code & 1) != 0);
}

}  // namespace umbra::alu
