// MOVS, STOS, LODS, CMPS and SCAS upwards, in any segments; INS, OUTS and repeated LODS are callouts. Repeated ones
// call the passage that all blocks share (string_stubs.cpp).
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

namespace {

constexpr u8 kMovs = 0xa4, kCmps = 0xa6, kStos = 0xaa, kLods = 0xac, kScas = 0xae;

}  // namespace

// DF is 0, or the miss.
void Writer::require_upwards(const Label& miss) {
  a.test(state_at(offsetof(CpuState, eflags) + 1, 1), flag::kDf >> 8);
  a.jnz(miss);
}

bool Writer::string() {
  const Insn& insn = *now_.insn;
  const u8 op = now_.raw.opcode & 0xfe;
  const bool io = op < kMovs;
  if (now_.raw.map != 0 || now_.raw.lock || !block_.key.mode.lanes() || io) return false;
  const u32 size = (now_.raw.opcode & 1) == 0 ? 1 : insn.operand_size;
  if (now_.raw.mandatory == 0) {
    single(size);
    return true;
  }
  const bool equal = now_.raw.mandatory == 0xf3;  // for the others it is as good as F2
  switch (op) {
    case kMovs:
      repeated(StringOp::kMovs, size);
      return true;
    case kStos:
      repeated(StringOp::kStos, size);
      return true;
    case kCmps:
      repeated(equal ? StringOp::kCmpsWhileEqual : StringOp::kCmpsWhileOther, size);
      return true;
    case kScas:
      repeated(equal ? StringOp::kScasWhileEqual : StringOp::kScasWhileOther, size);
      return true;
    default:
      return false;
  }
}

void Writer::string_operand(unsigned index, unsigned seg, u32 size, Way way) {
  if (direct(seg) && now_.insn->address_size == 4) {
    operand_ = ptr(guest32(index));
    operand_.setSegment(gs);
    return;
  }
  if (now_.insn->address_size == 4) {
    a.mov(kLinear32, guest32(index));
  } else {
    a.movzx(kLinear32, gpw(index));
  }
  lane(seg, size, way, offset_of_operand());
}

void Writer::advance(unsigned index, u32 by) {
  if (now_.insn->address_size == 4) {
    a.lea(guest32(index), ptr(guest64(index), static_cast<i32>(by)));
  } else {
    a.lea(kLinear32, ptr(guest64(index), static_cast<i32>(by)));
    a.mov(gpw(index), kLinear.r16());
  }
}

void Writer::single(u32 size) {
  const u8 op = now_.raw.opcode & 0xfe;
  const bool from_source = op == kMovs || op == kCmps || op == kLods, at_destination = op != kLods;
  const Gp value = size == 4 ? Gp(kTarget32) : size == 2 ? Gp(kTarget.r16()) : Gp(kTarget.r8());
  const Gp accumulator = size == 4 ? Gp(eax) : size == 2 ? Gp(ax) : Gp(al);
  spare_flags();
  require_upwards(miss_label());
  if (from_source) {
    string_operand(kEsi, now_.insn->segment, size, Way::kLoad);
    a.mov(op == kLods ? accumulator : value, operand_);
  }
  if (at_destination) {
    const bool compares = op == kCmps || op == kScas;
    string_operand(kEdi, kEs, size, compares ? Way::kLoad : Way::kStore);
    const Gp& with = op == kMovs || op == kCmps ? value : accumulator;
    if (compares) {
      overwrite_flags();
      a.cmp(with, operand_);
    } else {
      a.mov(operand_, with);
    }
    advance(kEdi, size);
  }
  if (from_source) advance(kEsi, size);
}

void Writer::repeated(StringOp op, u32 size) {
  const Insn& insn = *now_.insn;
  const Mode mode = block_.key.mode;
  const bool source = op != StringOp::kStos && op < StringOp::kScasWhileEqual;
  const bool flat = mode.segment(kEs) == SegClass::kFlat && (!source || mode.segment(insn.segment) == SegClass::kFlat);
  const StringForm form = insn.address_size == 2 ? StringForm::kShort
                          : flat                 ? StringForm::kFlat
                                                 : StringForm::kSegments;
  want_flags();
  name_site(now_.index);
  if (form != StringForm::kFlat) a.mov(kTarget32, offsetof(CpuState, seg) + insn.segment * sizeof(Segment));
  a.mov(gpr_slot(kEsp), rsp);
  a.mov(rsp, context_at(offsetof(Context, host_rsp), 8));
  a.call(reinterpret_cast<u64>(stubs_.strings[string_stub(op, form, size)]));
  a.mov(esp, gpr_low(kEsp));
}

}  // namespace umbra::x64
