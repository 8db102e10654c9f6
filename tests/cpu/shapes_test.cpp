// The remembered shapes against the decoder itself: every field of every instruction must be the same.
#include <catch2/catch.hpp>
#include <random>

#include "cpu/interp/bind.h"
#include "cpu/interp/shapes.h"
#include "cpu/model.h"
#include "tests/cpu/shapes.h"

namespace umbra {

void expect_same(std::span<const u8> bytes, CodeSize size, const CpuModel& model) {
  Decoded plain = decode(bytes, size, model);
  Insn ours;
  const bool complete = decode_bound(bytes, size, model, ours);
  if (!plain.truncated) plain.insn.handler = bind(plain.insn);
  if (complete != plain.truncated && (plain.truncated || ours == plain.insn)) return;
  std::string text;
  for (u8 b : bytes) text += "0123456789abcdef"[b >> 4], text += "0123456789abcdef"[b & 15], text += ' ';
  INFO(model.name << (size == CodeSize::k32 ? ", 32 bits: " : ", 16 bits: ") << text);
  FAIL("the remembered shape and the decoder disagree");
}

namespace {

// All of it, and cut off after each byte.
void expect_same_cut(std::span<const u8> bytes, CodeSize size, const CpuModel& model) {
  for (std::size_t n = 0; n <= kMaxInsnLength; ++n) expect_same(bytes.first(n), size, model);
  expect_same(bytes, size, model);
}

class Noise {
 public:
  explicit Noise(u64 seed) : random_(seed) {}

  // Likely prefixes and maps, any opcode, ModRM and data.
  std::span<const u8> code() {
    for (u8& b : bytes_) b = static_cast<u8>(random_());
    constexpr u8 kPrefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x3e, 0x26, 0x36, 0x64, 0x65, 0xf1};
    unsigned at = 0;
    for (unsigned n = below(8) == 0 ? below(15) : below(3); n > 0; --n) bytes_[at++] = kPrefixes[below(12)];
    switch (below(4)) {
      case 0:
        bytes_[at++] = 0x0f;
        break;
      case 1:
        if (below(4) != 0) break;
        bytes_[at++] = 0x0f;
        bytes_[at++] = below(2) != 0 ? 0x38 : 0x3a;
        break;
    }
    return bytes_;
  }
  std::span<const u8> anything() {
    for (u8& b : bytes_) b = static_cast<u8>(random_());
    return bytes_;
  }
  unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }

 private:
  std::mt19937_64 random_;
  u8 bytes_[32] = {};
};

}  // namespace

void compare_noise(u64 seed, unsigned rounds) {
  for (const CpuModel& model : cpu_models()) {
    Noise noise(seed);
    for (unsigned i = 0; i < rounds; ++i)
      for (const CodeSize size : {CodeSize::k16, CodeSize::k32}) {
        expect_same(noise.code(), size, model);
        expect_same(noise.anything(), size, model);
        if (i % 8 == 0) expect_same_cut(noise.code(), size, model);
      }
  }
}

// Every opcode with every ModRM byte, three times with other data behind it.
void compare_opcodes(u64 seed, std::span<const u8> prefixes, const CpuModel& model, CodeSize size) {
  std::mt19937_64 random(seed);
  constexpr std::size_t kMapBytes[] = {0, 1, 2, 2};
  constexpr u8 kMaps[][2] = {{}, {0x0f}, {0x0f, 0x38}, {0x0f, 0x3a}};
  u8 bytes[32] = {};
  for (unsigned map = 0; map < 4; ++map)
    for (unsigned opcode = 0; opcode < 256; ++opcode)
      for (unsigned modrm = 0; modrm < 256; ++modrm)
        for (unsigned round = 0; round < 3; ++round) {
          u8* p = std::copy(prefixes.begin(), prefixes.end(), bytes);
          p = std::copy_n(kMaps[map], kMapBytes[map], p);
          *p++ = static_cast<u8>(opcode);
          *p++ = static_cast<u8>(modrm);
          if (round == 0)
            *p++ = static_cast<u8>(random());  // the same SIB byte thrice
          else
            ++p;
          while (p < std::end(bytes)) *p++ = static_cast<u8>(random());
          expect_same(bytes, size, model);
        }
}

TEST_CASE("remembered shapes decode random code as the decoder does") { compare_noise(1, 4000); }

TEST_CASE("remembered shapes decode every opcode with every ModRM byte as the decoder does") {
  const CpuModel& max = *find_cpu_model("max");
  const u8 operand[] = {0x66}, rep[] = {0xf3};
  for (const CodeSize size : {CodeSize::k16, CodeSize::k32}) compare_opcodes(2, {}, max, size);
  compare_opcodes(3, operand, max, CodeSize::k32);
  compare_opcodes(4, rep, max, CodeSize::k32);
  compare_opcodes(5, {}, *find_cpu_model("486"), CodeSize::k16);
}

TEST_CASE("what is remembered for one model is forgotten for the next") {
  const u8 cmov[] = {0x0f, 0x44, 0xc1, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
                     0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90};
  for (const char* name : {"max", "486", "max", "8086", "386"})
    for (unsigned i = 0; i < 3; ++i) expect_same(cmov, CodeSize::k32, *find_cpu_model(name));
}

// Valid instructions that are decoded anew each time: only the 8086's own readings of undocumented opcodes, and what
// hides behind more prefixes than fit.
TEST_CASE("every shape can be remembered but the 8086's odd ones") {
  std::mt19937_64 random(6);
  for (const CpuModel& model : cpu_models()) {
    if (model.generation == Generation::k8086) continue;
    const u64 before = shape_counts().refused;
    for (unsigned first = 0; first < 65536; ++first)
      for (const CodeSize size : {CodeSize::k16, CodeSize::k32}) {
        u8 bytes[32];
        for (u8& b : bytes) b = static_cast<u8>(random());
        bytes[0] = static_cast<u8>(first);
        bytes[1] = static_cast<u8>(first >> 8);
        for (u8 b : {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3})
          if (bytes[2] == b || bytes[3] == b) bytes[2] = bytes[3] = 0x40;
        expect_same(bytes, size, model);
      }
    INFO(model.name);
    CHECK(shape_counts().refused == before);
  }
}

}  // namespace umbra
