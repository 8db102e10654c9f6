#include "cpu/interp/bind.h"

#include "cpu/cpu.h"

namespace umbra {

namespace interp {
#define INSN(name, function, x64, a64, traits) Handler function(const Insn& insn);
#include "cpu/isa.def"
#undef INSN

namespace {

void undefined_opcode(Cpu& cpu, const Insn&) {
  if (cpu.model.generation != Generation::k8086) cpu.fault(kInvalidOpcode);  // an 8086 goes on with the next byte
}

void too_long(Cpu& cpu, const Insn&) { cpu.fault(kGeneralProtection, 0); }

Handler invalid(const Insn& insn) { return insn.too_long() ? too_long : undefined_opcode; }

}  // namespace
}  // namespace interp

Handler bind(const Insn& insn) {
  using Binder = Handler (*)(const Insn&);
  static constexpr Binder kBinders[] = {
#define INSN(name, function, x64, a64, traits) interp::function,
#include "cpu/isa.def"
#undef INSN
      interp::invalid};
  return kBinders[static_cast<u16>(insn.op)](insn);
}

}  // namespace umbra
