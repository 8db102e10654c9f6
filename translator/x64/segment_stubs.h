#pragma once

#include "translator/x64/regs.h"

namespace umbra::x64 {

// What a stub passes over behind the call when it has not done the load itself: one instruction.
inline constexpr u32 kSegmentStubSkips = 4;

// For ES, DS, FS and GS, where generated code finds them.
void emit_segment_stubs(x86::Assembler& a, const u8* start, asmjit::Label shortcut, const u8** stubs);

}  // namespace umbra::x64
