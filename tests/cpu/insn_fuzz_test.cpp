#include <catch2/catch.hpp>
#include <random>

#include "cpu/insn.h"
#include "cpu/model.h"
#include "tests/fuzz/insn_fuzz.cpp"

namespace umbra {
namespace {

void fuzz(u64 seed, unsigned inputs) {
  std::mt19937_64 random(seed);
  std::vector<u8> bytes(256);
  for (unsigned i = 0; i < inputs; ++i) {
    for (u8& b : bytes) b = static_cast<u8>(random());
    // Two-byte opcodes and prefixes are rare in noise.
    for (unsigned n = random() % 12; n > 0; --n) {
      constexpr u8 kLikely[] = {0x0f, 0x66, 0x67, 0xf3, 0xf2, 0xf0, 0xcd, 0xcf, 0x8e, 0x9d, 0xd9, 0xdd};
      bytes[96 + random() % 160] = kLikely[random() % std::size(kLikely)];
    }
    fuzz_insn(bytes.data(), bytes.size());
  }
}

}  // namespace

TEST_CASE("random code in random states ends in faults, halts or shutdowns") {
  INFO("seed 1");
  CHECK_NOTHROW(fuzz(1, 3000));
}

TEST_CASE("any bytes decode to something of sane length, for every model") {
  std::mt19937_64 random(7);
  for (unsigned i = 0; i < 100000; ++i) {
    u8 bytes[20];
    for (u8& b : bytes) b = static_cast<u8>(random());
    const std::size_t given = random() % sizeof bytes;
    for (const CpuModel& model : cpu_models())
      for (const CodeSize size : {CodeSize::k16, CodeSize::k32}) {
        const Decoded d = decode({bytes, given}, size, model);
        if (d.truncated) {
          REQUIRE(given < kMaxInsnLength);
          continue;
        }
        REQUIRE(d.insn.length >= 1);
        REQUIRE((d.insn.length <= given || d.insn.op == Op::kInvalid));
      }
  }
}

}  // namespace umbra
