// Packs, unpacks, shuffles and horizontal arithmetic: what moves values between lanes.
#include <algorithm>
#include <limits>

#include "cpu/interp/simd.h"

namespace umbra::interp::simd {

namespace {

// Narrows the lanes of a, then those of b, with saturation of signed values.
template <class From, class To>
constexpr auto kPack = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  constexpr unsigned kCount = N / sizeof(From);
  Vec r{};
  for (unsigned i = 0; i < 2 * kCount; ++i) {
    const i32 v = i < kCount ? a.get<From>(i) : b.get<From>(i - kCount);
    r.set<To>(i, static_cast<To>(std::clamp<i32>(v, std::numeric_limits<To>::min(), std::numeric_limits<To>::max())));
  }
  return r;
};

// Interleaves the low or high halves.
template <class T, bool high>
constexpr auto kUnpack = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  constexpr unsigned kHalf = N / sizeof(T) / 2, kFrom = high ? kHalf : 0;
  Vec r{};
  for (unsigned i = 0; i < kHalf; ++i) {
    r.set<T>(2 * i, a.get<T>(kFrom + i));
    r.set<T>(2 * i + 1, b.get<T>(kFrom + i));
  }
  return r;
};

// Four lanes of the source picked by the immediate, from `first` on; the other lanes are copied.
template <class T, unsigned first>
constexpr auto kPick = []<unsigned N>(const Vec&, const Vec& b, u8 imm) {
  Vec r = b;
  for (unsigned i = 0; i < 4; ++i) r.set<T>(first + i, b.get<T>(first + (imm >> (2 * i) & 3)));
  return r;
};

constexpr auto kShuffleSingles = []<unsigned N>(const Vec& a, const Vec& b, u8 imm) {
  Vec r{};
  for (unsigned i = 0; i < 4; ++i) r.set<u32>(i, (i < 2 ? a : b).get<u32>(imm >> (2 * i) & 3));
  return r;
};
constexpr auto kShuffleDoubles = []<unsigned N>(const Vec& a, const Vec& b, u8 imm) {
  Vec r{};
  r.set<u64>(0, a.get<u64>(imm & 1));
  r.set<u64>(1, b.get<u64>(imm >> 1 & 1));
  return r;
};
constexpr auto kShuffleBytes = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  for (unsigned i = 0; i < N; ++i) r.bytes[i] = (b.bytes[i] & 0x80) != 0 ? 0 : a.bytes[b.bytes[i] & (N - 1)];
  return r;
};
constexpr auto kAlign = []<unsigned N>(const Vec& a, const Vec& b, u8 imm) {
  Vec r{};
  for (unsigned i = 0; i < N; ++i) {
    const unsigned from = i + imm;
    r.bytes[i] = from < N ? b.bytes[from] : from < 2 * N ? a.bytes[from - N] : 0;
  }
  return r;
};

// F of neighbours in a, then of neighbours in b.
template <class T, auto F>
constexpr auto kHorizontal = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  constexpr unsigned kHalf = N / sizeof(T) / 2;
  Vec r{};
  for (unsigned i = 0; i < kHalf; ++i) {
    r.set<T>(i, static_cast<T>(F(a.get<T>(2 * i), a.get<T>(2 * i + 1))));
    r.set<T>(kHalf + i, static_cast<T>(F(b.get<T>(2 * i), b.get<T>(2 * i + 1))));
  }
  return r;
};
constexpr auto kAdd = [](auto a, auto b) { return a + b; };
constexpr auto kSub = [](auto a, auto b) { return a - b; };
constexpr auto kAddSaturated = [](i32 a, i32 b) { return std::clamp<i32>(a + b, -0x8000, 0x7fff); };
constexpr auto kSubSaturated = [](i32 a, i32 b) { return std::clamp<i32>(a - b, -0x8000, 0x7fff); };

// MOVSLDUP, MOVSHDUP, MOVDDUP.
template <class T, unsigned odd>
constexpr auto kDuplicate = []<unsigned N>(const Vec&, const Vec& b, u8) {
  Vec r{};
  for (unsigned i = 0; i < N / sizeof(T); ++i) r.set<T>(i, b.get<T>((i & ~1u) + odd));
  return r;
};

constexpr Row kRows[] = {
    both<kPack<i16, i8>>(Op::kPacksswb),
    both<kPack<i32, i16>>(Op::kPackssdw),
    both<kPack<i16, u8>>(Op::kPackuswb),
    both<kUnpack<u8, false>>(Op::kPunpcklbw),
    both<kUnpack<u16, false>>(Op::kPunpcklwd),
    both<kUnpack<u32, false>>(Op::kPunpckldq),
    xmm_only<kUnpack<u64, false>>(Op::kPunpcklqdq),
    both<kUnpack<u8, true>>(Op::kPunpckhbw),
    both<kUnpack<u16, true>>(Op::kPunpckhwd),
    both<kUnpack<u32, true>>(Op::kPunpckhdq),
    xmm_only<kUnpack<u64, true>>(Op::kPunpckhqdq),
    xmm_only<kUnpack<u32, false>>(Op::kUnpcklps),
    xmm_only<kUnpack<u64, false>>(Op::kUnpcklpd),
    xmm_only<kUnpack<u32, true>>(Op::kUnpckhps),
    xmm_only<kUnpack<u64, true>>(Op::kUnpckhpd),
    mmx_only<kPick<u16, 0>>(Op::kPshufw),
    xmm_only<kPick<u16, 0>>(Op::kPshuflw),
    xmm_only<kPick<u16, 4>>(Op::kPshufhw),
    xmm_only<kPick<u32, 0>>(Op::kPshufd),
    xmm_only<kShuffleSingles>(Op::kShufps),
    xmm_only<kShuffleDoubles>(Op::kShufpd),
    both<kShuffleBytes>(Op::kPshufb),
    both<kAlign>(Op::kPalignr),
    both<kHorizontal<u16, kAdd>>(Op::kPhaddw),
    both<kHorizontal<u32, kAdd>>(Op::kPhaddd),
    both<kHorizontal<i16, kAddSaturated>>(Op::kPhaddsw),
    both<kHorizontal<u16, kSub>>(Op::kPhsubw),
    both<kHorizontal<u32, kSub>>(Op::kPhsubd),
    both<kHorizontal<i16, kSubSaturated>>(Op::kPhsubsw),
    xmm_only<kDuplicate<u32, 0>>(Op::kMovsldup),
    xmm_only<kDuplicate<u32, 1>>(Op::kMovshdup),
    xmm_only<kDuplicate<u64, 0>>(Op::kMovddup),
};

}  // namespace

std::span<const Row> shuffle_rows() { return kRows; }

}  // namespace umbra::interp::simd
