// Keys and pointer movements on their way from a display, the monitor's sendkey, or a test to the emulated keyboard
// and mouse. Keys are named by QEMU's qcode names ("a", "ret", "shift", "f1", "kp_enter").
#pragma once

#include <string_view>

#include "cpu/base/types.h"

namespace umbra {

// Key numbers are the PC's set 1 make codes; 0x80 added for those sent after E0 (so right ctrl is 0x9d).
// Pause is kKeyPause, Print Screen kKeyPrint: the keyboard knows their odd sequences.
using Key = u8;
inline constexpr Key kKeyNone = 0;
inline constexpr Key kKeyPrint = 0xb7;
inline constexpr Key kKeyPause = 0xc6;

Key key_from_name(std::string_view qcode);  // kKeyNone if there is none
std::string_view key_name(Key key);

class KeySink {
 public:
  virtual ~KeySink() = default;
  virtual void key(Key key, bool down) = 0;
};

class PointerSink {
 public:
  virtual ~PointerSink() = default;
  virtual void move(int dx, int dy, int dz) = 0;  // screen directions: right and down are positive
  virtual void buttons(u32 mask) = 0;             // bit 0 left, 1 right, 2 middle
};

}  // namespace umbra
