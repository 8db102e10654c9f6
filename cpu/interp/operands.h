// Operand load and write-back, written once. A handler is a template over its operands' places and width; `bind` time
// picks the instance, so that running it tests nothing that decoding already knew.
#pragma once

#include "cpu/cpu.h"

namespace umbra::interp {

Handler mov_system(const Insn& insn);  // MOV to and from control and debug registers: system.cpp

[[noreturn]] void divide_error(Cpu& cpu);  // muldiv.cpp

inline u32 effective_address(CpuState& s, const Insn& insn) {
  return (s.r32(insn.base) + s.r32(insn.index) * insn.scale + static_cast<u32>(insn.disp)) & insn.address_mask;
}

inline SegReg segment(const Insn& insn) { return static_cast<SegReg>(insn.segment); }

template <class T>
T& reg(CpuState& s, unsigned number) {
  if constexpr (sizeof(T) == 1) return s.r8(number);
  if constexpr (sizeof(T) == 2) return s.r16(number);
  if constexpr (sizeof(T) == 4) return s.r32(number);
}

// The same as reg() = value, as one store of the whole register: generated code loads that next, and would have to wait
// for a narrower store.
template <class T>
void set_reg(CpuState& s, unsigned number, T value) {
  if constexpr (sizeof(T) == 1) {
    u64& whole = s.gpr[number & 3];
    const unsigned shift = (number & 4) * 2;
    whole = (whole & ~(u64{0xff} << shift)) | u64{value} << shift;
  } else if constexpr (sizeof(T) == 2) {
    s.gpr[number] = (s.gpr[number] & ~u64{0xffff}) | value;
  } else {
    s.gpr[number] = value;
  }
}

template <class T, unsigned N>
struct Reg {
  static T get(Cpu& cpu, const Insn& insn) { return reg<T>(cpu.s, insn.operands[N].reg); }
  static void set(Cpu& cpu, const Insn& insn, T value) { reg<T>(cpu.s, insn.operands[N].reg) = value; }
  template <class Change>
  static void modify(Cpu& cpu, const Insn& insn, Change change) {
    T& r = reg<T>(cpu.s, insn.operands[N].reg);
    r = change(r);
  }
};

template <class T>
struct Mem {
  static T get(Cpu& cpu, const Insn& insn) { return cpu.read<T>(segment(insn), effective_address(cpu.s, insn)); }
  static void set(Cpu& cpu, const Insn& insn, T value) {
    cpu.write<T>(segment(insn), effective_address(cpu.s, insn), value);
  }
  template <class Change>
  static void modify(Cpu& cpu, const Insn& insn, Change change) {
    cpu.modify<T>(segment(insn), effective_address(cpu.s, insn), change);
  }
};

template <class T>
struct Imm {
  static T get(Cpu&, const Insn& insn) { return static_cast<T>(insn.imm); }
};

// --- choosing the instance -----------------------------------------------------------------------------------------

template <class F>
Handler by_size(unsigned size, F make) {
  switch (size) {
    case 1:
      return make.template operator()<u8>();
    case 2:
      return make.template operator()<u16>();
    default:
      return make.template operator()<u32>();
  }
}

// 16 and 32 bits only.
template <class F>
Handler by_word_size(unsigned size, F make) {
  return size == 2 ? make.template operator()<u16>() : make.template operator()<u32>();
}

// One operand, register or memory: make<T, Place>().
template <class F>
Handler by_rm(const Insn& insn, F make) {
  return by_size(insn.operands[0].size, [&]<class T>() -> Handler {
    if (insn.operands[0].kind == OperandKind::kMem) return make.template operator()<T, Mem<T>>();
    return make.template operator()<T, Reg<T, 0>>();
  });
}

// Two operands of one width: make<T, Destination, Source>().
template <class F>
Handler by_two(const Insn& insn, F make) {
  return by_size(insn.operands[0].size, [&]<class T>() -> Handler {
    const OperandKind to = insn.operands[0].kind, from = insn.operands[1].kind;
    if (to == OperandKind::kMem && from == OperandKind::kReg) return make.template operator()<T, Mem<T>, Reg<T, 1>>();
    if (to == OperandKind::kMem) return make.template operator()<T, Mem<T>, Imm<T>>();
    if (from == OperandKind::kMem) return make.template operator()<T, Reg<T, 0>, Mem<T>>();
    if (from == OperandKind::kReg) return make.template operator()<T, Reg<T, 0>, Reg<T, 1>>();
    return make.template operator()<T, Reg<T, 0>, Imm<T>>();
  });
}

// A register or memory operand in place N whose width the caller knows, chosen when it runs.
template <class T>
T load_operand(Cpu& cpu, const Insn& insn, unsigned n) {
  const Operand& o = insn.operands[n];
  if (o.kind == OperandKind::kReg) return reg<T>(cpu.s, o.reg);
  if (o.kind == OperandKind::kImm) return static_cast<T>(insn.imm);
  return Mem<T>::get(cpu, insn);
}

template <class T>
void store_operand(Cpu& cpu, const Insn& insn, unsigned n, T value) {
  const Operand& o = insn.operands[n];
  if (o.kind == OperandKind::kReg) {
    reg<T>(cpu.s, o.reg) = value;
  } else {
    Mem<T>::set(cpu, insn, value);
  }
}

}  // namespace umbra::interp
