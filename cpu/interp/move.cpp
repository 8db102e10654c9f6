// MOV (general registers, memory, segment registers) MOVZX MOVSX LEA XCHG XLAT BSWAP CMOVcc SETcc CBW… LAHF SAHF, the
// flag instructions, NOPs and hints.
#include "cpu/alu.h"
#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

void nothing(Cpu&, const Insn&) {}

void move_to_segment(Cpu& cpu, const Insn& insn) {
  const auto to = static_cast<SegReg>(insn.operands[0].reg);
  cpu.load_segment(to, load_operand<u16>(cpu, insn, 1));
  if (to == kSs) cpu.s.shadow = kInhibitInterrupts | kInhibitDebug;
}

void move_from_segment(Cpu& cpu, const Insn& insn) {
  const u16 selector = cpu.s.seg[insn.operands[1].reg].selector;
  const Operand& to = insn.operands[0];
  if (to.kind == OperandKind::kMem) return Mem<u16>::set(cpu, insn, selector);
  if (insn.operand_size == 4) {
    cpu.s.r32(to.reg) = selector;
  } else {
    cpu.s.r16(to.reg) = selector;
  }
}

template <class To, class From, bool Signed>
void extend(Cpu& cpu, const Insn& insn) {
  const From value = load_operand<From>(cpu, insn, 1);
  reg<To>(cpu.s, insn.operands[0].reg) =
      Signed ? static_cast<To>(static_cast<std::make_signed_t<From>>(value)) : static_cast<To>(value);
}

template <bool Signed>
Handler extension(const Insn& insn) {
  return by_word_size(insn.operands[0].size, [&]<class T>() -> Handler {
    if (insn.operands[1].size == 1) return extend<T, u8, Signed>;
    return extend<T, u16, Signed>;
  });
}

template <unsigned Code>
Handler set_if(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) { store_operand<u8>(cpu, insn, 0, alu::condition<Code>(cpu.s.eflags)); };
}

// The source is read, and may fault, whether the condition holds or not.
template <unsigned Code>
Handler move_if(const Insn& insn) {
  return by_word_size(insn.operands[0].size, []<class T>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      const T value = load_operand<T>(cpu, insn, 1);
      if (alu::condition<Code>(cpu.s.eflags)) reg<T>(cpu.s, insn.operands[0].reg) = value;
    };
  });
}

template <u32 And, u32 Xor>
void change_flags(Cpu& cpu, const Insn&) {
  cpu.s.eflags = (cpu.s.eflags & And) ^ Xor;
}

}  // namespace

Handler mov(const Insn& insn) {
  if (insn.operands[0].kind == OperandKind::kSeg) return move_to_segment;
  if (insn.operands[1].kind == OperandKind::kSeg) return move_from_segment;
  if (insn.operands[0].kind == OperandKind::kCr || insn.operands[0].kind == OperandKind::kDr ||
      insn.operands[1].kind == OperandKind::kCr || insn.operands[1].kind == OperandKind::kDr)
    return mov_system(insn);
  return by_two(insn, []<class T, class To, class From>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) { To::set(cpu, insn, From::get(cpu, insn)); };
  });
}

Handler movzx(const Insn& insn) { return extension<false>(insn); }
Handler movsx(const Insn& insn) { return extension<true>(insn); }

Handler lea(const Insn& insn) {
  return by_word_size(insn.operands[0].size, []<class T>() -> Handler {
    return [](Cpu& cpu, const Insn& insn) {
      reg<T>(cpu.s, insn.operands[0].reg) = static_cast<T>(effective_address(cpu.s, insn));
    };
  });
}

Handler xchg(const Insn& insn) {
  return by_size(insn.operands[0].size, [&]<class T>() -> Handler {
    if (insn.operands[0].kind == OperandKind::kReg && insn.operands[1].kind == OperandKind::kReg)
      return [](Cpu& cpu, const Insn& insn) {
        std::swap(reg<T>(cpu.s, insn.operands[0].reg), reg<T>(cpu.s, insn.operands[1].reg));
      };
    return [](Cpu& cpu, const Insn& insn) {
      const unsigned n = insn.operands[0].kind == OperandKind::kReg ? 0 : 1;
      T& r = reg<T>(cpu.s, insn.operands[n].reg);
      T old = 0;
      Mem<T>::modify(cpu, insn, [&](T d) {
        old = d;
        return r;
      });
      r = old;
    };
  });
}

Handler xlat(const Insn&) {
  return [](Cpu& cpu, const Insn& insn) {
    const u32 offset = (cpu.s.r32(kEbx) + cpu.s.r8(kEax)) & insn.address_mask;
    cpu.s.r8(kEax) = cpu.read<u8>(segment(insn), offset);
  };
}

// The 16-bit form is undefined and gives zero.
Handler bswap(const Insn& insn) {
  if (insn.operand_size == 2) return [](Cpu& cpu, const Insn& insn) { cpu.s.r16(insn.operands[0].reg) = 0; };
  return [](Cpu& cpu, const Insn& insn) {
    u32& r = cpu.s.r32(insn.operands[0].reg);
    r = __builtin_bswap32(r);
  };
}

Handler cbw(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r16(kEax) = static_cast<u16>(static_cast<i8>(cpu.s.r8(kEax))); };
}
Handler cwde(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r32(kEax) = static_cast<u32>(static_cast<i16>(cpu.s.r16(kEax))); };
}
Handler cwd(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r16(kEdx) = (cpu.s.r16(kEax) & 0x8000) != 0 ? 0xffff : 0; };
}
Handler cdq(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r32(kEdx) = (cpu.s.r32(kEax) & 0x80000000) != 0 ? 0xffffffff : 0; };
}

Handler lahf(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r8(4) = static_cast<u8>((cpu.s.eflags & 0xd5) | flag::kFixed); };
}
Handler sahf(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.eflags = (cpu.s.eflags & ~0xd5u) | (cpu.s.r8(4) & 0xd5u); };
}
Handler salc(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.s.r8(kEax) = (cpu.s.eflags & flag::kCf) != 0 ? 0xff : 0; };
}
Handler clc(const Insn&) { return change_flags<~flag::kCf, 0>; }
Handler stc(const Insn&) { return change_flags<~flag::kCf, flag::kCf>; }
Handler cmc(const Insn&) { return change_flags<~0u, flag::kCf>; }
Handler cld(const Insn&) { return change_flags<~flag::kDf, 0>; }
Handler std_(const Insn&) { return change_flags<~flag::kDf, flag::kDf>; }

Handler nop(const Insn&) { return nothing; }
Handler undefined(const Insn&) {
  return [](Cpu& cpu, const Insn&) { cpu.fault(kInvalidOpcode); };
}

Handler seto(const Insn& insn) { return set_if<0>(insn); }
Handler setno(const Insn& insn) { return set_if<1>(insn); }
Handler setb(const Insn& insn) { return set_if<2>(insn); }
Handler setnb(const Insn& insn) { return set_if<3>(insn); }
Handler setz(const Insn& insn) { return set_if<4>(insn); }
Handler setnz(const Insn& insn) { return set_if<5>(insn); }
Handler setbe(const Insn& insn) { return set_if<6>(insn); }
Handler setnbe(const Insn& insn) { return set_if<7>(insn); }
Handler sets(const Insn& insn) { return set_if<8>(insn); }
Handler setns(const Insn& insn) { return set_if<9>(insn); }
Handler setp(const Insn& insn) { return set_if<10>(insn); }
Handler setnp(const Insn& insn) { return set_if<11>(insn); }
Handler setl(const Insn& insn) { return set_if<12>(insn); }
Handler setnl(const Insn& insn) { return set_if<13>(insn); }
Handler setle(const Insn& insn) { return set_if<14>(insn); }
Handler setnle(const Insn& insn) { return set_if<15>(insn); }
Handler cmovo(const Insn& insn) { return move_if<0>(insn); }
Handler cmovno(const Insn& insn) { return move_if<1>(insn); }
Handler cmovb(const Insn& insn) { return move_if<2>(insn); }
Handler cmovnb(const Insn& insn) { return move_if<3>(insn); }
Handler cmovz(const Insn& insn) { return move_if<4>(insn); }
Handler cmovnz(const Insn& insn) { return move_if<5>(insn); }
Handler cmovbe(const Insn& insn) { return move_if<6>(insn); }
Handler cmovnbe(const Insn& insn) { return move_if<7>(insn); }
Handler cmovs(const Insn& insn) { return move_if<8>(insn); }
Handler cmovns(const Insn& insn) { return move_if<9>(insn); }
Handler cmovp(const Insn& insn) { return move_if<10>(insn); }
Handler cmovnp(const Insn& insn) { return move_if<11>(insn); }
Handler cmovl(const Insn& insn) { return move_if<12>(insn); }
Handler cmovnl(const Insn& insn) { return move_if<13>(insn); }
Handler cmovle(const Insn& insn) { return move_if<14>(insn); }
Handler cmovnle(const Insn& insn) { return move_if<15>(insn); }

}  // namespace umbra::interp
