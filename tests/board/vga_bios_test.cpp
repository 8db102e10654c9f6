// The unmodified VGA BIOS sets every kind of mode, and what it draws is where it should be.
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "tests/board/board_rig.h"
#include "tests/devices/temp_folder.h"

using namespace umbra;

namespace {

constexpr char kLook = 1, kDone = 2, kRefused = 3;  // what tests/asm/vga_modes.asm reports

struct Sight {  // the modes in the order of the boot sector
  u32 width, height;
  u32 x, y;    // where the pixel at (20, 60) is
  u32 colour;  // and what it looks like; 0: text, or true colours, where int 10h plots no colour 5
};
constexpr u32 kMagenta = 0xaa00aa;
constexpr Sight kSights[] = {
    {720, 400, 0, 0, 0},            // 01
    {720, 400, 0, 0, 0},            // 03
    {640, 400, 40, 120, 0x55ffff},  // 04: colour 5 is colour 1
    {640, 400, 20, 120, 0xffffff},  // 06
    {640, 400, 40, 120, kMagenta},  // 0d
    {640, 400, 20, 120, kMagenta},  // 0e
    {640, 350, 20, 60, kMagenta},   // 10
    {640, 480, 20, 60, 0xffffff},   // 11
    {640, 480, 20, 60, kMagenta},   // 12
    {640, 400, 40, 120, kMagenta},  // 13
    {640, 480, 20, 60, kMagenta},   // 101: 8 bits
    {800, 600, 20, 60, kMagenta},   // 102: 4 planes
    {1024, 768, 20, 60, kMagenta},  // 104
    {1024, 768, 20, 60, kMagenta},  // 105
    {640, 480, 0, 0, 0},            // 111: 16 bits
    {800, 600, 0, 0, 0},            // 115: 24 bits
    {1024, 768, 0, 0, 0},           // 118
    {1024, 768, 0, 0, 0},           // 144: 32 bits
    {720, 400, 0, 0, 0},            // 03 again
};

std::string boot_sector() {
  std::ifstream file(UMBRA_TEST_ASM "/vga_modes.bin", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

u32 lit_pixels(const Frame& frame, u32 lines) {
  u32 lit = 0;
  for (u32 i = 0; i < lines * frame.width; ++i) lit += frame.pixels[i] != 0;
  return lit;
}

}  // namespace

TEST_CASE("The VGA BIOS sets text, CGA, EGA, VGA and VBE modes") {
  TempFolder folder;
  std::string disk = boot_sector();
  REQUIRE(disk.size() == 512);
  disk.resize(1 << 20);

  MachineConfig config = BoardRig::config();
  DriveConfig drive;
  drive.file = folder.write("modes.img", disk);
  config.drives.push_back(drive);
  config.boot_order = "c";
  BoardRig rig(std::move(config));
  INFO(rig.error);
  REQUIRE(rig.machine != nullptr);

  std::size_t reported = 0, mode = 0;
  const auto look = [&] {
    const std::size_t at = rig.debug.find_first_of("\1\2\3", reported);
    if (at == std::string::npos) return false;
    reported = at + 1;
    if (rig.debug[at] == kDone) return true;
    INFO("mode number " << mode);
    REQUIRE(rig.debug[at] != kRefused);
    REQUIRE(rig.debug[at] == kLook);
    REQUIRE(mode < std::size(kSights));
    const Sight& want = kSights[mode++];
    Frame frame;
    rig.machine->screen()->render(frame);
    CHECK(frame.width == want.width);
    CHECK(frame.height == want.height);
    CHECK(lit_pixels(frame, 16) > 100);
    if (want.colour != 0) {
      CHECK(frame.pixels[want.y * frame.width + want.x] == want.colour);
      CHECK(frame.pixels[want.y * frame.width + want.x - 2] == 0);
    }
    const TextScreen text = rig.machine->screen()->text();
    if (text.columns != 0) CHECK(to_utf8(text).find("Set by the VGA BIOS") == 0);
    rig.type(0x39);
    return false;
  };
  const int end = rig.run_until(look, 60);
  INFO(rig.debug);
  CHECK(end == BoardRig::kSeen);
  CHECK(mode == std::size(kSights));
}
