// Far JMP, CALL and RET in all modes, and call gates. SDM vol. 3 chapter 5; pseudocode in vol. 2.
#include "cpu/transfer.h"

namespace umbra {

namespace {

// Real and V86 mode: CS gets a new base, EIP is checked against the limit that CS has.
void check_real_target(Cpu& cpu, u32 offset) {
  const u32 limit = cpu.v86() ? 0xffff : cpu.s.seg[kCs].limit;
  if (offset > limit) cpu.fault(kGeneralProtection, 0);
}

// A code segment reached directly (not through a gate) keeps CPL.
void check_direct_code(Cpu& cpu, u16 selector, const Descriptor& code) {
  const unsigned cpl = cpu.s.cpl;
  const bool allowed = code.conforming() ? code.dpl() <= cpl : (selector & 3u) <= cpl && code.dpl() == cpl;
  if (!allowed) cpu.fault(kGeneralProtection, selector_error(selector));
  if (!code.present()) cpu.fault(kNotPresent, selector_error(selector));
}

// A gate or TSS named by a far JMP or CALL: the type and both privileges, then presence.
void check_gate(Cpu& cpu, u16 selector, const Descriptor& gate) {
  bool known = false;
  switch (gate.type()) {
    case system_type::kTss16:
    case system_type::kCallGate16:
    case system_type::kTaskGate:
      known = true;
      break;
    case system_type::kTss32:
    case system_type::kCallGate32:
      known = cpu.model.generation >= Generation::k386;
      break;
    default:
      break;
  }
  if (!known || gate.dpl() < cpu.s.cpl || gate.dpl() < (selector & 3)) {
    cpu.fault(kGeneralProtection, selector_error(selector));
  }
  if (!gate.present()) cpu.fault(kNotPresent, selector_error(selector));
}

Descriptor gate_target(Cpu& cpu, const Descriptor& gate) {
  const u16 selector = gate.gate_selector();
  const Descriptor code = require_descriptor(cpu, selector, kGeneralProtection);
  if (!code.code() || code.dpl() > cpu.s.cpl) cpu.fault(kGeneralProtection, selector_error(selector));
  return code;
}

void check_limit(Cpu& cpu, const Descriptor& code, u32 eip) {
  if (eip > code.limit()) cpu.fault(kGeneralProtection, 0);
}

void jump_through_gate(Cpu& cpu, const Descriptor& gate) {
  const u16 selector = gate.gate_selector();
  Descriptor code = gate_target(cpu, gate);
  if (!code.conforming() && code.dpl() != cpu.s.cpl) cpu.fault(kGeneralProtection, selector_error(selector));
  if (!code.present()) cpu.fault(kNotPresent, selector_error(selector));
  check_limit(cpu, code, gate.gate_offset());
  set_accessed(cpu, code);
  commit_code(cpu, selector, code, cpu.s.cpl, gate.gate_offset());
}

void push_return(Cpu& cpu, Stack& stack, unsigned size) {
  stack.push(cpu.s.seg[kCs].selector, size);
  stack.push(static_cast<u32>(cpu.s.eip), size);
}

// To a more privileged ring: the TSS's stack, on it the old SS:ESP, the copied parameters and the return address.
void call_inner_ring(Cpu& cpu, const Descriptor& gate, Descriptor& code) {
  CpuState& s = cpu.s;
  const unsigned size = gate.gate32() ? 4 : 2;
  const unsigned cpl = code.dpl();
  u32 parameters[31];
  const unsigned count = gate.gate_parameters();
  const InnerStack inner = inner_stack(cpu, cpl, 0);
  {
    Stack outer = Stack::current(cpu);
    for (unsigned i = 0; i < count; ++i) parameters[i] = outer.pop(size);
  }
  SupervisorScope scope(cpu);
  Stack stack(cpu, inner.ss, inner.esp, selector_error(inner.ss.selector));
  stack.require_room(size * (4 + count));
  check_limit(cpu, code, gate.gate_offset());
  set_accessed(cpu, code);
  stack.push(s.seg[kSs].selector, size);
  stack.push(s.r32(kEsp), size);
  for (unsigned i = count; i-- > 0;) stack.push(parameters[i], size);
  push_return(cpu, stack, size);
  s.seg[kSs] = inner.ss;
  s.r32(kEsp) = stack.esp();
  commit_code(cpu, gate.gate_selector(), code, cpl, gate.gate_offset());
}

void call_through_gate(Cpu& cpu, const Descriptor& gate) {
  Descriptor code = gate_target(cpu, gate);
  if (!code.present()) cpu.fault(kNotPresent, selector_error(gate.gate_selector()));
  if (!code.conforming() && code.dpl() < cpu.s.cpl) {
    call_inner_ring(cpu, gate, code);
    return;
  }
  const unsigned size = gate.gate32() ? 4 : 2;
  Stack stack = Stack::current(cpu);
  stack.require_room(size * 2);
  check_limit(cpu, code, gate.gate_offset());
  set_accessed(cpu, code);
  push_return(cpu, stack, size);
  cpu.s.r32(kEsp) = stack.esp();
  commit_code(cpu, gate.gate_selector(), code, cpu.s.cpl, gate.gate_offset());
}

void through_system_descriptor(Cpu& cpu, u16 selector, const Descriptor& d, TaskSwitch how) {
  check_gate(cpu, selector, d);
  switch (d.type()) {
    case system_type::kTaskGate:
      task_gate(cpu, d, how);
      break;
    case system_type::kTss16:
    case system_type::kTss32:
      switch_task(cpu, selector, how);
      break;
    default:
      if (how == TaskSwitch::kJump) {
        jump_through_gate(cpu, d);
      } else {
        call_through_gate(cpu, d);
      }
  }
}

// After a return to an outer ring: data segments that the outer program may not have become null.
void drop_inner_segment(Cpu& cpu, SegReg reg) {
  const Segment& segment = cpu.s.seg[reg];
  const bool conforming = (segment.rights & 0x1c) == 0x1c;
  if (segment.present() && !conforming && segment.dpl() < cpu.s.cpl) cpu.s.seg[reg] = null_segment(0);
}

}  // namespace

void drop_inner_segments(Cpu& cpu) {
  for (SegReg reg : {kEs, kDs, kFs, kGs}) drop_inner_segment(cpu, reg);
}

Descriptor return_target(Cpu& cpu, u16 selector) {
  const Descriptor code = require_descriptor(cpu, selector, kGeneralProtection);
  const unsigned rpl = selector & 3;
  const bool allowed = code.code() && rpl >= cpu.s.cpl && (code.conforming() ? code.dpl() <= rpl : code.dpl() == rpl);
  if (!allowed) cpu.fault(kGeneralProtection, selector_error(selector));
  if (!code.present()) cpu.fault(kNotPresent, selector_error(selector));
  return code;
}

void far_jump(Cpu& cpu, u16 selector, u32 offset, unsigned size) {
  if (size == 2) offset &= 0xffff;
  if (!cpu.protected_mode()) {
    check_real_target(cpu, offset);
    cpu.set_real_segment(kCs, selector);
    cpu.s.eip = offset;
    return;
  }
  Descriptor d = require_descriptor(cpu, selector, kGeneralProtection);
  if (!d.segment()) {
    through_system_descriptor(cpu, selector, d, TaskSwitch::kJump);
    return;
  }
  if (!d.code()) cpu.fault(kGeneralProtection, selector_error(selector));
  check_direct_code(cpu, selector, d);
  check_limit(cpu, d, offset);
  set_accessed(cpu, d);
  commit_code(cpu, selector, d, cpu.s.cpl, offset);
}

void far_call(Cpu& cpu, u16 selector, u32 offset, unsigned size) {
  if (size == 2) offset &= 0xffff;
  Descriptor d;
  if (cpu.protected_mode()) {
    d = require_descriptor(cpu, selector, kGeneralProtection);
    if (!d.segment()) {
      through_system_descriptor(cpu, selector, d, TaskSwitch::kCall);
      return;
    }
    if (!d.code()) cpu.fault(kGeneralProtection, selector_error(selector));
    check_direct_code(cpu, selector, d);
  }
  Stack stack = Stack::current(cpu);
  stack.require_room(2 * size);
  if (!cpu.protected_mode()) {
    check_real_target(cpu, offset);
    push_return(cpu, stack, size);
    cpu.s.r32(kEsp) = stack.esp();
    cpu.set_real_segment(kCs, selector);
    cpu.s.eip = offset;
    return;
  }
  check_limit(cpu, d, offset);
  set_accessed(cpu, d);
  push_return(cpu, stack, size);
  cpu.s.r32(kEsp) = stack.esp();
  commit_code(cpu, selector, d, cpu.s.cpl, offset);
}

void far_return(Cpu& cpu, unsigned size, u32 release) {
  CpuState& s = cpu.s;
  Stack stack = Stack::current(cpu);
  const u32 eip = stack.pop(size);
  const u16 selector = static_cast<u16>(stack.pop(size));
  if (!cpu.protected_mode()) {
    check_real_target(cpu, eip);
    stack.skip(release);
    s.r32(kEsp) = stack.esp();
    cpu.set_real_segment(kCs, selector);
    s.eip = eip;
    return;
  }
  Descriptor code = return_target(cpu, selector);
  stack.skip(release);
  const unsigned rpl = selector & 3;
  if (rpl == s.cpl) {
    check_limit(cpu, code, eip);
    set_accessed(cpu, code);
    s.r32(kEsp) = stack.esp();
    commit_code(cpu, selector, code, rpl, eip);
    return;
  }
  const u32 outer_esp = stack.pop(size);
  const u16 outer_ss = static_cast<u16>(stack.pop(size));
  const Segment ss = stack_segment(cpu, outer_ss, rpl, kGeneralProtection);
  check_limit(cpu, code, eip);
  set_accessed(cpu, code);
  commit_outer(cpu, selector, code, eip, ss, outer_esp, release);
}

void commit_outer(Cpu& cpu, u16 selector, Descriptor& code, u32 eip, const Segment& ss, u32 esp, u32 release) {
  CpuState& s = cpu.s;
  s.seg[kSs] = ss;
  Stack outer(cpu, ss, ss.big() ? esp : (s.r32(kEsp) & 0xffff0000) | (esp & 0xffff), 0);
  outer.skip(release);
  s.r32(kEsp) = outer.esp();
  commit_code(cpu, selector, code, selector & 3, eip);
  drop_inner_segments(cpu);
}

}  // namespace umbra
