// Integer names and the address types that everyone shares. A linear address, a physical address and a pointer
// into this process are different things; mixing them up is a compile error.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace umbra {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

template <class Tag, class Rep>
struct Address {
  Rep value = 0;

  constexpr Address() = default;
  constexpr explicit Address(Rep v) : value(v) {}
  constexpr auto operator<=>(const Address&) const = default;
  constexpr Address operator+(Rep n) const { return Address(static_cast<Rep>(value + n)); }
  constexpr Address operator-(Rep n) const { return Address(static_cast<Rep>(value - n)); }
  constexpr Rep operator-(Address other) const { return static_cast<Rep>(value - other.value); }
  constexpr Address& operator+=(Rep n) { return *this = *this + n; }
};

inline constexpr u32 kPageBits = 12;
inline constexpr u32 kPageSize = 1u << kPageBits;
inline constexpr u32 kPageMask = kPageSize - 1;

struct LinearTag;
struct PhysTag;
using Linear = Address<LinearTag, u32>;  // after segmentation, before paging; wraps at 4 GiB
using Phys = Address<PhysTag, u64>;      // after paging; 36 bits with PAE or PSE-36

constexpr u32 page_of(Linear a) { return a.value >> kPageBits; }
constexpr u64 page_of(Phys a) { return a.value >> kPageBits; }
template <class A>
constexpr u32 page_offset(A a) {
  return static_cast<u32>(a.value) & kPageMask;
}

}  // namespace umbra
