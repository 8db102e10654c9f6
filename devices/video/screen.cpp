#include "devices/video/screen.h"

namespace umbra {
namespace {

// Code page 437 as the VGA's font draws it: 00–1F are pictures, not controls.
constexpr char16_t kCp437[] =
    u" ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
    u" !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~⌂"
    u"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
    u"└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";
static_assert(sizeof kCp437 == 257 * sizeof(char16_t));

void append(std::string& out, u8 cp437) {
  const u32 c = kCp437[cp437];
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

}  // namespace

std::string to_utf8(u8 cp437) {
  std::string out;
  append(out, cp437);
  return out;
}

std::string to_utf8(const TextScreen& text) {
  std::string out;
  for (u32 row = 0; row < text.rows; ++row) {
    if (row > 0) out += '\n';
    u32 used = text.columns;
    const TextCell* cells = text.cells.data() + std::size_t{row} * text.columns;
    while (used > 0 && (cells[used - 1].character == ' ' || cells[used - 1].character == 0)) --used;
    for (u32 column = 0; column < used; ++column) append(out, cells[column].character);
  }
  return out;
}

}  // namespace umbra
