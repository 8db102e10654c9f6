// Small bit operations used across the house.
#pragma once

#include <bit>
#include <type_traits>

#include "cpu/base/types.h"

namespace umbra {

template <class T>
constexpr bool bit(T value, unsigned n) {
  return (value >> n) & 1;
}

template <class T>
constexpr T bits(T value, unsigned high, unsigned low) {
  return static_cast<T>((value >> low) & ((T{1} << (high - low + 1)) - 1));
}

template <class T>
constexpr T with_bit(T value, unsigned n, bool on) {
  return static_cast<T>(on ? value | (T{1} << n) : value & ~(T{1} << n));
}

template <class T>
constexpr T align_down(T value, T alignment) {
  return static_cast<T>(value & ~(alignment - 1));
}

template <class T>
constexpr T align_up(T value, T alignment) {
  return align_down<T>(value + alignment - 1, alignment);
}

}  // namespace umbra
