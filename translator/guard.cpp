// Faults that are certain before an instruction does anything: a privilege that its program lacks, or a unit that the
// operating system has switched off to learn who uses it. Monitors of V86 mode live on the former, task switches on the
// latter, and an exception thrown through C++ costs more than the rest of what they do. So they are found here, by the
// conditions that the handlers check first; everything else stays the handlers'.
#include "cpu/cpu.h"
#include "translator/engine.h"

namespace umbra {
namespace {

constexpr GuestFault kDenied{kGeneralProtection, true, 0};

// What V86 programs may do at an IOPL of 3 only; VME lets them do the short forms, mostly.
bool short_iopl_sensitive(Op op) {
  return op == Op::kCli || op == Op::kSti || op == Op::kPushf || op == Op::kPopf || op == Op::kInt || op == Op::kIret;
}
bool long_iopl_sensitive(Op op) { return op == Op::kPushfd || op == Op::kPopfd || op == Op::kIretd; }

bool virtual_mode_denies(const Cpu& cpu, Op op) {
  return long_iopl_sensitive(op) || (short_iopl_sensitive(op) && (cpu.s.cr4 & cr4::kVme) == 0);
}

bool needs_ring0(const Insn& insn) {
  switch (insn.op) {
    case Op::kHlt:
    case Op::kClts:
    case Op::kInvlpg:
    case Op::kInvd:
    case Op::kWbinvd:
    case Op::kRdmsr:
    case Op::kWrmsr:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_guarded(const Insn& insn) {
  if (insn.has(prefix::kLock) || insn.op == Op::kFwait) return false;  // FWAIT looks at MP as well
  switch (info(insn.op).x64) {
    case Lowering::x87:
    case Lowering::sse:
      return true;
    default:
      break;
  }
  return short_iopl_sensitive(insn.op) || long_iopl_sensitive(insn.op) || needs_ring0(insn);
}

bool Translator::guard_faults(const Site& site) {
  Cpu& cpu = *cpu_;
  const CpuState& s = cpu.s;
  const Insn& insn = site.insn;
  const auto raise = [&](const GuestFault& fault) {
    cpu.s.insn_eip = site.eip;
    deliver(fault);
    return true;
  };
  switch (info(insn.op).x64) {
    case Lowering::x87:
      return (s.cr0 & (cr0::kEm | cr0::kTs)) != 0 && raise({kDeviceNotAvailable});
    case Lowering::sse: {
      const bool there = (s.cr0 & cr0::kEm) == 0 && (s.cr4 & cr4::kOsfxsr) != 0;
      return there && (s.cr0 & cr0::kTs) != 0 && raise({kDeviceNotAvailable});
    }
    default:
      break;
  }
  if (cpu.v86() && cpu.iopl() < 3 && virtual_mode_denies(cpu, insn.op)) return raise(kDenied);
  if (needs_ring0(insn)) return s.cpl != 0 && raise(kDenied);
  const bool flag = insn.op == Op::kCli || insn.op == Op::kSti;
  const bool virtualized = s.cpl == 3 && (s.cr4 & cr4::kPvi) != 0;
  return flag && !cpu.v86() && s.cpl > cpu.iopl() && !virtualized && raise(kDenied);
}

}  // namespace umbra
