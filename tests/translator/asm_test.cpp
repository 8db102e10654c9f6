// The bare-metal programs of tests/asm/cpu under the translator.
#include <catch2/catch.hpp>

#include "tests/asm/cpu/runner.h"
#include "translator/x64/backend.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("The programs of tests/asm/cpu come to what they promise under the translator") {
  for (const AsmProgram& program : all_asm("tests/asm/cpu", UMBRA_ASM_BINARIES)) {
    CHECK(run_asm(program, [](PhysicalMemory& memory) { return std::move(*make_x64_engine(memory)); }) == "");
  }
}
