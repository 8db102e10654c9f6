// IRET in all its forms, SYSENTER and SYSEXIT. SDM vol. 2, IRET and SYSENTER; vol. 3 section 20.2 for V86 mode.
#include "cpu/transfer.h"

namespace umbra {

namespace {

struct Frame {
  u32 eip;
  u16 cs;
  u32 eflags;
};

Frame pop_frame(Stack& stack, unsigned size) {
  Frame f;
  f.eip = stack.pop(size);
  f.cs = static_cast<u16>(stack.pop(size));
  f.eflags = stack.pop(size);
  return f;
}

// What IRET may change: arithmetic flags always; the rest by size and privilege.
void load_flags(Cpu& cpu, u32 value, unsigned size, unsigned old_cpl) {
  u32 mask = flag::kArithmetic | flag::kTf | flag::kDf | flag::kNt;
  if (size == 4) mask |= flag::kRf | flag::kAc | flag::kId;
  if (old_cpl <= cpu.iopl() || cpu.real()) mask |= flag::kIf;
  if (old_cpl == 0) {
    mask |= flag::kIopl;
    if (size == 4) mask |= flag::kVif | flag::kVip;
  }
  cpu.set_flags(value, mask);
}

void to_real(Cpu& cpu, unsigned size) {
  CpuState& s = cpu.s;
  Stack stack = Stack::current(cpu);
  const Frame f = pop_frame(stack, size);
  if (f.eip > s.seg[kCs].limit) cpu.fault(kGeneralProtection, 0);
  u32 mask = flag::kArithmetic | flag::kTf | flag::kIf | flag::kDf | flag::kNt;
  if (size == 4) mask |= flag::kRf | flag::kAc | flag::kId;
  if (!cpu.v86()) mask |= flag::kIopl;
  s.r32(kEsp) = stack.esp();
  cpu.set_real_segment(kCs, f.cs);
  s.eip = f.eip;
  cpu.set_flags(f.eflags, mask);
}

// VME with IOPL below 3: IF in the image goes to VIF.
void within_v86_by_vme(Cpu& cpu) {
  CpuState& s = cpu.s;
  Stack stack = Stack::current(cpu);
  const Frame f = pop_frame(stack, 2);
  if ((f.eflags & flag::kTf) != 0 || ((f.eflags & flag::kIf) != 0 && (s.eflags & flag::kVip) != 0)) {
    cpu.fault(kGeneralProtection, 0);
  }
  s.r32(kEsp) = stack.esp();
  cpu.set_real_segment(kCs, f.cs);
  s.eip = f.eip;
  const u32 vif = (f.eflags & flag::kIf) != 0 ? flag::kVif : 0;
  cpu.set_flags((f.eflags & 0xffff) | vif, flag::kArithmetic | flag::kTf | flag::kDf | flag::kNt | flag::kVif);
}

void to_v86(Cpu& cpu, Stack& stack, const Frame& f) {
  CpuState& s = cpu.s;
  const u32 esp = stack.pop(4);
  u16 selectors[kSegCount];
  for (SegReg reg : {kSs, kEs, kDs, kFs, kGs}) selectors[reg] = static_cast<u16>(stack.pop(4));
  selectors[kCs] = f.cs;
  s.r32(kEsp) = esp;
  s.eip = f.eip & 0xffff;  // processors take no offence at the upper half, whatever the SDM says
  cpu.set_flags(f.eflags, cpu.model.flags_mask);
  for (unsigned reg = 0; reg < kSegCount; ++reg) cpu.set_real_segment(static_cast<SegReg>(reg), selectors[reg]);
  cpu.set_cpl(3);
}

void within_protected(Cpu& cpu, unsigned size) {
  CpuState& s = cpu.s;
  Stack stack = Stack::current(cpu);
  const Frame f = pop_frame(stack, size);
  if (size == 4 && (f.eflags & flag::kVm) != 0 && s.cpl == 0) {
    to_v86(cpu, stack, f);
    return;
  }
  Descriptor code = return_target(cpu, f.cs);
  const unsigned rpl = f.cs & 3, old_cpl = s.cpl;
  if (rpl == old_cpl) {
    if (f.eip > code.limit()) cpu.fault(kGeneralProtection, 0);
    set_accessed(cpu, code);
    s.r32(kEsp) = stack.esp();
    commit_code(cpu, f.cs, code, rpl, f.eip);
  } else {
    const u32 outer_esp = stack.pop(size);
    const u16 outer_ss = static_cast<u16>(stack.pop(size));
    const Segment ss = stack_segment(cpu, outer_ss, rpl, kGeneralProtection);
    if (f.eip > code.limit()) cpu.fault(kGeneralProtection, 0);
    set_accessed(cpu, code);
    commit_outer(cpu, f.cs, code, f.eip, ss, outer_esp, 0);
  }
  load_flags(cpu, f.eflags, size, old_cpl);
}

void return_from_task(Cpu& cpu) {
  const u16 link = cpu.read_system<u16>(Linear(cpu.s.tr.base));
  switch_task(cpu, link, TaskSwitch::kReturn);
}

// After VIF or VIP may have come on: with both set, the next instruction of the V86 or PVI program is #GP.
void check_virtual_interrupt(Cpu& cpu) {
  CpuState& s = cpu.s;
  constexpr u32 kBoth = flag::kVif | flag::kVip;
  if ((s.eflags & kBoth) != kBoth || s.cpl != 3 || cpu.iopl() == 3) return;
  if ((s.cr4 & (cpu.v86() ? cr4::kVme : cr4::kPvi)) == 0) return;
  s.insn_eip = s.eip;
  cpu.fault(kGeneralProtection, 0);
}

// The flat segments that SYSENTER and SYSEXIT make without looking at any table.
Segment flat_segment(u16 selector, u16 rights) {
  Segment segment;
  segment.selector = selector;
  segment.rights = rights;
  segment.limit = 0xffffffff;
  segment.derive(true);
  return segment;
}

void check_sysenter(Cpu& cpu) {
  if ((cpu.model.features_edx & cpuid::kSep) == 0) cpu.fault(kInvalidOpcode);
  if (cpu.real() || null_selector(static_cast<u16>(cpu.s.sysenter_cs))) cpu.fault(kGeneralProtection, 0);
}

}  // namespace

void iret(Cpu& cpu, unsigned size) {
  CpuState& s = cpu.s;
  if (cpu.real()) {
    to_real(cpu, size);
  } else if (cpu.v86()) {
    if (cpu.iopl() == 3) {
      to_real(cpu, size);
    } else if ((s.cr4 & cr4::kVme) != 0 && size == 2) {
      within_v86_by_vme(cpu);
    } else {
      cpu.fault(kGeneralProtection, 0);
    }
  } else if ((s.eflags & flag::kNt) != 0) {
    return_from_task(cpu);
  } else {
    within_protected(cpu, size);
  }
  s.nmi_blocked = false;
  if ((s.eflags & flag::kVip) != 0) check_virtual_interrupt(cpu);
}

void sysenter(Cpu& cpu) {
  check_sysenter(cpu);
  CpuState& s = cpu.s;
  s.eflags &= ~(flag::kVm | flag::kIf | flag::kRf);
  const u16 cs = static_cast<u16>(s.sysenter_cs & 0xfffc);
  s.seg[kCs] = flat_segment(cs, 0xc09b);
  s.seg[kSs] = flat_segment(static_cast<u16>(cs + 8), 0xc093);
  s.r32(kEsp) = s.sysenter_esp;
  s.eip = s.sysenter_eip;
  cpu.set_cpl(0);
}

void sysexit(Cpu& cpu) {
  check_sysenter(cpu);
  CpuState& s = cpu.s;
  if (s.cpl != 0) cpu.fault(kGeneralProtection, 0);
  const u16 cs = static_cast<u16>((s.sysenter_cs & 0xfffc) + 16);
  s.seg[kCs] = flat_segment(cs | 3, 0xc0fb);
  s.seg[kSs] = flat_segment(static_cast<u16>(cs + 8) | 3, 0xc0f3);
  s.r32(kEsp) = s.r32(kEcx);
  s.eip = s.r32(kEdx);
  cpu.set_cpl(3);
}

}  // namespace umbra
