#include "cpu/alu.h"

#include <catch2/catch.hpp>

namespace umbra {
namespace {

constexpr u8 kBytes[] = {0, 1, 2, 0x0f, 0x10, 0x7e, 0x7f, 0x80, 0x81, 0x99, 0x9a, 0xf0, 0xfe, 0xff};

u32 flags_of(u8 result, bool carry, bool aux, bool overflow) {
  return u32{carry} | (aux ? flag::kAf : 0) | (overflow ? flag::kOf : 0) | alu::szp(result);
}

}  // namespace

TEST_CASE("additions and subtractions set every flag as wide arithmetic says") {
  for (unsigned a = 0; a < 256; ++a)
    for (const u8 b : kBytes)
      for (const bool carry : {false, true}) {
        const u8 x = static_cast<u8>(a);
        u32 flags = carry ? flag::kCf | flag::kDf : flag::kDf;
        const int sum = x + b + carry, ssum = static_cast<i8>(x) + static_cast<i8>(b) + carry;
        CHECK(alu::adc<u8>(x, b, flags) == static_cast<u8>(sum));
        CHECK(flags == (flag::kDf | flags_of(static_cast<u8>(sum), sum > 255, (x & 15) + (b & 15) + carry > 15,
                                             ssum != static_cast<i8>(ssum))));
        flags = carry ? flag::kCf : 0;
        const int diff = x - b - carry, sdiff = static_cast<i8>(x) - static_cast<i8>(b) - carry;
        CHECK(alu::sbb<u8>(x, b, flags) == static_cast<u8>(diff));
        CHECK(flags == flags_of(static_cast<u8>(diff), diff < 0, (x & 15) - (b & 15) - carry < 0,
                                sdiff != static_cast<i8>(sdiff)));
      }
}

TEST_CASE("ADD is ADC without carry and CMP is SBB without borrow, at every width") {
  const auto check = []<class T>(T) {
    for (u64 i = 0; i < 400; ++i) {
      const T a = static_cast<T>(i * 0x9e3779b97f4a7c15 >> 13), b = static_cast<T>(i * i * 0xbf58476d1ce4e5b9 >> 7);
      u32 f = 0, g = 0;
      CHECK(alu::add(a, b, f) == alu::adc(a, b, g));
      CHECK(f == g);
      f = g = 0;
      CHECK(alu::sub(a, b, f) == alu::sbb(a, b, g));
      CHECK(f == g);
    }
  };
  check(u8{});
  check(u16{});
  check(u32{});
}

TEST_CASE("INC and DEC keep the carry") {
  u32 flags = flag::kCf;
  CHECK(alu::inc<u16>(0x7fff, flags) == 0x8000);
  CHECK((flags & flag::kCf) != 0);
  CHECK((flags & flag::kOf) != 0);
  flags = 0;
  CHECK(alu::dec<u8>(0, flags) == 0xff);
  CHECK((flags & flag::kCf) == 0);
}

TEST_CASE("rotates through carry are rotates of one more bit") {
  for (unsigned count = 0; count < 40; ++count)
    for (const u8 a : kBytes)
      for (const bool carry : {false, true}) {
        unsigned wide = a | unsigned{carry} << 8;
        for (unsigned i = 0; i < count; ++i) wide = ((wide << 1) | (wide >> 8)) & 0x1ff;
        u32 flags = carry;
        CHECK(alu::rcl<u8>(a, count, flags) == (wide & 0xff));
        CHECK((flags & flag::kCf) == (count == 0 ? u32{carry} : wide >> 8));
        u32 back = flags;
        CHECK(alu::rcr<u8>(static_cast<u8>(wide), count, back) == a);
        CHECK((back & flag::kCf) == u32{carry});
      }
}

TEST_CASE("shifts by more than the width give zero or the sign, and the last bit out") {
  u32 flags = 0;
  CHECK(alu::shl<u8>(0x81, 8, flags) == 0);
  CHECK((flags & flag::kCf) != 0);
  CHECK(alu::shl<u8>(0x81, 9, flags) == 0);
  CHECK((flags & flag::kCf) == 0);
  CHECK(alu::shr<u16>(0x8000, 16, flags) == 0);
  CHECK((flags & flag::kCf) != 0);
  CHECK(alu::sar<u8>(0x80, 31, flags) == 0xff);
  CHECK((flags & flag::kCf) != 0);
  CHECK(alu::sar<u32>(0x80000000, 31, flags) == 0xffffffff);
  CHECK(alu::shl<u8>(1, 200, flags) == 0);  // an 8086 counts that far
}

TEST_CASE("double shifts move bits between two operands") {
  for (unsigned count = 1; count < 32; ++count) {
    u32 flags = 0;
    const u64 both = u64{0x12345678} << 32 | 0x9abcdef0;
    CHECK(alu::shld<u32>(0x12345678, 0x9abcdef0, count, flags) == static_cast<u32>(both << count >> 32));
    CHECK(alu::shrd<u32>(0x9abcdef0, 0x12345678, count, flags) == static_cast<u32>(both >> count));
  }
}

TEST_CASE("division refuses what does not fit") {
  u8 q = 0, r = 0;
  CHECK(alu::div<u8>({0x34, 0x12}, 0x13, q, r));
  CHECK(q == 0x1234 / 0x13);
  CHECK(r == 0x1234 % 0x13);
  CHECK_FALSE(alu::div<u8>({0x34, 0x12}, 0x12, q, r));
  CHECK_FALSE(alu::div<u8>({0, 0}, 0, q, r));
  CHECK(alu::idiv<u8>({0x80, 0xff}, 1, q, r));  // -128
  CHECK(q == 0x80);
  CHECK_FALSE(alu::idiv<u8>({0x80, 0x00}, 1, q, r));  // 128
  u32 q32 = 0, r32 = 0;
  CHECK_FALSE(alu::idiv<u32>({0, 0x80000000}, 0xffffffff, q32, r32));  // INT64_MIN / -1
  CHECK_FALSE(alu::idiv<u32>({0, 0x80000000}, 1, q32, r32));
  CHECK(alu::idiv<u32>({0xfffffff9, 0xffffffff}, 2, q32, r32));  // -7 / 2
  CHECK(q32 == static_cast<u32>(-3));
  CHECK(r32 == static_cast<u32>(-1));
}

TEST_CASE("decimal adjustment makes packed digits add up") {
  for (unsigned a = 0; a < 100; ++a)
    for (unsigned b = 0; b < 100; ++b) {
      const auto packed = [](unsigned n) { return static_cast<u8>(n / 10 << 4 | n % 10); };
      u32 flags = 0;
      u8 al = alu::add<u8>(packed(a), packed(b), flags);
      al = alu::daa(al, flags);
      CHECK(al == packed((a + b) % 100));
      CHECK((flags & flag::kCf) == u32{a + b > 99});
      flags = 0;
      al = alu::das(alu::sub<u8>(packed(a), packed(b), flags), flags);
      CHECK(al == packed((a + 100 - b) % 100));
      CHECK((flags & flag::kCf) == u32{a < b});
    }
}

}  // namespace umbra
