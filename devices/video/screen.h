// What a video card shows, for whoever displays it (window, terminal, screendump, VNC). The display asks for frames;
// the card renders only what changed. Everything here is called on the processor's thread (post to the clock from
// elsewhere) and the pixels are copied out by the caller before it returns to its own thread.
#pragma once

#include <string>
#include <vector>

#include "cpu/base/types.h"

namespace umbra {

struct Frame {
  u32 width = 0;
  u32 height = 0;
  std::vector<u32> pixels;  // 0x00RRGGBB, row after row
  u64 version = 0;          // the card's mark, by which it knows the frame again; 0: not rendered yet
};

struct TextCell {
  u8 character = ' ';  // code page 437
  u8 attribute = 7;
  bool operator==(const TextCell&) const = default;
};

struct TextScreen {
  u32 columns = 0;  // 0 when the card is in a graphics mode
  u32 rows = 0;
  std::vector<TextCell> cells;
  u32 cursor_column = 0, cursor_row = 0;
  bool cursor_visible = false;
};

class Screen {
 public:
  virtual ~Screen() = default;
  // Brings `frame` up to date; returns whether anything changed since the last call with the same frame.
  virtual bool render(Frame& frame) = 0;
  virtual TextScreen text() const = 0;
};

// Unicode for code page 437, as UTF-8, for terminals and tests.
std::string to_utf8(u8 cp437);
std::string to_utf8(const TextScreen& text);  // rows joined by newlines, trailing blanks removed

}  // namespace umbra
