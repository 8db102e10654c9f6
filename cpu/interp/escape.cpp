// What a processor does with x87 instructions when no x87 is there: it makes the bus access that the coprocessor would
// have used, a word, and goes on.
#include "cpu/interp/operands.h"

namespace umbra::interp {

Handler escape(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) {
    if ((cpu.s.cr0 & (cr0::kEm | cr0::kTs)) != 0) cpu.fault(kDeviceNotAvailable);
    if (insn.operands[0].kind == OperandKind::kMem || insn.operands[1].kind == OperandKind::kMem)
      cpu.read<u16>(segment(insn), effective_address(cpu.s, insn));
  };
}

}  // namespace umbra::interp
