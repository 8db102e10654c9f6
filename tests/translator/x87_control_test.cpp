// Control words: blocks take it for granted that every exception is masked, until one is loaded that says otherwise.
#include <catch2/catch.hpp>

#include <random>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kWords = 0x50000;

const std::vector<std::vector<u8>> kForms = {
    {0xd9, 0x2b},              // fldcw [ebx]
    {0xd9, 0x7b, 0x08},        // fnstcw [ebx+8]
    {0xdd, 0x7b, 0x0c},        // fnstsw [ebx+12]
    {0xdf, 0xe0},              // fnstsw ax
    {0x0f, 0xae, 0x53, 0x04},  // ldmxcsr [ebx+4]
    {0x0f, 0xae, 0x5b, 0x10},  // stmxcsr [ebx+16]
    {0x9b},                    // fwait
    {0xdb, 0xe2},              // fnclex
    {0xdb, 0xe3},              // fninit
    {0xd9, 0xd0},              // fnop
    {0x0f, 0x77},              // emms
    {0xd9, 0xe8},              // fld1
    {0xd9, 0xee},              // fldz
    {0xde, 0xf9},              // fdivp
    {0xdb, 0x5b, 0x14},        // fistp dword [ebx+20]
    {0x0f, 0x5e, 0xc1},        // divps xmm0, xmm1
    {0x83, 0xc3, 0x20},        // add ebx, 32
    {0x39, 0xc8},              // cmp eax, ecx
    {0x0f, 0x92, 0xc2},        // setb dl
};

}  // namespace

TEST_CASE("Control words are loaded and stored alike, and unmasked exceptions arrive") {
  for (bool windows : {false, true}) {
    TranslatorOptions options;
    options.always_windows = windows;
    Twins t(options);
    std::mt19937 random(windows);
    u32 exceptions = 0;
    for (u32 n = 0; n < 4000; ++n) {
      std::vector<u8> code;
      std::string listing;
      for (u32 i = 0, length = 1 + random() % 10; i < length; ++i) {
        const auto& form = kForms[random() % kForms.size()];
        code.insert(code.end(), form.begin(), form.end());
        listing +=
            disassemble(decode({form.data(), form.size()}, CodeSize::k32, t.a.cpu.model).insn, 0, CodeSize::k32) + "\n";
      }
      code.push_back(0xf4);
      u32 words[64];
      for (u32& word : words)
        word = random() % 8 == 0 ? random() : random() % 3 != 0 ? 0x1fbf & (random() | 0x1fbf) : 0x1fff;
      const u32 flags = flag::kFixed | (random() & flag::kArithmetic), at = kCode + n % 8 * kPageSize;
      t.both([&](Machine& m) {
        m.flat_32();
        m.put(at, code);
        std::memcpy(m.ram() + kWords, words, sizeof words);
        m.cpu.s.fpu = FpuState{};
        m.cpu.s.eflags = flags;
        m.cpu.s.gpr[kEax] = flags, m.cpu.s.gpr[kEcx] = m.cpu.s.gpr[kEdx] = 0, m.cpu.s.gpr[kEbx] = kWords;
        m.start(at);
      });
      const Stop a = t.run_a(), b = t.run_b();
      exceptions += t.a.cpu.s.eip < kCode ? 1 : 0;
      const std::string difference = t.difference(~0u, true);
      INFO("run " << n << "\n" << listing << difference);
      if (a != b || !difference.empty()) FAIL("engines differ");
    }
    CHECK(exceptions > 100);
    const Statistics s = t.translator->gather();
    CHECK(s.callouts[static_cast<u16>(Op::kFwait)].count != 0);  // while something is unmasked
  }
}
