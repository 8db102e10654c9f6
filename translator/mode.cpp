// What the processor is like just now, as blocks and dispatch tables take it for granted. Compiled without vector
// registers (see shortcuts.h).
#include "translator/link.h"

namespace umbra {

Mode Mode::of(const Cpu& cpu) {
  const CpuState& s = cpu.s;
  const bool available = (s.cr0 & (cr0::kTs | cr0::kEm)) == 0;
  const bool x87 = available && (s.fpu.fcw & 0x3f) == 0x3f && (s.fpu.fsw & 0x80) == 0;
  const bool sse = available && (s.cr4 & cr4::kOsfxsr) != 0 && (s.fpu.mxcsr & 0x1f80) == 0x1f80;
  const bool flag_control = cpu.v86() ? cpu.iopl() == 3 : s.cpl <= cpu.iopl();  // CPL is 0 in real mode
  const bool plain_flags = cpu.model.generation != Generation::k8086 && (!cpu.v86() || cpu.iopl() == 3);
  const bool tsc = cpu.tsc_scale.multiplier != 0 && ((s.cr4 & cr4::kTsd) == 0 || s.cpl == 0);
  const bool alignment = (s.cr0 & cr0::kAm) != 0 && (s.eflags & flag::kAc) != 0 && s.cpl == 3;
  Mode mode;
  mode.bits_ = u32{s.seg[kCs].big()} | u32{s.seg[kSs].big()} << 1 | u32{s.cpl == 3} << 2 |
               u32{cpu.protected_mode()} << 3 | u32{x87} << 4 | u32{sse} << 5 | u32{flag_control} << 6 |
               u32{!alignment} << 7 | u32{s.cpl == 3 && cpu.mmu.prefers_window()} << 20 | u32{plain_flags} << 21 |
               u32{tsc} << 22;
  const auto keyed = [&](SegReg seg) { return static_cast<u32>(s.seg[seg].checks) << (8 + 2 * seg); };
  constexpr auto checked = [](SegReg seg) { return static_cast<u32>(SegClass::kChecked) << (8 + 2 * seg); };
  mode.bits_ |= keyed(kEs) | keyed(kSs) | keyed(kDs);
  mode.bits_ |= cpu.protected_mode() ? checked(kCs) : keyed(kCs);
  mode.bits_ |= mode.free_fs_gs() ? checked(kFs) | checked(kGs) : keyed(kFs) | keyed(kGs);
  return mode;
}

DispatchKey dispatch_key(const Cpu& cpu, Mode mode) {
  const Segment& cs = cpu.s.seg[kCs];
  const bool own = mode.user() && (cpu.s.cr0 & cr0::kPg) != 0;
  return {mode.bits() | (own ? DispatchKey::kOwn : 0), cs.base, cs.limit, own ? cpu.s.cr3 : 0};
}

}  // namespace umbra
