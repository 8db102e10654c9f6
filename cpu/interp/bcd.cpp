// DAA DAS AAA AAS AAM AAD.
#include "cpu/alu.h"
#include "cpu/interp/operands.h"

namespace umbra::interp {

Handler daa(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r8(kEax) = alu::daa(cpu.s.r8(kEax), cpu.s.eflags); };
}
Handler das(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r8(kEax) = alu::das(cpu.s.r8(kEax), cpu.s.eflags); };
}
Handler aaa(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r16(kEax) = alu::aaa(cpu.s.r16(kEax), cpu.s.eflags); };
}
Handler aas(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r16(kEax) = alu::aas(cpu.s.r16(kEax), cpu.s.eflags); };
}
Handler aam(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) {
    const u8 base = static_cast<u8>(insn.imm);
    if (base == 0) divide_error(cpu);
    cpu.s.r16(kEax) = alu::aam(cpu.s.r8(kEax), base, cpu.s.eflags);
  };
}
Handler aad(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) {
    cpu.s.r16(kEax) = alu::aad(cpu.s.r16(kEax), static_cast<u8>(insn.imm), cpu.s.eflags);
  };
}

}  // namespace umbra::interp
