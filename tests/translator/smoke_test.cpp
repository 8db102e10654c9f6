// Small programs, one per mechanism, run on both engines.
#include <catch2/catch.hpp>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x4000;

std::string compare(const std::vector<u8>& code, TranslatorOptions options = {}) {
  Twins t(options);
  t.both([&](Machine& m) {
    m.put(kCode, code);
    m.start(kCode);
  });
  const Stop sa = t.run_a(), sb = t.run_b();
  std::string out = t.difference();
  if (sa != sb) out += "stops differ\n";
  return out;
}

}  // namespace

TEST_CASE("A block of arithmetic ends as in the interpreter") {
  // mov eax,5; add eax,7; mov ecx,eax; shl ecx,3; sub ecx,1; hlt
  CHECK(compare({0xb8, 5, 0, 0, 0, 0x83, 0xc0, 7, 0x89, 0xc1, 0xc1, 0xe1, 3, 0x83, 0xe9, 1, 0xf4}) == "");
}

TEST_CASE("Loads and stores go through the table lane and keep live flags") {
  // mov ebx,0x9000; stc; mov [ebx],ebx; mov eax,[ebx]; adc eax,[ebx]; mov [ebx+5],ah; push eax; pop edx; hlt
  CHECK(compare({0xbb, 0x00, 0x90, 0, 0, 0xf9, 0x89, 0x1b, 0x8b, 0x03, 0x13, 0x03, 0x88, 0x63, 0x05, 0x50, 0x5a,
                 0xf4}) == "");
}

TEST_CASE("A loop chains to itself") {
  // mov ecx,1000; l: add eax,ecx; dec ecx; jnz l; hlt
  CHECK(compare({0xb9, 0xe8, 3, 0, 0, 0x01, 0xc8, 0x49, 0x75, 0xfb, 0xf4}) == "");
}

TEST_CASE("Calls and returns go through the flat table") {
  // mov ecx,50; l: call f; loop l; hlt; f: inc eax; ret
  CHECK(compare({0xb9, 50, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0xe2, 0xf9, 0xf4, 0x40, 0xc3}) == "");
}

TEST_CASE("Division by zero becomes the guest's divide error") {
  CHECK(compare({0x31, 0xc9, 0xb8, 1, 0, 0, 0, 0x99, 0xf7, 0xf9, 0xf4}) == "");
}

TEST_CASE("Floating point runs on the host's unit") {
  // fld1; fldpi; faddp; fstp qword [0x9000]; mov eax,[0x9004]; hlt
  CHECK(compare({0xd9, 0xe8, 0xd9, 0xeb, 0xde, 0xc1, 0xdd, 0x1d, 0x00, 0x90, 0, 0, 0xa1, 0x04, 0x90, 0, 0, 0xf4}) ==
        "");
}

TEST_CASE("The 8086's 60h-6Fh jump on the conditions of 70h-7Fh") {
  Machine m;
  auto engine = make_translator(m);
  Cpu cpu{*find_cpu_model("8086"), *m.memory, m.ports, m.pic, m.host};
  u32 taken = 0;
  for (u32 condition = 0; condition < 16; ++condition)
    for (u32 flags : {0u, +flag::kCf, +flag::kZf, +flag::kSf, +flag::kOf, +flag::kPf}) {
      const u32 at = kCode + 16 * condition;
      u64 ends[2] = {};
      for (u32 i = 0; i < 2; ++i) {
        cpu.reset();
        cpu.s.seg[kCs].base = 0;
        m.put(at, {static_cast<u8>((i == 0 ? 0x60 : 0x70) | condition), 0x01, 0xf4, 0xf4});  // over the first HLT
        cpu.s.eflags = flag::kFixed | flags;
        cpu.s.eip = at;
        CHECK(engine->run(cpu) == Stop::kHalted);
        ends[i] = cpu.s.eip;
      }
      INFO("condition " << condition << ", flags " << flags);
      CHECK(ends[0] == ends[1]);
      taken += ends[0] == at + 4 ? 1 : 0;
    }
  CHECK(taken == 8 * 6);  // each condition and its opposite
}
