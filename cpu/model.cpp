// The named processor models. Features are those of one stepping that software of its time met; `max` is everything
// Umbra implements, named as an in-order processor with SSSE3 so that systems apply no speculation work-arounds.
#include "cpu/model.h"

namespace umbra {

namespace {

constexpr u32 k486 = cpuid::kFpu | cpuid::kVme;
constexpr u32 kPentiumMmx = k486 | cpuid::kDe | cpuid::kPse | cpuid::kTsc | cpuid::kMsr | cpuid::kMce | cpuid::kCx8 |
                            cpuid::kApic | cpuid::kMmx;
constexpr u32 kPentium2 = kPentiumMmx | cpuid::kPae | cpuid::kSep | cpuid::kMtrr | cpuid::kPge | cpuid::kMca |
                          cpuid::kCmov | cpuid::kPat | cpuid::kPse36 | cpuid::kFxsr;
constexpr u32 kPentium3 = kPentium2 | cpuid::kSse;
constexpr u32 kPentium4 = kPentium3 | cpuid::kSse2 | cpuid::kClfsh | cpuid::kSs;

// EFLAGS bits that software can set, of each generation.
constexpr u32 kFlags8086 = 0x00000fd5;
constexpr u32 kFlags286 = 0x00007fd5;
constexpr u32 kFlags386 = 0x00037fd5;
constexpr u32 kFlags486 = 0x003f7fd5;  // AC; VIF, VIP and ID mark those with VME and CPUID
constexpr u32 kFlagsPentium = 0x003f7fd5;

constexpr CpuModel kModels[] = {
    {"8086", Generation::k8086, "", nullptr, 0, 0, 0, 0, 0, 0, 0, kFlags8086},
    {"286", Generation::k286, "", nullptr, 2, 0, 0, 0, 0, 0, 0, kFlags286},
    {"386", Generation::k386, "", nullptr, 3, 0, 8, 0, 0, 0, 0, kFlags386},
    {"486", Generation::k486, "GenuineIntel", nullptr, 4, 8, 0, k486, 0, 0, 1, kFlags486},
    {"pentium", Generation::kPentium, "GenuineIntel", nullptr, 5, 4, 3, kPentiumMmx, 0, 0, 1, kFlagsPentium},
    {"pentium2", Generation::kP6, "GenuineIntel", nullptr, 6, 5, 2, kPentium2, 0, 0, 2, kFlagsPentium},
    {"pentium3", Generation::kP6, "GenuineIntel", nullptr, 6, 7, 3, kPentium3, 0, 0, 2, kFlagsPentium},
    {"pentium4", Generation::kP6, "GenuineIntel", "Umbra Virtual CPU", 15, 2, 9, kPentium4, 0, 0, 2, kFlagsPentium},
    {"max", Generation::kP6, "GenuineIntel", "Umbra Virtual CPU", 6, 0x1c, 10, kPentium4, cpuid::kSse3 | cpuid::kSsse3,
     cpuid::kNx, 4, kFlagsPentium},
};

}  // namespace

std::span<const CpuModel> cpu_models() { return kModels; }

const CpuModel* find_cpu_model(std::string_view name) {
  for (const CpuModel& model : kModels) {
    if (name == model.name) return &model;
  }
  return nullptr;
}

}  // namespace umbra
