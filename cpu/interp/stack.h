// Pushes and pops at the width of the stack segment. Nothing is committed when an access faults.
#pragma once

#include "cpu/cpu.h"

namespace umbra::interp {

inline u32 stack_pointer(const Cpu& cpu) { return static_cast<u32>(cpu.s.gpr[kEsp]) & cpu.stack_mask(); }

inline void set_stack_pointer(Cpu& cpu, u32 value) {
  if (cpu.s.seg[kSs].big()) {
    cpu.s.r32(kEsp) = value;
  } else {
    cpu.s.r16(kEsp) = static_cast<u16>(value);
  }
}

template <class T>
void push(Cpu& cpu, T value) {
  const u32 top = (stack_pointer(cpu) - sizeof(T)) & cpu.stack_mask();
  cpu.write<T>(kSs, top, value);
  set_stack_pointer(cpu, top);
}

template <class T>
T pop(Cpu& cpu) {
  const u32 top = stack_pointer(cpu);
  const T value = cpu.read<T>(kSs, top);
  set_stack_pointer(cpu, top + sizeof(T));
  return value;
}

// Near transfers: the target is checked against CS before anything is committed.
inline void jump(Cpu& cpu, u32 target) {
  if (target > cpu.s.seg[kCs].limit) cpu.fault(kGeneralProtection, 0);
  cpu.s.eip = target;
}

}  // namespace umbra::interp
