// Code that changes under the translator, and interrupts that arrive in the middle of loops.
#include <catch2/catch.hpp>

#include <thread>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000;

std::string run_both(Twins& t, u32 at = kCode) {
  t.both([&](Machine& m) { m.start(at); });
  const Stop a = t.run_a(), b = t.run_b();
  return a == b ? t.difference() : "stops differ";
}

struct Case {
  const char* name;
  std::vector<u8> code;
};

// In all of them kCode is where the bytes lie.
std::vector<Case> self_modifying() {
  return {
      {"an immediate ahead in the same block is patched before it runs",
       join({{0xc6, 0x05}, le32(kCode + 8), {0x07, 0xb0, 0x01, 0xf4}})},
      {"a loop patches its own immediate in every round",
       join({{0xb9, 200, 0, 0, 0, 0x88, 0x0d}, le32(kCode + 12), {0xb0, 0x00, 0x01, 0xc3, 0xe2, 0xf4, 0xf4}})},
      {"an instruction behind the patch becomes another one",
       join({{0x31, 0xdb, 0xc6, 0x05}, le32(kCode + 9), {0x4b, 0x43, 0xf4}})},
      {"a compiler writes a function and calls it, again and again", join({{0xb9, 100, 0, 0, 0},
                                                                           {0xc6, 0x05},
                                                                           le32(0x50000),
                                                                           {0xb0},
                                                                           {0x88, 0x0d},
                                                                           le32(0x50001),
                                                                           {0xc6, 0x05},
                                                                           le32(0x50002),
                                                                           {0xc3},
                                                                           {0xe8},
                                                                           le32(0x50000 - (kCode + 30)),
                                                                           {0x01, 0xc2, 0xe2, 0xe3, 0xf4}})},
      {"a loader copies itself away and jumps to the copy", join({{0xbe},
                                                                  le32(kCode),
                                                                  {0xbf},
                                                                  le32(0x60000),
                                                                  {0xb9, 64, 0, 0, 0, 0xf3, 0xa4},
                                                                  {0xe9},
                                                                  le32(0x60000 + 22 - (kCode + 22)),
                                                                  {0x40, 0xc6, 0x05},
                                                                  le32(kCode + 22),
                                                                  {0xf4, 0xf4}})},
  };
}

}  // namespace

TEST_CASE("Programs that write into their own code run as in the interpreter") {
  for (bool windows : {false, true}) {
    for (const Case& c : self_modifying()) {
      INFO(c.name << (windows ? ", window lane" : ", table lane"));
      TranslatorOptions options;
      options.always_windows = windows;
      Twins t(options);
      t.both([&](Machine& m) { m.put(kCode, c.code); });
      CHECK(run_both(t) == "");
      t.both([&](Machine& m) { m.put(kCode, c.code); });
      CHECK(run_both(t) == "");
    }
  }
}

TEST_CASE("A device that writes into translated code is noticed") {
  Twins t;
  t.both([](Machine& m) { m.put(kCode, {0xb8, 1, 0, 0, 0, 0xf4}); });
  CHECK(run_both(t) == "");
  t.both([](Machine& m) { m.put(kCode + 1, {9}); });
  CHECK(run_both(t) == "");
  CHECK(t.b.cpu.s.gpr[kEax] == 9);
}

TEST_CASE("An instruction that crosses a page follows changes of either page") {
  Twins t;
  t.both([](Machine& m) { m.put(kCode + 0xffe, {0xb8, 1, 2, 3, 4, 0xf4}); });
  CHECK(run_both(t, kCode + 0xffe) == "");
  for (u32 at : {kCode + 0xfffu, kCode + 0x1000u, kCode + 0x1002u}) {
    t.both([&](Machine& m) { m.put(at, {0x55}); });
    CHECK(run_both(t, kCode + 0xffe) == "");
  }
  CHECK(t.b.cpu.s.gpr[kEax] == 0x55035555);
}

TEST_CASE("Code and data in one page do not make the translator start over") {
  Twins t;
  // mov ecx, 20000; l: inc dword [page + 0x800]; dec ecx; jnz l; hlt
  const auto code = join({{0xb9, 0x20, 0x4e, 0, 0, 0xff, 0x05}, le32(kCode + 0x800), {0x49, 0x75, 0xf7, 0xf4}});
  t.both([&](Machine& m) { m.put(kCode, code); });
  CHECK(run_both(t) == "");
  CHECK(t.translator->gather().translations < 40);
}

TEST_CASE("An interrupt from another thread ends a loop that has no exit") {
  for (bool self_chained : {true, false}) {
    Machine m;
    m.flat_32();
    auto engine = make_translator(m);
    // jmp $, or a ring of two blocks through a call and a return
    m.put(kCode, self_chained ? std::vector<u8>{0xeb, 0xfe} : std::vector<u8>{0xe8, 2, 0, 0, 0, 0xeb, 0xf9, 0xc3});
    m.cpu.s.eflags |= flag::kIf;
    m.start(kCode);
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      m.cpu.pending.fetch_or(attention::kInterrupt);
      engine->kick();
    });
    CHECK(engine->run(m.cpu) == Stop::kHalted);
    other.join();
    CHECK(m.cpu.s.eip == 0x1201);
    CHECK(engine->gather().polls > 0);
  }
}

TEST_CASE("A request to leave is answered with every register in place") {
  Machine m;
  m.flat_32();
  auto engine = make_translator(m);
  m.put(kCode, {0xeb, 0xfe});
  m.cpu.s.gpr[kEsi] = 0x12345678;
  m.cpu.s.eflags |= flag::kCf | flag::kOf;
  m.start(kCode);
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    m.cpu.pending.fetch_or(attention::kExit);
    engine->kick();
  });
  CHECK(engine->run(m.cpu) == Stop::kAttention);
  other.join();
  CHECK(m.cpu.s.eip == kCode);
  CHECK(m.cpu.s.gpr[kEsi] == 0x12345678);
  CHECK((m.cpu.s.eflags & flag::kArithmetic) == (flag::kCf | flag::kOf));
}
