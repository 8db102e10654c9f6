#include <algorithm>

#include "cpu/base/log.h"
#include "frontend/terminal.h"

namespace umbra {
namespace {

// The VGA counts blue, green, red; terminals count red, green, blue.
constexpr u8 kAnsi[8] = {0, 4, 2, 6, 1, 5, 3, 7};

std::string colours(u8 attribute) {
  const u8 ink = attribute & 15;
  return format("\x1b[0;%d;%dm", (ink & 8 ? 90 : 30) + kAnsi[ink & 7], 40 + kAnsi[attribute >> 4 & 7]);
}

// The average of what lies under one of columns x rows boxes.
u32 box_colour(const Frame& f, u32 x, u32 y, u32 columns, u32 rows) {
  const u32 x0 = x * f.width / columns, x1 = std::max(x0 + 1, (x + 1) * f.width / columns);
  const u32 y0 = y * f.height / rows, y1 = std::max(y0 + 1, (y + 1) * f.height / rows);
  u64 red = 0, green = 0, blue = 0;
  for (u32 v = y0; v < y1; ++v) {
    for (u32 u = x0; u < x1; ++u) {
      const u32 p = f.pixels[std::size_t{v} * f.width + u];
      red += p >> 16 & 0xff;
      green += p >> 8 & 0xff;
      blue += p & 0xff;
    }
  }
  const u64 count = u64{x1 - x0} * (y1 - y0);
  return static_cast<u32>(red / count << 16 | green / count << 8 | blue / count);
}

}  // namespace

void TerminalPainter::resize(u32 columns, u32 rows) {
  columns_ = std::max(columns, 1u);
  rows_ = std::max(rows, 1u);
  drawn_.clear();
}

std::string TerminalPainter::text_row(const TextScreen& text, u32 row) const {
  std::string out;
  int attribute = -1;
  const u32 shown = std::min(text.columns, columns_);
  for (u32 column = 0; column < shown; ++column) {
    const TextCell& cell = text.cells[std::size_t{row} * text.columns + column];
    if (cell.attribute != attribute) {
      out += colours(cell.attribute);
      attribute = cell.attribute;
    }
    out += to_utf8(cell.character);
  }
  out += "\x1b[0m";
  if (shown < columns_) out += "\x1b[K";  // at the full width it would take the last character away
  return out;
}

std::string TerminalPainter::graphics_row(const Frame& frame, u32 row) const {
  std::string out;
  u32 upper = ~0u, lower = ~0u;
  for (u32 column = 0; column < columns_; ++column) {
    const u32 u = box_colour(frame, column, row * 2, columns_, rows_ * 2);
    const u32 l = box_colour(frame, column, row * 2 + 1, columns_, rows_ * 2);
    if (u != upper) out += format("\x1b[38;2;%u;%u;%um", u >> 16, u >> 8 & 0xff, u & 0xff);
    if (l != lower) out += format("\x1b[48;2;%u;%u;%um", l >> 16, l >> 8 & 0xff, l & 0xff);
    upper = u;
    lower = l;
    out += "▀";
  }
  return out + "\x1b[0m";
}

std::string TerminalPainter::paint(const TerminalPicture& picture) {
  const TextScreen& text = picture.text;
  const Frame& frame = picture.frame;
  const bool graphics = text.columns == 0;
  std::string out;
  if (drawn_.empty()) {
    out += "\x1b[0m\x1b[2J";
    drawn_.assign(rows_, "");
    cursor_known_ = false;
  }
  for (u32 row = 0; row < rows_; ++row) {
    std::string line = "\x1b[0m\x1b[K";
    if (!graphics && row < text.rows) line = text_row(text, row);
    if (graphics && frame.width >= columns_ && frame.height >= rows_ * 2) line = graphics_row(frame, row);
    if (line == drawn_[row]) continue;
    out += format("\x1b[%u;1H", row + 1) + line;
    drawn_[row] = std::move(line);
  }
  const bool cursor = !graphics && text.cursor_visible && text.cursor_row < rows_ && text.cursor_column < columns_;
  if (!cursor_known_ || cursor != cursor_visible_) out += cursor ? "\x1b[?25h" : "\x1b[?25l";
  cursor_known_ = true;
  cursor_visible_ = cursor;
  if (cursor) out += format("\x1b[%u;%uH", text.cursor_row + 1, text.cursor_column + 1);
  return out;
}

}  // namespace umbra
