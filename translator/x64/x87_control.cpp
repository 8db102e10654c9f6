// FLDCW and LDMXCSR. Blocks run x87 and SSE instructions on the host's units because every exception is masked: a
// control word that unmasks one, or that the guest may not load, is the handler's, and ends that.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

namespace {

constexpr u32 kX87Masks = 0x3f, kSseMasks = 0x1f80;
constexpr u32 kSseOdd = 0xffff0040;  // reserved, and DAZ, which not every model has

}  // namespace

bool Writer::load_control_word() {
  if (!block_.key.mode.lanes()) return false;
  const bool x87 = now_.insn->op == Op::kFldcw;
  need_fpu();
  spare_flags();
  const Label miss = miss_label();
  memory_lane(x87 ? 2 : 4, Way::kLoad);
  const Mem slot = x87 ? state_at(offsetof(CpuState, fpu.fcw), 2) : state_at(offsetof(CpuState, fpu.mxcsr), 4);
  if (x87) {
    a.movzx(kTarget32, sized(operand_, 2));
  } else {
    a.mov(kTarget32, operand_);
  }
  a.mov(kEntry32, kTarget32);
  if (x87) {
    a.not_(kEntry32);
    a.test(kEntry32, kX87Masks);
  } else {
    a.xor_(kEntry32, kSseMasks);
    a.test(kEntry32, kSseMasks | kSseOdd);
  }
  a.jnz(miss);
  // From where nobody else can change it.
  a.mov(slot, x87 ? kTarget.r16() : kTarget32);
  x87 ? a.fldcw(slot) : a.ldmxcsr(slot);
  return true;
}

}  // namespace umbra::x64
