// Proves of emitted code, independently of what emitted it, that it stays in its cage: it reads and writes memory only
// through GS (the window), a shadow entry, CpuState or the Context; it has no privileged, system-call or stack
// instruction; it leaves only by the stubs and the dispatcher; it never changes the registers that hold the cage up.
#pragma once

#include <span>
#include <string>

#include "translator/x64/stubs.h"

namespace umbra::x64 {

// Empty, or the first offence as text. `code` lies where it will run.
std::string verify(std::span<const u8> code, const Stubs& stubs);
std::string verify(const Block& block, const Stubs& stubs);  // the same, and of its faults (verify_faults.h)

}  // namespace umbra::x64
