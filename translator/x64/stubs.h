// The hand-written passages between C++ and generated code.
#pragma once

#include "translator/lowering.h"
#include "translator/x64/segment_stubs.h"
#include "translator/x64/string_stubs.h"

namespace umbra::x64 {

struct Stubs {
  const u8* miss = nullptr;          // the code base itself: EIP in R11, everything else the guest's
  const u8* poll = nullptr;          // likewise
  const u8* callout = nullptr;       // called on the C++ stack with a Site* in R10; returns with guest registers loaded
  const u8* shortcut = nullptr;      // likewise, for a site that has one
  const u8* missed = nullptr;        // jumped to with a site's number in R8
  const u8* missed_saved = nullptr;  // likewise, flags and RAX as Writer::spare_flags leaves them
  const u8* link = nullptr;          // an exit's number in R8, EIP in R11
  const u8* dispatch = nullptr;      // EIP in R11
  const u8* far = nullptr;           // a real or V86 selector in R9, EIP in R11: to there
  const u8* strings[kStringStubs] = {};  // see string_stubs.cpp
  SegmentStubs segments;                 // see segment_stubs.cpp
  const u8* cpuid = nullptr;             // called as the former; its misses are missed_saved's
  const u8* exit = nullptr;              // back to enter()'s caller
  void (*enter)(CpuState* state, const u8* code_base, const u8* target) = nullptr;
};

Stubs emit_stubs(CodeCache& cache, const Entries& entries);

}  // namespace umbra::x64
