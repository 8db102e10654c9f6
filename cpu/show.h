// The processor's state as text, in the layout of QEMU's `info registers`, for traces, the monitor and crash reports.
#pragma once

#include <string>

#include "cpu/regs.h"

namespace umbra {

std::string show_registers(const CpuState& s, bool a20);
std::string show_fpu(const CpuState& s);

}  // namespace umbra
