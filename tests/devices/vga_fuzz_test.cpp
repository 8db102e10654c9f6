// The fuzz entry point on inputs from a fixed seed; a sanitizer build makes this a memory test.
#include <catch2/catch.hpp>

#include <random>

#include "tests/fuzz/vga_fuzz.cpp"

using namespace umbra;

TEST_CASE("Random traffic does the VGA no harm") {
  std::mt19937 random(20260101);
  std::vector<u8> input(2000);
  for (int round = 0; round < 60; ++round) {
    for (u8& byte : input) byte = static_cast<u8>(random());
    REQUIRE_NOTHROW(fuzz_vga(input.data(), input.size()));
  }
}

TEST_CASE("Every value of every CRTC register renders") {
  VgaRig v;
  for (const VgaMode* mode : {&kMode03, &kMode04, &kMode13, &kMode12}) {
    v.set_mode(*mode);
    v.crtc(0x11, 0);
    for (u8 index = 0; index < 25; ++index) {
      if (index == 0x11) continue;
      for (u32 value : {0x00, 0xff, 0x80, 0x7f, 0x55}) {
        v.crtc(index, static_cast<u8>(value));
        v.render();
        CHECK(v.vga.text().cells.size() <= 256 * 2048);
      }
      v.crtc(index, 0xff);  // and what follows on top of it
    }
  }
}
