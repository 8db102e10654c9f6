// Shortcuts: the common case of a sensitive instruction, taken before its handler is asked. They leave the host's x87
// and SSE units alone, so that generated code calls them without saving those: this file, what it calls in cpu/ and
// mmu/, and nothing else, is compiled without vector registers, and nothing here throws.
#pragma once

#include "translator/block.h"

namespace umbra {

// Null if the instruction has none in this mode.
Shortcut shortcut_for(const Insn& insn, Mode mode);

// Whether guard_faults() (guard.cpp) may know that it faults.
bool is_guarded(const Insn& insn);

// False where running the instruction may change what its block's mode takes for granted.
bool keeps_mode(const Insn& insn);

}  // namespace umbra
