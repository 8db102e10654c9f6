// The guest's text screen drawn into the terminal, as QEMU's curses display does, with nothing but escape sequences.
// Graphics are shown as well as two colours per character can: with half blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "devices/input/input.h"
#include "devices/video/screen.h"
#include "frontend/typist.h"

namespace umbra {

struct TerminalPicture {
  TextScreen text;
  Frame frame;  // when the card shows graphics
};

// Turns pictures into escape sequences, sending only rows that differ from what was drawn last.
class TerminalPainter {
 public:
  void resize(u32 columns, u32 rows);  // of the terminal; everything is drawn again
  std::string paint(const TerminalPicture& picture);

 private:
  std::string text_row(const TextScreen& text, u32 row) const;
  std::string graphics_row(const Frame& frame, u32 row) const;

  u32 columns_ = 80, rows_ = 25;
  std::vector<std::string> drawn_;
  bool cursor_known_ = false, cursor_visible_ = false;
};

// Turns what a terminal sends into keys of a US keyboard.
class TerminalKeys {
 public:
  using Event = KeyEvent;
  // Ctrl-A is the way out, as with -nographic: x quits, a second Ctrl-A goes to the guest.
  std::vector<Event> feed(std::string_view bytes);
  std::vector<Event> flush();  // no more bytes came: a lone ESC was the key
  bool quit() const { return quit_; }

 private:
  void press(std::vector<Event>& out, Key key, bool shift, bool ctrl, bool alt) const;
  void character(std::vector<Event>& out, u8 byte, bool alt) const;
  bool sequence(std::vector<Event>& out);  // of `pending_`, which starts with ESC; false: more bytes are needed

  std::string pending_;
  bool command_ = false;
  bool quit_ = false;
};

}  // namespace umbra
