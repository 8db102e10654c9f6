// From words of video memory to pixels, one scan line at a time.
#include <algorithm>
#include <cstring>

#include "devices/video/scan.h"

namespace umbra {
namespace {

// Byte n of entry b is bit 7-n of b: eight pixels of one plane, leftmost first.
constexpr std::array<u64, 256> kSpread = [] {
  std::array<u64, 256> table{};
  for (u32 b = 0; b < 256; ++b)
    for (u32 n = 0; n < 8; ++n) table[b] |= u64{b >> (7 - n) & 1} << (8 * n);
  return table;
}();

u32 word_at(const u8* memory, u32 index) {
  u32 word;
  std::memcpy(&word, memory + index * 4, 4);
  return word;
}

u32* planes_pixels(const Look& look, u32 w, u32* out) {
  const u64 index =
      kSpread[w & 0xff] | kSpread[w >> 8 & 0xff] << 1 | kSpread[w >> 16 & 0xff] << 2 | kSpread[w >> 24] << 3;
  for (u32 n = 0; n < 8; ++n) *out++ = look.colours[index >> (8 * n) & 15];
  return out;
}

// CGA's two bits a pixel: planes 0 and 2 are shifted out first, then 1 and 3.
u32* pairs_pixels(const Look& look, u32 w, u32* out) {
  for (u32 half = 0; half < 2; ++half, w >>= 8)
    for (int n = 6; n >= 0; n -= 2) *out++ = look.colours[(w >> n & 3) | (w >> (16 + n) & 3) << 2];
  return out;
}

u32* bytes_pixels(const Look& look, u32 w, u32* out) {
  for (u32 n = 0; n < 4; ++n, w >>= 8) *out++ = look.colours[w & 0xff];
  return out;
}

void graphics_line(const Look& look, const u8* memory, const Scan& scan, u32* out) {
  for (u32 column = 0; column <= look.columns; ++column) {
    const u32 w = word_at(memory, look.address(scan.address + column, scan.row));
    switch (look.kind) {
      case Look::Kind::kPairs:
        out = pairs_pixels(look, w, out);
        break;
      case Look::Kind::kBytes:
        out = bytes_pixels(look, w, out);
        break;
      default:
        out = planes_pixels(look, w, out);
    }
  }
}

// The dots of one row of a character, the leftmost in bit 8.
u32 glyph_dots(const Look& look, const u8* memory, u32 character, u32 attribute, u32 row) {
  const u32 at = look.font[attribute >> 3 & 1] + character * 32 + row;
  u32 dots = u32{memory[at * 4 + 2]} << 1;
  if (look.line_graphics && character >= 0xc0 && character <= 0xdf) dots |= dots >> 1 & 1;
  if ((attribute & 0x77) == 1 && row == look.underline) dots = 0x1ff;
  if (look.blink_off && (attribute & 0x80)) dots = 0;
  return dots;
}

void text_line(const Look& look, const u8* memory, const Scan& scan, u32* out) {
  const bool cursor_row = look.cursor && scan.row >= look.cursor_top && scan.row <= look.cursor_bottom;
  for (u32 column = 0; column <= look.columns; ++column) {
    const u32 counter = scan.address + column;
    const u32 w = word_at(memory, look.address(counter, scan.row));
    const u32 attribute = w >> 8 & 0xff;
    u32 dots = glyph_dots(look, memory, w & 0xff, attribute, scan.row);
    if (cursor_row && (counter & 0xffff) == look.cursor_at) dots = 0x1ff;
    const u32 ink = look.colours[attribute & 15];
    const u32 paper = look.colours[attribute >> 4 & (look.blink ? 7 : 15)];
    for (u32 n = 0; n < look.char_dots; ++n) *out++ = dots >> (8 - n) & 1 ? ink : paper;
  }
}

void repeat_pixels(const u32* from, u32* row, u32 width, u32 repeat) {
  if (repeat == 1) {
    std::memcpy(row, from, width * sizeof(u32));
  } else {
    for (u32 x = 0; x < width; x += repeat, ++from) std::fill_n(row + x, repeat, *from);
  }
}

}  // namespace

void draw(const Look& look, const u8* memory, Frame& frame) {
  frame.width = look.width;
  frame.height = look.height;
  frame.pixels.resize(std::size_t{look.width} * look.height);
  if (look.kind == Look::Kind::kBlank) {
    std::fill(frame.pixels.begin(), frame.pixels.end(), look.colours[0]);
    return;
  }
  const bool text = look.kind == Look::Kind::kText;
  const bool rows_differ = text || look.row_bit13 || look.row_bit14;
  std::vector<u32> pixels((look.columns + 1) * std::size_t{look.char_dots});  // one column more, to pan into
  Scan drawn(look);
  u32* row = frame.pixels.data();
  for (Scan scan(look); scan.line < look.height; scan.next(), row += look.width) {
    const bool same = scan.line > 0 && scan.address == drawn.address && scan.pan == drawn.pan &&
                      (!rows_differ || scan.row == drawn.row);
    if (same) {
      std::memcpy(row, row - look.width, look.width * sizeof(u32));
      continue;
    }
    text ? text_line(look, memory, scan, pixels.data()) : graphics_line(look, memory, scan, pixels.data());
    repeat_pixels(pixels.data() + scan.pan, row, look.width, look.repeat);
    drawn.address = scan.address;
    drawn.row = scan.row;
    drawn.pan = scan.pan;
  }
}

void draw_vbe_line(const Look& look, const u8* source, u32* row) {
  const auto widen5 = [](u32 v) { return (v & 31) << 3 | (v & 31) >> 2; };
  const auto widen6 = [](u32 v) { return (v & 63) << 2 | (v & 63) >> 4; };
  switch (look.kind) {
    case Look::Kind::kVbe8:
      for (u32 x = 0; x < look.width; ++x) row[x] = look.colours[source[x]];
      break;
    case Look::Kind::kVbe15:
      for (u32 x = 0; x < look.width; ++x) {
        const u32 v = source[x * 2] | u32{source[x * 2 + 1]} << 8;
        row[x] = widen5(v >> 10) << 16 | widen5(v >> 5) << 8 | widen5(v);
      }
      break;
    case Look::Kind::kVbe16:
      for (u32 x = 0; x < look.width; ++x) {
        const u32 v = source[x * 2] | u32{source[x * 2 + 1]} << 8;
        row[x] = widen5(v >> 11) << 16 | widen6(v >> 5) << 8 | widen5(v);
      }
      break;
    case Look::Kind::kVbe24:
      for (u32 x = 0; x < look.width; ++x, source += 3) row[x] = source[0] | source[1] << 8 | source[2] << 16;
      break;
    case Look::Kind::kVbe32:
      for (u32 x = 0; x < look.width; ++x) row[x] = word_at(source, x) & 0xffffff;
      break;
    default:
      break;
  }
}

}  // namespace umbra
