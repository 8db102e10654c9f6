// CLI STI PUSHF POPF: the flags that privilege guards, in every mode, with VME and PVI. SDM vol. 3 sections 20.3, 20.4.
#include "cpu/interp/operands.h"
#include "cpu/interp/stack.h"
#include "cpu/transfer.h"

namespace umbra::interp {
namespace {

// Which flag CLI and STI mean here: IF, or VIF where the extensions stand in for it; else #GP(0).
u32 interrupt_flag(Cpu& cpu) {
  const bool allowed = cpu.v86() ? cpu.iopl() == 3 : cpu.s.cpl <= cpu.iopl();
  if (allowed) return flag::kIf;
  const bool virtualized = cpu.v86() ? (cpu.s.cr4 & cr4::kVme) != 0 : cpu.s.cpl == 3 && (cpu.s.cr4 & cr4::kPvi) != 0;
  if (!virtualized) cpu.fault(kGeneralProtection, 0);
  return flag::kVif;
}

void clear_interrupts(Cpu& cpu, const Insn&) { cpu.s.eflags &= ~interrupt_flag(cpu); }

void set_interrupts(Cpu& cpu, const Insn&) {
  const u32 which = interrupt_flag(cpu);
  if (which == flag::kVif && (cpu.s.eflags & flag::kVip) != 0) cpu.fault(kGeneralProtection, 0);
  if (which == flag::kIf && (cpu.s.eflags & flag::kIf) == 0) cpu.s.shadow |= kInhibitInterrupts;
  cpu.s.eflags |= which;
}

// True where VME gives PUSHF and POPF of 16 bits a virtual IF; #GP(0) where V86 mode does not have them.
template <class T>
bool virtual_flags(Cpu& cpu) {
  if (!cpu.v86() || cpu.iopl() == 3) return false;
  if (sizeof(T) == 4 || (cpu.s.cr4 & cr4::kVme) == 0) cpu.fault(kGeneralProtection, 0);
  return true;
}

template <class T>
void push_flags(Cpu& cpu, const Insn&) {
  u32 image = flags_image(cpu);
  if (virtual_flags<T>(cpu)) {
    image = (image & ~flag::kIf) | flag::kIopl | ((image & flag::kVif) != 0 ? flag::kIf : 0);
  }
  push<T>(cpu, static_cast<T>(image & ~(flag::kVm | flag::kRf)));
}

void pop_virtual_flags(Cpu& cpu) {
  const u32 top = stack_pointer(cpu);
  const u32 value = cpu.read<u16>(kSs, top);
  if ((value & flag::kTf) != 0 || ((value & flag::kIf) != 0 && (cpu.s.eflags & flag::kVip) != 0)) {
    cpu.fault(kGeneralProtection, 0);
  }
  set_stack_pointer(cpu, top + 2);
  const u32 vif = (value & flag::kIf) != 0 ? flag::kVif : 0;
  cpu.set_flags(value | vif, flag::kArithmetic | flag::kTf | flag::kDf | flag::kNt | flag::kVif);
}

template <class T>
void pop_flags(Cpu& cpu, const Insn&) {
  if (virtual_flags<T>(cpu)) return pop_virtual_flags(cpu);
  u32 mask = flag::kArithmetic | flag::kTf | flag::kDf | flag::kNt;
  if (sizeof(T) == 4) mask |= flag::kAc | flag::kId;
  if (cpu.v86() || cpu.s.cpl <= cpu.iopl()) mask |= flag::kIf;  // V86 mode comes here with IOPL 3 only
  if (cpu.s.cpl == 0) mask |= flag::kIopl;
  const u32 value = pop<T>(cpu);
  cpu.set_flags(value, mask);
}

}  // namespace

Handler cli(const Insn&) { return clear_interrupts; }
Handler sti(const Insn&) { return set_interrupts; }
Handler pushf(const Insn&) { return push_flags<u16>; }
Handler pushfd(const Insn&) { return push_flags<u32>; }
Handler popf(const Insn&) { return pop_flags<u16>; }
Handler popfd(const Insn&) { return pop_flags<u32>; }

}  // namespace umbra::interp
