// SDL scancodes name places on the keyboard, as the PC's make codes do: the guest's own layout decides what they mean.
#pragma once

#include "devices/input/input.h"

namespace umbra {

Key key_from_sdl(int scancode);  // kKeyNone if the PC keyboard has no such key

}  // namespace umbra
