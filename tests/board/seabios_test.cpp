// Unmodified SeaBIOS on the board, under the interpreter.
#include <catch2/catch.hpp>

#include "tests/board/board_rig.h"
#include "tests/devices/temp_folder.h"

using namespace umbra;

TEST_CASE("SeaBIOS finds the machine and looks for a boot device") {
  BoardRig rig;
  INFO(rig.error);
  REQUIRE(rig.machine != nullptr);
  const int end = rig.run_until_screen("No bootable device", 30);
  INFO(rig.debug);
  INFO(rig.screen());
  CHECK(end == BoardRig::kSeen);
  const auto switch_off = [&] {  // as tutorials for QEMU do it
    rig.machine->ports().out(0x604, 0x2000, 2);
    return false;
  };
  CHECK(rig.run_until(switch_off, 5) == 0);
}

TEST_CASE("SeaBIOS talks on COM1 when the machine has no graphics, and not for want of a VGA") {
  for (const bool graphics : {true, false}) {
    MachineConfig config = BoardRig::config();
    config.vga = false;
    config.graphics = graphics;
    BoardRig rig(std::move(config));
    INFO(rig.error);
    REQUIRE(rig.machine != nullptr);
    const auto ready = [&] { return rig.debug.find("No bootable device") != std::string::npos; };
    CHECK(rig.run_until(ready, 30) == BoardRig::kSeen);
    CHECK((rig.serial.find("SeaBIOS") == std::string::npos) == graphics);
  }
}

TEST_CASE("SeaBIOS goes on where a program wanted it to after a reset of the processor") {
  // DS = 0; 40:67 = 0:7C1Fh; CMOS 0Fh = 0Ah; pulse RESET#; and there: mov dx, 402h; mov al, '!'; out dx, al
  const u8 code[] = {0x31, 0xc0, 0x8e, 0xd8, 0xc7, 0x06, 0x67, 0x04, 0x1f, 0x7c, 0xa3, 0x69, 0x04,
                     0xb0, 0x8f, 0xe6, 0x70, 0xb0, 0x0a, 0xe6, 0x71, 0xb0, 0xfe, 0xe6, 0x64, 0xf4,
                     0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xba, 0x02, 0x04, 0xb0, 0x21, 0xee, 0xf4};
  std::string sector(512, '\0');
  std::copy(std::begin(code), std::end(code), sector.begin());
  sector[510] = '\x55', sector[511] = '\xaa';
  TempFolder folder;
  MachineConfig config = BoardRig::config();
  config.boot_order = "a";
  config.drives.push_back({.kind = DriveConfig::Kind::kFloppy, .file = folder.write("boot.img", sector)});
  BoardRig rig(std::move(config));
  REQUIRE(rig.machine != nullptr);
  CHECK(rig.run_until([&] { return rig.debug.ends_with('!'); }, 30) == BoardRig::kSeen);
}
