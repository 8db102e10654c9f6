// BSF BSR BT BTS BTR BTC. A register bit offset reaches any bit of memory around the operand.
#include <bit>

#include "cpu/alu.h"
#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

// A zero source leaves the destination alone on every processor that matters, whatever the manual says.
template <bool Forward>
Handler scan(const Insn& insn) {
  return by_word_size(insn.operands[0].size, []<class T>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      const T source = load_operand<T>(cpu, insn, 1);
      alu::set_all(cpu.s.eflags, source == 0 ? flag::kZf | flag::kPf : 0);
      if (source == 0) return;
      const int n = Forward ? std::countr_zero(source) : std::bit_width(source) - 1;
      reg<T>(cpu.s, insn.operands[0].reg) = static_cast<T>(n);
      alu::set_flag(cpu.s.eflags, flag::kPf, alu::kParity[static_cast<u8>(n)] != 0);
    };
  });
}

enum class Change { kNone, kSet, kReset, kComplement };

template <class T, Change How>
T change_bit(T value, unsigned n, u32& flags) {
  const T one = static_cast<T>(T{1} << n);
  alu::set_flag(flags, flag::kCf, (value & one) != 0);
  switch (How) {
    case Change::kSet:
      return value | one;
    case Change::kReset:
      return static_cast<T>(value & ~one);
    case Change::kComplement:
      return value ^ one;
    default:
      return value;
  }
}

template <class T, Change How>
void bit_in_memory(Cpu& cpu, const Insn& insn) {
  const bool by_register = insn.operands[1].kind == OperandKind::kReg;
  const i32 offset = by_register
                         ? static_cast<i32>(static_cast<std::make_signed_t<T>>(reg<T>(cpu.s, insn.operands[1].reg)))
                         : static_cast<i32>(insn.imm & (alu::kBits<T> - 1));
  const unsigned n = static_cast<unsigned>(offset) & (alu::kBits<T> - 1);
  const u32 displaced = static_cast<u32>((offset >> std::countr_zero(alu::kBits<T>)) * static_cast<i32>(sizeof(T)));
  const u32 at = (effective_address(cpu.s, insn) + displaced) & insn.address_mask;
  if constexpr (How == Change::kNone) {
    change_bit<T, How>(cpu.read<T>(segment(insn), at), n, cpu.s.eflags);
  } else {
    cpu.modify<T>(segment(insn), at, [&](T value) { return change_bit<T, How>(value, n, cpu.s.eflags); });
  }
}

template <class T, Change How>
void bit_in_register(Cpu& cpu, const Insn& insn) {
  const u32 offset = insn.operands[1].kind == OperandKind::kReg ? reg<T>(cpu.s, insn.operands[1].reg) : insn.imm;
  T& r = reg<T>(cpu.s, insn.operands[0].reg);
  r = change_bit<T, How>(r, offset & (alu::kBits<T> - 1), cpu.s.eflags);
}

template <Change How>
Handler bit_test(const Insn& insn) {
  return by_word_size(insn.operands[0].size, [&]<class T>() -> Handler {
    return insn.operands[0].kind == OperandKind::kMem ? bit_in_memory<T, How> : bit_in_register<T, How>;
  });
}

}  // namespace

Handler bsf(const Insn& insn) { return scan<true>(insn); }
Handler bsr(const Insn& insn) { return scan<false>(insn); }
Handler bt(const Insn& insn) { return bit_test<Change::kNone>(insn); }
Handler bts(const Insn& insn) { return bit_test<Change::kSet>(insn); }
Handler btr(const Insn& insn) { return bit_test<Change::kReset>(insn); }
Handler btc(const Insn& insn) { return bit_test<Change::kComplement>(insn); }

}  // namespace umbra::interp
