// What an instruction reads and writes: for the translators' liveness, and for tests that generate streams. Derived
// from Zydis' operand actions and flag masks, hidden operands included, with overrides where Zydis or the manual is
// vaguer than the processor.
#pragma once

#include "cpu/insn.h"

namespace umbra {

struct Effects {
  // General registers by number, one bit each; a part counts as the whole.
  u16 reads = 0;
  u16 writes = 0;  // may be written
  u16 kills = 0;   // all 32 bits are always overwritten, whatever they were
  // EFLAGS bits.
  u32 flags_read = 0;
  u32 flags_written = 0;  // may be changed, or become undefined
  u32 flags_killed = 0;   // never show their old value afterwards
  u8 segments_read = 0;   // by SegReg; the segment of a memory access is read
  u8 segments_written = 0;
  u16 xmm_reads = 0;
  u16 xmm_writes = 0;
  bool x87 = false;  // touches x87 or MMX state
  bool loads = false;
  bool stores = false;
  bool may_fault = false;  // beyond fetching it
};

// Anything that cannot be told (an invalid instruction, an encoding that Zydis reads differently) reads and writes all.
Effects effects(const Insn& insn, CodeSize size);

}  // namespace umbra
