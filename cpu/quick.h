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
// Of protected mode, in the same ring or to an outer one; `size` of the operands.
bool iret(Cpu& cpu, u32 size);
bool far_jump(Cpu& cpu, u16 selector, u32 offset);
// In the same ring. s.eip is the return address, here and below.
bool far_call(Cpu& cpu, u16 selector, u32 offset, u32 size);
bool far_return(Cpu& cpu, u32 size, u32 release);
// Through real mode's vector table.
bool real_interrupt(Cpu& cpu, u8 vector);
// Through an interrupt or trap gate.
bool interrupt(Cpu& cpu, u8 vector, Cpu::Source source);
// Cpu::deliver.
bool deliver(Cpu& cpu, const GuestFault& fault);

}  // namespace umbra::quick
