// The bare-metal programs of tests/asm/cpu under the interpreter.
#include <catch2/catch.hpp>

#include "cpu/interp/interp.h"
#include "tests/asm/cpu/runner.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("The programs of tests/asm/cpu come to what they promise under the interpreter") {
  const auto programs = all_asm("tests/asm/cpu", UMBRA_ASM_BINARIES);
  CHECK(programs.size() >= 14);
  for (const AsmProgram& program : programs) {
    CHECK(run_asm(program, [](PhysicalMemory& memory) { return std::make_unique<Interpreter>(memory); }) == "");
  }
}
