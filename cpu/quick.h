// The common case of what kernels do all day: segment loads, system calls, interrupts and their returns, from segments,
// gates and stacks of which nothing special is to be said. Each function either does exactly what the general one does
// (segments.cpp, iret.cpp, exceptions.cpp) and is true, or is false, has changed nothing, and the general one must run.
//
// They look at descriptors, frames and the TSS through shadow entries that exist already, and remember what descriptors
// they have seen: a segment is a function of selector and descriptor, so equal bytes give the same again. They never
// throw, and neither they nor what they call use vector registers (the compiler is told so): generated code calls them
// with the guest's x87 and SSE state in the host's units.
#pragma once

#include "cpu/cpu.h"

namespace umbra::quick {

// ES, DS, FS or GS.
bool load_segment(Cpu& cpu, SegReg reg, u16 selector);
bool sysenter(Cpu& cpu);
bool sysexit(Cpu& cpu);
bool iret(Cpu& cpu);  // 32-bit operand size
// Through a 32-bit interrupt or trap gate. s.eip is the return address.
bool interrupt(Cpu& cpu, u8 vector, Cpu::Source source);
// Cpu::deliver.
bool deliver(Cpu& cpu, const GuestFault& fault);

}  // namespace umbra::quick
