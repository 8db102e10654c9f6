// What goes into one run of one instruction, and what comes out, on either side. The guest's ring-3 world is the same
// on both: a region of linear memory with data, stack and code pages and unmapped pages around each, flat 32-bit
// segments or 16-bit segments of 64 KiB based at the region.
#pragma once

#include "cpu/regs.h"

namespace umbra::oracle {

inline constexpr u32 kRegion = 0x20000000;
inline constexpr u32 kRegionSize = 0xa000;
inline constexpr u32 kDataAt = 0x1000, kDataSize = 0x2000;  // offsets in the region
inline constexpr u32 kStackAt = 0x5000, kStackSize = 0x1000;
inline constexpr u32 kCodeAt = 0x8000, kCodeSize = 0x1000;
inline constexpr u32 kEntry = kCodeAt + 0x800;  // of the instruction

inline constexpr u16 kCode32 = 0x23, kData32 = 0x2b;  // a Linux process' own
inline constexpr u16 kCode16 = 0x07, kData16 = 0x0f;  // the first two in its LDT

// A 16-bit stack segment takes SP from an IRET; the upper half of ESP stays what the host's stub had.
inline constexpr u32 kEspHigh16 = 0x08000000;

struct Input {
  u32 gpr[8] = {};
  u32 eflags = 0;  // arithmetic flags and DF; IF is always set
  bool wide = true;
  bool branches = false;  // the code page is full of INT3, and where it stops is part of the result
  FpuState fpu;
};

struct Outcome {
  u32 vector = 0;  // kBreakpoint: the instruction ended and INT3 behind it was met
  u32 error = 0;
  u32 cr2 = 0;  // of a page fault
  u32 gpr[8] = {};
  u32 eip = 0;
  u32 eflags = 0;
  FpuState fpu;
};

constexpr u32 base_of(bool wide) { return wide ? 0 : kRegion; }
constexpr u32 offset_in(bool wide, u32 region_offset) { return (wide ? kRegion : 0) + region_offset; }

}  // namespace umbra::oracle
