#include <catch2/catch.hpp>

#include "tests/devices/state_check.h"
#include "tests/devices/vga_rig.h"

using namespace umbra;

TEST_CASE("VGA registers read back what was written, without the bits that do not exist") {
  VgaRig v;
  v.out(0x3c2, 0x67);
  CHECK(v.in(0x3cc) == 0x67);
  v.seq(1, 0xff);
  CHECK(v.in(0x3c5) == 0x3d);
  v.seq(4, 0xff);
  CHECK(v.in(0x3c5) == 0x0e);
  v.gc(5, 0xff);
  CHECK(v.in(0x3cf) == 0x7b);
  v.gc(8, 0xa5);
  CHECK(v.in(0x3cf) == 0xa5);
  v.out(0x3da, 0xff);
  CHECK(v.in(0x3ca) == 0x10);
  v.out(0x3c6, 0x3f);
  CHECK(v.in(0x3c6) == 0x3f);
}

TEST_CASE("The CRTC answers at 3B4 or 3D4 as misc bit 0 says") {
  VgaRig v;
  v.out(0x3c2, 0x66);
  v.out(0x3b4, 0x0e);
  v.out(0x3b5, 0x12);
  CHECK(v.in(0x3b5) == 0x12);
  CHECK(v.in(0x3d5) == 0xff);
  CHECK(v.in(0x3da) == 0xff);
  v.out(0x3d5, 0x99);
  v.out(0x3c2, 0x67);
  CHECK(v.in(0x3d4) == 0x0e);
  CHECK(v.in(0x3d5) == 0x12);
  CHECK(v.in(0x3b5) == 0xff);
}

TEST_CASE("CRTC registers 0 to 7 are write-protected by bit 7 of 11, all but bit 4 of 7") {
  VgaRig v;
  v.set_mode(kMode03);
  CHECK((kMode03.crtc[0x11] & 0x80) != 0);
  v.crtc(0, 0x11);
  CHECK(v.crtc_value(0) == 0x5f);
  v.crtc(7, 0x00);
  CHECK(v.crtc_value(7) == (0x1f & ~0x10));
  v.crtc(7, 0xff);
  CHECK(v.crtc_value(7) == 0x1f);
  v.crtc(0x11, 0x0e);
  v.crtc(0, 0x11);
  CHECK(v.crtc_value(0) == 0x11);
  v.crtc(0x0a, 0x20);
  CHECK(v.crtc_value(0x0a) == 0x20);
}

TEST_CASE("The attribute controller's flip-flop alternates index and data and is reset by input status 1") {
  VgaRig v;
  v.out(0x3c2, 0x67);
  v.in(0x3da);
  v.out(0x3c0, 0x13);
  v.out(0x3c0, 0x05);
  v.out(0x3c0, 0x33);
  CHECK(v.in(0x3c1) == 0x05);
  v.in(0x3da);
  CHECK(v.in(0x3c0) == 0x33);
  v.out(0x3c0, 0x02);
  v.in(0x3da);
  v.out(0x3c0, 0x03);       // an index again, since the flip-flop was reset
  CHECK(v.in(0x3c0) == 0);  // data is next
  v.out(0x3c0, 0xff);
  CHECK(v.in(0x3c1) == 0x3f);
}

TEST_CASE("The DAC counts through red, green and blue and on to the next entry") {
  VgaRig v;
  v.out(0x3c8, 0xff);
  for (u32 value : {0x3f, 0x15, 0xc1, 7, 8, 9}) v.out(0x3c9, value);
  CHECK(v.in(0x3c8) == 1);
  CHECK(v.in(0x3c7) == 0);
  v.out(0x3c7, 0xff);
  CHECK(v.in(0x3c7) == 3);
  for (u32 value : {0x3f, 0x15, 0x01, 7, 8, 9}) CHECK(v.in(0x3c9) == value);
  v.out(0x3c8, 5);
  v.out(0x3c9, 1);
  v.out(0x3c9, 2);
  v.out(0x3c7, 5);
  for (int i = 0; i < 3; ++i) CHECK(v.in(0x3c9) == 0);  // an entry changes when its blue arrives
}

TEST_CASE("Input status 1 follows the beam of mode 3 through the machine's clock") {
  VgaRig v;
  v.set_mode(kMode03);
  u64 retrace = 0, hidden = 0;
  constexpr u64 kFrame = kNanosPerSecond / 70;  // 28.322 MHz / (900 * 449) = 70.09 Hz
  constexpr u64 kSteps = 20000;
  unsigned edges = 0;
  bool last = false;
  for (u64 i = 0; i < kSteps; ++i) {
    v.time.set(i * kFrame * 10 / kSteps);
    const u8 status = v.in(0x3da);
    retrace += status >> 3 & 1;
    hidden += status & 1;
    if ((status & 8) && !last) ++edges;
    last = status & 8;
    if (status & 8) CHECK((status & 1) == 1);
  }
  CHECK(edges == 10);
  CHECK(static_cast<double>(retrace) / kSteps == Approx(2.0 / 449).epsilon(0.1));
  CHECK(static_cast<double>(hidden) / kSteps == Approx(1 - 720.0 * 400 / (900 * 449)).epsilon(0.02));
}

TEST_CASE("A retrace comes whatever the CRTC is set to") {
  VgaRig v;
  for (u8 fill : {0x00, 0xff, 0x55, 0xaa, 0x80}) {
    v.out(0x3c2, 0x67);
    v.crtc(0x11, 0);
    for (u8 i = 0; i < 25; ++i) v.crtc(i, i == 0x11 ? fill & 0x7f : fill);
    bool seen[2] = {};
    for (u64 t = 0; t < 400'000'000 && !(seen[0] && seen[1]); t += 5'000) {
      v.time.set(t);
      seen[v.in(0x3da) >> 3 & 1] = true;
    }
    CHECK((seen[0] && seen[1]));
  }
}

TEST_CASE("The vertical interrupt is pending from the retrace after it was armed until it is cleared") {
  VgaRig v;
  v.set_mode(kMode03);
  v.crtc(0x11, 0x8e & ~0x10);
  v.crtc(0x11, 0x9e);
  CHECK((v.in(0x3c2) & 0x80) == 0);
  v.time.advance(20'000'000);
  CHECK((v.in(0x3c2) & 0x80) != 0);
  v.crtc(0x11, 0x8e);
  CHECK((v.in(0x3c2) & 0x80) == 0);
}

TEST_CASE("Dispi identifies itself and keeps what is asked inside its limits") {
  VgaRig v;
  CHECK(v.dispi(0) == 0xb0c5);
  v.dispi(0, 0xb0c2);
  CHECK(v.dispi(0) == 0xb0c2);
  v.dispi(0, 0xb0d0);
  CHECK(v.dispi(0) == 0xb0c2);
  CHECK(v.dispi(0x0a) == 256);
  CHECK(v.dispi(0x0b) == 0);
  v.dispi(VbeRegs::kEnable, VbeRegs::kGetCaps);
  CHECK(v.dispi(VbeRegs::kXres) == 16000);
  CHECK(v.dispi(VbeRegs::kYres) == 12000);
  CHECK(v.dispi(VbeRegs::kBpp) == 32);

  v.set_vbe(1024, 768, 32);
  CHECK(v.dispi(VbeRegs::kVirtWidth) == 1024);
  CHECK(v.dispi(VbeRegs::kVirtHeight) == 4096);
  v.dispi(VbeRegs::kVirtWidth, 2048);
  CHECK(v.dispi(VbeRegs::kVirtHeight) == 2048);
  v.dispi(VbeRegs::kYOffset, 1280);
  CHECK(v.dispi(VbeRegs::kYOffset) == 1280);
  v.dispi(VbeRegs::kYOffset, 1281);  // would show memory that is not there
  CHECK(v.dispi(VbeRegs::kYOffset) == 0);
  v.dispi(VbeRegs::kBank, 0x1234);
  CHECK(v.dispi(VbeRegs::kBank) == 0x34);

  v.set_vbe(0, 0, 7);
  CHECK(v.dispi(VbeRegs::kXres) == 8);
  CHECK(v.dispi(VbeRegs::kYres) == 1);
  CHECK(v.dispi(VbeRegs::kBpp) == 8);
  v.set_vbe(0xffff, 0xffff, 32);
  CHECK(v.dispi(VbeRegs::kXres) == 16000);
  CHECK(v.dispi(VbeRegs::kYres) == (16u << 20) / (16000 * 4));
}

TEST_CASE("Enabling a VBE mode clears its memory unless told not to") {
  VgaRig v;
  v.memory[100] = 1;
  v.memory[640 * 480] = 1;
  v.dispi(VbeRegs::kXres, 640);
  v.dispi(VbeRegs::kYres, 480);
  v.dispi(VbeRegs::kBpp, 8);
  v.dispi(VbeRegs::kEnable, VbeRegs::kEnabled | VbeRegs::kNoClear);
  CHECK(v.memory[100] == 1);
  v.dispi(VbeRegs::kEnable, 0);
  v.dispi(VbeRegs::kEnable, VbeRegs::kEnabled);
  CHECK(v.memory[100] == 0);
  CHECK(v.memory[640 * 480] == 1);
}

TEST_CASE("A VGA's state comes back after save, poke and restore, and a damaged one is harmless") {
  VgaRig v;
  v.set_mode(kMode12);
  v.set_vbe(800, 600, 16);
  const auto poke = [&] {
    v.seq(2, 0x05);
    v.dispi(VbeRegs::kBpp, 32);
    v.out(0x3c8, 3);
    v.out(0x3c9, 17);
  };
  const auto use = [&] {
    for (u16 port : {0x3c0, 0x3c1, 0x3c2, 0x3c5, 0x3c9, 0x3cf, 0x3d5, 0x3da}) v.in(port);
    for (u16 port : {0x3c0, 0x3c5, 0x3c9, 0x3cf, 0x3d5}) v.out(port, 0x21);
    v.read(0xa0000, 4);
    v.write(0xafffe, 0x1234, 2);
    v.vga.text();
    if (v.dispi(VbeRegs::kXres) * v.dispi(VbeRegs::kYres) < 2'000'000) v.render();
  };
  check_state(v.vga, poke, use);
}
