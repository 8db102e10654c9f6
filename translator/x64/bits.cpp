// BT, BTS, BTR and BTC whose bit offset is a register and reaches any bit of memory around the operand. The host's own
// form would reach just as far, out of the cage: the address is made here, and the host tests inside one word.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

bool Writer::reaches_bits() const {
  const RawLayout& r = now_.raw;
  const bool test = r.opcode == 0xa3 || r.opcode == 0xab || r.opcode == 0xb3 || r.opcode == 0xbb;
  return r.map == 1 && test && r.is_memory();
}

// Nothing here touches any flag but CF.
bool Writer::bit_string() {
  const Insn& insn = *now_.insn;
  const RawLayout& r = now_.raw;
  const bool stores = r.opcode != 0xa3;
  if (!block_.key.mode.lanes() || (r.lock && !stores)) return false;
  const u32 size = insn.operand_size;
  const bool wide = size == 4;
  const Gp offset = wide ? guest32(r.reg()) : gpw(r.reg()), value = wide ? kTarget32 : kTarget.r16();
  effective_address(kLinear32);
  a.movsx(kTarget, offset);
  a.rorx(kTarget, kTarget, wide ? 5 : 4);  // its lower half is the offset in words
  a.lea(kLinear32, ptr(kLinear, kTarget, wide ? 2 : 1));
  if (insn.address_size == 2) a.movzx(kLinear32, kLinear.r16());
  lane(insn.segment, size, stores ? Way::kStore : Way::kLoad, offset_of_operand());
  want_flags();
  if (r.lock || (stores && block_.window)) {  // through a window it may fault, before CF changes
    a.mov(kSaved.r32(), 8 * size - 1);
    a.pext(kTarget32, guest32(r.reg()), kSaved.r32());
    if (r.lock) a.lock();
    a.bit_test(r.opcode, sized(operand_, size), value);
    return true;
  }
  a.mov(value, operand_);
  a.bit_test(r.opcode, value, offset);
  if (stores) a.mov(operand_, value);
  return true;
}

}  // namespace umbra::x64
