#include "translator/block.h"

#include <algorithm>
#include <cstring>

#include "cpu/interp/shapes.h"

namespace umbra {
namespace {

SegClass classify(const Segment& s) {
  if ((s.access & Segment::kFlat) != 0) return SegClass::kFlat;
  constexpr u8 kBoth = Segment::kReadable | Segment::kWritable;
  const bool whole = s.low == 0 && s.high == 0xffffffff && (s.access & kBoth) == kBoth;
  return whole ? SegClass::kBased : SegClass::kChecked;
}

// STI and POPF run inline where they are plain; what they may do beyond that, they do in a callout that looks.
bool closes(const Insn& insn, Mode mode) {
  if (insn.op == Op::kSti) return !mode.interrupt_flag();
  if (insn.op == Op::kPopf || insn.op == Op::kPopfd) return !mode.plain_flags();
  return insn.op == Op::kInvalid || closes_block(insn);
}

}  // namespace

Mode Mode::of(const Cpu& cpu) {
  const CpuState& s = cpu.s;
  const bool available = (s.cr0 & (cr0::kTs | cr0::kEm)) == 0;
  const bool x87 = available && (s.fpu.fcw & 0x3f) == 0x3f && (s.fpu.fsw & 0x80) == 0;
  const bool sse = available && (s.cr4 & cr4::kOsfxsr) != 0 && (s.fpu.mxcsr & 0x1f80) == 0x1f80;
  const bool flag_control = cpu.v86() ? cpu.iopl() == 3 : s.cpl <= cpu.iopl();  // CPL is 0 in real mode
  const bool plain_flags = cpu.model.generation != Generation::k8086 && (!cpu.v86() || cpu.iopl() == 3);
  const bool tsc = cpu.tsc_scale.multiplier != 0 && ((s.cr4 & cr4::kTsd) == 0 || s.cpl == 0);
  const bool alignment = (s.cr0 & cr0::kAm) != 0 && (s.eflags & flag::kAc) != 0 && s.cpl == 3;
  Mode mode;
  mode.bits_ = u32{s.seg[kCs].big()} | u32{s.seg[kSs].big()} << 1 | u32{s.cpl == 3} << 2 |
               u32{cpu.protected_mode()} << 3 | u32{x87} << 4 | u32{sse} << 5 | u32{flag_control} << 6 |
               u32{!alignment} << 7 | u32{s.cpl == 3 && cpu.mmu.prefers_window()} << 20 | u32{plain_flags} << 21 |
               u32{tsc} << 22;
  for (unsigned seg = 0; seg < kSegCount; ++seg) {
    const bool keyed = seg == kDs || seg == kEs || seg == kSs;
    const SegClass c = keyed ? classify(s.seg[seg]) : SegClass::kChecked;
    mode.bits_ |= static_cast<u32>(c) << (8 + 2 * seg);
  }
  return mode;
}

u32 discover(Block& block, const CpuModel& model, std::span<const u8> code, std::span<const u8> next_page, u32 most,
             Draft& draft) {
  u32 at = 0;
  u32 count = 0;
  while (count < most && at < code.size()) {
    const u32 eip = block.key.eip + at;
    Insn& insn = draft.insns[count];
    if (!decode_bound(code.subspan(at), block.key.size(), model, insn)) {
      if (count != 0 || next_page.empty()) break;
      u8 bytes[2 * kMaxInsnLength];
      const std::size_t head = code.size();  // shorter than an instruction, or it would not be truncated
      std::memcpy(bytes, code.data(), head);
      const std::size_t tail = std::min<std::size_t>(next_page.size(), kMaxInsnLength);
      std::memcpy(bytes + head, next_page.data(), tail);
      if (!decode_bound({bytes, head + tail}, block.key.size(), model, insn)) return 0;
    }
    // Running up to or across the limit is the interpreter's: it knows which byte faults.
    if (insn.length > kMaxInsnLength || u64{eip} + insn.length - 1 > block.key.cs_limit) break;
    draft.marks[count] = Mark{};
    draft.marks[count].guest = static_cast<u16>(at);
    ++count;
    at += insn.length;
    if (closes(insn, block.key.mode)) break;
  }
  block.count = count;
  block.guest_size = at;
  return count;
}

}  // namespace umbra
