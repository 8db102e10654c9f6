// What is shown, and whether it changed: registers are compared as a Look, memory with a copy.
#include <algorithm>
#include <cstring>

#include "devices/video/scan.h"
#include "devices/video/vga.h"

namespace umbra {

Look Vga::look() const { return look_at(r_, vbe_, beam_at(crt_timing(r_, vbe_), clock_.now()).frame, memory_size_); }

// The memory that an ordinary VGA mode may show is 256 KiB, fonts included, and comparing all of it takes some
// microseconds. Only VBE's four-plane modes need more, and they show one piece without wrapping.
bool Vga::memory_changed(const Look& look) {
  if (look.kind == Look::Kind::kBlank) return false;
  std::size_t first = 0, size = 256u << 10;
  if (vbe_.enabled()) {
    first = std::size_t{look.start} * 4;
    size = std::min<std::size_t>((std::size_t{look.height} * look.pitch + 1) * 4, memory_size_ - first);
  }
  if (copy_.size() == size && std::memcmp(copy_.data(), memory_ + first, size) == 0) return false;
  copy_.assign(memory_ + first, memory_ + first + size);
  return true;
}

bool Vga::render_vbe(const Look& look, Frame& frame, bool all) {
  const std::size_t bytes = vbe_line_bytes(look);
  frame.width = look.width;
  frame.height = look.height;
  frame.pixels.resize(std::size_t{look.width} * look.height);
  copy_.resize(bytes * look.height);
  bool changed = all;
  for (u32 y = 0; y < look.height; ++y) {
    const u8* line = memory_ + look.start + std::size_t{y} * look.pitch;
    u8* copy = copy_.data() + y * bytes;
    if (!all && std::memcmp(copy, line, bytes) == 0) continue;
    std::memcpy(copy, line, bytes);
    draw_vbe_line(look, line, frame.pixels.data() + std::size_t{y} * look.width);
    changed = true;
  }
  return changed;
}

bool Vga::render(Frame& frame) {
  const Look now = look();
  const bool all = frame.version == 0 || frame.version != version_ || now != shown_;
  if (now.vbe()) {
    if (!render_vbe(now, frame, all)) return false;
  } else {
    if (!memory_changed(now) && !all) return false;
    draw(now, memory_, frame);
  }
  shown_ = now;
  frame.version = ++version_;
  return true;
}

TextScreen Vga::text() const {
  TextScreen screen;
  const Look now = look_at(r_, vbe_, 0, memory_size_);  // frame 0: the cursor is in its visible phase
  if (now.kind != Look::Kind::kText) return screen;
  screen.columns = now.columns;
  for (Scan scan(now); scan.line < now.height; scan.next()) {
    if (!scan.new_row) continue;
    for (u32 column = 0; column < now.columns; ++column) {
      const u32 word = load_word(now.address(scan.address + column, scan.row));
      screen.cells.push_back({static_cast<u8>(word), static_cast<u8>(word >> 8)});
    }
    const u32 column = (now.cursor_at - scan.address) & 0xffff;
    if (now.cursor && column < now.columns) {
      screen.cursor_visible = now.cursor_top <= now.cursor_bottom && now.cursor_top <= now.last_row;
      screen.cursor_column = column;
      screen.cursor_row = screen.rows;
    }
    ++screen.rows;
  }
  return screen;
}

}  // namespace umbra
