// Far transfers, gates and tasks: what the handlers of JMP, CALL, RET, IRET, INT and SYSENTER call. Each commits only
// after its last check. `size` is the operand size in bytes, 2 or 4; s.eip is the address of the next instruction.
#pragma once

#include "cpu/descriptor.h"

namespace umbra {

void far_jump(Cpu& cpu, u16 selector, u32 offset, unsigned size);
void far_call(Cpu& cpu, u16 selector, u32 offset, unsigned size);
void far_return(Cpu& cpu, unsigned size, u32 release);  // RETF n: `release` bytes of parameters
void iret(Cpu& cpu, unsigned size);
void sysenter(Cpu& cpu);
void sysexit(Cpu& cpu);

// What one event does to the flow of control, without escalation: throws if it cannot be delivered.
struct Event {
  u8 vector;
  Cpu::Source source;
  bool has_error = false;
  u32 error = 0;
  bool resume = false;  // a fault: the flags it pushes have RF set
  u32 ext() const { return source == Cpu::Source::kSoftware ? 0 : 1; }
};
void dispatch(Cpu& cpu, const Event& event);

// A code segment that an interrupt, gate or return has chosen, about to go into CS with the given CPL.
void commit_code(Cpu& cpu, u16 selector, Descriptor& d, unsigned cpl, u32 eip);

// The code segment that RETF or IRET goes back to, checked.
Descriptor return_target(Cpu& cpu, u16 selector);
// The end of a return to an outer ring: SS:ESP, `release` bytes of its parameters, CS:EIP, and the data segments.
void commit_outer(Cpu& cpu, u16 selector, Descriptor& code, u32 eip, const Segment& ss, u32 esp, u32 release);

// EFLAGS as an 8086 stores them: the upper four bits read as ones there.
inline u32 flags_image(const Cpu& cpu) {
  return cpu.model.generation == Generation::k8086 ? cpu.s.eflags | 0xf000 : cpu.s.eflags;
}

// --- tasks.cpp ------------------------------------------------------------------------------------------------------
struct InnerStack {
  Segment ss;
  u32 esp;
};
// The stack that the TSS names for ring `cpl`, checked: #TS.
InnerStack inner_stack(Cpu& cpu, unsigned cpl, u32 ext);

enum class TaskSwitch : u8 { kJump, kCall, kInterrupt, kReturn };
// `error` is pushed on the new stack (exceptions through a task gate).
void switch_task(Cpu& cpu, u16 selector, TaskSwitch how, u32 ext = 0, const u32* error = nullptr);
// A task gate or TSS selector met by JMP, CALL or an IDT gate: checks the descriptor, then switches.
void task_gate(Cpu& cpu, const Descriptor& gate, TaskSwitch how, u32 ext = 0, const u32* error = nullptr);

// The redirection bit of INT n in V86 mode with VME: false sends it to the 8086 program.
bool vme_redirected_to_monitor(Cpu& cpu, u8 vector);

}  // namespace umbra
