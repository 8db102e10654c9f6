// What generated code reaches besides the processor's state: a small record that ends where the code begins, so that
// one register (the code base) serves for dispatch, for the record and for the poll page.
//
//    [ poll page ][ context page … Context ][ code ………… ]
//                                           ^ code base
#pragma once

#include "cpu/base/types.h"

namespace umbra {

struct alignas(64) Context {
  u64 host_rsp = 0;         // the C++ stack while the guest's ESP is in RSP
  void* engine = nullptr;   // the Translator, first argument of every C++ entry
  u64 dispatch = 0;         // flat table of the current mode and address space: u32 offsets from the code base, by EIP
  u64 shadow = 0;           // ShadowTable* of the current space and privilege
  u64 resume = 0;           // where the leaving stub jumps once guest registers are loaded
  u32 fpu_away = 1;         // 0: the host's x87 and SSE units hold the guest's state, else CpuState::fpu does
  u32 host_mxcsr = 0x1f80;  // what C++ expects
  u64 window = 0;           // where GS must point: the window of the current space and privilege
  u64 window_loaded = 0;    // where it does
  u64 system_shadow = 0;    // supervisor's ShadowTable* of the current space, for descriptor tables
};
static_assert(sizeof(Context) == 128);  // a byte's displacement reaches it all

// At the start of the Context's page: the dispatch tables of the code segments that real or V86 mode have been in
// lately, for far transfers, which then need no C++.
struct FarTargets {
  static constexpr u32 kCount = 256;
  static constexpr u32 kNone = ~u32{0};
  u64 table[kCount];
  u32 selector[kCount];  // whose
  static u32 place(u16 of) { return (of + (of >> 8)) % kCount; }
};
static_assert(sizeof(FarTargets) + sizeof(Context) <= kPageSize);

inline constexpr u32 kFarToCode = kPageSize;       // they lie this far below the code base
inline constexpr u32 kPollToCode = 2 * kPageSize;  // the poll page lies this far below the code base

}  // namespace umbra
