#include <catch2/catch.hpp>

#include <chrono>

#include "tests/devices/vga_rig.h"

using namespace umbra;

namespace {

// Loads one glyph of a font as the BIOS does: plane 2, sequential addressing.
void load_glyph(VgaRig& v, u32 font_offset, u8 character, const std::vector<u8>& rows) {
  v.seq(2, 0x04);
  v.seq(4, 0x07);
  v.gc(4, 0x02);
  v.gc(5, 0x00);
  v.gc(6, 0x04);
  for (u32 i = 0; i < rows.size(); ++i) v.write(0xa0000 + font_offset + character * 32 + i, rows[i]);
  v.seq(2, 0x03);
  v.seq(4, 0x02);
  v.gc(4, 0x00);
  v.gc(5, 0x10);
  v.gc(6, 0x0e);
}

constexpr u32 kInk7 = 7, kBright = 0x3f;

}  // namespace

TEST_CASE("Mode 3 is 720 by 400 and draws glyphs nine dots wide in their colours") {
  VgaRig v;
  v.set_mode(kMode03);
  load_glyph(v, 0, 'A', {0x81, 0x01});
  load_glyph(v, 0, 0xc4, {0x01});
  v.write(0xb8000, 0x1741, 2);                  // A, grey on blue
  v.write(0xb8002, 0x0fc4, 2);                  // a line-drawing character, bright
  v.write(0xb8000 + 79 * 2, 0x1741, 2);         // at the end of the line
  v.write(0xb8000 + (24 * 80) * 2, 0x1741, 2);  // at the start of the last
  REQUIRE(v.render());
  CHECK(v.frame.width == 720);
  CHECK(v.frame.height == 400);
  CHECK(v.pixel(0, 0) == v.dac_rgb(kInk7));
  CHECK(v.pixel(1, 0) == v.dac_rgb(1));
  CHECK(v.pixel(7, 0) == v.dac_rgb(kInk7));
  CHECK(v.pixel(8, 0) == v.dac_rgb(1));  // the ninth dot is paper
  CHECK(v.pixel(0, 1) == v.dac_rgb(1));
  CHECK(v.pixel(9 + 6, 0) == v.dac_rgb(0));
  CHECK(v.pixel(9 + 7, 0) == v.dac_rgb(kBright));
  CHECK(v.pixel(9 + 8, 0) == v.dac_rgb(kBright));  // but not for C0–DF
  CHECK(v.pixel(79 * 9, 0) == v.dac_rgb(kInk7));
  CHECK(v.pixel(0, 24 * 16) == v.dac_rgb(kInk7));
}

TEST_CASE("Eight-dot and 40-column text change the geometry") {
  VgaRig v;
  v.set_mode(kMode03);
  load_glyph(v, 0, 'A', {0xff});
  v.write(0xb8002, 0x0741, 2);
  v.seq(1, 0x01);
  v.render();
  CHECK(v.frame.width == 640);
  CHECK(v.pixel(8, 0) == v.dac_rgb(kInk7));
  v.seq(1, 0x09);
  v.crtc(0x11, 0);
  v.crtc(1, 39);
  v.render();
  CHECK(v.frame.width == 640);
  CHECK(v.pixel(15, 0) == v.dac_rgb(0));
  CHECK(v.pixel(16, 0) == v.dac_rgb(kInk7));
  CHECK(v.pixel(31, 0) == v.dac_rgb(kInk7));
}

TEST_CASE("The cursor is drawn between its scan lines and blinks with the frames") {
  VgaRig v;
  v.set_mode(kMode03);
  v.write(0xb8000, 0x0720, 2);
  v.write(0xb8002, 0x0720, 2);
  v.crtc(0x0f, 1);
  v.render();
  CHECK(v.pixel(9, 12) == v.dac_rgb(0));
  CHECK(v.pixel(9, 13) == v.dac_rgb(kInk7));
  CHECK(v.pixel(17, 14) == v.dac_rgb(kInk7));
  CHECK(v.pixel(9, 15) == v.dac_rgb(0));
  CHECK(v.pixel(8, 13) == v.dac_rgb(0));
  CHECK(!v.render());
  v.time.advance(kNanosPerSecond * 8 / 70 + 1'000'000);  // eight frames later
  CHECK(v.render());
  CHECK(v.pixel(9, 13) == v.dac_rgb(0));
  v.time.advance(kNanosPerSecond * 8 / 70);
  CHECK(v.render());
  CHECK(v.pixel(9, 13) == v.dac_rgb(kInk7));
  v.crtc(0x0a, 0x2d);
  CHECK(v.render());
  CHECK(v.pixel(9, 13) == v.dac_rgb(0));
}

TEST_CASE("Blinking characters vanish for sixteen frames, and bit 7 is brightness when blink is off") {
  VgaRig v;
  v.set_mode(kMode03);
  v.crtc(0x0a, 0x20);
  load_glyph(v, 0, 'A', {0xf0});
  v.write(0xb8000, 0x9741, 2);
  v.render();
  CHECK(v.pixel(0, 0) == v.dac_rgb(kInk7));
  CHECK(v.pixel(5, 0) == v.dac_rgb(1));
  v.time.advance(kNanosPerSecond * 16 / 70 + 1'000'000);
  CHECK(v.render());
  CHECK(v.pixel(0, 0) == v.dac_rgb(1));
  v.attr(0x10, 0x04);
  CHECK(v.render());
  CHECK(v.pixel(0, 0) == v.dac_rgb(kInk7));
  CHECK(v.pixel(5, 0) == v.dac_rgb(0x39));
}

TEST_CASE("Attribute bit 3 chooses between two fonts of 256 characters") {
  VgaRig v;
  v.set_mode(kMode03);
  load_glyph(v, 0, 'A', {0x80});
  load_glyph(v, 0x6000, 'A', {0x40});
  v.seq(3, 0x24);  // map A: 6000, map B: 0
  v.write(0xb8000, 0x0741, 2);
  v.write(0xb8002, 0x0f41, 2);
  v.render();
  CHECK(v.pixel(0, 0) == v.dac_rgb(kInk7));
  CHECK(v.pixel(9, 0) == v.dac_rgb(0));
  CHECK(v.pixel(10, 0) == v.dac_rgb(kBright));
}

TEST_CASE("Mode 7 underlines and lives at B0000") {
  VgaRig v;
  v.set_mode(kMode07);
  v.write(0xb0000, 0x0120, 2);
  v.write(0xb0002, 0x0720, 2);
  v.render();
  CHECK(v.pixel(0, 13) == v.dac_rgb(8));
  CHECK(v.pixel(8, 13) == v.dac_rgb(8));
  CHECK(v.pixel(9, 13) == v.dac_rgb(0));
  CHECK(v.pixel(0, 12) == v.dac_rgb(0));
}

TEST_CASE("Mode 4 shows two bits a pixel from interleaved lines") {
  VgaRig v;
  v.set_mode(kMode04);
  v.write(0xb8000, 0x1b);           // pixels 0 1 2 3
  v.write(0xb8001, 0xe4);           // pixels 3 2 1 0
  v.write(0xb8000 + 0x2000, 0xff);  // the second line
  v.write(0xb8000 + 80, 0x55);      // the third
  v.render();
  CHECK(v.frame.width == 640);
  CHECK(v.frame.height == 400);
  const u32 colours[4] = {0x00, 0x13, 0x15, 0x17};
  for (u32 i = 0; i < 4; ++i) {
    CHECK(v.pixel(i * 2, 0) == v.dac_rgb(colours[i]));
    CHECK(v.pixel(i * 2 + 1, 1) == v.dac_rgb(colours[i]));
    CHECK(v.pixel(8 + i * 2, 0) == v.dac_rgb(colours[3 - i]));
    CHECK(v.pixel(i * 2, 2) == v.dac_rgb(colours[3]));
    CHECK(v.pixel(i * 2, 4) == v.dac_rgb(colours[1]));
  }
  CHECK(v.pixel(8, 2) == v.dac_rgb(0));
}

TEST_CASE("Mode 6 shows one bit a pixel from interleaved lines") {
  VgaRig v;
  v.set_mode(kMode06);
  v.write(0xb8000, 0x80);
  v.write(0xb8001, 0x01);
  v.write(0xba000, 0x40);
  v.render();
  CHECK(v.frame.width == 640);
  CHECK(v.frame.height == 400);
  CHECK(v.pixel(0, 0) == v.dac_rgb(0x17));
  CHECK(v.pixel(15, 1) == v.dac_rgb(0x17));
  CHECK(v.pixel(1, 0) == v.dac_rgb(0));
  CHECK(v.pixel(0, 2) == v.dac_rgb(0));
  CHECK(v.pixel(1, 2) == v.dac_rgb(0x17));
}

TEST_CASE("A Hercules-like set-up interleaves four ways through both row scan bits") {
  VgaRig v;
  v.set_mode(kMode06);
  v.crtc(9, 0x03);     // four rows, no double scan
  v.crtc(0x17, 0xc0);  // both address bits replaced
  v.gc(6, 0x05);
  for (u32 i = 0; i < 4; ++i) v.write(0xa0000 + i * 0x2000, 0x80 >> i);
  v.render();
  for (u32 y = 0; y < 4; ++y)
    for (u32 x = 0; x < 4; ++x) CHECK(v.pixel(x, y) == v.dac_rgb(x == y ? 0x17 : 0));
}

TEST_CASE("Mode 0D is 320 by 200 in four planes, doubled both ways") {
  VgaRig v;
  v.set_mode(kMode0d);
  v.seq(2, 0x0a);
  v.write(0xa0000, 0x80);
  v.seq(2, 0x01);
  v.write(0xa0000 + 199 * 40 + 39, 0x01);
  v.render();
  CHECK(v.frame.width == 640);
  CHECK(v.frame.height == 400);
  CHECK(v.pixel(0, 0) == v.dac_rgb(0x12));
  CHECK(v.pixel(1, 1) == v.dac_rgb(0x12));
  CHECK(v.pixel(2, 0) == v.dac_rgb(0));
  CHECK(v.pixel(639, 399) == v.dac_rgb(1));
  CHECK(v.pixel(637, 399) == v.dac_rgb(0));
}

TEST_CASE("Mode 12 is 640 by 480 with sixteen colours through palette and colour select") {
  VgaRig v;
  v.set_mode(kMode12);
  for (u8 colour = 0; colour < 16; ++colour) {
    v.seq(2, colour);
    v.write(0xa0000 + colour, 0xff);
  }
  v.render();
  CHECK(v.frame.width == 640);
  CHECK(v.frame.height == 480);
  for (u32 colour = 0; colour < 16; ++colour) CHECK(v.pixel(colour * 8, 0) == v.dac_rgb(kMode12.attr[colour]));
  v.attr(0x14, 0x0c);  // P7 and P6
  CHECK(v.render());
  CHECK(v.pixel(8, 0) == v.dac_rgb(0xc1));
  v.attr(0x10, 0x81);  // and P5, P4
  v.attr(0x14, 0x06);
  CHECK(v.render());
  CHECK(v.pixel(15 * 8, 0) == v.dac_rgb(0x6f));
  v.attr(0x12, 0x07);  // without plane 3
  CHECK(v.render());
  CHECK(v.pixel(15 * 8, 0) == v.dac_rgb(0x67));
  v.out(0x3c6, 0x03);
  CHECK(v.render());
  CHECK(v.pixel(15 * 8, 0) == v.dac_rgb(0x03));
}

TEST_CASE("Mode 13h shows a byte a pixel, doubled both ways") {
  VgaRig v;
  v.set_mode(kMode13);
  for (u32 i = 0; i < 64000; ++i) v.write(0xa0000 + i, i % 251);
  v.render();
  CHECK(v.frame.width == 640);
  CHECK(v.frame.height == 400);
  u32 wrong = 0;
  for (u32 y = 0; y < 400; ++y)
    for (u32 x = 0; x < 640; ++x) wrong += v.pixel(x, y) != v.dac_rgb((y / 2 * 320 + x / 2) % 251);
  CHECK(wrong == 0);
}

TEST_CASE("Mode X scrolls through four planes by start address and pixel panning") {
  VgaRig v;
  v.set_mode(kMode13);
  v.seq(4, 0x06);
  v.crtc(0x14, 0x00);
  v.crtc(0x17, 0xe3);
  v.crtc(9, 0x40);  // 400 lines
  v.crtc(0x13, 42);
  for (u8 plane = 0; plane < 4; ++plane) {
    v.seq(2, static_cast<u8>(1 << plane));
    for (u32 i = 0; i < 400 * 84 + 2; ++i) v.write(0xa0000 + i, (i * 4 + plane) % 253);
  }
  CHECK(!v.vga.direct_window());
  v.crtc(0x0c, 0x00);
  v.crtc(0x0d, 0x01);
  v.attr(0x13, 0x02);  // one pixel
  v.render();
  u32 wrong = 0;
  for (u32 y = 0; y < 400; ++y)
    for (u32 x = 0; x < 320; ++x) wrong += v.pixel(x * 2, y) != v.dac_rgb((y * 336 + x + 5) % 253);
  CHECK(wrong == 0);
}

TEST_CASE("The split screen starts again at address 0 after the line compare, and may stop panning") {
  VgaRig v;
  v.set_mode(kMode12);
  v.seq(2, 0x01);
  for (u32 i = 0; i < 80; ++i) v.write(0xa0000 + i, 0x80);
  v.crtc(0x0c, 0x40);
  v.crtc(0x18, 99);
  v.crtc(9, 0x00);  // bit 9 of the line compare
  v.crtc(0x11, 0);
  v.crtc(7, 0x2e);  // and bit 8
  v.attr(0x13, 3);
  v.render();
  CHECK(v.pixel(5, 99) == v.dac_rgb(0));
  CHECK(v.pixel(5, 100) == v.dac_rgb(1));
  CHECK(v.pixel(0, 100) == v.dac_rgb(0));
  v.attr(0x10, 0x21);
  CHECK(v.render());
  CHECK(v.pixel(0, 100) == v.dac_rgb(1));
  CHECK(v.pixel(5, 100) == v.dac_rgb(0));
}

TEST_CASE("Text pans and scrolls smoothly by preset row scan") {
  VgaRig v;
  v.set_mode(kMode03);
  v.crtc(0x0a, 0x20);
  load_glyph(v, 0, 'A', {0, 0, 0, 0x80});
  v.write(0xb8000, 0x0741, 2);
  v.crtc(8, 3);
  v.render();
  CHECK(v.pixel(0, 0) == v.dac_rgb(kInk7));
  v.crtc(8, 0);
  v.write(0xb8000, 0x0720, 2);
  v.write(0xb8002, 0x0741, 2);
  v.attr(0x13, 0);  // one dot to the left in nine-dot text
  v.render();
  CHECK(v.pixel(8, 3) == v.dac_rgb(kInk7));
}

TEST_CASE("A blanked screen shows its border colour or black") {
  VgaRig v;
  v.set_mode(kMode12);
  v.write(0xa0000, 0xff);
  v.attr(0x11, 0x05);
  v.in(0x3da);
  v.out(0x3c0, 0x00);
  CHECK(v.render());
  CHECK(v.pixel(0, 0) == v.dac_rgb(5));
  v.out(0x3c0, 0x00);
  v.out(0x3c0, 0x20);
  v.seq(1, 0x21);
  CHECK(v.render());
  CHECK(v.pixel(0, 0) == 0);
  v.seq(1, 0x01);
  CHECK(v.render());
  CHECK(v.pixel(0, 0) == v.dac_rgb(0x3f));
}

TEST_CASE("Each VBE depth has its pixel format") {
  VgaRig v;
  v.set_mode(kMode03);
  const struct {
    u16 bpp;
    u32 value, bytes, want;
  } kCases[] = {{8, 0x25, 1, VgaRig::dac_rgb(0x25)}, {15, 0x7c1f, 2, 0xff00ff},   {16, 0xf81f, 2, 0xff00ff},
                {16, 0x0400, 2, 0x008200},           {24, 0x123456, 3, 0x123456}, {32, 0xff123456, 4, 0x123456}};
  for (const auto& c : kCases) {
    v.set_vbe(640, 480, c.bpp);
    const u32 at = (479 * 640 + 639) * c.bytes;
    for (u32 i = 0; i < c.bytes; ++i) v.memory[at + i] = static_cast<u8>(c.value >> (8 * i));
    REQUIRE(v.render());
    CHECK(v.frame.width == 640);
    CHECK(v.frame.height == 480);
    CHECK(v.pixel(639, 479) == c.want);
    CHECK(v.pixel(638, 479) == (c.bpp == 8 ? VgaRig::dac_rgb(0) : 0));
  }
}

TEST_CASE("VBE in four planes shows the same planes as mode 12") {
  VgaRig v;
  v.set_mode(kMode12);
  v.set_vbe(800, 600, 4);
  v.dispi(VbeRegs::kVirtWidth, 1600);
  v.dispi(VbeRegs::kXOffset, 801);
  v.dispi(VbeRegs::kYOffset, 1);
  v.seq(2, 0x05);
  v.write(0xa0000 + 300, 0x40);
  v.render();
  CHECK(v.frame.width == 800);
  CHECK(v.pixel(0, 0) == v.dac_rgb(5));
  CHECK(v.pixel(1, 0) == v.dac_rgb(0));
  v.write(0xa0000 + 300, 0x20);
  CHECK(v.render());
  CHECK(v.pixel(1, 0) == v.dac_rgb(5));
}

TEST_CASE("VBE offsets, virtual width and the wide DAC decide what is shown") {
  VgaRig v;
  v.set_mode(kMode03);
  v.set_vbe(320, 200, 8);
  v.dispi(VbeRegs::kVirtWidth, 512);
  v.dispi(VbeRegs::kXOffset, 10);
  v.dispi(VbeRegs::kYOffset, 20);
  v.memory[20 * 512 + 10] = 9;
  v.memory[219 * 512 + 329] = 8;
  v.render();
  CHECK(v.pixel(0, 0) == v.dac_rgb(9));
  CHECK(v.pixel(319, 199) == v.dac_rgb(8));
  v.dispi(VbeRegs::kEnable, VbeRegs::kEnabled | VbeRegs::k8BitDac);
  v.set_dac(9, 0xab, 0xcd, 0xef);
  CHECK(v.render());
  CHECK(v.pixel(0, 0) == 0xabcdef);
}

TEST_CASE("A frame is rendered again only when registers, memory or the frame changed") {
  VgaRig v;
  v.set_mode(kMode13);
  CHECK(v.render());
  CHECK(!v.render());
  v.write(0xa0000, 1);
  CHECK(v.render());
  CHECK(!v.render());
  v.set_dac(1, 1, 2, 3);
  CHECK(v.render());
  Frame other;
  CHECK(v.vga.render(other));
  CHECK(v.render());  // the card has lost sight of this one
  CHECK(!v.render());
  v.set_vbe(64, 64, 32);
  CHECK(v.render());
  CHECK(!v.render());
  v.memory[4 * 64 * 63] = 5;
  CHECK(v.render());
  CHECK(v.pixel(0, 63) == 5);
  CHECK(!v.render());
}

TEST_CASE("Rendering an unchanged 1024 by 768 screen takes well below a millisecond") {
  VgaRig v;
  v.set_mode(kMode03);
  v.set_vbe(1024, 768, 32);
  v.render();
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    CHECK(!v.render());
    best = std::min(best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
#ifndef UMBRA_SANITIZE
  CHECK(best < 1.0);
#endif
  INFO("unchanged frame: " << best << " ms");
  CHECK(best > 0);
}

TEST_CASE("Text is read from the screen with its cursor") {
  VgaRig v;
  v.set_mode(kMode03);
  for (u32 i = 0; i < 2000; ++i) v.write(0xb8000 + i * 2, 0x0720, 2);
  const std::string line = "Hello";
  for (u32 i = 0; i < line.size(); ++i) v.write(0xb8000 + (3 * 80 + 2 + i) * 2, static_cast<u8>(line[i]));
  v.write(0xb8000 + (3 * 80 + 7) * 2, 0xe1);
  v.crtc(0x0f, 3 * 80 + 8);
  const TextScreen text = v.vga.text();
  CHECK(text.columns == 80);
  CHECK(text.rows == 25);
  CHECK(text.cells.size() == 2000);
  CHECK(text.cursor_visible);
  CHECK(text.cursor_row == 3);
  CHECK(text.cursor_column == 8);
  CHECK(to_utf8(text).substr(0, 13) == "\n\n\n  Hello\xc3\x9f\n");
  v.set_mode(kMode13);
  CHECK(v.vga.text().columns == 0);
  CHECK(v.vga.text().cells.empty());
}

TEST_CASE("Code page 437 has a picture for every byte") {
  CHECK(to_utf8(u8{'A'}) == "A");
  CHECK(to_utf8(u8{0xdb}) == "█");
  CHECK(to_utf8(u8{0x01}) == "☺");
  CHECK(to_utf8(u8{0x7f}) == "⌂");
  CHECK(to_utf8(u8{0x80}) == "Ç");
  CHECK(to_utf8(u8{0xfe}) == "■");
  CHECK(to_utf8(u8{0x00}) == " ");
}
