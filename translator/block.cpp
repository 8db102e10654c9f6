#include "translator/block.h"

#include <algorithm>
#include <cstring>

#include "cpu/interp/shapes.h"
#include "translator/block_index.h"

namespace umbra {
namespace {

// STI, POPF and loads of SS run inline where they are plain; what they may do beyond that, they do in a callout that
// looks.
bool closes(const Insn& insn, Mode mode) {
  if (insn.op == Op::kSti) return !mode.interrupt_flag();
  const bool to_segment = (insn.op == Op::kMov || insn.op == Op::kPop) && insn.operands[0].kind == OperandKind::kSeg;
  if (to_segment && insn.operands[0].reg == kSs) return mode.protected_mode() || mode.segment(kSs) != SegClass::kShort;
  if (insn.op == Op::kPopf || insn.op == Op::kPopfd) return !mode.plain_flags();
  if (insn.op == Op::kInvlpg) return false;  // callout() knows when it may be code that has moved
  return insn.op == Op::kInvalid || closes_block(insn);
}

bool is_conditional(const Insn& insn) {
  const u8 opcode = insn.raw[insn.opcode_at];
  return (insn.map == 0 && (opcode & 0xf0) == 0x70) || (insn.map == 1 && (opcode & 0xf0) == 0x80);
}

bool is_direct_jump(const Insn& insn) { return insn.op == Op::kJmp && insn.operands[0].kind == OperandKind::kRel; }

}  // namespace

u32 target_offset(const Block& block, u32 at, const Insn& insn) {
  const u32 eip = block.key.eip + at + insn.length + insn.imm;
  return (insn.operand_size == 2 ? eip & 0xffff : eip) - block.key.eip;
}

namespace {

// Where control goes from the instructions of a region so far.
class Ahead {
 public:
  // Whether the region goes on behind this instruction, which closes blocks.
  bool goes_on(const Block& block, u32 at, const Insn& insn, bool to_locator) {
    if (to_locator) return true;
    const bool conditional = is_conditional(insn);
    if (conditional || is_direct_jump(insn)) {
      const u32 target = target_offset(block, at, insn);
      if (target > at && target < kPageSize) awaited_[count_++] = target;
    } else if (insn.op != Op::kRet && insn.op != Op::kJmp) {
      return false;
    }
    if (conditional) return true;
    const u32 end = at + insn.length;
    return std::any_of(awaited_, awaited_ + count_, [&](u32 target) { return target - end <= kMostPadding; });
  }

  u32 count() const { return count_; }

 private:
  static constexpr u32 kMostPadding = 15;  // that a compiler puts before a label, and nobody runs
  u32 awaited_[kMaxBlockInsns];            // targets of jumps forward
  u32 count_ = 0;
};

bool may_locate(const Block& block, const Insn& insn) {
  const Mode mode = block.key.mode;
  return insn.op == Op::kCall && insn.operands[0].kind == OperandKind::kRel && insn.operand_size == 4 &&
         mode.code_32() && mode.stack_32() && block.key.cs_limit == 0xffffffff;
}

bool begins(const Made& made, const Block& block, u32 at) {
  if (!made.starts.test((block.key.linear + at) & kPageMask)) return false;
  BlockKey key = block.key;
  key.phys += at;
  key.linear += at;
  key.eip += at;
  return made.blocks.find(key) != nullptr;
}

}  // namespace

u32 discover(Block& block, const CpuModel& model, std::span<const u8> code, std::span<const u8> next_page, u32 most,
             const Made* made, const std::function<u8(Linear)>& locator_at, Draft& draft) {
  Shapes& shapes = shapes_of(model);
  u32 at = 0;
  u32 count = 0;
  bool branched = false;
  Ahead ahead;
  draft.jump_count = 0;
  while (count < most && at < code.size()) {
    const u32 eip = block.key.eip + at;
    if (branched && begins(*made, block, at)) break;
    Insn& insn = draft.insns[count];
    if (!decode_bound(code.subspan(at), block.key.size(), shapes, insn)) {
      if (count != 0 || next_page.empty()) break;
      u8 bytes[2 * kMaxInsnLength];
      const std::size_t head = code.size();  // shorter than an instruction, or it would not be truncated
      std::memcpy(bytes, code.data(), head);
      const std::size_t tail = std::min<std::size_t>(next_page.size(), kMaxInsnLength);
      std::memcpy(bytes + head, next_page.data(), tail);
      if (!decode_bound({bytes, head + tail}, block.key.size(), shapes, insn)) return 0;
    }
    // Running up to or across the limit is the interpreter's: it knows which byte faults. So is leaving the first 64
    // KiB in 16-bit code, which is where the next instruction is on a 386 and later, and where dispatch tables end.
    const u64 end = u64{eip} + insn.length;
    if (insn.length > kMaxInsnLength || end - 1 > block.key.cs_limit) break;
    if (end > 0xffff && !block.key.mode.code_32() && model.generation >= Generation::k386) break;
    Mark mark;
    mark.guest = static_cast<u16>(at);
    draft.marks[count] = mark;
    u8& locator = draft.locators[count] = kNoReg;
    if (may_locate(block, insn)) locator = locator_at(Linear(block.key.linear + target_offset(block, at, insn)));
    ++count;
    const u32 start = at;
    // What is invalid may become valid by a change of any byte that follows.
    at += insn.op == Op::kInvalid && at < code.size()
              ? std::min<u32>(static_cast<u32>(code.size()) - at, kMaxInsnLength)
              : insn.length;
    if (!closes(insn, block.key.mode)) continue;
    if (made == nullptr) break;
    const bool goes_on = ahead.goes_on(block, start, insn, locator != kNoReg);
    if (ahead.count() != draft.jump_count) draft.jumps[draft.jump_count++] = static_cast<u8>(count - 1);
    if (!goes_on) break;
    branched = true;
  }
  block.count = count;
  block.guest_size = at;
  return count;
}

}  // namespace umbra
