// Proves of emitted code, independently of what emitted it, that an instruction can be given up wherever it may be: at
// each access through the window, which may fault, and at each jump to the stubs of missed instructions, nothing that
// the guest sees has changed, the registers are in place, and the guest's flags are where the mark or the stub says.
#pragma once

#include <string>

#include "translator/block.h"
#include "translator/x64/disassembly.h"
#include "translator/x64/stubs.h"

namespace umbra::x64 {

// Empty, or the first offence as text. `listing` is of the block's code.
std::string verify_faults(const Block& block, Disassembly& listing, const Stubs& stubs);

}  // namespace umbra::x64
