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
    if (base == 0) {
      // The 286 and 386 have set these when they give up (SingleStepTests 80386, D4).
      const u8 half = cpu.s.r8(kEax) >> 1;
      const bool old = cpu.model.generation == Generation::k286 || cpu.model.generation == Generation::k386;
      if (old) cpu.s.eflags = (cpu.s.eflags & ~(flag::kSf | flag::kZf | flag::kPf)) | alu::szp(half);
      divide_error(cpu);
    }
    cpu.s.r16(kEax) = alu::aam(cpu.s.r8(kEax), base, cpu.s.eflags);
  };
}
Handler aad(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) {
    cpu.s.r16(kEax) = alu::aad(cpu.s.r16(kEax), static_cast<u8>(insn.imm), cpu.s.eflags);
  };
}

}  // namespace umbra::interp
