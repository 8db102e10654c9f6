// The assembler of the hot path: the two dozen host instructions that glue is made of, written straight into code
// memory. asmjit's own assembler validates and looks up every instruction, which costs more than everything else that
// translating does; its operand types serve here as well, so that emitters read the same. Stubs, which are made once,
// are still assembled by asmjit.
#pragma once

#include <array>
#include <concepts>
#include <cstring>

#include "cpu/base/log.h"
#include "translator/block.h"
#include "translator/x64/regs.h"

namespace umbra::x64 {

struct Label {
  u32 id;
};

class Assembler {
 public:
  // Code that will run at `address` is written to `to`. The caller guarantees room.
  void start(u8* to, u64 address) {
    begin_ = at_ = to;
    address_ = address;
    labels_ = 0;
    fixups_ = 0;
    relocations_ = 0;
  }
  u32 offset() const { return static_cast<u32>(at_ - begin_); }

  Label newLabel() {
    CHECK(labels_ < kMaxLabels);
    bound_[labels_] = kUnbound;
    waiting_[labels_] = kNoFixup;
    return {labels_++};
  }
  void bind(Label label);  // may be called once for each label
  // The four bytes just written depend on where the block lies. Distances to absolute targets note themselves.
  void note(Relocation::Kind kind) {
    if (relocations_ < std::size(relocation_)) {
      relocation_[relocations_].offset = static_cast<u16>(offset() - 4);
      relocation_[relocations_].kind = static_cast<u16>(kind);
    }
    ++relocations_;
  }
  bool noted_all() const { return relocations_ <= std::size(relocation_) && offset() <= Relocation::kReach; }
  std::span<const Relocation> relocations() const { return {relocation_.data(), relocations_}; }

  void mov(const x86::Gp& to, const x86::Gp& from) { registers(to, 0x89, 0x88, from); }
  void mov(const x86::Gp& to, const x86::Mem& from) { memory(0x8b, 0x8a, to, from); }
  void mov(const x86::Mem& to, const x86::Gp& from) { memory(0x89, 0x88, from, to); }
  template <std::integral T>
  void mov(const x86::Gp& to, T value) {
    move_immediate(to, static_cast<u64>(value));
  }
  template <std::integral T>
  void mov(const x86::Mem& to, T value) {
    memory_immediate(0xc7, 0xc6, 0, to, static_cast<i32>(value));
  }
  void movzx(const x86::Gp& to, const x86::Gp& from);
  void movzx(const x86::Gp& to, const x86::Mem& from);
  void movsx(const x86::Gp& to, const x86::Gp& from);  // to 64 bits, from 16 or 32
  void lea(const x86::Gp& to, const x86::Mem& from) { memory(0x8d, 0x8d, to, from); }
  void xchg(const x86::Gp& a, const x86::Gp& b) { registers(a, 0x87, 0x86, b); }

#define UMBRA_ALU(name, number)                                                                            \
  void name(const x86::Gp& to, const x86::Gp& from) { registers(to, number * 8 + 1, number * 8, from); }   \
  void name(const x86::Gp& to, const x86::Mem& from) { memory(number * 8 + 3, number * 8 + 2, to, from); } \
  void name(const x86::Mem& to, const x86::Gp& from) { memory(number * 8 + 1, number * 8, from, to); }     \
  template <std::integral T>                                                                               \
  void name(const x86::Gp& to, T value) {                                                                  \
    alu_immediate(number, to, static_cast<i32>(value));                                                    \
  }                                                                                                        \
  template <std::integral T>                                                                               \
  void name(const x86::Mem& to, T value) {                                                                 \
    alu_immediate(number, to, static_cast<i32>(value));                                                    \
  }
  UMBRA_ALU(add, 0)
  UMBRA_ALU(or_, 1)
  UMBRA_ALU(and_, 4)
  UMBRA_ALU(sub, 5)
  UMBRA_ALU(xor_, 6)
  UMBRA_ALU(cmp, 7)
#undef UMBRA_ALU
  void test(const x86::Gp& a, const x86::Gp& b) { registers(a, 0x85, 0x84, b); }
  template <std::integral T>
  void test(const x86::Gp& a, T value) {
    register_immediate(0xf7, 0xf6, 0, a, static_cast<i32>(value));
  }
  template <std::integral T>
  void test(const x86::Mem& a, T value) {
    memory_immediate(0xf7, 0xf6, 0, a, static_cast<i32>(value));
  }
  void shr(const x86::Gp& r, unsigned count) { shift(5, r, count); }
  void rorx(const x86::Gp& to, const x86::Gp& from, unsigned count);       // BMI2: no flags
  void mulx(const x86::Gp& high, const x86::Gp& low, const x86::Mem& by);  // BMI2: RDX * by, no flags
  void rdtsc() {
    put(0x0f);
    put(0x31);
  }
  void not_(const x86::Gp& r) { one_operand(0xf7, 0xf6, 2, r); }
  void pext(const x86::Gp& to, const x86::Gp& from, const x86::Gp& mask);  // BMI2: no flags
  // BT, BTS, BTR or BTC by its opcode (0F A3 …), with the bit's number in a register. In memory it must lie in the
  // word.
  void bit_test(u8 opcode, const x86::Gp& word, const x86::Gp& bit);
  void bit_test(u8 opcode, const x86::Mem& word, const x86::Gp& bit);
  void lock() { put(0xf0); }
  void setcc(x86::CondCode cc, const x86::Gp& byte);
  void seto(const x86::Gp& byte) { setcc(x86::CondCode::kO, byte); }
  void lahf() { put(0x9f); }
  void sahf() { put(0x9e); }
  void int3() { put(0xcc); }
  void fxrstor(const x86::Mem& m) { extended(1, m); }
  void ldmxcsr(const x86::Mem& m) { extended(2, m); }
  void fldcw(const x86::Mem& m);

  // Forward jumps take the long form, which can be patched; backward ones the shortest.
  void jmp(Label to);
  void jmp(const x86::Gp& to);
  void jmp(u64 absolute) { relative(0xe9, absolute); }
  void call(u64 absolute) { relative(0xe8, absolute); }
  void j(x86::CondCode cc, Label to);
  // To where point_here() is called with the offset of their last four bytes.
  void jmp_ahead() {
    put(0xe9);
    at_ += 4;
  }
  void j_ahead(x86::CondCode cc) {
    put(0x0f);
    put(0x80 | static_cast<u8>(cc));
    at_ += 4;
  }
  void point_here(u32 field) {
    const u32 distance = offset() - (field + 4);
    std::memcpy(begin_ + field, &distance, 4);
  }
  void jecxz(const x86::Gp&, Label to);  // a short jump: the label must be near
#define UMBRA_JCC(name, cc) \
  void name(Label to) { j(x86::CondCode::cc, to); }
  UMBRA_JCC(ja, kA)
  UMBRA_JCC(jb, kB)
  UMBRA_JCC(jne, kNE)
  UMBRA_JCC(jz, kZ)
  UMBRA_JCC(jnz, kNZ)
#undef UMBRA_JCC
  void embed(u32 bytes, u32 n) {
    std::memcpy(at_, &bytes, 4);
    at_ += n;
  }
  // At most 16 bytes, of which so many can be read and written, whatever n says.
  void embed(const void* bytes, std::size_t n) {
    std::memcpy(at_, bytes, 16);
    at_ += n;
  }

 private:
  static constexpr u32 kMaxLabels = 2048, kMaxFixups = 4096, kUnbound = ~u32{0}, kNoFixup = ~u32{0};
  struct Fixup {
    u32 next, at;  // offset of the field, which ends the instruction
    bool near;
  };

  void put(u8 byte) { *at_++ = byte; }
  void put32(u32 value) {
    std::memcpy(at_, &value, 4);
    at_ += 4;
  }
  static bool byte_sized(const x86::Gp& r) { return r.size() == 1; }
  // The prefixes and opcode of an instruction on a register `rm` or a memory operand, with `reg` in ModRM.reg.
  void prefix(u32 size, unsigned reg, unsigned index, unsigned base, bool force_rex);
  void registers(const x86::Gp& rm, u8 wide, u8 narrow, const x86::Gp& reg);
  void one_operand(u8 wide, u8 narrow, unsigned extension, const x86::Gp& rm);
  void memory(u8 wide, u8 narrow, const x86::Gp& reg, const x86::Mem& m);
  void memory_head(u32 size, unsigned reg, bool force_rex, const x86::Mem& m);
  void modrm_memory(unsigned reg, const x86::Mem& m);
  void move_immediate(const x86::Gp& to, u64 value);
  void memory_immediate(u8 wide, u8 narrow, unsigned extension, const x86::Mem& m, i32 value);
  void register_immediate(u8 wide, u8 narrow, unsigned extension, const x86::Gp& r, i32 value);
  void alu_immediate(unsigned number, const x86::Gp& r, i32 value);
  void alu_immediate(unsigned number, const x86::Mem& m, i32 value);
  void put_immediate(u32 size, i32 value);
  void shift(unsigned extension, const x86::Gp& r, unsigned count);
  void extended(unsigned extension, const x86::Mem& m);
  void relative(u8 opcode, u64 absolute);
  void refer(Label to, bool near);

  u8* begin_ = nullptr;
  u8* at_ = nullptr;
  u64 address_ = 0;
  u32 labels_ = 0, fixups_ = 0, relocations_ = 0;
  std::array<u32, kMaxLabels> bound_;    // offset
  std::array<u32, kMaxLabels> waiting_;  // the first fixup of each
  std::array<Fixup, kMaxFixups> pending_;
  std::array<Relocation, kMostRelocations> relocation_;
};

}  // namespace umbra::x64
