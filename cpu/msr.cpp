// Model-specific registers. SDM vol. 4. An unknown one, or a value with reserved bits, is #GP(0); memory types and
// machine checks are stored and have no effect.
#include "cpu/cpu.h"

namespace umbra {

namespace {

enum Msr : u32 {
  kMcAddress = 0x00,
  kMcType = 0x01,
  kTsc = 0x10,
  kPlatformId = 0x17,
  kApicBase = 0x1b,
  kEblCrPowerOn = 0x2a,
  kFeatureControl = 0x3a,
  kMicrocodeUpdate = 0x79,
  kMicrocodeRevision = 0x8b,
  kFsbFrequency = 0xcd,
  kMtrrCap = 0xfe,
  kBblCrCtl3 = 0x11e,
  kSysenterCs = 0x174,
  kSysenterEsp = 0x175,
  kSysenterEip = 0x176,
  kMcgCap = 0x179,
  kMcgStatus = 0x17a,
  kMcgCtl = 0x17b,
  kMiscEnable = 0x1a0,
  kDebugCtl = 0x1d9,
  kLastBranchFrom = 0x1db,
  kLastInterruptTo = 0x1de,
  kMtrrVariable = 0x200,
  kMtrrVariableEnd = 0x20f,
  kMtrrFix64k = 0x250,
  kMtrrFix16k = 0x258,
  kMtrrFix16kLast = 0x259,
  kMtrrFix4k = 0x268,
  kMtrrFix4kLast = 0x26f,
  kPat = 0x277,
  kMtrrDefault = 0x2ff,
  kEfer = 0xc0000080,
};

constexpr u64 kPhysicalMask = (u64{1} << 36) - 1;
constexpr u64 kMtrrCapValue = 0x508;  // 8 variable ranges, fixed ranges, write-combining

bool has(const Cpu& cpu, u32 feature) { return (cpu.model.features_edx & feature) == feature; }

// 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, and in the PAT 7 UC-.
bool memory_type(u64 type, bool pat) {
  return type == 0 || type == 1 || type == 4 || type == 5 || type == 6 || (pat && type == 7);
}

bool memory_types(u64 value, bool pat) {
  for (unsigned i = 0; i < 64; i += 8) {
    if (!memory_type((value >> i) & 0xff, pat)) return false;
  }
  return true;
}

// Place of a fixed-range MTRR among the eleven, or -1.
int fixed_mtrr(u32 index) {
  if (index == kMtrrFix64k) return 0;
  if (index >= kMtrrFix16k && index <= kMtrrFix16kLast) return static_cast<int>(index - kMtrrFix16k) + 1;
  if (index >= kMtrrFix4k && index <= kMtrrFix4kLast) return static_cast<int>(index - kMtrrFix4k) + 3;
  return -1;
}

bool is_mtrr(u32 index) {
  return index == kMtrrCap || index == kMtrrDefault || (index >= kMtrrVariable && index <= kMtrrVariableEnd) ||
         fixed_mtrr(index) >= 0;
}

bool exists(const Cpu& cpu, u32 index) {
  if (is_mtrr(index)) return has(cpu, cpuid::kMtrr);
  const bool p6 = cpu.model.generation >= Generation::kP6;
  switch (index) {
    case kMcAddress:
    case kMcType:
      return has(cpu, cpuid::kMce);
    case kTsc:
      return has(cpu, cpuid::kTsc);
    case kApicBase:
      return p6 && (cpu.model.features_edx & cpuid::kApic) != 0;
    case kSysenterCs:
    case kSysenterEsp:
    case kSysenterEip:
      return has(cpu, cpuid::kSep);
    case kPat:
      return has(cpu, cpuid::kPat);
    case kMcgCap:
    case kMcgStatus:
    case kMcgCtl:
      return has(cpu, cpuid::kMca);
    case kEfer:
      return (cpu.model.extended_edx & cpuid::kNx) != 0;
    case kPlatformId:
    case kEblCrPowerOn:
    case kMicrocodeUpdate:
    case kMicrocodeRevision:
    case kBblCrCtl3:
    case kDebugCtl:
      return p6;
    case kFeatureControl:
    case kFsbFrequency:
    case kMiscEnable:
      return p6 && has(cpu, cpuid::kSse2);
    default:
      return p6 && index >= kLastBranchFrom && index <= kLastInterruptTo;
  }
}

void write_mtrr(Cpu& cpu, u32 index, u64 value) {
  MsrState& m = cpu.s.msr;
  bool ok = false;
  if (const int n = fixed_mtrr(index); n >= 0) {
    ok = memory_types(value, false);
    if (ok) m.mtrr_fixed[n] = value;
  } else if (index == kMtrrDefault) {
    ok = (value & ~u64{0xcff}) == 0 && memory_type(value & 0xff, false);
    if (ok) m.mtrr_default = value;
  } else if (index != kMtrrCap) {
    const bool mask = (index & 1) != 0;
    ok = mask ? (value & ~(kPhysicalMask & ~u64{0x7ff})) == 0
              : (value & ~(kPhysicalMask & ~u64{0xf00})) == 0 && memory_type(value & 0xff, false);
    if (ok) m.mtrr_variable[index - kMtrrVariable] = value;
  }
  if (!ok) cpu.fault(kGeneralProtection, 0);
}

void write_efer(Cpu& cpu, u64 value) {
  if ((value & ~efer::kNxe) != 0) cpu.fault(kGeneralProtection, 0);
  cpu.s.efer = value;
  cpu.update_paging();
}

void write_apic_base(Cpu& cpu, u64 value) {
  constexpr u64 kBsp = 0x100, kEnable = 0x800;
  if ((value & ~(kPhysicalMask & ~u64{0xfff}) & ~(kBsp | kEnable)) != 0) cpu.fault(kGeneralProtection, 0);
  cpu.s.apic_base = value;
  cpu.cpuid_answers = {};  // whether there is an APIC is one of them
  cpu.host.set_apic_base(value);
}

}  // namespace

u64 Cpu::board_tsc() {
#if defined(__x86_64__)
  if (tsc_scale.multiplier != 0) return tsc_scale.at(__builtin_ia32_rdtsc());
#endif
  return host.tsc();
}

u64 Cpu::read_msr(u32 index) {
  if (!exists(*this, index)) fault(kGeneralProtection, 0);
  if (const int n = fixed_mtrr(index); n >= 0) return s.msr.mtrr_fixed[n];
  if (index >= kMtrrVariable && index <= kMtrrVariableEnd) return s.msr.mtrr_variable[index - kMtrrVariable];
  switch (index) {
    case kTsc:
      return tsc();
    case kApicBase:
      return s.apic_base;
    case kFeatureControl:
      return s.msr.feature_control;
    case kMicrocodeRevision:
      return u64{1} << 32;
    case kFsbFrequency:
      return 1;  // 133 MHz
    case kMtrrCap:
      return kMtrrCapValue;
    case kMtrrDefault:
      return s.msr.mtrr_default;
    case kSysenterCs:
      return s.sysenter_cs;
    case kSysenterEsp:
      return s.sysenter_esp;
    case kSysenterEip:
      return s.sysenter_eip;
    case kMcgStatus:
      return s.msr.mcg_status;
    case kMiscEnable:
      return s.msr.misc_enable;
    case kDebugCtl:
      return s.msr.debug_control;
    case kPat:
      return s.msr.pat;
    case kEfer:
      return s.efer;
    default:
      return 0;
  }
}

void Cpu::write_msr(u32 index, u64 value) {
  if (!exists(*this, index)) fault(kGeneralProtection, 0);
  if (is_mtrr(index)) return write_mtrr(*this, index, value);
  switch (index) {
    case kTsc:
      s.tsc_offset = value - board_tsc();
      break;
    case kApicBase:
      write_apic_base(*this, value);
      break;
    case kSysenterCs:
      s.sysenter_cs = static_cast<u32>(value);
      break;
    case kSysenterEsp:
      s.sysenter_esp = static_cast<u32>(value);
      break;
    case kSysenterEip:
      s.sysenter_eip = static_cast<u32>(value);
      break;
    case kMcgStatus:
      if (value != 0) fault(kGeneralProtection, 0);
      s.msr.mcg_status = 0;
      break;
    case kMiscEnable:
      s.msr.misc_enable = value;
      break;
    case kDebugCtl:
      s.msr.debug_control = value & 0x7f;
      break;
    case kPat:
      if (!memory_types(value, true)) fault(kGeneralProtection, 0);
      s.msr.pat = value;
      break;
    case kEfer:
      write_efer(*this, value);
      break;
    case kPlatformId:
    case kFeatureControl:  // locked
    case kMcgCap:
    case kFsbFrequency:
      fault(kGeneralProtection, 0);
    default:
      break;  // taken note of nowhere: microcode updates, machine-check enables, branch records
  }
}

}  // namespace umbra
