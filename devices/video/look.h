// Everything but video memory that decides the picture, worked out from the registers once per frame. Two equal looks
// over equal memory give equal pictures, which is how an unchanged screen costs next to nothing.
#pragma once

#include <array>

#include "devices/video/screen.h"
#include "devices/video/vga_regs.h"

namespace umbra {

struct Look {
  enum class Kind : u8 { kBlank, kText, kPlanes, kPairs, kBytes, kVbe8, kVbe15, kVbe16, kVbe24, kVbe32 };
  Kind kind = Kind::kBlank;
  u32 width = 0, height = 0;  // of the frame, in dots and scan lines

  // The CRTC's walk through memory. For VBE with 8 bits and more, `start` and `pitch` are in bytes.
  u32 start = 0, pitch = 0, columns = 0;
  u32 line_compare = 0;
  u8 first_row = 0, last_row = 0;  // of the scan lines in a character row
  bool double_scan = false;
  bool word_addresses = false, doubleword_addresses = false, wrap_at_64k = false;
  bool row_bit13 = false, row_bit14 = false;  // row scan bits stand in for address bits (CGA, Hercules)
  u32 address_mask = 0xffff;
  u8 repeat = 1;  // dots per pixel
  u8 pan = 0;     // pixels
  bool pan_stops_at_split = false;

  // Text.
  u8 char_dots = 8;
  bool line_graphics = false;  // the ninth dot of C0–DF repeats the eighth
  bool blink = false;          // attribute bit 7 (graphics: plane 3) blinks
  bool blink_off = false;
  std::array<u32, 2> font{};  // plane 2 offsets, chosen by attribute bit 3
  u8 underline = 0;
  bool cursor = false;
  u8 cursor_top = 0, cursor_bottom = 0;
  u32 cursor_at = 0;

  std::array<u32, 256> colours{};  // 0x00RRGGBB; text and planes use the first 16

  bool operator==(const Look&) const = default;
  bool vbe() const { return kind >= Kind::kVbe8; }
  u32 address(u32 counter, u32 row) const;  // the word that the CRTC fetches
};

Look look_at(const VgaRegs& regs, const VbeRegs& vbe, u64 frame_number, u32 memory_size);

// Draws the whole picture. `memory` holds at least (address_mask + 1) words; for VBE, `draw_vbe_line` reads
// width * bits / 8 bytes.
void draw(const Look& look, const u8* memory, Frame& frame);
void draw_vbe_line(const Look& look, const u8* source, u32* row);
u32 vbe_line_bytes(const Look& look);  // of the visible part

}  // namespace umbra
