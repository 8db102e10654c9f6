// Random guest code: short streams of instructions that exist on the model, over registers that mostly point into RAM.
#pragma once

#include <algorithm>
#include <random>

#include "tests/translator/twin.h"

namespace umbra::test {

struct Streams {
  std::mt19937 random;
  CodeSize size = CodeSize::k32;
  bool fpu = false;
  bool allow_repeats = false;  // only while ECX is known to be small
  bool x87_only = false;       // not mixed with MMX: its bits read as x87 numbers are formats that no program makes
  explicit Streams(u32 seed) : random(seed) {}

  u32 pick(u32 n) { return random() % n; }
  bool chance(u32 percent) { return pick(100) < percent; }

  // Instructions that end in the next one: no transfers, nothing privileged, nothing that waits.
  bool acceptable(const Insn& insn) {
    if (insn.op == Op::kInvalid || insn.length > kMaxInsnLength) return false;
    const u32 t = info(insn.op).traits;
    if ((t & (trait::privileged | trait::io | trait::ends_block | trait::branch)) != 0) return false;
    if (((t & (trait::fpu | trait::sse)) != 0) != fpu) return false;
    const bool reads = insn.op == Op::kPush || insn.op == Op::kMov;
    for (const Operand& o : insn.operands) {
      const bool segment = o.kind == OperandKind::kSeg, control = o.kind == OperandKind::kCr && o.reg != 4;
      const bool read = reads && (insn.op == Op::kPush || &o != &insn.operands[0]);
      if ((segment || control) && !read) return false;
      if (o.kind == OperandKind::kDr || (o.kind == OperandKind::kCr && !control)) return false;
    }
    switch (insn.op) {
      case Op::kRdtsc:
      case Op::kCpuid:
      case Op::kLds:
      case Op::kLes:
      case Op::kLss:
      case Op::kLfs:
      case Op::kLgs:
      case Op::kFldcw:  // random bytes as control words: their own tests
      case Op::kFldenv:
      case Op::kFrstor:
      case Op::kFxrstor:
      case Op::kLdmxcsr:
      case Op::kFnstenv:  // instruction and data pointers are not kept
      case Op::kFnsave:
      case Op::kFnstsw:  // C1 after comparisons is the oracle suite's matter
      case Op::kFxsave:
        return false;
      case Op::kShld:
      case Op::kShrd:
        return insn.operand_size == 4;  // a 16-bit one by more than 16 is undefined
      default:
        return !insn.has(prefix::kRep | prefix::kRepne) || (t & trait::string) == 0 || allow_repeats;
    }
  }

  // The hardware oracle knows what a processor does there; here it would only be noise.
  static bool leaves_flags_undefined(Op op) {
    switch (op) {
      case Op::kShl:
      case Op::kShr:
      case Op::kSar:
      case Op::kShld:
      case Op::kShrd:
      case Op::kRol:
      case Op::kRor:
      case Op::kRcl:
      case Op::kRcr:
      case Op::kMul:
      case Op::kImul:
      case Op::kDiv:
      case Op::kIdiv:
      case Op::kBsf:
      case Op::kBsr:
      case Op::kBt:
      case Op::kBts:
      case Op::kBtr:
      case Op::kBtc:
      case Op::kAam:
      case Op::kAad:
      case Op::kAaa:
      case Op::kAas:
      case Op::kDaa:
      case Op::kDas:
        return true;
      default:
        return false;
    }
  }

  std::vector<u8> insn(const CpuModel& model) {
    for (;;) {
      std::vector<u8> bytes;
      if (chance(12)) bytes.push_back(0x66);
      if (chance(6)) bytes.push_back(0x67);
      if (chance(4)) bytes.push_back(static_cast<u8>(0x26 + 8 * pick(4)));
      if (chance(3)) bytes.push_back(static_cast<u8>(0x64 + pick(2)));
      if (chance(2)) bytes.push_back(0xf0);
      if (chance(fpu ? 30 : 2)) bytes.push_back(static_cast<u8>(0xf2 + pick(2)));
      if (allow_repeats && chance(20)) bytes.push_back(0xf3);
      const bool x87 = fpu && x87_only;
      if (!x87 && chance(fpu ? 100 : 35)) bytes.push_back(0x0f);
      bytes.push_back(x87 ? static_cast<u8>(0xd8 + pick(8)) : static_cast<u8>(random()));
      bytes.push_back(static_cast<u8>(random()));
      for (int i = 0; i < 2; ++i) bytes.push_back(static_cast<u8>(random()));
      bytes.push_back(static_cast<u8>(chance(70) ? pick(8) : random()));  // high bytes of a displacement
      bytes.push_back(static_cast<u8>(chance(80) ? 0 : random()));
      for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<u8>(random()));
      const Decoded d = decode(bytes, size, model);
      if (d.truncated || !acceptable(d.insn)) continue;
      bytes.resize(d.insn.length);
      if (leaves_flags_undefined(d.insn.op)) bytes.insert(bytes.end(), {0x39, 0xc0});  // cmp eax, eax
      return bytes;
    }
  }

  u32 value() {
    const u32 kind = pick(100);
    if (kind < 60) return 0x10000 + pick(0xd0000);
    if (kind < 75) return pick(64);
    if (kind < 85) return 0u - pick(64);
    return random();
  }
};

inline std::string listing(const std::vector<u8>& code, u32 start, CodeSize size, const CpuModel& model) {
  std::string out;
  for (u32 at = 0; at < code.size();) {
    const Decoded d = decode({code.data() + at, code.size() - at}, size, model);
    out += format("  %s\n", disassemble(d.insn, start + at, size).c_str());
    at += std::max<u32>(1, d.insn.length);
  }
  return out;
}

// Instructions with branches between them that lead to one of those that follow, or to the end.
template <class F>
std::vector<u8> branching(Streams& s, u32 start, F insn) {
  struct Piece {
    std::vector<u8> bytes;
    u32 to = 0;  // a branch: the number of the piece; its last four bytes lead there
    bool absolute = false;
    u32 at = 0;
  };
  std::vector<Piece> pieces(6 + s.pick(14));
  for (u32 i = 0; i < pieces.size(); ++i) {
    Piece& p = pieces[i];
    const u32 kind = s.pick(100);
    p.to = i + 1 + s.pick(static_cast<u32>(pieces.size()) - i);
    if (kind < 30) {
      p.bytes = {0x0f, static_cast<u8>(0x80 + s.pick(16)), 0, 0, 0, 0};
    } else if (kind < 36) {
      p.bytes = {0xe9, 0, 0, 0, 0};
    } else if (kind < 40) {
      p.bytes = {0xc3, 0x68, 0, 0, 0, 0};  // turned round below
      p.absolute = true;
    } else {
      p.to = 0;
      p.bytes = insn();
    }
  }
  u32 size = 0;
  for (Piece& p : pieces) p.at = size, size += static_cast<u32>(p.bytes.size());
  std::vector<u8> code;
  for (Piece& p : pieces) {
    const u32 target = p.to == pieces.size() ? size : pieces[p.to].at;
    const u32 end = p.at + static_cast<u32>(p.bytes.size());
    const u32 field = p.absolute ? start + target : target - end;
    if (p.to != 0) std::memcpy(p.bytes.data() + p.bytes.size() - 4, &field, 4);
    if (p.absolute) std::rotate(p.bytes.begin(), p.bytes.begin() + 1, p.bytes.end());  // push, then ret
    code.insert(code.end(), p.bytes.begin(), p.bytes.end());
  }
  return code;
}

}  // namespace umbra::test
