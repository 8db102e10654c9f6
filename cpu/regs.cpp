#include "cpu/regs.h"

namespace umbra {

void Segment::derive(bool usable) {
  const bool is_code = (rights & 8) != 0;
  const bool expand_down = (rights & 0xc) == 4;
  low = 0;
  high = limit;
  if (expand_down) {
    low = limit + 1;
    high = big() ? 0xffffffff : 0xffff;
  }
  access = 0;
  partial = 1;
  checks = SegClass::kChecked;
  if (!usable || (expand_down && limit >= high)) {  // nothing is inside
    low = 1;
    high = 0;
    if (!usable) return;
  }
  if (!is_code || (rights & 2) != 0) access |= kReadable;
  if (!is_code && (rights & 2) != 0) access |= kWritable;
  if (whole() && access == (kReadable | kWritable)) {
    partial = 0;
    if (base == 0) access |= kFlat;
  }
  checks = classify();
}

SegClass Segment::classify() const {
  if ((access & kFlat) != 0) return SegClass::kFlat;
  if ((access & (kReadable | kWritable)) != (kReadable | kWritable) || low != 0) return SegClass::kChecked;
  return high == 0xffffffff ? SegClass::kBased : high == 0xffff ? SegClass::kShort : SegClass::kChecked;
}

void Segment::state(Archive& a) {
  a("selector", selector)("rights", rights)("base", base)("limit", limit);
  a("low", low)("high", high)("access", access)("partial", partial);
  if (a.loading()) checks = classify();
}

void TableReg::state(Archive& a) { a("base", base)("limit", limit); }

void MsrState::state(Archive& a) {
  a("pat", pat)("misc_enable", misc_enable)("mtrr_default", mtrr_default)("mtrr_fixed", mtrr_fixed);
  a("mtrr_variable", mtrr_variable)("mcg_status", mcg_status)("debug_control", debug_control);
  a("feature_control", feature_control);
}

void CpuState::state(Archive& a) {
  a("gpr", gpr)("eip", eip)("insn_eip", insn_eip)("eflags", eflags)("cpl", cpl)("activity", activity);
  a("shadow", shadow)("nmi_blocked", nmi_blocked)("armed", armed)("pending_debug", pending_debug);
  a("seg", seg)("ldtr", ldtr)("tr", tr)("gdtr", gdtr)("idtr", idtr);
  a("cr0", cr0)("cr2", cr2)("cr3", cr3)("cr4", cr4)("efer", efer)("pdpte", pdpte)("dr", dr);
  a("sysenter_cs", sysenter_cs)("sysenter_esp", sysenter_esp)("sysenter_eip", sysenter_eip);
  a("apic_base", apic_base)("tsc_offset", tsc_offset)("msr", msr);
  a.bytes("fpu", &fpu, sizeof fpu);
  a.bytes("vector_high", vector_high, sizeof vector_high);
  a.require(activity <= Activity::kShutdown, "activity");
  a.require(cpl <= 3, "cpl");
  if (a.loading()) gpr[kNoReg] = 0;
}

}  // namespace umbra
