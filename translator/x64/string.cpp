// MOVS, STOS and LODS upwards through flat segments with 32-bit addresses; everything else is a callout. Repeated ones
// run as the host's own when both ranges end in the page where they begin: through the table lane, whose host addresses
// cannot fault in the middle.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

namespace {

u32 scale_of(u32 size) { return size == 4 ? 2 : size == 2 ? 1 : 0; }

}  // namespace

// DF is 0, or the miss. Flags are saved by the caller if they are live.
void Writer::require_upwards(const Label& miss) {
  a.test(state_at(offsetof(CpuState, eflags) + 1, 1), flag::kDf >> 8);
  a.jnz(miss);
}

bool Writer::string() {
  const Insn& insn = *now_.insn;
  const Mode mode = block_.key.mode;
  const u8 op = now_.raw.opcode & 0xfe;
  const bool reads = op == 0xa4 || op == 0xac, writes = op == 0xa4 || op == 0xaa;
  if (now_.raw.map != 0 || now_.raw.lock || !mode.lanes() || insn.address_size != 4 || (!reads && !writes))
    return false;
  if (reads && mode.segment(insn.segment) != SegClass::kFlat) return false;
  if (writes && mode.segment(kEs) != SegClass::kFlat) return false;
  const u32 size = (now_.raw.opcode & 1) == 0 ? 1 : insn.operand_size;
  if (now_.raw.mandatory != 0) return now_.raw.mandatory == 0xf3 && writes && repeated(size, reads);
  single(size, reads, writes);
  return true;
}

void Writer::single(u32 size, bool reads, bool writes) {
  const Label miss = miss_label();
  const Gp value = size == 4 ? Gp(kTarget32) : size == 2 ? Gp(kTarget.r16()) : Gp(kTarget.r8());
  const Gp accumulator = size == 4 ? Gp(eax) : size == 2 ? Gp(ax) : Gp(al);
  if (now_.flags_live) save_flags();
  require_upwards(miss);
  if (now_.flags_live) restore_flags();
  const auto at = [&](const Gp& address, unsigned seg, Way way) {
    if (direct(seg)) {
      operand_ = ptr(address);
      operand_.setSegment(gs);
    } else {
      a.mov(kLinear32, address);
      lane(seg, size, way);
    }
  };
  if (reads) {
    at(esi, now_.insn->segment, Way::kLoad);
    a.mov(writes ? value : accumulator, operand_);
  }
  if (writes) {
    at(edi, kEs, Way::kStore);
    a.mov(operand_, reads ? value : accumulator);
    a.lea(edi, ptr(rdi, static_cast<i32>(size)));
  }
  if (reads) a.lea(esi, ptr(rsi, static_cast<i32>(size)));
}

// `to` := the shadow entry of the page of `address`; a range that leaves the page misses.
void Writer::range(const Gp& address, u32 size, const Gp& to, Way way, const Label& miss) {
  a.mov(kLinear32, address);
  a.and_(kLinear32, kPageMask);
  a.lea(kLinear32, ptr(kLinear, rcx, scale_of(size), 0));
  a.cmp(kLinear32, kPageSize);
  a.ja(miss);
  a.mov(kLinear32, address);
  a.shr(kLinear32, kPageBits);
  a.mov(to, ptr(kShadow, kLinear, 3, way == Way::kStore ? static_cast<i32>(kStorePlane) : 0));
  a.test(to, to);
  a.jz(miss);
}

bool Writer::repeated(u32 size, bool reads) {
  const Label miss = miss_label();
  if (now_.flags_live) save_flags();
  require_upwards(miss);
  a.cmp(ecx, kPageSize);
  a.ja(miss);
  if (reads) range(esi, size, kTarget, Way::kLoad, miss);
  range(edi, size, kEntry, Way::kStore, miss);
  if (now_.flags_live) restore_flags();
  if (reads) a.lea(rsi, ptr(rsi, kTarget));
  a.lea(rdi, ptr(rdi, kEntry));
  u8 code[3] = {0xf3, 0, 0};
  std::size_t n = 1;
  if (size == 2) code[n++] = 0x66;
  code[n++] = now_.raw.opcode;
  a.embed(code, n);
  a.not_(kEntry);  // back to linear addresses without touching the flags
  a.lea(edi, ptr(rdi, kEntry, 0, 1));
  if (reads) {
    a.not_(kTarget);
    a.lea(esi, ptr(rsi, kTarget, 0, 1));
  }
  return true;
}

}  // namespace umbra::x64
