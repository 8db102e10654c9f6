#include "translator/block.h"

#include <algorithm>
#include <cstring>

#include "cpu/interp/shapes.h"

namespace umbra {
namespace {

// STI and POPF run inline where they are plain; what they may do beyond that, they do in a callout that looks.
bool closes(const Insn& insn, Mode mode) {
  if (insn.op == Op::kSti) return !mode.interrupt_flag();
  if (insn.op == Op::kPopf || insn.op == Op::kPopfd) return !mode.plain_flags();
  return insn.op == Op::kInvalid || closes_block(insn);
}

}  // namespace

u32 discover(Block& block, const CpuModel& model, std::span<const u8> code, std::span<const u8> next_page, u32 most,
             Draft& draft) {
  draft.model = &model;
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
    // What is invalid may become valid by a change of any byte that follows.
    at += insn.op == Op::kInvalid && at < code.size()
              ? std::min<u32>(static_cast<u32>(code.size()) - at, kMaxInsnLength)
              : insn.length;
    if (closes(insn, block.key.mode)) break;
  }
  block.count = count;
  block.guest_size = at;
  return count;
}

}  // namespace umbra
