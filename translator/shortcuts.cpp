#include "translator/shortcuts.h"

#include "cpu/interp/operands.h"
#include "cpu/quick.h"
#include "translator/engine.h"

namespace umbra {

// Where to go on in a mode that may be another one. Null dispatch tables are next()'s to find.
Took Translator::land() {
  Cpu& cpu = *cpu_;
  const Mode mode = Mode::of(cpu);
  const DispatchTable* table = spaces_.quick(dispatch_key(cpu, mode), cpu.mmu);
  if (table == nullptr || (!mode.code_32() && cpu.s.eip > 0xffff)) return Took::kAway;
  Context& context = cache_->context();
  context.dispatch = reinterpret_cast<u64>(table->table());
  context.shadow = reinterpret_cast<u64>(cpu.mmu.table());
  // User code that has no window leaves GS where it is: the way back to the kernel's is saved.
  context.window = mode.user() && !mode.window() ? context.window_loaded : reinterpret_cast<u64>(cpu.mmu.window());
  return Took::kElsewhere;
}

Took Translator::shortcut_entry(void* self, const Site* site) {
  auto& t = *static_cast<Translator*>(self);
  Cpu& cpu = *t.cpu_;
  if (cpu.pending.load(std::memory_order_relaxed) != 0 || t.flush_wanted_) return Took::kNothing;
  cpu.s.eip = (site->eip + site->insn.length) & site->block->key.eip_mask();
  Took took = site->shortcut(t, *site);
  if (took == Took::kNext && site->index + 1 == site->block->count) took = t.land();
  if (took != Took::kNothing) ++t.stats_.callouts[static_cast<u16>(site->insn.op)].shortcuts;
  return took;
}

struct Shortcuts {
  template <bool (*Transfer)(Cpu&)>
  static Took transfer(Translator& t, const Site&) {
    return Transfer(*t.cpu_) ? t.land() : Took::kNothing;
  }

  static Took int_n(Translator& t, const Site& site) {
    return quick::interrupt(*t.cpu_, static_cast<u8>(site.insn.imm), Cpu::Source::kSoftware) ? t.land()
                                                                                             : Took::kNothing;
  }

  // In protected mode FS and GS are checked at each access; of the others the mode knows how.
  static Took loaded(Translator& t, const Site& site, SegReg reg) {
    if ((reg == kFs || reg == kGs) && site.block->key.mode.protected_mode()) return Took::kNext;
    return classify(t.cpu_->s.seg[reg]) == site.block->key.mode.segment(reg) ? Took::kNext : t.land();
  }

  static Took move_register(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    const auto to = static_cast<SegReg>(site.insn.operands[0].reg);
    if (cpu.trap_check_needed() || !quick::load_segment(cpu, to, cpu.s.r16(site.insn.operands[1].reg)))
      return Took::kNothing;
    return loaded(t, site, to);
  }

  // A word of memory, where a table entry and the segment say at once that it may be read.
  static bool peek(Cpu& cpu, SegReg seg, u32 offset, u16& value) {
    const Segment& g = cpu.s.seg[seg];
    if ((g.access & Segment::kReadable) == 0 || !g.inside(offset, 2) || cpu.checks_alignment()) return false;
    const u16* at = cpu.mmu.load_ptr<u16>(Linear(g.base + offset));
    if (at == nullptr) return false;
    const u8* bytes = reinterpret_cast<const u8*>(at);  // it need not be aligned
    value = static_cast<u16>(bytes[0] | bytes[1] << 8);
    return true;
  }

  static Took move_memory(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    const auto to = static_cast<SegReg>(site.insn.operands[0].reg);
    u16 selector;
    if (cpu.trap_check_needed() ||
        !peek(cpu, interp::segment(site.insn), interp::effective_address(cpu.s, site.insn), selector) ||
        !quick::load_segment(cpu, to, selector))
      return Took::kNothing;
    return loaded(t, site, to);
  }

  static Took pop(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    const auto to = static_cast<SegReg>(site.insn.operands[0].reg);
    const u32 mask = cpu.stack_mask(), esp = cpu.s.r32(kEsp);
    u16 selector;
    if (cpu.trap_check_needed() || !peek(cpu, kSs, esp & mask, selector) || !quick::load_segment(cpu, to, selector))
      return Took::kNothing;
    cpu.s.r32(kEsp) = (esp & ~mask) | ((esp + site.insn.operand_size) & mask);
    return loaded(t, site, to);
  }

  static Took clear_task_switched(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    if (cpu.trap_check_needed() || cpu.s.cpl != 0) return Took::kNothing;
    if ((cpu.s.cr0 & cr0::kTs) == 0) return Took::kNext;
    cpu.s.cr0 &= ~cr0::kTs;
    return Mode::of(cpu) == site.block->key.mode ? Took::kNext : t.land();
  }

  static Took read_control(Translator& t, const Site& site) {
    CpuState& s = t.cpu_->s;
    if (t.cpu_->trap_check_needed() || s.cpl != 0) return Took::kNothing;
    u32& to = s.r32(site.insn.operands[0].reg);
    switch (site.insn.operands[1].reg) {
      case 0:
        to = s.cr0;
        return Took::kNext;
      case 2:
        to = s.cr2;
        return Took::kNext;
      case 3:
        to = s.cr3;
        return Took::kNext;
      default:
        return Took::kNothing;
    }
  }

  // TS and nothing else, which an operating system does at each switch of tasks.
  static Took write_control(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    const u32 value = cpu.s.r32(site.insn.operands[1].reg);
    if (cpu.trap_check_needed() || cpu.s.cpl != 0 || ((value ^ cpu.s.cr0) & ~cr0::kTs) != 0) return Took::kNothing;
    cpu.s.cr0 = value;
    return t.land();
  }
};

Shortcut shortcut_for(const Insn& insn, Mode mode) {
  const Operand &to = insn.operands[0], &from = insn.operands[1];
  const bool whole = mode.lanes() && !insn.has(prefix::kLock);
  const bool segment = to.kind == OperandKind::kSeg && to.reg != kSs && to.reg != kCs;
  switch (insn.op) {
    case Op::kMov:
      if (!whole) return nullptr;
      if (segment) return from.kind == OperandKind::kMem ? Shortcuts::move_memory : Shortcuts::move_register;
      if (from.kind == OperandKind::kCr) return Shortcuts::read_control;
      return to.kind == OperandKind::kCr && to.reg == 0 ? Shortcuts::write_control : nullptr;
    case Op::kPop:
      return whole && segment ? Shortcuts::pop : nullptr;
    case Op::kSysenter:
      return whole ? Shortcuts::transfer<quick::sysenter> : nullptr;
    case Op::kSysexit:
      return whole ? Shortcuts::transfer<quick::sysexit> : nullptr;
    case Op::kIret:
    case Op::kIretd:
      return whole && mode.protected_mode() && insn.operand_size == 4 ? Shortcuts::transfer<quick::iret> : nullptr;
    case Op::kInt:
      return whole && mode.protected_mode() ? Shortcuts::int_n : nullptr;
    case Op::kClts:
      return whole ? Shortcuts::clear_task_switched : nullptr;
    default:
      return nullptr;
  }
}

bool keeps_mode(const Insn& insn) {
  const u32 traits = info(insn.op).traits;
  const OperandKind to = insn.operands[0].kind;
  if ((traits & (trait::fpu | trait::sse)) != 0) return false;
  if (to == OperandKind::kSeg || to == OperandKind::kCr || to == OperandKind::kDr) return false;
  if ((traits & trait::sensitive) == 0) return insn.op != Op::kInvalid;
  switch (insn.op) {
    case Op::kIn:
    case Op::kOut:
    case Op::kInsb:
    case Op::kInsw:
    case Op::kInsd:
    case Op::kOutsb:
    case Op::kOutsw:
    case Op::kOutsd:
    case Op::kCpuid:
    case Op::kRdtsc:
    case Op::kRdmsr:
    case Op::kPushf:
    case Op::kPushfd:
    case Op::kLar:
    case Op::kLsl:
    case Op::kVerr:
    case Op::kVerw:
    case Op::kArpl:
    case Op::kSgdt:
    case Op::kSidt:
    case Op::kSldt:
    case Op::kStr:
    case Op::kSmsw:
    case Op::kLgdt:
    case Op::kLidt:
    case Op::kLldt:
    case Op::kLtr:
    case Op::kCli:
    case Op::kSti:
    case Op::kInvlpg:
    case Op::kInvd:
    case Op::kWbinvd:
      return true;
    default:
      return false;
  }
}

}  // namespace umbra
