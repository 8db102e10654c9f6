// Code that several address spaces, or one at several places, see at different addresses is translated once and copied.
#include <catch2/catch.hpp>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kDirectory = 0x10000, kTable = 0x11000, kCode = 0x40000, kShift = 0x400000;

// The megabyte is seen at 0, 4, 8 and 12 MiB, by everybody.
void map_four_times(Machine& m) {
  for (u32 page = 0; page < 256; ++page) m.put32(kTable + page * 4, page << 12 | 0x67);
  for (u32 i = 0; i < 4; ++i) m.put32(kDirectory + i * 4, kTable | 0x67);
  m.cpu.set_cr3(kDirectory);
  m.cpu.set_cr0(m.cpu.s.cr0 | cr0::kPg | cr0::kWp);
}

// Calls into its page and out of it, jumps both ways, reads where it is, faults on an empty page when EDX says so:
//   mov ecx, 5
// l: call near_by; call far_off; add ebx, eax; dec ecx; jnz l
//   call here; here: pop esi; test edx, edx; jz over; mov eax, [edx]; over: jc far_off; int 20h
// near_by: add eax, ecx; push eax; pop edi; ret
const std::vector<u8> kProgram = {0xb9, 0x5,  0x0,  0x0,  0x0,  0xe8, 0x1e, 0x0,  0x0,  0x0,  0xe8, 0xf1,
                                  0xf,  0x0,  0x0,  0x1,  0xc3, 0x49, 0x75, 0xf1, 0xe8, 0x0,  0x0,  0x0,
                                  0x0,  0x5e, 0x85, 0xd2, 0x74, 0x2,  0x8b, 0x2,  0xf,  0x82, 0xda, 0xf,
                                  0x0,  0x0,  0xcd, 0x20, 0x1,  0xc8, 0x50, 0x5f, 0xc3};
// At an offset of 1000h: add eax, 3; ret
const std::vector<u8> kFarOff = {0x83, 0xc0, 3, 0xc3};

}  // namespace

TEST_CASE("A program at another address runs a copy of its translation") {
  for (bool windows : {false, true}) {
    INFO((windows ? "window lane" : "table lane"));
    TranslatorOptions options;
    options.always_windows = windows;
    Twins t(options);
    t.both([](Machine& m) {
      map_four_times(m);
      m.put(kCode, kProgram);
      m.put(kCode + 0x1000, kFarOff);
    });
    u64 first = 0;
    for (u32 round = 0; round < 12; ++round) {
      INFO("round " << round);
      t.both([&](Machine& m) {
        if (round == 8) m.put(kCode + 0x1002, {7});
        for (unsigned r = 0; r < 8; ++r) m.cpu.s.gpr[r] = 0;
        m.cpu.s.gpr[kEsp] = 0x8000;
        m.cpu.s.gpr[kEdx] = round % 3 == 2 ? 0x40000000 : 0;
        m.cpu.set_cpl(0);
        m.to_ring_3();
        m.start(kCode + round % 4 * kShift);
      });
      REQUIRE(t.run_a() == t.run_b());
      REQUIRE(t.difference() == "");
      if (round == 0) first = t.translator->gather().translations;
    }
    CHECK(t.b.cpu.s.r32(kEbx) != 0);
    const Statistics s = t.translator->gather();
    CHECK(s.copies >= 2 * first);
    CHECK(s.translations - s.copies <= 2 * first);
  }
}
