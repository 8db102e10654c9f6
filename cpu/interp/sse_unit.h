// How SSE arithmetic reaches the host's unit: guest MXCSR in, operation, flags out. SDM vol. 1 section 11.5.
//
// The host runs with every exception masked. What an unmasked exception changes is reconstructed: the pre-computation
// ones (invalid, denormal, divide by zero) suppress the others' flags; underflow is then any tiny result, inexact or
// not, and flush-to-zero is off.
#pragma once

#include "cpu/interp/simd.h"

namespace umbra::interp::simd {

namespace mxcsr {
inline constexpr u32 kExceptions = 0x3f, kPreComputation = 0x07, kUe = 0x10, kMasks = 0x1f80, kUm = 1u << 11,
                     kFtz = 1u << 15, kDefault = 0x1f80;
}

// The result lanes in which an unmasked underflow can show.
enum class Tiny : u8 { kNever, kF32, kF32x2, kF32x4, kF64, kF64x2 };

bool has_denormal(const Vec& v, Tiny lanes);
// Merges flags into MXCSR; raises #XM, or #UD where the system does not handle it.
void raise_simd(Cpu& cpu, u32 flags);

#if defined(__x86_64__)

template <Tiny tiny = Tiny::kNever, class F>
auto on_host_unit(Cpu& cpu, F operation) {
  const u32 guest = cpu.s.fpu.mxcsr;
  const bool underflow_unmasked = (guest & mxcsr::kUm) == 0;
  u32 control = (guest & ~mxcsr::kExceptions) | mxcsr::kMasks;
  if (underflow_unmasked) control &= ~mxcsr::kFtz;
  u32 status = 0;
  const u32 restore = mxcsr::kDefault;
  asm volatile("ldmxcsr %0" : : "m"(control));
  const auto result = operation();
  asm volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(status) : "m"(restore));
  u32 flags = status & mxcsr::kExceptions;
  if constexpr (tiny != Tiny::kNever) {
    if (underflow_unmasked && has_denormal(result, tiny)) flags |= mxcsr::kUe;
  }
  if (flags != 0) raise_simd(cpu, flags);
  return result;
}

#endif

}  // namespace umbra::interp::simd
