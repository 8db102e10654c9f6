// The guest's page faults, found and delivered without an exception of C++: that would cost more than all the rest. The
// commonest lane miss is a page that is not in the table, and the commonest end of it a fault. So the pages are looked
// up before the handler runs, and the fault is delivered as the handler's would be.
#include "cpu/interp/operands.h"
#include "cpu/quick.h"
#include "cpu/raw.h"
#include "translator/engine.h"

namespace umbra {
namespace {

// What an instruction that runs inline touches first, through flat segments, as long as no other fault could come
// before. Those that write at all ask for the rights of a write from the start.
class Touched {
 public:
  Touched(Cpu& cpu, const Site& site) : s_(cpu.s), insn_(site.insn), mode_(site.block->key.mode) {
    const Op op = insn_.op;
    switch (info(op).x64) {
      case Lowering::copy:
      case Lowering::x87:
        operand();
        break;
      case Lowering::sse:
        operand();
        if (count_ != 0 && (list_[0].at.value & 15) != 0) count_ = 0;  // perhaps #GP
        break;
      case Lowering::branch:
        if (insn_.operands[0].kind == OperandKind::kMem) {
          memory(Access::kRead);
        } else if (op == Op::kCall) {
          push();
        } else if (op == Op::kRet) {
          stack(s_.r32(kEsp), Access::kRead);
        }
        break;
      case Lowering::stack:
        if (op == Op::kPusha || op == Op::kPushad) {
          push();
        } else if (op == Op::kPush) {
          insn_.operands[0].kind == OperandKind::kMem ? memory(Access::kRead) : push();
        } else {
          stack(s_.r32(op == Op::kLeave ? kEbp : kEsp), Access::kRead);
        }
        break;
      case Lowering::string:
        string();
        break;
      default:
        break;
    }
  }

  struct Place {
    Linear at;
    Access access;
  };
  const Place* begin() const { return list_; }
  const Place* end() const { return list_ + count_; }

 private:
  void add(unsigned seg, u32 offset, Access access) {
    if (mode_.segment(seg) == SegClass::kFlat) list_[count_++] = {Linear(offset), access};
  }
  void memory(Access access) { add(insn_.segment, interp::effective_address(s_, insn_), access); }
  void operand() {
    const MemoryUse use = memory_use(insn_, layout(insn_));
    if (use != MemoryUse::kNone) memory(use == MemoryUse::kLoad ? Access::kRead : Access::kWrite);
  }
  void stack(u32 offset, Access access) {
    if (mode_.stack_32()) add(kSs, offset, access);
  }
  void push() { stack(s_.r32(kEsp) - insn_.operand_size, Access::kWrite); }
  void string() {
    if (insn_.has(prefix::kRep | prefix::kRepne) && (s_.r32(kEcx) & insn_.address_mask) == 0) return;
    const u8 op = layout(insn_).opcode & 0xfe;
    constexpr u8 kMovs = 0xa4, kCmps = 0xa6, kStos = 0xaa, kLods = 0xac, kScas = 0xae;
    const bool source = op == kMovs || op == kCmps || op == kLods;
    if (source) add(insn_.segment, s_.r32(kEsi) & insn_.address_mask, Access::kRead);
    const u32 size = (layout(insn_).opcode & 1) == 0 ? 1 : insn_.operand_size;
    if (source && (count_ == 0 || page_offset(list_[0].at) + size > kPageSize)) return;
    if (op == kMovs || op == kStos) add(kEs, s_.r32(kEdi) & insn_.address_mask, Access::kWrite);
    if (op == kCmps || op == kScas) add(kEs, s_.r32(kEdi) & insn_.address_mask, Access::kRead);
  }

  CpuState& s_;
  const Insn& insn_;
  const Mode mode_;
  Place list_[2];
  u32 count_ = 0;
};

}  // namespace

void Translator::deliver(const GuestFault& fault) {
  ++stats_.guest_faults;
  if (!quick::deliver(*cpu_, fault)) cpu_->deliver(fault);
}

bool Translator::page_faults(const Site& site) {
  Cpu& cpu = *cpu_;
  for (const Touched::Place& place : Touched(cpu, site)) {
    const Fill fill = cpu.mmu.fill(place.at, place.access, cpu.mmu.user());
    if (fill.kind == Fill::Kind::kRam) continue;
    if (fill.kind == Fill::Kind::kDevice) return false;
    cpu.s.insn_eip = site.eip;
    cpu.s.cr2 = place.at.value;
    deliver({kPageFault, true, fill.error_code});
    return true;
  }
  return false;
}

// The instruction's first byte cannot be fetched.
bool Translator::fetch_faults() {
  Cpu& cpu = *cpu_;
  if (cpu.s.eip > cpu.s.seg[kCs].limit) return false;
  const Linear a(cpu.s.seg[kCs].base + static_cast<u32>(cpu.s.eip));
  const Walk walk = umbra::walk(memory_, cpu.mmu.state(), a, Access::kExecute, cpu.mmu.user());
  if (walk.ok) return false;
  cpu.s.insn_eip = cpu.s.eip;
  cpu.s.cr2 = a.value;
  deliver({kPageFault, true, walk.error_code});
  return true;
}

}  // namespace umbra
