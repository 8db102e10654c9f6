#pragma once

#include "translator/x64/regs.h"

namespace umbra::x64 {

// What a stub passes over behind the call when it has not done the load itself: one instruction.
inline constexpr u32 kSegmentStubSkips = 4;

// For ES, DS, FS and GS, where generated code finds them; null for the others.
struct SegmentStubs {
  const u8* at[2][kSegCount] = {};  // the second ones are Mode::free_fs_gs's
  const u8* of(unsigned seg, bool free) const { return at[free && seg >= kFs][seg]; }
};
void emit_segment_stubs(x86::Assembler& a, const u8* start, asmjit::Label shortcut, SegmentStubs& stubs);

}  // namespace umbra::x64
