// Named processor models and what each has: -cpu 8086 286 386 486 pentium pentium2 pentium3 pentium4 max.
#pragma once

#include <span>
#include <string_view>

#include "cpu/base/types.h"

namespace umbra {

enum class Generation : u8 { k8086, k286, k386, k486, kPentium, kP6 };

struct CpuModel {
  const char* name;
  Generation generation;
  char vendor[13];    // empty where there is no CPUID
  const char* brand;  // leaves 80000002h-4h; null where there are none
  u8 family, model, stepping;
  u32 features_edx;  // CPUID.1:EDX; also what decides #UD for an instruction
  u32 features_ecx;
  u32 extended_edx;  // 80000001h (NX)
  u32 max_leaf;
  u32 flags_mask;  // EFLAGS bits that can be set
};

namespace cpuid {
inline constexpr u32 kFpu = 1u << 0, kVme = 1u << 1, kDe = 1u << 2, kPse = 1u << 3, kTsc = 1u << 4, kMsr = 1u << 5,
                     kPae = 1u << 6, kMce = 1u << 7, kCx8 = 1u << 8, kApic = 1u << 9, kSep = 1u << 11, kMtrr = 1u << 12,
                     kPge = 1u << 13, kMca = 1u << 14, kCmov = 1u << 15, kPat = 1u << 16, kPse36 = 1u << 17,
                     kClfsh = 1u << 19, kMmx = 1u << 23, kFxsr = 1u << 24, kSse = 1u << 25, kSse2 = 1u << 26,
                     kSs = 1u << 27;
inline constexpr u32 kSse3 = 1u << 0, kMonitor = 1u << 3, kSsse3 = 1u << 9, kHypervisor = 1u << 31;
inline constexpr u32 kNx = 1u << 20;
}  // namespace cpuid

std::span<const CpuModel> cpu_models();
const CpuModel* find_cpu_model(std::string_view name);
inline constexpr const char* kDefaultCpuModel = "max";

}  // namespace umbra
