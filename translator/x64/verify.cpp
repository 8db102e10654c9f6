#include "translator/x64/verify.h"

#include <algorithm>
#include <vector>

#include "cpu/base/log.h"
#include "cpu/cpu.h"
#include "translator/x64/disassembly.h"
#include "translator/x64/verify_faults.h"

namespace umbra::x64 {
namespace {

bool is_cage_register(unsigned reg) {
  for (unsigned held :
       {X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15, X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D,
        X86_REG_R12W, X86_REG_R13W, X86_REG_R14W, X86_REG_R15W, X86_REG_R12B, X86_REG_R13B, X86_REG_R14B, X86_REG_R15B})
    if (reg == held) return true;
  return false;
}

bool is_forbidden(unsigned id) {
  switch (id) {
    case X86_INS_SYSCALL:
    case X86_INS_SYSENTER:
    case X86_INS_SYSRET:
    case X86_INS_SYSEXIT:
    case X86_INS_INT:
    case X86_INS_INT1:
    case X86_INS_INTO:
    case X86_INS_HLT:
    case X86_INS_IN:
    case X86_INS_OUT:
    case X86_INS_CLI:
    case X86_INS_STI:
    case X86_INS_PUSH:
    case X86_INS_POP:
    case X86_INS_PUSHF:
    case X86_INS_PUSHFQ:
    case X86_INS_POPF:
    case X86_INS_POPFQ:
    case X86_INS_RET:
    case X86_INS_RETF:
    case X86_INS_RETFQ:
    case X86_INS_IRET:
    case X86_INS_IRETD:
    case X86_INS_IRETQ:
    case X86_INS_ENTER:
    case X86_INS_LEAVE:
    case X86_INS_XLATB:
    case X86_INS_STD:
    case X86_INS_WRGSBASE:
    case X86_INS_WRFSBASE:
    case X86_INS_MASKMOVQ:
    case X86_INS_MASKMOVDQU:
    case X86_INS_UD2:
    case X86_INS_LJMP:
    case X86_INS_LCALL:
      return true;
    default:
      return false;
  }
}

// Behind CpuState lie what is pending and the scale of the TSC, to be read only.
constexpr std::size_t kReach = cpu_at::kTscScale + sizeof(TscScale);
static_assert(cpu_at::kPending >= sizeof(CpuState) && cpu_at::kPending < cpu_at::kTscScale);

// `first` is the instruction's first operand, if it may write it: loads may use two tables that stores may not.
bool memory_allowed(const cs_insn& insn, const x86_op_mem& m, bool first) {
  if (insn.id == X86_INS_LEA || insn.id == X86_INS_NOP) return true;
  if (m.segment == X86_REG_GS) {
    if (insn.detail->x86.addr_size == 4) return true;  // wraps at 4 GiB
    return m.base == X86_REG_R9 && m.index == X86_REG_INVALID && m.disp == 0;
  }
  if (m.segment != X86_REG_INVALID) return false;
  switch (m.base) {
    case X86_REG_R8:
      return m.index == X86_REG_R9 && m.scale == 1 && m.disp == 0;
    case X86_REG_RSI:
      return m.index == X86_REG_INVALID && m.disp == 0;  // stands for R8+R9: checked by its predecessor
    case X86_REG_R15:
      return m.index == X86_REG_INVALID && m.disp >= 0 && m.disp < static_cast<i64>(first ? sizeof(CpuState) : kReach);
    case X86_REG_R12:
      return m.index == X86_REG_INVALID && ((m.disp >= -static_cast<i64>(sizeof(Context)) && m.disp < 0) ||
                                            (!first && m.disp == -static_cast<i64>(kPollToCode)));
    case X86_REG_R13:
      return !first && m.index == X86_REG_R11 && m.scale == 4 && m.disp == 0;
    case X86_REG_R14:
      return !first && (m.index == X86_REG_R8 || m.index == X86_REG_R9) && m.scale == 8;
    default:
      return false;
  }
}

bool is_lea_of_scratch(const cs_insn& insn, unsigned to, unsigned base, unsigned index) {
  const cs_x86& x = insn.detail->x86;
  return insn.id == X86_INS_LEA && x.operands[0].reg == static_cast<x86_reg>(to) &&
         x.operands[1].mem.base == static_cast<x86_reg>(base) && x.operands[1].mem.index == static_cast<x86_reg>(index);
}

// These work on guest addresses only in stubs, which make host addresses of them first.
bool is_string(const cs_insn& insn) {
  switch (insn.id) {
    case X86_INS_MOVSB:
    case X86_INS_MOVSW:
    case X86_INS_MOVSQ:
    case X86_INS_STOSB:
    case X86_INS_STOSW:
    case X86_INS_STOSD:
    case X86_INS_STOSQ:
    case X86_INS_CMPSB:
    case X86_INS_CMPSW:
    case X86_INS_CMPSQ:
    case X86_INS_SCASB:
    case X86_INS_SCASW:
    case X86_INS_SCASD:
    case X86_INS_SCASQ:
    case X86_INS_LODSB:
    case X86_INS_LODSW:
    case X86_INS_LODSD:
    case X86_INS_LODSQ:
      return true;
    case X86_INS_MOVSD:
    case X86_INS_CMPSD:
      return insn.detail->x86.opcode[0] != 0x0f;  // not the SSE2 one
    default:
      return false;
  }
}

// With its bit's number in a register, one on memory reaches far: the number must just have been cut to size.
bool is_far_bit_test(const cs_insn& insn) {
  const cs_x86& x = insn.detail->x86;
  const bool test = insn.id == X86_INS_BT || insn.id == X86_INS_BTS || insn.id == X86_INS_BTR || insn.id == X86_INS_BTC;
  return test && x.operands[0].type == X86_OP_MEM && x.operands[1].type == X86_OP_REG;
}

class Verifier {
 public:
  Verifier(std::span<const u8> code, Disassembly& listing, const Stubs& stubs)
      : code_(code), stubs_(stubs), listing_(listing) {}

  std::string run() {
    std::size_t covered = 0;
    for (const cs_insn& insn : listing_.insns()) covered += insn.size;
    if (covered != code_.size()) return "bytes that are no instruction";
    for (const cs_insn& insn : listing_.insns()) {
      if (const char* why = offence(insn)) return format("%s: %s %s", why, insn.mnemonic, insn.op_str);
      previous_ = &insn;
    }
    return "";
  }

 private:
  const char* offence(const cs_insn& insn) const {
    if (is_forbidden(insn.id) || listing_.in_group(insn, CS_GRP_PRIVILEGE)) return "forbidden instruction";
    if (is_string(insn)) return "string instruction on guest addresses";
    if (is_far_bit_test(insn) && !(previous_ != nullptr && previous_->id == X86_INS_PEXT))
      return "bits out of the word";
    const cs_x86& x = insn.detail->x86;
    const bool jump = listing_.in_group(insn, CS_GRP_JUMP), call = insn.id == X86_INS_CALL;
    for (u8 i = 0; i < x.op_count; ++i) {
      const cs_x86_op& op = x.operands[i];
      if (op.type == X86_OP_MEM) {
        if (jump || call) return "indirect transfer through memory";
        if (!memory_allowed(insn, op.mem, i == 0 && insn.id != X86_INS_CMP)) return "memory outside the cage";
        const bool stands_in = op.mem.base == X86_REG_RSI && op.mem.segment == X86_REG_INVALID &&
                               insn.id != X86_INS_LEA && insn.id != X86_INS_NOP;
        if (stands_in && !(previous_ != nullptr && is_lea_of_scratch(*previous_, X86_REG_RSI, X86_REG_R8, X86_REG_R9)))
          return "memory through RSI";
      }
      if (op.type == X86_OP_REG && i == 0 && is_cage_register(op.reg)) return "a register of the cage is changed";
    }
    return jump || call ? transfer(x.operands[0], call) : nullptr;
  }

  bool is_callable(u64 target) const {
    const auto is = [&](const u8* stub) { return target == reinterpret_cast<u64>(stub); };
    return is(stubs_.callout) || is(stubs_.shortcut) || is(stubs_.cpuid) ||
           std::any_of(std::begin(stubs_.strings), std::end(stubs_.strings), is) ||
           std::any_of(std::begin(stubs_.segments.at[0]), std::end(stubs_.segments.at[0]), is) ||
           std::any_of(std::begin(stubs_.segments.at[1]), std::end(stubs_.segments.at[1]), is);
  }

  const char* transfer(const cs_x86_op& to, bool call) const {
    if (to.type == X86_OP_REG) {
      const bool dispatch = !call && to.reg == X86_REG_R8 && previous_ != nullptr &&
                            is_lea_of_scratch(*previous_, X86_REG_R8, X86_REG_R12, X86_REG_R8);
      return dispatch ? nullptr : "indirect transfer";
    }
    const u64 target = static_cast<u64>(to.imm);
    if (call) return is_callable(target) ? nullptr : "call of something else";
    for (const u8* stub : {stubs_.missed, stubs_.missed_saved, stubs_.link, stubs_.dispatch, stubs_.far})
      if (target == reinterpret_cast<u64>(stub)) return nullptr;
    const auto insns = listing_.insns();
    const auto at = std::lower_bound(insns.begin(), insns.end(), target,
                                     [](const cs_insn& insn, u64 address) { return insn.address < address; });
    return at != insns.end() && at->address == target ? nullptr : "jump into nowhere";
  }

  std::span<const u8> code_;
  const Stubs& stubs_;
  Disassembly& listing_;
  const cs_insn* previous_ = nullptr;
};

}  // namespace

std::string verify(std::span<const u8> code, const Stubs& stubs) {
  Disassembly listing(code);
  return Verifier(code, listing, stubs).run();
}

std::string verify(const Block& block, const Stubs& stubs) {
  const std::span<const u8> code(block.code, block.host_size);
  Disassembly listing(code);
  const std::string offence = Verifier(code, listing, stubs).run();
  return offence.empty() ? verify_faults(block, listing, stubs) : offence;
}

}  // namespace umbra::x64
