#include <catch2/catch.hpp>

#include "tests/translator/boundary.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("Page faults and device interrupts come at boundaries that the interpreter knows") {
  u32 interrupts = 0;
  for (u32 seed = 1; seed <= 24; ++seed) {
    BoundaryRun run = boundary_run(seed);
    run.streams = 200;
    interrupts += check_boundaries(run);
  }
  CHECK(interrupts > 100);
}

TEST_CASE("Interrupts at any moment come at boundaries that the interpreter knows") {
  u32 interrupts = 0;
  for (u32 seed = 1; seed <= 8; ++seed) {
    BoundaryRun run = boundary_run(seed);
    if (run.space == BoundaryRun::kV86) continue;
    run.from_outside = true;
    run.streams = 30;
    interrupts += check_boundaries(run);
  }
  CHECK(interrupts > 100);
}
