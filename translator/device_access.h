// Accesses to devices by plain moves. In generated code they miss the lane each time, for a device has no entry in the
// shadow table, and programs that draw on a VGA do little else.
#pragma once

#include "cpu/cpu.h"

namespace umbra {

// Does the instruction if a device that has been met lately is where its operand lies and nothing is in the way. False:
// nothing has changed.
using DeviceAccess = bool (*)(Cpu& cpu, const Insn& insn);

// Null for instructions that are no plain moves.
DeviceAccess device_access_for(const Insn& insn);

}  // namespace umbra
