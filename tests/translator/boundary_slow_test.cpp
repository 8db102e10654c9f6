#include <catch2/catch.hpp>

#include "tests/translator/boundary.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("Page faults and device interrupts, by the ten thousand, come at boundaries that the interpreter knows") {
  for (u32 seed = 1000; seed < 1420; ++seed) {
    BoundaryRun run = boundary_run(seed);
    run.streams = 300;
    check_boundaries(run);
  }
}

TEST_CASE("Interrupts at any moment, by the thousand, come at boundaries that the interpreter knows") {
  for (u32 seed = 1000; seed < 1060; ++seed) {
    BoundaryRun run = boundary_run(seed);
    if (run.space == BoundaryRun::kV86) continue;
    run.from_outside = true;
    run.streams = 60;
    check_boundaries(run);
  }
}
