// Follows where the guest's flags are, which of its registers has been put aside, and whether the instruction has begun
// to change things, from one host instruction to the next and along the jumps inside the block. What works on scratch
// registers and CpuState only is glue, and its flags are nobody's; everything else is the guest's own instruction.
#include "translator/x64/verify_faults.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include "cpu/regs.h"

namespace umbra::x64 {
namespace {

constexpr int kNobody = -1, kScratch = 8, kSavedNumber = 10;

// RAX … R15 are 0 … 15, by any of their names.
int number_of(unsigned reg) {
  static constexpr x86_reg kNames[][16] = {
      {X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX, X86_REG_RSP, X86_REG_RBP, X86_REG_RSI, X86_REG_RDI,
       X86_REG_R8, X86_REG_R9, X86_REG_R10, X86_REG_R11, X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15},
      {X86_REG_EAX, X86_REG_ECX, X86_REG_EDX, X86_REG_EBX, X86_REG_ESP, X86_REG_EBP, X86_REG_ESI, X86_REG_EDI,
       X86_REG_R8D, X86_REG_R9D, X86_REG_R10D, X86_REG_R11D, X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D},
      {X86_REG_AX, X86_REG_CX, X86_REG_DX, X86_REG_BX, X86_REG_SP, X86_REG_BP, X86_REG_SI, X86_REG_DI, X86_REG_R8W,
       X86_REG_R9W, X86_REG_R10W, X86_REG_R11W, X86_REG_R12W, X86_REG_R13W, X86_REG_R14W, X86_REG_R15W},
      {X86_REG_AL, X86_REG_CL, X86_REG_DL, X86_REG_BL, X86_REG_SPL, X86_REG_BPL, X86_REG_SIL, X86_REG_DIL, X86_REG_R8B,
       X86_REG_R9B, X86_REG_R10B, X86_REG_R11B, X86_REG_R12B, X86_REG_R13B, X86_REG_R14B, X86_REG_R15B},
      {X86_REG_AH, X86_REG_CH, X86_REG_DH, X86_REG_BH}};
  for (const auto& names : kNames)
    if (const auto found = std::find(std::begin(names), std::end(names), reg); found != std::end(names))
      return static_cast<int>(found - std::begin(names));
  return kNobody;
}

bool through_window(const x86_op_mem& m) { return m.segment == X86_REG_GS; }
bool through_table(const x86_op_mem& m) { return m.base == X86_REG_R8 && m.index == X86_REG_R9; }

class FaultVerifier {
 public:
  FaultVerifier(const Block& block, Disassembly& listing, const Stubs& stubs)
      : block_(block), listing_(listing), stubs_(stubs), insns_(listing.insns()), at_(insns_.size()) {}

  std::string run() {
    state_ = State{};
    for (i_ = 0; i_ < insns_.size();) {
      const u32 offset = this->offset(i_);
      if (offset == block_.cold) state_.reset();  // behind the last callout there is nothing
      if (at_[i_]) reach(*at_[i_]);
      for (; next_mark_ < block_.count && block_.marks[next_mark_].host <= offset && offset < block_.cold; ++next_mark_)
        begin(next_mark_);
      if (why_ == nullptr && state_) {
        at_[i_] = state_;
        i_ += step(insns_[i_]);
      } else {
        ++i_;
      }
      if (why_ != nullptr) {
        const cs_insn& insn = insns_[std::min(i_, insns_.size() - 1)];
        return format("%s: before or at %s %s, offset %x", why_, insn.mnemonic, insn.op_str, offset);
      }
    }
    return "";
  }

 private:
  // kNew: what the instruction that is being run has left, for the next one.
  enum class Flags : u8 { kHost, kNew, kAside, kLost };
  struct State {
    Flags flags = Flags::kHost;
    int away = kNobody;    // the guest's register that is in kSaved
    bool changed = false;  // something that the guest sees, by this instruction
    u32 index = 0;         // of the instruction
    bool operator==(const State&) const = default;
  };

  u32 offset(std::size_t i) const { return static_cast<u32>(insns_[i].address - insns_[0].address); }
  void offence(const char* why) {
    if (why_ == nullptr) why_ = why;
  }

  static bool in_place(const State& s) { return s.flags == Flags::kHost || s.flags == Flags::kNew; }
  // Control comes from elsewhere, too.
  static State join(State a, const State& b) {
    if (a.flags != b.flags) a.flags = in_place(a) && in_place(b) ? Flags::kNew : Flags::kLost;
    if (a.away != b.away) a.away = kScratch;
    a.changed = a.changed || b.changed;
    return a;
  }
  void reach(const State& from) { state_ = state_ ? join(*state_, from) : from; }

  void begin(u32 index) {
    if (!state_) state_ = State{};  // by way of C++, which leaves the flags in both places
    if (state_->away != kNobody) offence("an instruction begins with a register put aside");
    if (state_->flags == Flags::kLost) offence("an instruction begins without the guest's flags");
    if (state_->flags == Flags::kNew) state_->flags = Flags::kHost;
    state_->changed = false;
    state_->index = index;
  }

  // The number of host instructions that this was.
  std::size_t step(const cs_insn& insn) {
    if (const std::size_t n = move_flags(); n != 0) return n;
    const cs_x86& x = insn.detail->x86;
    const bool jump = listing_.in_group(insn, CS_GRP_JUMP), call = insn.id == X86_INS_CALL;
    if (jump || call) {
      call ? need_guest() : leave(insn, x.operands[0]);
      return 1;
    }
    for (u8 n = 0; n < x.op_count; ++n)
      if (x.operands[n].type == X86_OP_MEM && through_window(x.operands[n].mem) && insn.id != X86_INS_LEA) {
        if (!block_.window) offence("a window's access in a block without one");
        give_up(block_.marks[state_->index].flags_saved);
      }
    take_effect(insn);
    return 1;
  }

  // The two passages that put flags aside and bring them back.
  std::size_t move_flags() {
    static constexpr std::string_view kSpare = "\x49\x89\xc2\x9f\x0f\x90\xc0\x49\x87\xc2";
    static constexpr std::string_view kWant = "\x49\x87\xc2\x80\xc0\x7f\x9e\x4c\x89\xd0";
    const u8* at = reinterpret_cast<const u8*>(insns_[i_].address);
    const std::size_t left = static_cast<std::size_t>(insns_.back().address + insns_.back().size - insns_[i_].address);
    const auto is = [&](std::string_view bytes) {
      return left >= bytes.size() && std::memcmp(at, bytes.data(), bytes.size()) == 0;
    };
    if (is(kSpare)) {
      if (state_->flags != Flags::kHost || state_->away != kNobody) offence("flags are put aside that are not there");
      state_->flags = Flags::kAside;
      return 4;
    }
    if (is(kWant)) {
      if (state_->flags != Flags::kAside) offence("flags are brought back that were not put aside");
      state_->flags = Flags::kHost;
      return 4;
    }
    return 0;
  }

  void give_up(bool flags_saved) {
    if (state_->flags != (flags_saved ? Flags::kAside : Flags::kHost))
      offence("flags are not where they are said to be");
    if (state_->away != kNobody) offence("a register is put aside");
    if (state_->changed) offence("the instruction has begun");
  }

  // C++ and other blocks find the guest's flags in the host's.
  void need_guest() {
    if (!in_place(*state_)) offence("the guest's flags are not in place");
    if (state_->away != kNobody) offence("a register is put aside");
  }

  void leave(const cs_insn& insn, const cs_x86_op& to) {
    const bool always = insn.id == X86_INS_JMP;
    const u64 target = to.type == X86_OP_IMM ? static_cast<u64>(to.imm) : 0;
    const bool missed = target == reinterpret_cast<u64>(stubs_.missed);
    const bool saved = target == reinterpret_cast<u64>(stubs_.missed_saved);
    const auto there = std::lower_bound(insns_.begin(), insns_.end(), target,
                                        [](const cs_insn& i, u64 address) { return i.address < address; });
    if (missed || saved) {
      give_up(saved);
      const cs_insn* before = i_ != 0 ? &insns_[i_ - 1] : nullptr;
      const bool named = before != nullptr && before->id == X86_INS_MOV &&
                         before->detail->x86.operands[0].reg == X86_REG_R8D &&
                         before->detail->x86.operands[1].imm == site_number(block_.id, state_->index);
      if (!named) offence("another instruction is said to have missed");
    } else if (there != insns_.end() && there->address == target) {
      State& known = jump_to(static_cast<std::size_t>(there - insns_.begin()));
      if (there <= insns_.begin() + static_cast<std::ptrdiff_t>(i_) && !same(known, *state_))
        offence("a jump back meets another state");
    } else {
      need_guest();
    }
    if (always) state_.reset();
  }
  static bool same(const State& a, const State& b) {
    return a.flags == b.flags && a.away == b.away && a.changed == b.changed;
  }
  State& jump_to(std::size_t i) {
    if (i <= i_) return at_[i] ? *at_[i] : at_[i].emplace(*state_);
    return at_[i] ? *at_[i] = join(*at_[i], *state_) : at_[i].emplace(*state_);
  }

  bool is_glue(const cs_x86& x) const {
    for (u8 n = 0; n < x.op_count; ++n) {
      const cs_x86_op& op = x.operands[n];
      if (op.type == X86_OP_MEM && (through_window(op.mem) || through_table(op.mem))) return false;
      if (op.type != X86_OP_REG) continue;
      const int r = number_of(op.reg);
      if (r == kNobody || (r < kScratch && r != state_->away)) return false;
    }
    return x.op_count != 0;
  }

  static bool writes_all_flags(const cs_insn& insn) {
    constexpr u64 kEach[] = {
        X86_EFLAGS_MODIFY_CF | X86_EFLAGS_RESET_CF | X86_EFLAGS_UNDEFINED_CF,
        X86_EFLAGS_MODIFY_PF | X86_EFLAGS_RESET_PF | X86_EFLAGS_UNDEFINED_PF,
        X86_EFLAGS_MODIFY_AF | X86_EFLAGS_RESET_AF | X86_EFLAGS_UNDEFINED_AF,
        X86_EFLAGS_MODIFY_ZF | X86_EFLAGS_UNDEFINED_ZF,
        X86_EFLAGS_MODIFY_SF | X86_EFLAGS_RESET_SF | X86_EFLAGS_UNDEFINED_SF,
        X86_EFLAGS_MODIFY_OF | X86_EFLAGS_RESET_OF | X86_EFLAGS_UNDEFINED_OF,
    };
    const u64 written = insn.detail->x86.eflags;
    return std::all_of(std::begin(kEach), std::end(kEach), [&](u64 one) { return (written & one) != 0; });
  }

  void write_flags(const cs_insn& insn) {
    if (insn.id == X86_INS_SAHF && state_->away == 0) {  // made from what an instruction popped, or found
      state_->flags = Flags::kHost;
    } else if (is_glue(insn.detail->x86)) {
      if (state_->flags != Flags::kAside) state_->flags = Flags::kLost;
    } else {
      if (!in_place(*state_) && !writes_all_flags(insn)) offence("flags are kept that are not there");
      state_->flags = Flags::kNew;
    }
  }

  void take_effect(const cs_insn& insn) {
    const cs_x86& x = insn.detail->x86;
    const bool move = insn.id == X86_INS_MOV && x.operands[0].type == X86_OP_REG && x.operands[1].type == X86_OP_REG;
    if (move && number_of(x.operands[1].reg) == kSavedNumber && number_of(x.operands[0].reg) == state_->away) {
      state_->away = kNobody;
      return;
    }
    int away = state_->away;
    const auto written = listing_.writes(insn);
    const bool unlisted = insn.id == X86_INS_CMPXCHG || insn.id == X86_INS_XADD;  // not always, by Capstone
    if (unlisted || std::ranges::count(written, X86_REG_EFLAGS) != 0) write_flags(insn);
    for (const u16 reg : written) {
      const int r = number_of(reg);
      if (r == kSavedNumber) {
        if (state_->flags == Flags::kAside) state_->flags = Flags::kLost;
        const int from = move ? number_of(x.operands[1].reg) : kNobody;
        away = from < kScratch ? from : kNobody;
      } else if (r != kNobody && r < kScratch && r != state_->away) {
        state_->changed = true;
      }
    }
    state_->away = away;
    const cs_x86_op& first = x.operands[0];
    const bool stores = insn.id != X86_INS_TEST && (first.access & CS_AC_WRITE) != 0;  // Capstone errs about TEST
    if (x.op_count == 0 || first.type != X86_OP_MEM || !stores) return;
    const bool eip = first.mem.base == X86_REG_R15 && first.mem.disp == offsetof(CpuState, eip);  // nobody looks there
    if (!eip && first.mem.base != X86_REG_R12) state_->changed = true;
  }

  const Block& block_;
  Disassembly& listing_;
  const Stubs& stubs_;
  const std::span<const cs_insn> insns_;
  std::vector<std::optional<State>> at_;  // by host instruction
  std::optional<State> state_;            // none: control does not come here
  std::size_t i_ = 0;
  u32 next_mark_ = 0;
  const char* why_ = nullptr;
};

}  // namespace

std::string verify_faults(const Block& block, Disassembly& listing, const Stubs& stubs) {
  return FaultVerifier(block, listing, stubs).run();
}

}  // namespace umbra::x64
