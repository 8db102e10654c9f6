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

TEST_CASE("A jump that keeps 16 bits of EIP leads to the same place from wherever it lies") {
  Twins t;
  t.both([](Machine& m) {
    map_four_times(m);
    m.put(kCode, {0x43, 0x66, 0xe9, 0xfb, 0x8f});  // inc ebx; jmp 9000h
    m.put(0x9000, {0x83, 0xc3, 7, 0xcd, 0x20});    // add ebx, 7; int 20h
    m.put(0x8000, {0x83, 0xc3, 9, 0xcd, 0x20});
  });
  for (u32 round = 0; round < 4; ++round) {
    t.both([&](Machine& m) {
      m.cpu.s.gpr[kEbx] = 0;
      m.cpu.s.gpr[kEsp] = 0x8000;
      m.cpu.set_cpl(0);
      m.to_ring_3();
      m.start(kCode + round * kShift);
    });
    REQUIRE(t.run_a() == t.run_b());
    REQUIRE(t.difference() == "");
    CHECK(t.b.cpu.s.r32(kEbx) == 8);
  }
}

TEST_CASE(
    "A page that comes up elsewhere gets copies of all its blocks, linked to one another, but of none that died") {
  constexpr u32 kFunctions = 40, kStride = 64;
  Twins t;
  t.both([](Machine& m) {
    map_four_times(m);
    for (u32 i = 0; i < kFunctions; ++i) {
      // add ebx, i; cmp ebx, ecx; jz over; over: jmp to the next one, the last: int 20h
      std::vector<u8> code = {0x83, 0xc3, static_cast<u8>(i), 0x39, 0xcb, 0x74, 0x00};
      const std::vector<u8> next = {0xeb, kStride - 9}, last = {0xcd, 0x20};
      const std::vector<u8>& end = i + 1 < kFunctions ? next : last;
      code.insert(code.end(), end.begin(), end.end());
      m.put(kCode + i * kStride, code);
    }
  });
  const auto run = [&](u32 where, u32 first) {
    t.both([&](Machine& m) {
      m.cpu.s.gpr[kEbx] = 0;
      m.cpu.s.gpr[kEcx] = 1000;
      m.cpu.s.gpr[kEsp] = 0x8000;
      m.cpu.set_cpl(0);
      m.to_ring_3();
      m.start(kCode + where * kShift + first * kStride);
    });
    REQUIRE(t.run_a() == t.run_b());
    REQUIRE(t.difference() == "");
    return t.translator->gather();
  };
  const Statistics once = run(0, 0);
  const Statistics twice = run(1, 0);
  CHECK(twice.copies - once.copies >= kFunctions);
  CHECK(twice.dispatch_misses - once.dispatch_misses <= 1);
  CHECK(run(1, 5).translations == twice.translations);
  t.both([](Machine& m) { m.put(kCode + 7 * kStride + 2, {99}); });
  // The last block has a callout and is never copied.
  const auto made = [](const Statistics& s) { return s.translations - s.copies; };
  const Statistics patched = run(2, 0);
  CHECK(made(patched) == made(twice) + 2);
  CHECK(made(run(3, 0)) == made(patched) + 1);
}
