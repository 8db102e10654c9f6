#include "cpu/effects.h"

#include <asmjit/x86.h>

#include <catch2/catch.hpp>

#include "cpu/model.h"

namespace umbra {
namespace {

Insn decoded(const std::vector<u8>& bytes) {
  const Insn insn = decode(bytes, CodeSize::k32, *find_cpu_model("max")).insn;
  REQUIRE(insn.op != Op::kInvalid);
  return insn;
}

Effects of(std::initializer_list<u8> bytes) { return effects(decoded(bytes), CodeSize::k32); }

// The same instruction for asmjit. Flags of shifts by an immediate depend on its value in ours only.
asmjit::InstRWInfo asmjit_info(const Insn& insn, unsigned explicit_operands) {
  using namespace asmjit;
  std::string name = info(insn.op).name;
  for (char& c : name) c = static_cast<char>(std::tolower(c));
  const InstId id = InstAPI::stringToInstId(Arch::kX86, name.c_str(), name.size());
  REQUIRE(id != 0);
  Operand_ operands[3];
  for (unsigned i = 0; i < explicit_operands; ++i) {
    const umbra::Operand& o = insn.operands[i];
    if (o.kind == OperandKind::kReg && o.size == 4) operands[i] = x86::gpd(o.reg);
    if (o.kind == OperandKind::kReg && o.size == 2) operands[i] = x86::gpw(o.reg);
    if (o.kind == OperandKind::kReg && o.size == 1 && o.reg < 4) operands[i] = x86::gpb_lo(o.reg);
    if (o.kind == OperandKind::kReg && o.size == 1 && o.reg >= 4) operands[i] = x86::gpb_hi(o.reg & 3);
    if (o.kind == OperandKind::kImm) operands[i] = Imm(insn.imm);
    if (o.kind == OperandKind::kMem) operands[i] = x86::ptr(x86::gpd(insn.base), insn.disp, o.size);
    REQUIRE(!operands[i].isNone());
  }
  InstRWInfo rw;
  REQUIRE(InstAPI::queryRWInfo(Arch::kX86, BaseInst(id), operands, explicit_operands, &rw) == kErrorOk);
  return rw;
}

u32 eflags_of(asmjit::CpuRWFlags f) {
  using F = asmjit::CpuRWFlags;
  constexpr std::pair<F, u32> kMap[] = {{F::kX86_CF, flag::kCf}, {F::kX86_OF, flag::kOf}, {F::kX86_SF, flag::kSf},
                                        {F::kX86_ZF, flag::kZf}, {F::kX86_AF, flag::kAf}, {F::kX86_PF, flag::kPf},
                                        {F::kX86_DF, flag::kDf}};
  u32 out = 0;
  for (const auto& [theirs, ours] : kMap)
    if ((static_cast<u32>(f) & static_cast<u32>(theirs)) != 0) out |= ours;
  return out;
}

}  // namespace

TEST_CASE("Zydis and asmjit agree on the flags of plain arithmetic") {
  struct Form {
    std::vector<u8> bytes;
    unsigned operands;
  };
  const Form kForms[] = {
      {{0x01, 0xd8}, 2},
      {{0x03, 0x18}, 2},
      {{0x11, 0xd8}, 2},
      {{0x19, 0xd8}, 2},
      {{0x29, 0xd8}, 2},
      {{0x21, 0xd8}, 2},
      {{0x09, 0xd8}, 2},
      {{0x31, 0xd8}, 2},
      {{0x39, 0xd8}, 2},
      {{0x85, 0xd8}, 2},
      {{0x00, 0xd8}, 2},
      {{0x66, 0x01, 0xd8}, 2},
      {{0x40}, 1},
      {{0x48}, 1},
      {{0xf7, 0xd8}, 1},
      {{0xf7, 0xd0}, 1},
      {{0xff, 0x00}, 1},
      {{0x0f, 0xc1, 0xd8}, 2},
      {{0x8b, 0xc3}, 2},
      {{0x0f, 0xb6, 0xc3}, 2},
      {{0x8d, 0x43, 0x10}, 2},
      {{0x0f, 0xc8}, 1},
      {{0xf5}, 0},
      {{0xf8}, 0},
      {{0xf9}, 0},
      {{0xfc}, 0},
      {{0xfd}, 0},
      {{0x9f}, 0},
      {{0x83, 0xc0, 0x05}, 2},
      {{0x83, 0xf8, 0x05}, 2},
  };
  for (const Form& form : kForms) {
    const Insn insn = decoded(form.bytes);
    INFO(disassemble(insn, 0, CodeSize::k32));
    const Effects ours = effects(insn, CodeSize::k32);
    const asmjit::InstRWInfo theirs = asmjit_info(insn, form.operands);
    CHECK(ours.flags_read == eflags_of(theirs.readFlags()));
    CHECK(ours.flags_written == eflags_of(theirs.writeFlags()));
    for (unsigned i = 0; i < form.operands; ++i) {
      if (insn.operands[i].kind != OperandKind::kReg) continue;
      const u16 bit =
          static_cast<u16>(1u << (insn.operands[i].size == 1 ? insn.operands[i].reg & 3 : insn.operands[i].reg));
      CHECK(((ours.writes & bit) != 0) >= theirs.operand(i).isWrite());
      CHECK(((ours.reads & bit) != 0) >= theirs.operand(i).isRead());
    }
  }
}

TEST_CASE("a shift by nothing writes no flags, and one by CL kills none") {
  CHECK(of({0xc1, 0xe0, 0x00}).flags_written == 0);
  CHECK(of({0xc1, 0xe0, 0x20}).flags_written == 0);
  CHECK(of({0xc1, 0xe0, 0x01}).flags_killed == flag::kArithmetic);
  CHECK(of({0xd1, 0xe0}).flags_killed == flag::kArithmetic);
  CHECK(of({0xd3, 0xe0}).flags_killed == 0);
  CHECK((of({0xd3, 0xe0}).flags_written & flag::kCf) != 0);
  CHECK((of({0xd3, 0xe0}).reads & (1 << kEcx)) != 0);
}

TEST_CASE("a register is killed only when all of it is overwritten without a look") {
  CHECK(of({0xb8, 1, 0, 0, 0}).kills == 1 << kEax);
  CHECK(of({0xb0, 1}).kills == 0);
  CHECK(of({0xb0, 1}).reads == 1 << kEax);  // the rest of EAX stays
  CHECK(of({0x66, 0xb8, 1, 0}).kills == 0);
  CHECK(of({0x0f, 0x44, 0xc3}).kills == 0);  // CMOVZ
  CHECK(of({0x0f, 0xbc, 0xc3}).kills == 0);  // BSF of zero
  CHECK(of({0x01, 0xd8}).kills == 0);
  CHECK(of({0x8b, 0x43, 0x10}).kills == 1 << kEax);
}

TEST_CASE("memory, stack and hidden registers are seen") {
  CHECK(of({0x8b, 0x43, 0x10}).loads);
  CHECK_FALSE(of({0x8b, 0x43, 0x10}).stores);
  CHECK(of({0x89, 0x43, 0x10}).stores);
  CHECK_FALSE(of({0x8d, 0x43, 0x10}).may_fault);
  CHECK(of({0x50}).stores);
  CHECK((of({0x50}).writes & (1 << kEsp)) != 0);
  CHECK(of({0xf7, 0xe3}).writes == (1 << kEax | 1 << kEdx));
  CHECK(of({0xa5}).loads);
  CHECK(of({0xa5}).stores);
  CHECK(of({0xf3, 0xa6}).flags_killed == 0);
  CHECK(of({0x60}).reads == 0xff);
  CHECK(of({0x61}).writes == 0xff);
  CHECK((of({0x8c, 0xd8}).segments_read & (1 << kDs)) != 0);
}

}  // namespace umbra
