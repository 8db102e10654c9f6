// Unmodified SeaBIOS on the board, under the interpreter.
#include <catch2/catch.hpp>

#include "tests/board/board_rig.h"

using namespace umbra;

TEST_CASE("SeaBIOS finds the machine and looks for a boot device") {
  BoardRig rig;
  INFO(rig.error);
  REQUIRE(rig.machine != nullptr);
  const int end = rig.run_until_screen("No bootable device", 30);
  INFO(rig.debug);
  INFO(rig.screen());
  CHECK(end == BoardRig::kSeen);
}
