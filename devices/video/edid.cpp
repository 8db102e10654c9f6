#include "devices/video/edid.h"

#include <algorithm>
#include <string_view>

namespace umbra {
namespace {

constexpr u16 maker(char a, char b, char c) {  // three letters of five bits
  return static_cast<u16>((a - '@') << 10 | (b - '@') << 5 | (c - '@'));
}

void put_text(u8* block, u8 kind, std::string_view text) {
  block[3] = kind;
  std::fill(block + 5, block + 18, ' ');
  std::copy(text.begin(), text.end(), block + 5);
  block[5 + text.size()] = '\n';
}

// VESA's 1024x768 at 60 Hz: 65 MHz, 1344 by 806 in all. The preferred mode: large enough for a desktop, and small
// enough that drawing it in software is no burden.
constexpr u8 kPreferred[18] = {0x64, 0x19, 0x00, 0x40, 0x41, 0x00, 0x26, 0x30, 0x18,
                               0x88, 0x36, 0x00, 0x04, 0xc3, 0x10, 0x00, 0x00, 0x18};

}  // namespace

std::array<u8, 128> make_edid() {
  std::array<u8, 128> e{};
  std::fill(e.begin() + 1, e.begin() + 7, 0xff);
  constexpr u16 kMaker = maker('U', 'M', 'B');
  e[8] = kMaker >> 8;
  e[9] = kMaker & 0xff;
  e[10] = 0x01;  // product
  e[16] = 1;     // week and year of making
  e[17] = 2026 - 1990;
  e[18] = 1;  // version 1.3
  e[19] = 3;
  e[20] = 0x80;  // digital
  e[21] = 26;    // centimetres, for 100 dots per inch
  e[22] = 20;
  e[23] = 120;   // gamma 2.2
  e[24] = 0x0e;  // RGB, sRGB primaries, preferred timing given
  constexpr u8 kSrgb[10] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
  std::copy(std::begin(kSrgb), std::end(kSrgb), e.begin() + 25);
  e[35] = 0x21;  // established: 640x480 and 800x600 at 60 Hz
  e[36] = 0x08;  // 1024x768 at 60 Hz
  constexpr u8 kStandard[16] = {
      0x61, 0x40, 0x81, 0x80, 0x81, 0x00, 0xa9, 0x40,   // 1024x768 1280x1024 1280x800 1600x1200
      0xd1, 0xc0, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01};  // 1920x1080
  std::copy(std::begin(kStandard), std::end(kStandard), e.begin() + 38);
  std::copy(std::begin(kPreferred), std::end(kPreferred), e.begin() + 54);
  put_text(&e[72], 0xfc, "Umbra");
  put_text(&e[90], 0xff, "1");
  constexpr u8 kLimits[18] = {0, 0, 0, 0xfd, 0, 50, 125, 30, 160, 30, 0, '\n', ' ', ' ', ' ', ' ', ' ', ' '};
  std::copy(std::begin(kLimits), std::end(kLimits), e.begin() + 108);
  u8 sum = 0;
  for (u8 byte : e) sum = static_cast<u8>(sum + byte);
  e[127] = static_cast<u8>(-sum);
  return e;
}

}  // namespace umbra
