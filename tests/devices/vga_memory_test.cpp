#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "tests/devices/vga_rig.h"

using namespace umbra;

namespace {

// The four planes' bytes at one address, plane 0 lowest.
u32 planes_at(VgaRig& v, u32 address) {
  u32 word = 0;
  for (u8 plane = 0; plane < 4; ++plane) {
    v.gc(4, plane);
    word |= v.read(0xa0000 + address) << (8 * plane);
  }
  return word;
}

void fill_planes(VgaRig& v, u32 address, u32 word) {
  v.gc(1, 0);
  v.gc(3, 0);
  v.gc(5, 0);
  v.gc(8, 0xff);
  for (u8 plane = 0; plane < 4; ++plane) {
    v.seq(2, static_cast<u8>(1 << plane));
    v.write(0xa0000 + address, word >> (8 * plane) & 0xff);
  }
  v.seq(2, 0x0f);
}

}  // namespace

TEST_CASE("Write mode 0 rotates, sets and resets, combines with the latches and keeps masked bits") {
  VgaRig v;
  v.set_mode(kMode12);
  fill_planes(v, 100, 0x0ff0cc33);
  CHECK(planes_at(v, 100) == 0x0ff0cc33);

  v.read(0xa0000 + 100);  // loads the latches
  v.gc(8, 0x0f);
  v.write(0xa0000 + 100, 0xff);
  CHECK(planes_at(v, 100) == 0x0fffcf3f);

  fill_planes(v, 100, 0x0ff0cc33);
  v.read(0xa0000 + 100);
  v.gc(0, 0x05);
  v.gc(1, 0x07);  // planes 0 and 2 become ones, 1 zeros, 3 the processor's byte rotated by 4
  v.gc(3, 0x04);
  v.write(0xa0000 + 100, 0x12);
  CHECK(planes_at(v, 100) == 0x21ff00ff);

  const struct {
    u8 function;
    u32 want;
  } kCases[] = {{0x08, 0x0a'a0'88'22}, {0x10, 0xaf'fa'ee'bb}, {0x18, 0xa5'5a'66'99}};
  for (const auto& c : kCases) {
    fill_planes(v, 100, 0x0ff0cc33);
    v.read(0xa0000 + 100);
    v.gc(3, c.function);
    v.write(0xa0000 + 100, 0xaa);
    CHECK(planes_at(v, 100) == c.want);
  }
}

TEST_CASE("Write mode 1 copies the latches into the chosen planes") {
  VgaRig v;
  v.set_mode(kMode12);
  fill_planes(v, 5, 0x44332211);
  fill_planes(v, 6, 0);
  v.gc(8, 0x00);  // has no say in write mode 1
  v.read(0xa0005);
  v.gc(5, 1);
  v.seq(2, 0x0b);
  v.write(0xa0006, 0xff);
  CHECK(planes_at(v, 6) == 0x44002211);
}

TEST_CASE("Write mode 2 spreads four bits over the planes under the bit mask") {
  VgaRig v;
  v.set_mode(kMode12);
  fill_planes(v, 7, 0xaaaaaaaa);
  v.read(0xa0007);
  v.gc(5, 2);
  v.gc(8, 0xf0);
  v.write(0xa0007, 0x36);
  CHECK(planes_at(v, 7) == 0x0afafa0a);
}

TEST_CASE("Write mode 3 draws set/reset where the rotated byte and the bit mask agree") {
  VgaRig v;
  v.set_mode(kMode12);
  fill_planes(v, 8, 0x55555555);
  v.read(0xa0008);
  v.gc(0, 0x09);
  v.gc(1, 0x00);  // enable has no say in write mode 3
  v.gc(3, 0x01);
  v.gc(5, 3);
  v.gc(8, 0x3c);
  v.write(0xa0008, 0xf0);  // rotated: 78; masked: 38
  CHECK(planes_at(v, 8) == 0x7d45457d);
}

TEST_CASE("Read mode 1 compares colours in the planes that matter") {
  VgaRig v;
  v.set_mode(kMode12);
  fill_planes(v, 9, 0x0f'33'55'f0);
  v.gc(2, 0x05);
  v.gc(7, 0x0f);
  v.gc(5, 0x08);
  CHECK(v.read(0xa0009) == (0xf0 & ~0x55 & 0x33 & ~0x0f & 0xff));
  v.gc(7, 0x01);
  CHECK(v.read(0xa0009) == 0xf0);
  v.gc(7, 0x00);
  CHECK(v.read(0xa0009) == 0xff);
}

TEST_CASE("Accesses of two and four bytes do what as many single ones do") {
  VgaRig v;
  v.set_mode(kMode12);
  v.write(0xa0010, 0x44332211, 4);
  CHECK(v.read(0xa0012, 2) == 0x4433);
  CHECK(v.read(0xa0011) == 0x22);
  CHECK(v.memory[0x12 * 4 + 3] == 0x33);
}

TEST_CASE("Odd/even text memory puts characters in plane 0 and attributes in plane 1") {
  VgaRig v;
  v.set_mode(kMode03);
  v.write(0xb8000, 0x1f41, 2);
  v.write(0xb8002, 0x2f42, 2);
  CHECK(v.read(0xb8000, 4) == 0x2f421f41);
  CHECK(v.memory[0] == 0x41);
  CHECK(v.memory[1] == 0x1f);
  CHECK(v.memory[2 * 4] == 0x42);  // the plane's address is the processor's, less its lowest bit
  CHECK(v.read(0xa0000) == 0xff);  // not decoded by this map
  CHECK(v.read(0xb7fff) == 0xff);
}

TEST_CASE("Each memory map decodes its own part of the window") {
  VgaRig v;
  v.set_mode(kMode12);
  const struct {
    u8 map;
    u32 first, last;
  } kMaps[] = {{0, 0xa0000, 0xbffff}, {1, 0xa0000, 0xaffff}, {2, 0xb0000, 0xb7fff}, {3, 0xb8000, 0xbffff}};
  for (const auto& m : kMaps) {
    v.gc(6, static_cast<u8>(m.map << 2 | 1));
    v.write(m.first, 0x5a);
    CHECK(v.read(m.first) == 0x5a);
    v.write(m.last, 0xa5);
    CHECK(v.read(m.last) == 0xa5);
    if (m.first > 0xa0000) CHECK(v.read(m.first - 1) == 0xff);
    if (m.last < 0xbffff) CHECK(v.read(m.last + 1) == 0xff);
  }
  v.out(0x3c2, 0x61);  // memory access off
  CHECK(v.read(0xb8000) == 0xff);
}

TEST_CASE("Chain-4 memory is linear and offered for direct mapping") {
  VgaRig v;
  int changes = 0;
  v.vga.on_window_change([&] { ++changes; });
  v.set_mode(kMode12);
  CHECK(!v.vga.direct_window());
  CHECK(changes == 0);
  v.set_mode(kMode13);
  REQUIRE(v.vga.direct_window());
  CHECK(changes > 0);
  CHECK(v.vga.direct_window()->host == v.memory.data());
  CHECK(v.vga.direct_window()->size == 0x10000);
  for (u32 i = 0; i < 16; ++i) v.write(0xa0000 + i, i + 1);
  for (u32 i = 0; i < 16; ++i) CHECK(v.memory[i] == i + 1);
  CHECK(v.read(0xa0004, 4) == 0x08070605);
  v.seq(2, 0x05);  // with planes masked it is not plain memory
  CHECK(!v.vga.direct_window());
  v.write(0xa0000, 0xeeeeeeee, 4);
  CHECK(v.read(0xa0000, 4) == 0x04ee02ee);
}

TEST_CASE("The VBE bank moves the window through memory, for planes as well") {
  VgaRig v;
  v.set_mode(kMode03);
  v.set_vbe(1024, 768, 8);
  v.dispi(VbeRegs::kBank, 3);
  REQUIRE(v.vga.direct_window());
  CHECK(v.vga.direct_window()->host == v.memory.data() + 0x30000);
  v.write(0xa0001, 0x77);
  CHECK(v.memory[0x30001] == 0x77);
  v.set_mode(kMode12);
  v.set_vbe(1024, 768, 4);
  CHECK(!v.vga.direct_window());
  v.dispi(VbeRegs::kBank, 1);
  v.write(0xa0002, 0x81);
  CHECK(v.memory[(0x10002) * 4 + 3] == 0x81);
  v.dispi(VbeRegs::kEnable, 0);
  v.write(0xa0002, 0x42);
  CHECK(v.memory[2 * 4] == 0x42);
}

TEST_CASE("However the registers stand, wide accesses do what bytes do one after the other") {
  VgaRig wide, narrow;
  std::mt19937 random(3);
  const auto both = [&](auto f) { f(wide), f(narrow); };
  for (VgaRig* v : {&wide, &narrow}) {
    std::mt19937 fill(4);
    for (u32 i = 0; i < 256u << 10; i += 4) {
      const u32 word = static_cast<u32>(fill());
      std::memcpy(v->memory.data() + i, &word, 4);
    }
  }
  const VgaMode kModes[] = {kMode03, kMode04, kMode06, kMode0d, kMode12, kMode13};
  for (u32 n = 0; n < 3000; ++n) {
    const u32 r = static_cast<u32>(random());
    if (n % 50 == 0) both([&](VgaRig& v) { v.set_mode(kModes[r % 6]); });
    const u8 index = static_cast<u8>(r >> 8 & 15), value = static_cast<u8>(r >> 16);
    if (n % 3 == 0 && index < 9) both([&](VgaRig& v) { v.gc(index, value); });
    if (n % 7 == 0 && (index & 2) != 0) both([&](VgaRig& v) { v.seq(index & 4 ? 4 : 2, value); });
    if (n % 90 == 80)
      both([&](VgaRig& v) { r % 2 != 0 ? v.set_vbe(640, 480, r % 4 == 1 ? 4 : 8) : v.dispi(VbeRegs::kEnable, 0); });
    const u32 size = 1u << (r >> 4 & 3) % 3, at = 0xa0000 + static_cast<u32>(random()) % (0x20000 - 3);
    const u32 data = static_cast<u32>(random());
    if (r % 3 == 0) {
      u32 bytes = 0;
      for (u32 i = 0; i < size; ++i) bytes |= narrow.read(at + i) << (8 * i);
      REQUIRE(wide.read(at, size) == bytes);
    } else {
      wide.write(at, size == 4 ? data : data & ((1u << 8 * size) - 1), size);
      for (u32 i = 0; i < size; ++i) narrow.write(at + i, data >> (8 * i) & 0xff);
    }
    if (n % 100 == 0) REQUIRE(wide.memory == narrow.memory);
  }
  REQUIRE(wide.memory == narrow.memory);
}
