// IN and OUT. The string forms are in string.cpp.
#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

u16 port(Cpu& cpu, const Insn& insn, unsigned n) {
  return insn.operands[n].kind == OperandKind::kImm ? insn.imm & 0xff : cpu.s.r16(kEdx);
}

template <class T>
void input(Cpu& cpu, const Insn& insn) {
  const u16 from = port(cpu, insn, 1);
  cpu.check_port(from, sizeof(T));
  set_reg<T>(cpu.s, kEax, static_cast<T>(cpu.ports.in(from, sizeof(T))));
}

template <class T>
void output(Cpu& cpu, const Insn& insn) {
  const u16 to = port(cpu, insn, 0);
  cpu.check_port(to, sizeof(T));
  cpu.ports.out(to, reg<T>(cpu.s, kEax), sizeof(T));
}

}  // namespace

Handler in(const Insn& insn) {
  return by_size(insn.operands[0].size, []<class T>() -> Handler { return input<T>; });
}

Handler out(const Insn& insn) {
  return by_size(insn.operands[1].size, []<class T>() -> Handler { return output<T>; });
}

}  // namespace umbra::interp
