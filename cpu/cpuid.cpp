// CPUID. SDM vol. 2, CPUID. There is no hypervisor leaf: to the guest this is a plain processor.
#include <algorithm>
#include <cstring>

#include "cpu/cpu.h"

namespace umbra {

namespace {

constexpr u32 kPhysicalBits = 36, kLinearBits = 32;
constexpr u32 kCacheParameters = 4;  // the leaf whose answer depends on ECX

u32 dword(const char* text) {
  u32 value;
  std::memcpy(&value, text, sizeof value);
  return value;
}

u32 signature(const CpuModel& m) {
  const u32 extended_family = m.family >= 15 ? m.family - 15u : 0;
  return extended_family << 20 | (m.model >> 4u) << 16 | (m.family < 15u ? m.family : 15u) << 8 |
         (m.model & 0xfu) << 4 | m.stepping;
}

// Leaf 4: the caches of a small in-order processor.
Cpuid cache(u32 level, u32 type, u32 ways, u32 sets) {
  constexpr u32 kLine = 64;
  return {type | level << 5 | 1u << 8, (ways - 1) << 22 | (kLine - 1), sets - 1, 0};
}

Cpuid cache_parameters(u32 index) {
  switch (index) {
    case 0:
      return cache(1, 1, 6, 64);  // 24 KiB, data
    case 1:
      return cache(1, 2, 8, 64);  // 32 KiB, instructions
    case 2:
      return cache(2, 3, 8, 1024);  // 512 KiB
    default:
      return {};
  }
}

Cpuid basic(const Cpu& cpu, u32 leaf, u32 subleaf) {
  const CpuModel& m = cpu.model;
  switch (leaf) {
    case 0:
      return {m.max_leaf, dword(m.vendor), dword(m.vendor + 8), dword(m.vendor + 4)};
    case 1: {
      constexpr u64 kApicEnabled = 1u << 11;
      u32 edx = m.features_edx;
      if ((cpu.s.apic_base & kApicEnabled) == 0) edx &= ~cpuid::kApic;
      const u32 ebx = (edx & cpuid::kClfsh) != 0 ? 8u << 8 : 0;  // CLFLUSH line size in quadwords
      return {signature(m), ebx, m.features_ecx, edx};
    }
    case 2:  // descriptors: 4 KiB and 4 MiB TLBs, 8 KiB caches of a P6, 512 KiB L2
      return {0x03020101, 0, 0, 0x0c040843};
    case kCacheParameters:
      return cache_parameters(subleaf);
    default:
      return {};
  }
}

Cpuid brand(const CpuModel& m, u32 part) {
  char text[48] = {};
  std::memcpy(text, m.brand, std::strlen(m.brand));
  const char* p = text + part * 16;
  return {dword(p), dword(p + 4), dword(p + 8), dword(p + 12)};
}

Cpuid extended(const CpuModel& m, u32 leaf) {
  switch (leaf) {
    case 0x80000000:
      return {0x80000008, 0, 0, 0};
    case 0x80000001:
      return {0, 0, 0, m.extended_edx};
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
      return brand(m, leaf - 0x80000002);
    case 0x80000006:
      return {0, 0, 512u << 16 | 6u << 12 | 64, 0};  // L2: 512 KiB, 8 ways, lines of 64
    case 0x80000008:
      return {kLinearBits << 8 | kPhysicalBits, 0, 0, 0};
    default:
      return {};
  }
}

bool is_extended(const CpuModel& m, u32 leaf) { return leaf >= 0x80000000 && leaf <= 0x80000008 && m.brand != nullptr; }

}  // namespace

Cpuid Cpu::cpuid(u32 leaf, u32 subleaf) const {
  if (is_extended(model, leaf)) return extended(model, leaf);
  // A leaf beyond the last basic one, extended ones of models that have none included, answers as the last basic one.
  return basic(*this, std::min(leaf, model.max_leaf), subleaf);
}

void Cpu::identify() {
  const u32 leaf = s.r32(kEax);
  const Cpuid answer = cpuid(leaf, s.r32(kEcx));
  const bool has_subleaves = !is_extended(model, leaf) && std::min(leaf, model.max_leaf) == kCacheParameters;
  if (!has_subleaves)
    cpuid_answers.at[CpuidAnswers::place(leaf)] = {.asked = leaf | CpuidAnswers::kValid, .said = answer};
  s.gpr[kEax] = answer.eax;
  s.gpr[kEbx] = answer.ebx;
  s.gpr[kEcx] = answer.ecx;
  s.gpr[kEdx] = answer.edx;
}

}  // namespace umbra
