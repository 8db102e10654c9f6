// PUSH POP PUSHA POPA ENTER LEAVE. PUSHF and POPF are in system.cpp.
#include "cpu/interp/stack.h"

#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

// With a 32-bit operand size only the selector's two bytes are written: found on a 386, a 486 and P6 (SDM, PUSH).
template <class T>
void push_segment(Cpu& cpu, const Insn& insn) {
  const u16 selector = cpu.s.seg[insn.operands[0].reg].selector;
  const u32 top = (stack_pointer(cpu) - sizeof(T)) & cpu.stack_mask();
  cpu.write<u16>(kSs, top, selector);
  set_stack_pointer(cpu, top);
}

template <class T>
void push_operand(Cpu& cpu, const Insn& insn) {
  push<T>(cpu, load_operand<T>(cpu, insn, 0));
}

// The 8086 decrements SP first and pushes the new value.
void push_sp_16(Cpu& cpu, const Insn&) {
  push<u16>(cpu, static_cast<u16>(cpu.s.r16(kEsp) - (cpu.model.generation == Generation::k8086 ? 2 : 0)));
}

template <class T>
void pop_register(Cpu& cpu, const Insn& insn) {
  reg<T>(cpu.s, insn.operands[0].reg) = pop<T>(cpu);
}

// The address is computed with the incremented ESP; ESP goes back if the write faults.
template <class T>
void pop_memory(Cpu& cpu, const Insn& insn) {
  const u64 esp = cpu.s.gpr[kEsp];
  const T value = pop<T>(cpu);
  try {
    Mem<T>::set(cpu, insn, value);
  } catch (const GuestFault&) {
    cpu.s.gpr[kEsp] = esp;
    throw;
  }
}

template <class T>
void pop_segment(Cpu& cpu, const Insn& insn) {
  const auto to = static_cast<SegReg>(insn.operands[0].reg);
  const u32 top = stack_pointer(cpu);
  const u16 selector = cpu.read<u16>(kSs, top);
  const u32 mask = cpu.stack_mask();
  const bool big = cpu.s.seg[kSs].big();  // of the stack popped from, when SS itself is loaded
  cpu.load_segment(to, selector);
  const u32 after = (top + sizeof(T)) & mask;
  if (big) {
    cpu.s.r32(kEsp) = after;
  } else {
    cpu.s.r16(kEsp) = static_cast<u16>(after);
  }
  if (to == kSs) cpu.s.shadow = kInhibitInterrupts | kInhibitDebug;
}

// All eight are checked before the first is written, except where an 8086 or 286 would wrap.
template <class T>
void push_all(Cpu& cpu, const Insn&) {
  CpuState& s = cpu.s;
  const u32 mask = cpu.stack_mask();
  const u32 old = stack_pointer(cpu);
  T values[8];
  for (unsigned r = 0; r < 8; ++r) values[r] = reg<T>(s, r);
  for (unsigned r = 8; r-- > 0;) cpu.check(kSs, (old - (8 - r) * sizeof(T)) & mask, sizeof(T), Access::kWrite);
  for (unsigned r = 0; r < 8; ++r) cpu.write<T>(kSs, (old - (r + 1) * sizeof(T)) & mask, values[r]);
  set_stack_pointer(cpu, (old - 8 * sizeof(T)) & mask);
}

template <class T>
void pop_all(Cpu& cpu, const Insn&) {
  const u32 mask = cpu.stack_mask();
  const u32 old = stack_pointer(cpu);
  T values[8];
  for (unsigned i = 0; i < 8; ++i) values[i] = cpu.read<T>(kSs, (old + i * sizeof(T)) & mask);
  for (unsigned i = 0; i < 8; ++i)
    if (7 - i != kEsp) reg<T>(cpu.s, 7 - i) = values[i];
  set_stack_pointer(cpu, (old + 8 * sizeof(T)) & mask);
}

// The 386 writes and loads one register after the other, from the lowest address up, and a fault finds what is done
// (SingleStepTests 80386, 60 and 61).
template <class T>
void push_all_386(Cpu& cpu, const Insn&) {
  const u32 mask = cpu.stack_mask();
  const u32 low = (stack_pointer(cpu) - 8 * sizeof(T)) & mask;
  for (unsigned i = 0; i < 8; ++i) cpu.write<T>(kSs, (low + i * sizeof(T)) & mask, reg<T>(cpu.s, 7 - i));
  set_stack_pointer(cpu, low);
}

// What a 16-bit stack leaves of ESP comes from its image.
template <class T>
void pop_all_386(Cpu& cpu, const Insn&) {
  const u32 mask = cpu.stack_mask();
  const u32 old = stack_pointer(cpu);
  T esp = 0;
  for (unsigned i = 0; i < 8; ++i) {
    const T value = cpu.read<T>(kSs, (old + i * sizeof(T)) & mask);
    (7 - i == kEsp ? esp : reg<T>(cpu.s, 7 - i)) = value;
  }
  if (sizeof(T) == 4) cpu.s.r32(kEsp) = esp;
  set_stack_pointer(cpu, (old + 8 * sizeof(T)) & mask);
}

template <class T>
void enter_frame(Cpu& cpu, const Insn& insn) {
  CpuState& s = cpu.s;
  const u32 mask = cpu.stack_mask();
  const unsigned level = insn.imm2 & 31;
  u32 top = (stack_pointer(cpu) - sizeof(T)) & mask;
  cpu.write<T>(kSs, top, reg<T>(s, kEbp));
  // Found on hardware: a 32-bit ENTER on a 16-bit stack takes all of ESP.
  const u32 frame = (s.r32(kEsp) & ~mask) | top;
  u32 outer = static_cast<u32>(s.gpr[kEbp]) & mask;
  for (unsigned i = 1; i < level; ++i) {
    outer = (outer - sizeof(T)) & mask;
    const T value = cpu.read<T>(kSs, outer);
    top = (top - sizeof(T)) & mask;
    cpu.write<T>(kSs, top, value);
  }
  if (level > 0) {
    top = (top - sizeof(T)) & mask;
    cpu.write<T>(kSs, top, static_cast<T>(frame));
  }
  top = (top - static_cast<u16>(insn.imm)) & mask;
  // The last word of the new frame must be writable, or the instruction faults as a whole.
  if (cpu.model.generation >= Generation::k386) cpu.check(kSs, top, sizeof(T), Access::kWrite);
  reg<T>(s, kEbp) = static_cast<T>(frame);
  set_stack_pointer(cpu, top);
}

template <class T>
void leave_frame(Cpu& cpu, const Insn&) {
  const u32 frame = static_cast<u32>(cpu.s.gpr[kEbp]) & cpu.stack_mask();
  const T value = cpu.read<T>(kSs, frame);
  set_stack_pointer(cpu, frame + sizeof(T));
  reg<T>(cpu.s, kEbp) = value;
}

}  // namespace

Handler push(const Insn& insn) {
  const Operand& o = insn.operands[0];
  if (o.kind == OperandKind::kReg && o.reg == kEsp && insn.operand_size == 2) return push_sp_16;
  return by_word_size(insn.operand_size, [&]<class T>() -> Handler {
    return o.kind == OperandKind::kSeg ? push_segment<T> : push_operand<T>;
  });
}

Handler pop(const Insn& insn) {
  const OperandKind kind = insn.operands[0].kind;
  return by_word_size(insn.operand_size, [&]<class T>() -> Handler {
    if (kind == OperandKind::kSeg) return pop_segment<T>;
    return kind == OperandKind::kMem ? pop_memory<T> : pop_register<T>;
  });
}

Handler pusha(const Insn& insn) { return insn.old_way ? push_all_386<u16> : push_all<u16>; }
Handler pushad(const Insn& insn) { return insn.old_way ? push_all_386<u32> : push_all<u32>; }
Handler popa(const Insn& insn) { return insn.old_way ? pop_all_386<u16> : pop_all<u16>; }
Handler popad(const Insn& insn) { return insn.old_way ? pop_all_386<u32> : pop_all<u32>; }

Handler enter(const Insn& insn) {
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return enter_frame<T>; });
}
Handler leave(const Insn& insn) {
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return leave_frame<T>; });
}

}  // namespace umbra::interp
