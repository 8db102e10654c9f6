// The CRTC's way through a frame: which address and which row of the character each scan line shows.
#pragma once

#include "devices/video/look.h"

namespace umbra {

struct Scan {
  explicit Scan(const Look& look) : address(look.start), row(look.first_row), pan(look.pan), look_(look) {}

  u32 line = 0;
  u32 address;  // of the first column, as the CRTC counts
  u32 row;
  u32 pan;
  bool new_row = true;  // this line is the first that shows these characters

  void next() {
    new_row = false;
    if (line++ == look_.line_compare) {
      address = row = 0;
      second_ = false;
      new_row = true;
      if (look_.pan_stops_at_split) pan = 0;
    } else if (look_.double_scan && !second_) {
      second_ = true;
    } else {
      second_ = false;
      if (row == look_.last_row) {
        row = 0;
        address += look_.pitch;
        new_row = true;
      } else {
        row = (row + 1) & 0x1f;
      }
    }
  }

 private:
  const Look& look_;
  bool second_ = false;  // of the two lines of a double scan
};

inline u32 Look::address(u32 counter, u32 row) const {
  u32 at = counter;
  if (word_addresses) at = counter << 1 | (counter >> (wrap_at_64k ? 15 : 13) & 1);
  // The doubleword shift is left out (see vga.h), so the bits it would have moved are found two places lower.
  const u32 bit13 = doubleword_addresses ? 11 : 13;
  if (row_bit13) at = with_bit(at, bit13, bit(row, 0));
  if (row_bit14) at = with_bit(at, bit13 + 1, bit(row, 1));
  return at & address_mask;
}

}  // namespace umbra
