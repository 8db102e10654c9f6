// Far JMP, CALL and RET, INT, IRET, SYSENTER. The work is done in cpu/transfer.cpp, iret.cpp and exceptions.cpp.
#include "cpu/transfer.h"

#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

using FarTransfer = void (*)(Cpu&, u16 selector, u32 offset, unsigned size);

// A pointer in the instruction, or in memory with the offset first.
template <FarTransfer Go>
void far_direct(Cpu& cpu, const Insn& insn) {
  Go(cpu, insn.imm2, insn.imm, insn.operand_size);
}

template <FarTransfer Go>
void far_indirect(Cpu& cpu, const Insn& insn) {
  const u32 at = effective_address(cpu.s, insn);
  const u32 size = insn.operand_size;
  const u32 offset = size == 2 ? cpu.read<u16>(segment(insn), at) : cpu.read<u32>(segment(insn), at);
  const u16 selector = cpu.read<u16>(segment(insn), (at + size) & insn.address_mask);
  Go(cpu, selector, offset, size);
}

template <FarTransfer Go>
Handler far_transfer(const Insn& insn) {
  return insn.operands[0].kind == OperandKind::kMem ? far_indirect<Go> : far_direct<Go>;
}

}  // namespace

Handler jmp_far(const Insn& insn) { return far_transfer<far_jump>(insn); }
Handler call_far(const Insn& insn) { return far_transfer<far_call>(insn); }

Handler ret_far(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) { far_return(cpu, insn.operand_size, insn.imm & 0xffff); };
}

Handler iret(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) { umbra::iret(cpu, insn.operand_size); };
}

Handler int_n(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) { cpu.int_n(static_cast<u8>(insn.imm)); };
}

Handler int3(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.interrupt(kBreakpoint, Cpu::Source::kSoftware); };
}

Handler int1(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.icebp(); };
}

Handler into(const Insn&) {
  return [](Cpu& cpu, const Insn&) {
    if ((cpu.s.eflags & flag::kOf) != 0) cpu.interrupt(kOverflow, Cpu::Source::kSoftware);
  };
}

Handler sysenter(const Insn&) {
  return [](Cpu& cpu, const Insn&) { umbra::sysenter(cpu); };
}

Handler sysexit(const Insn&) {
  return [](Cpu& cpu, const Insn&) { umbra::sysexit(cpu); };
}

}  // namespace umbra::interp
