#include "devices/video/look.h"

#include <algorithm>

namespace umbra {
namespace {

u32 dac_colour(const VgaRegs& r, bool wide, u32 index) {
  const u8* entry = &r.dac[(index & r.dac_mask) * 3];
  u32 colour = 0;
  for (int i = 0; i < 3; ++i) {
    const u32 six = entry[i] & 0x3f;
    colour = colour << 8 | (wide ? entry[i] : six << 2 | six >> 4);
  }
  return colour;
}

u32 attribute_colour(const VgaRegs& r, bool wide, u32 index) {
  u32 p = r.attr[index & r.attr[0x12] & 15] & 0x3f;
  if (bit(r.attr[0x10], 7)) p = (p & 0x0f) | (r.attr[0x14] & 3u) << 4;
  return dac_colour(r, wide, p | (r.attr[0x14] & 0x0cu) << 4);
}

void sixteen_colours(Look& look, const VgaRegs& r, bool wide) {
  for (u32 i = 0; i < 16; ++i) {
    u32 index = i;
    if (look.blink && look.kind != Look::Kind::kText) index = look.blink_off ? i ^ 8 : i | 8;
    look.colours[i] = attribute_colour(r, wide, index);
  }
}

void all_colours(Look& look, const VgaRegs& r, bool wide) {
  for (u32 i = 0; i < 256; ++i) look.colours[i] = dac_colour(r, wide, i);
}

u32 font_offset(bool high, u32 low_two) { return low_two * 0x4000 + (high ? 0x2000 : 0); }

void text_look(Look& look, const VgaRegs& r, u64 frame) {
  look.line_graphics = bit(r.attr[0x10], 2);
  look.font = {font_offset(bit(r.seq[3], 4), bits(r.seq[3], 1, 0)),
               font_offset(bit(r.seq[3], 5), bits(r.seq[3], 3, 2))};
  look.underline = r.crtc[0x14] & 0x1f;
  look.cursor = !bit(r.crtc[0x0a], 5) && (frame & 8) == 0;
  look.cursor_top = r.crtc[0x0a] & 0x1f;
  look.cursor_bottom = r.crtc[0x0b] & 0x1f;
  look.cursor_at = (r.cursor_address() + bits(r.crtc[0x0b], 6, 5)) & 0xffff;
}

void crtc_look(Look& look, const VgaRegs& r) {
  const u8 mode = r.crtc[0x17];
  look.columns = r.columns();
  look.start = r.start_address() + bits(r.crtc[8], 6, 5);
  look.pitch = r.crtc[0x13] * 2u;
  look.line_compare = r.line_compare();
  look.last_row = r.crtc[9] & 0x1f;
  look.first_row = r.crtc[8] & 0x1f;
  look.double_scan = bit(r.crtc[9], 7);
  look.doubleword_addresses = bit(r.crtc[0x14], 6);
  look.word_addresses = !look.doubleword_addresses && !bit(mode, 6);
  look.wrap_at_64k = bit(mode, 5);
  look.row_bit13 = !bit(mode, 0);
  look.row_bit14 = !bit(mode, 1);
  look.pan_stops_at_split = bit(r.attr[0x10], 5);
  look.height = r.display_lines() * (bit(mode, 2) ? 2 : 1);
}

u8 pan_pixels(const Look& look, u8 pan) {
  if (look.kind == Look::Kind::kBytes) return bits(pan, 2, 1);
  if (look.char_dots == 9) return pan >= 8 ? 0 : pan + 1;
  return pan & 7;
}

Look vbe_look(const VgaRegs& r, const VbeRegs& vbe, u32 memory_size) {
  Look look;
  look.width = vbe.reg[VbeRegs::kXres];
  look.height = vbe.reg[VbeRegs::kYres];
  if (r.blanked()) return look;
  look.line_compare = ~0u;
  switch (vbe.reg[VbeRegs::kBpp]) {
    case 4:
      look.kind = Look::Kind::kPlanes;
      look.columns = look.width / 8;
      look.pitch = vbe.reg[VbeRegs::kVirtWidth] / 8;
      look.start = vbe.reg[VbeRegs::kYOffset] * look.pitch + vbe.reg[VbeRegs::kXOffset] / 8;
      look.pan = vbe.reg[VbeRegs::kXOffset] & 7;
      look.address_mask = memory_size / 4 - 1;
      sixteen_colours(look, r, vbe.wide_dac());
      return look;
    case 15:
      look.kind = Look::Kind::kVbe15;
      break;
    case 16:
      look.kind = Look::Kind::kVbe16;
      break;
    case 24:
      look.kind = Look::Kind::kVbe24;
      break;
    case 32:
      look.kind = Look::Kind::kVbe32;
      break;
    default:
      look.kind = Look::Kind::kVbe8;
      all_colours(look, r, vbe.wide_dac());
  }
  look.pitch = vbe.line_bytes();
  look.start = vbe.start_byte();
  return look;
}

}  // namespace

Look look_at(const VgaRegs& r, const VbeRegs& vbe, u64 frame, u32 memory_size) {
  if (vbe.enabled()) return vbe_look(r, vbe, memory_size);
  Look look;
  look.width = 720;  // of a screen that nobody has set up yet
  look.height = 400;
  if (r.crtc[1] == 0 || r.crtc[0x17] == 0) return look;
  const u8 repeat = r.half_dot_clock() ? 2 : 1;
  look.width = r.columns() * r.char_dots() * repeat;
  crtc_look(look, r);
  if (r.blanked() || bit(r.seq[1], 5)) {
    Look blank;
    blank.width = look.width;
    blank.height = look.height;
    if (r.blanked()) blank.colours[0] = dac_colour(r, vbe.wide_dac(), r.attr[0x11]);
    return blank;
  }
  look.repeat = repeat;
  look.char_dots = static_cast<u8>(r.char_dots());
  look.blink = bit(r.attr[0x10], 3);
  look.blink_off = look.blink && (frame & 16) != 0;
  if (!r.graphics()) {
    look.kind = Look::Kind::kText;
    text_look(look, r, frame);
  } else if (bit(r.gc[5], 6)) {
    look.kind = Look::Kind::kBytes;
    look.repeat *= 2;  // the DAC takes two dot clocks to gather eight bits
  } else {
    look.kind = bit(r.gc[5], 5) ? Look::Kind::kPairs : Look::Kind::kPlanes;
  }
  look.pan = pan_pixels(look, r.attr[0x13]);
  if (look.kind == Look::Kind::kBytes) {
    all_colours(look, r, vbe.wide_dac());
  } else {
    sixteen_colours(look, r, vbe.wide_dac());
  }
  return look;
}

u32 vbe_line_bytes(const Look& look) {
  switch (look.kind) {
    case Look::Kind::kVbe8:
      return look.width;
    case Look::Kind::kVbe15:
    case Look::Kind::kVbe16:
      return look.width * 2;
    case Look::Kind::kVbe24:
      return look.width * 3;
    case Look::Kind::kVbe32:
      return look.width * 4;
    default:
      return 0;
  }
}

}  // namespace umbra
