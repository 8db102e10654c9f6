// Whether the guest's x87 and SSE state is in the host's units is known from block to block; callouts send it away.
#include <catch2/catch.hpp>

#include <random>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kData = 0x50000;

const std::vector<std::vector<u8>> kPlain = {
    {0x83, 0xc3, 0x04},  // add ebx, 4
    {0x89, 0x0b},        // mov [ebx], ecx
    {0xd1, 0xc0},        // rol eax, 1
};
const std::vector<std::vector<u8>> kFpu = {
    {0xd9, 0xe8},                    // fld1
    {0xde, 0xc1},                    // faddp
    {0xd9, 0x1b},                    // fstp dword [ebx]
    {0x66, 0x0f, 0xef, 0xc1},        // pxor xmm0, xmm1
    {0x66, 0x0f, 0x6e, 0xc8},        // movd xmm1, eax
    {0x66, 0x0f, 0xfe, 0xc1},        // paddd xmm0, xmm1
    {0xf3, 0x0f, 0x7f, 0x43, 0x40},  // movdqu [ebx+0x40], xmm0
};
const std::vector<std::vector<u8>> kCallouts = {
    {0xe6, 0x10},  // out 0x10, al
    {0x0f, 0xa2},  // cpuid
};

// Pieces with short jumps over one another, in a loop.
std::vector<u8> program(std::mt19937& random) {
  const auto any = [&](const auto& forms) { return forms[random() % forms.size()]; };
  std::vector<u8> code = {0xbb, 0x00, 0x00, 0x05, 0x00};  // mov ebx, kData
  const std::size_t top = code.size();
  for (u32 i = 0, pieces = 2 + random() % 6; i < pieces; ++i) {
    std::vector<u8> piece;
    for (u32 n = 1 + random() % 4; n != 0; --n) {
      const u32 kind = random() % 12;
      const auto form = kind < 4 ? any(kPlain) : kind < 10 ? any(kFpu) : any(kCallouts);
      piece.insert(piece.end(), form.begin(), form.end());
    }
    const u8 over = static_cast<u8>(piece.size());
    switch (random() % 4) {
      case 0:
        code.insert(code.end(), {0xa8, static_cast<u8>(1u << random() % 8), 0x74, over});  // test al, bit; jz
        break;
      case 1:
        code.insert(code.end(), {0xeb, over});
        break;
      default:
        break;
    }
    code.insert(code.end(), piece.begin(), piece.end());
  }
  const std::size_t back = code.size() + 3;
  code.insert(code.end(), {0x4d, 0x75, static_cast<u8>(top - back), 0xf4});  // dec ebp; jnz top; hlt
  return code;
}

}  // namespace

TEST_CASE("The x87 and SSE state is where the code takes it to be, on every way into a block") {
  for (bool windows : {false, true}) {
    TranslatorOptions options;
    options.always_windows = windows;
    Twins t(options);
    std::mt19937 random(windows);
    for (u32 n = 0; n < 3000; ++n) {
      const std::vector<u8> code = program(random);
      const u32 at = kCode + n % 8 * kPageSize, pattern = random();
      t.both([&](Machine& m) {
        m.flat_32();
        m.put(at, code);
        m.cpu.s.fpu = FpuState{};
        m.cpu.s.gpr[kEax] = pattern, m.cpu.s.gpr[kEcx] = n, m.cpu.s.gpr[kEdx] = 0, m.cpu.s.gpr[kEbp] = 1 + n % 7;
        m.start(at);
      });
      const Stop a = t.run_a(), b = t.run_b();
      const std::string difference = t.difference(~0u, true);
      INFO("program " << n << "\n" << difference);
      if (a != b || !difference.empty()) FAIL("engines differ");
    }
  }
}
