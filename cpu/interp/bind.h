// From a decoded instruction to the function that executes it.
#pragma once

#include "cpu/insn.h"

namespace umbra {

// The handler for this operand form, from isa.def's interpreter column; for op kInvalid one that raises #UD (or #GP
// for an instruction that is too long). Translators call it for callouts.
Handler bind(const Insn& insn);

}  // namespace umbra
