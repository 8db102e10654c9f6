#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("A real-mode interrupt pushes flags, CS and IP and IRET takes them back") {
  Bench b;
  b.real(0x0800, 0);
  b.cpu.s.eflags |= flag::kIf;
  b.insn({0xcd, 0x21});
  b.step();
  CHECK(b.cpu.s.eip == Bench::handler(0x21));
  CHECK(b.cpu.s.r32(kEsp) == kStack0 - 6);
  CHECK(b.get(kStack0 - 6, 2) == 2);
  CHECK(b.get(kStack0 - 4, 2) == 0x800);
  CHECK((b.get(kStack0 - 2, 2) & flag::kIf) != 0);
  CHECK((b.cpu.s.eflags & flag::kIf) == 0);
  b.insn({0xcf});
  b.step();
  CHECK(b.cpu.s.eip == 2);
  CHECK(b.cpu.s.seg[kCs].base == 0x8000);
  CHECK((b.cpu.s.eflags & flag::kIf) != 0);
}
