// Interrupts and exceptions: through the real-mode vector table, through gates, and what happens when delivering one
// fails. SDM vol. 3 chapters 6 and 20; the pseudocode is under INT n in vol. 2.
#include "cpu/base/log.h"
#include "cpu/transfer.h"

namespace umbra {

namespace {

void trace(Cpu& cpu, const Event& e) {
  log(Log::kInt, "v=%02x e=%04x i=%d cpl=%d IP=%04x:%08x SP=%04x:%08x CR2=%08x EAX=%08x", e.vector, e.error,
      e.source == Cpu::Source::kSoftware, cpu.s.cpl, cpu.s.seg[kCs].selector, static_cast<u32>(cpu.s.eip),
      cpu.s.seg[kSs].selector, cpu.s.r32(kEsp), cpu.s.cr2, cpu.s.r32(kEax));
}

void through_real_vector(Cpu& cpu, u8 vector) {
  CpuState& s = cpu.s;
  const u32 entry = u32{vector} * 4;
  if (entry + 3 > s.idtr.limit) {
    // SDM says #GP; the 286 and 386 manuals call it interrupt 8, "interrupt table limit too small".
    cpu.fault(cpu.model.generation <= Generation::k386 ? kDoubleFault : kGeneralProtection, 0);
  }
  const u32 target = cpu.read_system<u32>(Linear(s.idtr.base + entry));
  Stack stack = Stack::current(cpu);
  stack.push(flags_image(cpu), 2);
  stack.push(s.seg[kCs].selector, 2);
  stack.push(static_cast<u32>(s.eip), 2);
  s.r32(kEsp) = stack.esp();
  s.eflags &= ~(flag::kIf | flag::kTf | flag::kAc | flag::kRf);
  cpu.set_real_segment(kCs, static_cast<u16>(target >> 16));
  s.eip = target & 0xffff;
}

// INT n that VME leaves to the 8086 program itself. With IOPL below 3, VIF stands for IF.
void through_v86_vector(Cpu& cpu, u8 vector) {
  CpuState& s = cpu.s;
  const u32 target = cpu.read_linear<u32>(Linear(u32{vector} * 4));
  u32 image = s.eflags;
  u32 cleared = flag::kTf | flag::kNt | flag::kRf;
  if (cpu.iopl() == 3) {
    cleared |= flag::kIf;
  } else {
    image = (image & ~flag::kIf) | flag::kIopl | ((image & flag::kVif) != 0 ? flag::kIf : 0);
    cleared |= flag::kVif;
  }
  Stack stack = Stack::current(cpu);
  stack.push(image & 0xffff, 2);
  stack.push(s.seg[kCs].selector, 2);
  stack.push(static_cast<u32>(s.eip), 2);
  s.r32(kEsp) = stack.esp();
  s.eflags &= ~cleared;
  cpu.set_real_segment(kCs, static_cast<u16>(target >> 16));
  s.eip = target & 0xffff;
}

// To an inner ring: a new stack from the TSS, with the outer one saved on it; from V86 also the data segments.
void to_inner_ring(Cpu& cpu, const Event& e, const Descriptor& gate, Descriptor& code) {
  CpuState& s = cpu.s;
  const unsigned cpl = code.dpl();
  const unsigned size = gate.gate32() ? 4 : 2;
  const bool v86 = cpu.v86();
  const InnerStack inner = inner_stack(cpu, cpl, e.ext());
  Stack stack(cpu, inner.ss, inner.esp, selector_error(inner.ss.selector, e.ext()));
  stack.require_room(size * ((v86 ? 9u : 5u) + (e.has_error ? 1u : 0u)));
  const u32 eip = gate.gate_offset();
  if (eip > code.limit()) cpu.fault(kGeneralProtection, e.ext());
  set_accessed(cpu, code);
  if (v86) {
    for (SegReg reg : {kGs, kFs, kDs, kEs}) stack.push(s.seg[reg].selector, size);
  }
  stack.push(s.seg[kSs].selector, size);
  stack.push(s.r32(kEsp), size);
  stack.push(s.eflags | (e.resume ? flag::kRf : 0), size);
  stack.push(s.seg[kCs].selector, size);
  stack.push(static_cast<u32>(s.eip), size);
  if (e.has_error) stack.push(e.error, size);
  if (v86) {
    s.eflags &= ~flag::kVm;
    for (SegReg reg : {kGs, kFs, kDs, kEs}) s.seg[reg] = null_segment(0);
  }
  s.seg[kSs] = inner.ss;
  s.r32(kEsp) = stack.esp();
  commit_code(cpu, gate.gate_selector(), code, cpl, eip);
}

void to_same_ring(Cpu& cpu, const Event& e, const Descriptor& gate, Descriptor& code) {
  CpuState& s = cpu.s;
  const unsigned size = gate.gate32() ? 4 : 2;
  Stack stack = Stack::current(cpu, e.ext());
  stack.require_room(size * (e.has_error ? 4 : 3));
  const u32 eip = gate.gate_offset();
  if (eip > code.limit()) cpu.fault(kGeneralProtection, e.ext());
  set_accessed(cpu, code);
  stack.push(s.eflags | (e.resume ? flag::kRf : 0), size);
  stack.push(s.seg[kCs].selector, size);
  stack.push(static_cast<u32>(s.eip), size);
  if (e.has_error) stack.push(e.error, size);
  s.r32(kEsp) = stack.esp();
  commit_code(cpu, gate.gate_selector(), code, s.cpl, eip);
}

Descriptor fetch_gate(Cpu& cpu, const Event& e) {
  const u32 code = u32{e.vector} * 8 + 2;  // the IDT bit
  if (u32{e.vector} * 8 + 7 > cpu.s.idtr.limit) cpu.fault(kGeneralProtection, code + e.ext());
  Descriptor gate;
  gate.at = Linear(cpu.s.idtr.base + u32{e.vector} * 8);
  const u64 raw = cpu.read_system<u64>(gate.at);
  gate.low = static_cast<u32>(raw);
  gate.high = static_cast<u32>(raw >> 32);
  const u8 type = (gate.high >> 8) & 0x1f;
  const bool known = type == system_type::kTaskGate || (type & ~1) == system_type::kInterruptGate16 ||
                     ((type & ~1) == system_type::kInterruptGate32 && cpu.model.generation >= Generation::k386);
  if (!known) cpu.fault(kGeneralProtection, code + e.ext());
  if (e.source == Cpu::Source::kSoftware && gate.dpl() < cpu.s.cpl) cpu.fault(kGeneralProtection, code);
  if (!gate.present()) cpu.fault(kNotPresent, code + e.ext());
  return gate;
}

void through_gate(Cpu& cpu, const Event& e) {
  SupervisorScope scope(cpu);
  CpuState& s = cpu.s;
  const Descriptor gate = fetch_gate(cpu, e);
  if (gate.type() == system_type::kTaskGate) {
    if (e.resume) s.eflags |= flag::kRf;
    task_gate(cpu, gate, TaskSwitch::kInterrupt, e.ext(), e.has_error ? &e.error : nullptr);
    return;
  }
  const u16 selector = gate.gate_selector();
  Descriptor code = require_descriptor(cpu, selector, kGeneralProtection, e.ext());
  if (!code.code() || code.dpl() > s.cpl) cpu.fault(kGeneralProtection, selector_error(selector, e.ext()));
  if (!code.present()) cpu.fault(kNotPresent, selector_error(selector, e.ext()));
  const bool inner = !code.conforming() && code.dpl() < s.cpl;
  if (cpu.v86() && (!inner || code.dpl() != 0)) cpu.fault(kGeneralProtection, selector_error(selector, e.ext()));
  if (inner) {
    to_inner_ring(cpu, e, gate, code);
  } else {
    scope.end();  // the stack is the program's own, to be reached with its own rights
    to_same_ring(cpu, e, gate, code);
  }
  s.eflags &= ~(flag::kTf | flag::kNt | flag::kRf | flag::kVm);
  if ((gate.type() & 1) == 0) s.eflags &= ~flag::kIf;
}

// SDM vol. 3 table 6-5: which second fault turns the first into a double fault.
bool contributory(u8 vector) {
  return vector == kDivideError || (vector >= kInvalidTss && vector <= kGeneralProtection);
}
bool escalates(u8 first, u8 second) {
  if (first == kPageFault) return second == kPageFault || contributory(second);
  return contributory(first) && contributory(second);
}

// Delivers, and what that raises, until something is delivered or the processor shuts down. Faults that the manual
// calls benign can raise one another for ever (an #AC whose frame goes to a misaligned stack): hardware then hangs with
// interrupts shut out until a reset (CVE-2015-5307); here that is a shutdown too.
void dispatch_or_escalate(Cpu& cpu, Event event) {
  constexpr unsigned kRounds = 8;
  for (unsigned round = 1;; ++round) {
    try {
      dispatch(cpu, event);
      return;
    } catch (const GuestFault& second) {
      const bool nested = event.source == Cpu::Source::kException;
      if ((nested && event.vector == kDoubleFault) || round == kRounds) {
        log(Log::kReset, "triple fault: shutdown");
        cpu.s.activity = Activity::kShutdown;
        return;
      }
      const bool doubled = nested && escalates(event.vector, second.vector);
      event = doubled ? Event{kDoubleFault, Cpu::Source::kException, true, 0}
                      : Event{second.vector, Cpu::Source::kException, second.has_error, second.error, true};
    }
  }
}

}  // namespace

void commit_code(Cpu& cpu, u16 selector, Descriptor& d, unsigned cpl, u32 eip) {
  cpu.s.seg[kCs] = make_segment(static_cast<u16>((selector & 0xfffc) | cpl), d);
  cpu.s.eip = eip;
  if (cpu.s.cpl != cpl) cpu.set_cpl(static_cast<u8>(cpl));
}

void dispatch(Cpu& cpu, const Event& event) {
  if (log_on(Log::kInt)) trace(cpu, event);
  if (cpu.real()) {
    through_real_vector(cpu, event.vector);
  } else {
    through_gate(cpu, event);
  }
  if (event.vector == kDebug && event.source == Cpu::Source::kException) cpu.s.dr[7] &= ~dr7::kGd;
  cpu.s.activity = Activity::kRunning;
  cpu.s.shadow = 0;
  cpu.s.pending_debug &= ~dr6::kBs;  // the trap of an instruction that ended in a handler is not taken
}

void Cpu::deliver(const GuestFault& fault) {
  s.eip = s.insn_eip;
  s.pending_debug = 0;  // the instruction did not complete
  const bool resume = fault.vector != kDebug && fault.vector != kDoubleFault;
  dispatch_or_escalate(*this, Event{fault.vector, Source::kException, fault.has_error, fault.error, resume});
}

void Cpu::interrupt(u8 vector, Source source) {
  const Event event{vector, source};
  if (source == Source::kSoftware || source == Source::kIcebp) {
    dispatch(*this, event);  // what it throws is the instruction's own fault
  } else {
    s.insn_eip = s.eip;
    dispatch_or_escalate(*this, event);
  }
}

void Cpu::int_n(u8 vector) {
  if (v86()) {
    if ((s.cr4 & cr4::kVme) != 0 && !vme_redirected_to_monitor(*this, vector)) {
      through_v86_vector(*this, vector);
      return;
    }
    if (iopl() < 3) fault(kGeneralProtection, 0);
  }
  interrupt(vector, Source::kSoftware);
}

bool Cpu::service() {
  const u32 requests = pending.load(std::memory_order_acquire);
  if ((requests & attention::kInit) != 0) {
    pending.fetch_and(~attention::kInit);
    reset();
    return true;
  }
  if (s.activity == Activity::kShutdown || (s.shadow & kInhibitInterrupts) != 0) return false;
  if ((requests & attention::kNmi) != 0 && !s.nmi_blocked) {
    pending.fetch_and(~attention::kNmi);
    s.nmi_blocked = true;
    interrupt(kNmi, Source::kHardware);
    return true;
  }
  if ((requests & attention::kInterrupt) != 0 && (s.eflags & flag::kIf) != 0) {
    interrupt(pic.acknowledge(), Source::kHardware);
    return true;
  }
  return false;
}

}  // namespace umbra
