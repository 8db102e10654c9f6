// The sequences are those of xterm and of the Linux console (console_codes(4), ctlseqs).
#include <algorithm>
#include <cstdlib>

#include "frontend/terminal.h"

namespace umbra {
namespace {

constexpr Key kEsc = 0x01, kBackspace = 0x0e, kTab = 0x0f, kEnter = 0x1c, kCtrl = 0x1d, kShift = 0x2a, kAlt = 0x38,
              kSpace = 0x39;
constexpr u8 kWayOut = 0x01;  // Ctrl-A

struct Row {  // consecutive make codes of a US keyboard
  Key first;
  std::string_view plain, shifted;
};
constexpr Row kRows[] = {{0x02, "1234567890-=", "!@#$%^&*()_+"},
                         {0x10, "qwertyuiop[]", "QWERTYUIOP{}"},
                         {0x1e, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
                         {0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"}};

Key letter_key(char character, bool& shift) {
  if (character == ' ') return kSpace;
  for (const Row& row : kRows) {
    if (const auto at = row.plain.find(character); at != std::string_view::npos)
      return static_cast<Key>(row.first + at);
    if (const auto at = row.shifted.find(character); at != std::string_view::npos) {
      shift = true;
      return static_cast<Key>(row.first + at);
    }
  }
  return kKeyNone;
}

Key final_letter_key(char letter) {  // CSI … letter and SS3 letter
  switch (letter) {
    case 'A':
      return 0xc8;  // up
    case 'B':
      return 0xd0;
    case 'C':
      return 0xcd;
    case 'D':
      return 0xcb;
    case 'F':
      return 0xcf;  // end
    case 'H':
      return 0xc7;  // home
    case 'P':
      return 0x3b;  // F1
    case 'Q':
      return 0x3c;
    case 'R':
      return 0x3d;
    case 'S':
      return 0x3e;
    case 'Z':
      return kTab;  // with shift
  }
  return kKeyNone;
}

Key number_key(int number) {  // CSI number ~
  constexpr Key kNumbers[25] = {0,    0xc7, 0xd2, 0xd3, 0xcf, 0xc9, 0xd1, 0xc7, 0xcf, 0, 0,    0x3b, 0x3c,
                                0x3d, 0x3e, 0x3f, 0,    0x40, 0x41, 0x42, 0x43, 0x44, 0, 0x57, 0x58};
  return number >= 0 && number < 25 ? kNumbers[number] : kKeyNone;
}

}  // namespace

void TerminalKeys::press(std::vector<Event>& out, Key key, bool shift, bool ctrl, bool alt) const {
  if (key == kKeyNone) return;
  const struct {
    Key key;
    bool on;
  } modifiers[] = {{kShift, shift}, {kCtrl, ctrl}, {kAlt, alt}};
  for (const auto& m : modifiers)
    if (m.on) out.push_back({m.key, true});
  out.push_back({key, true});
  out.push_back({key, false});
  for (const auto& m : modifiers)
    if (m.on) out.push_back({m.key, false});
}

void TerminalKeys::character(std::vector<Event>& out, u8 byte, bool alt) const {
  bool shift = false;
  switch (byte) {
    case '\r':
    case '\n':
      return press(out, kEnter, false, false, alt);
    case '\t':
      return press(out, kTab, false, false, alt);
    case 0x1b:
      return press(out, kEsc, false, false, alt);
    case 0x08:
    case 0x7f:
      return press(out, kBackspace, false, false, alt);
    case 0x00:
      return press(out, kSpace, false, true, alt);
  }
  if (byte < 0x1b) return press(out, letter_key(static_cast<char>('a' + byte - 1), shift), false, true, alt);
  if (byte < 0x20) return press(out, letter_key("\\]6-"[byte - 0x1c], shift), false, true, alt);
  if (byte >= 0x80) return;  // no US key for it
  const Key key = letter_key(static_cast<char>(byte), shift);
  press(out, key, shift, false, alt);
}

bool TerminalKeys::sequence(std::vector<Event>& out) {
  if (pending_.size() < 2) return false;
  const char kind = pending_[1];
  if (kind != '[' && kind != 'O') {
    character(out, static_cast<u8>(kind), true);
    pending_.erase(0, 2);
    return true;
  }
  std::size_t end = 2;
  if (kind == '[' && pending_.size() > 2 && pending_[2] == '[') {  // Linux console: ESC [ [ A … E are F1 … F5
    if (pending_.size() < 4) return false;
    if (pending_[3] >= 'A' && pending_[3] <= 'E')
      press(out, static_cast<Key>(0x3b + pending_[3] - 'A'), false, false, false);
    pending_.erase(0, 4);
    return true;
  }
  while (end < pending_.size() && (pending_[end] == ';' || (pending_[end] >= '0' && pending_[end] <= '9'))) ++end;
  if (end == pending_.size()) {
    pending_.resize(std::min<std::size_t>(end, 10));  // numbers of no key are read over
    return false;
  }
  const char letter = pending_[end];
  const int number = std::atoi(pending_.c_str() + 2);
  const auto semicolon = pending_.find(';');
  const int modifiers = semicolon < end ? std::atoi(pending_.c_str() + semicolon + 1) - 1 : 0;
  const Key key = letter == '~' ? number_key(number) : final_letter_key(letter);
  press(out, key, (modifiers & 1) != 0 || letter == 'Z', (modifiers & 4) != 0, (modifiers & 2) != 0);
  pending_.erase(0, end + 1);
  return true;
}

std::vector<TerminalKeys::Event> TerminalKeys::feed(std::string_view bytes) {
  std::vector<Event> out;
  for (const char c : bytes) {
    const u8 byte = static_cast<u8>(c);
    if (!pending_.empty()) {
      pending_ += c;
      sequence(out);
    } else if (command_) {
      command_ = false;
      if (c == 'x') quit_ = true;
      if (byte == kWayOut || c == 'a') character(out, kWayOut, false);
    } else if (byte == kWayOut) {
      command_ = true;
    } else if (byte == 0x1b) {
      pending_ = c;
    } else {
      character(out, byte, false);
    }
  }
  return out;
}

std::vector<TerminalKeys::Event> TerminalKeys::flush() {
  std::vector<Event> out;
  if (!pending_.empty()) press(out, kEsc, false, false, false);
  for (std::size_t i = 1; i < pending_.size(); ++i) character(out, static_cast<u8>(pending_[i]), false);
  pending_.clear();
  return out;
}

}  // namespace umbra
