// Packed integer arithmetic, logic, comparison and shifts, MMX to SSSE3. The packed floating-point logic is the same.
#include <algorithm>
#include <limits>

#include "cpu/interp/simd.h"

namespace umbra::interp::simd {

namespace {

template <class T>
constexpr T saturate(i32 v) {
  return static_cast<T>(std::clamp<i32>(v, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

// Lane functions.
constexpr auto kAdd = [](auto a, auto b) { return a + b; };
constexpr auto kSub = [](auto a, auto b) { return a - b; };
constexpr auto kAddSaturated = []<class T>(T a, T b) { return saturate<T>(i32{a} + i32{b}); };
constexpr auto kSubSaturated = []<class T>(T a, T b) { return saturate<T>(i32{a} - i32{b}); };
constexpr auto kAnd = [](auto a, auto b) { return a & b; };
constexpr auto kAndNot = [](auto a, auto b) { return ~a & b; };
constexpr auto kOr = [](auto a, auto b) { return a | b; };
constexpr auto kXor = [](auto a, auto b) { return a ^ b; };
constexpr auto kEqual = [](auto a, auto b) { return a == b ? -1 : 0; };
constexpr auto kGreater = [](auto a, auto b) { return a > b ? -1 : 0; };
constexpr auto kMax = [](auto a, auto b) { return a > b ? a : b; };
constexpr auto kMin = [](auto a, auto b) { return a < b ? a : b; };
constexpr auto kAverage = [](auto a, auto b) { return (a + b + 1) >> 1; };
constexpr auto kMulLow = [](i16 a, i16 b) { return i32{a} * b; };
constexpr auto kMulHigh = [](i16 a, i16 b) { return (i32{a} * b) >> 16; };
constexpr auto kMulHighUnsigned = [](u16 a, u16 b) { return (u32{a} * b) >> 16; };
constexpr auto kMulHighRounded = [](i16 a, i16 b) { return (((i32{a} * b) >> 14) + 1) >> 1; };
constexpr auto kMulWide = [](u64 a, u64 b) { return (a & 0xffffffff) * (b & 0xffffffff); };
constexpr auto kAbsolute = [](auto, auto b) { return b < 0 ? 0 - static_cast<u32>(b) : static_cast<u32>(b); };
constexpr auto kSign = [](auto a, auto b) {
  return b < 0 ? 0 - static_cast<u32>(a) : b == 0 ? 0u : static_cast<u32>(a);
};

// Sums of products of neighbours.
constexpr auto kMulAdd = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  for (unsigned i = 0; i < N / 4; ++i) {
    const auto product = [&](unsigned k) { return static_cast<u32>(i32{a.get<i16>(k)} * b.get<i16>(k)); };
    r.set<u32>(i, product(2 * i) + product(2 * i + 1));
  }
  return r;
};
constexpr auto kMulAddBytes = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  for (unsigned i = 0; i < N / 2; ++i) {
    const auto product = [&](unsigned k) { return i32{a.get<u8>(k)} * b.get<i8>(k); };
    r.set<i16>(i, saturate<i16>(product(2 * i) + product(2 * i + 1)));
  }
  return r;
};
constexpr auto kSumOfDifferences = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  for (unsigned i = 0; i < N; ++i) {
    const i32 d = i32{a.bytes[i]} - b.bytes[i];
    r.set<u64>(i / 8, r.get<u64>(i / 8) + static_cast<u64>(d < 0 ? -d : d));
  }
  return r;
};

// Shifts: one count for all lanes, the low quadword of the source; a count beyond the lane gives zero or all sign.
template <class T>
constexpr auto kShiftLeft = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  const u64 count = b.get<u64>(0);
  if (count >= sizeof(T) * 8) return r;
  for (unsigned i = 0; i < N / sizeof(T); ++i) r.set<T>(i, static_cast<T>(a.get<T>(i) << count));
  return r;
};
template <class T>
constexpr auto kShiftRight = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  u64 count = b.get<u64>(0);
  if (count >= sizeof(T) * 8) {
    if (!std::is_signed_v<T>) return r;
    count = sizeof(T) * 8 - 1;
  }
  for (unsigned i = 0; i < N / sizeof(T); ++i) r.set<T>(i, static_cast<T>(a.get<T>(i) >> count));
  return r;
};
constexpr auto kBytesLeft = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  const unsigned count = static_cast<unsigned>(std::min<u64>(b.get<u64>(0), N));
  for (unsigned i = count; i < N; ++i) r.bytes[i] = a.bytes[i - count];
  return r;
};
constexpr auto kBytesRight = []<unsigned N>(const Vec& a, const Vec& b, u8) {
  Vec r{};
  const unsigned count = static_cast<unsigned>(std::min<u64>(b.get<u64>(0), N));
  for (unsigned i = count; i < N; ++i) r.bytes[i - count] = a.bytes[i];
  return r;
};

constexpr Row kRows[] = {
    both<kLanes<u8, kAdd>>(Op::kPaddb),
    both<kLanes<u16, kAdd>>(Op::kPaddw),
    both<kLanes<u32, kAdd>>(Op::kPaddd),
    both<kLanes<u64, kAdd>>(Op::kPaddq),
    both<kLanes<i8, kAddSaturated>>(Op::kPaddsb),
    both<kLanes<i16, kAddSaturated>>(Op::kPaddsw),
    both<kLanes<u8, kAddSaturated>>(Op::kPaddusb),
    both<kLanes<u16, kAddSaturated>>(Op::kPaddusw),
    both<kLanes<u8, kSub>>(Op::kPsubb),
    both<kLanes<u16, kSub>>(Op::kPsubw),
    both<kLanes<u32, kSub>>(Op::kPsubd),
    both<kLanes<u64, kSub>>(Op::kPsubq),
    both<kLanes<i8, kSubSaturated>>(Op::kPsubsb),
    both<kLanes<i16, kSubSaturated>>(Op::kPsubsw),
    both<kLanes<u8, kSubSaturated>>(Op::kPsubusb),
    both<kLanes<u16, kSubSaturated>>(Op::kPsubusw),
    both<kLanes<u64, kAnd>>(Op::kPand),
    both<kLanes<u64, kAndNot>>(Op::kPandn),
    both<kLanes<u64, kOr>>(Op::kPor),
    both<kLanes<u64, kXor>>(Op::kPxor),
    xmm_only<kLanes<u64, kAnd>>(Op::kAndps),
    xmm_only<kLanes<u64, kAnd>>(Op::kAndpd),
    xmm_only<kLanes<u64, kAndNot>>(Op::kAndnps),
    xmm_only<kLanes<u64, kAndNot>>(Op::kAndnpd),
    xmm_only<kLanes<u64, kOr>>(Op::kOrps),
    xmm_only<kLanes<u64, kOr>>(Op::kOrpd),
    xmm_only<kLanes<u64, kXor>>(Op::kXorps),
    xmm_only<kLanes<u64, kXor>>(Op::kXorpd),
    both<kLanes<i8, kEqual>>(Op::kPcmpeqb),
    both<kLanes<i16, kEqual>>(Op::kPcmpeqw),
    both<kLanes<i32, kEqual>>(Op::kPcmpeqd),
    both<kLanes<i8, kGreater>>(Op::kPcmpgtb),
    both<kLanes<i16, kGreater>>(Op::kPcmpgtw),
    both<kLanes<i32, kGreater>>(Op::kPcmpgtd),
    both<kLanes<u8, kMax>>(Op::kPmaxub),
    both<kLanes<i16, kMax>>(Op::kPmaxsw),
    both<kLanes<u8, kMin>>(Op::kPminub),
    both<kLanes<i16, kMin>>(Op::kPminsw),
    both<kLanes<u8, kAverage>>(Op::kPavgb),
    both<kLanes<u16, kAverage>>(Op::kPavgw),
    both<kLanes<i16, kMulLow>>(Op::kPmullw),
    both<kLanes<i16, kMulHigh>>(Op::kPmulhw),
    both<kLanes<u16, kMulHighUnsigned>>(Op::kPmulhuw),
    both<kLanes<i16, kMulHighRounded>>(Op::kPmulhrsw),
    both<kLanes<u64, kMulWide>>(Op::kPmuludq),
    both<kMulAdd>(Op::kPmaddwd),
    both<kMulAddBytes>(Op::kPmaddubsw),
    both<kSumOfDifferences>(Op::kPsadbw),
    both<kLanes<i8, kAbsolute>>(Op::kPabsb),
    both<kLanes<i16, kAbsolute>>(Op::kPabsw),
    both<kLanes<i32, kAbsolute>>(Op::kPabsd),
    both<kLanes<i8, kSign>>(Op::kPsignb),
    both<kLanes<i16, kSign>>(Op::kPsignw),
    both<kLanes<i32, kSign>>(Op::kPsignd),
    both<kShiftLeft<u16>>(Op::kPsllw),
    both<kShiftLeft<u32>>(Op::kPslld),
    both<kShiftLeft<u64>>(Op::kPsllq),
    both<kShiftRight<u16>>(Op::kPsrlw),
    both<kShiftRight<u32>>(Op::kPsrld),
    both<kShiftRight<u64>>(Op::kPsrlq),
    both<kShiftRight<i16>>(Op::kPsraw),
    both<kShiftRight<i32>>(Op::kPsrad),
    xmm_only<kBytesLeft>(Op::kPslldq),
    xmm_only<kBytesRight>(Op::kPsrldq),
};

}  // namespace

std::span<const Row> integer_rows() { return kRows; }

}  // namespace umbra::interp::simd
