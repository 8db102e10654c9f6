#include "translator/shortcuts.h"

#include <algorithm>

#include "cpu/interp/operands.h"
#include "cpu/quick.h"
#include "translator/engine.h"

namespace umbra {

// Code in this segment is reached by far transfers without coming here as long as nothing else changes. What has, is
// found out whenever real or V86 mode is entered, be it in a segment that is not noted (that of a reset, say).
void Translator::note_far_target(const DispatchTable& table, DispatchKey key) {
  if (cpu_->protected_mode()) return;
  key.cs_base = 0;
  FarTargets& far = cache_->far_targets();
  const DispatchTables::Version version = spaces_.version(key, cpu_->mmu);
  if (!(key == far_key_) || !(version == far_version_)) {
    std::fill(std::begin(far.selector), std::end(far.selector), FarTargets::kNone);
    far_key_ = key;
    far_version_ = version;
  }
  const Segment& cs = cpu_->s.seg[kCs];
  if (cs.base != u32{cs.selector} << 4) return;
  const u32 place = FarTargets::place(cs.selector);
  far.selector[place] = cs.selector;
  far.table[place] = reinterpret_cast<u64>(table.table());
}

Context& Translator::give_tables(const DispatchTable& table) {
  Context& context = cache_->context();
  context.dispatch = reinterpret_cast<u64>(table.table());
  context.shadow = reinterpret_cast<u64>(cpu_->mmu.table());
  context.system_shadow = reinterpret_cast<u64>(cpu_->mmu.table_of(false));
  note_far_target(table, table.key());
  return context;
}

// Where to go on in a mode that may be another one. Null dispatch tables are next()'s to find.
Took Translator::land(Mode mode) {
  Cpu& cpu = *cpu_;
  const DispatchKey key = dispatch_key(cpu, mode);
  const DispatchTable* table = spaces_.quick(key, cpu.mmu);
  if (table == nullptr || (!mode.code_32() && cpu.s.eip > 0xffff)) return Took::kAway;
  Context& context = give_tables(*table);
  // User code that has no window leaves GS where it is: the way back to the kernel's is saved.
  context.window = mode.user() && !mode.window() ? context.window_loaded : reinterpret_cast<u64>(cpu.mmu.window());
  return Took::kElsewhere;
}

// Behind a transfer in the same ring: whatever it changed, of what the mode says only the size of code may have become
// another. If the code segment covers what it did as well, generated code goes on with the tables it has.
Took Translator::land_in_ring(const Site& site) {
  const Cpu& cpu = *cpu_;
  const BlockKey& from = site.block->key;
  const Segment& cs = cpu.s.seg[kCs];
  if (cs.big() != from.mode.code_32()) return land(Mode::of(cpu));
  if (cs.base != from.linear - from.eip || cs.limit != from.cs_limit) return land(from.mode);
  return cs.big() || cpu.s.eip <= 0xffff ? Took::kElsewhere : Took::kAway;
}

Took Translator::shortcut_entry(void* self, const Site* site) {
  auto& t = *static_cast<Translator*>(self);
  Cpu& cpu = *t.cpu_;
  if (cpu.pending.load(std::memory_order_relaxed) != 0 || t.flush_wanted_) return Took::kNothing;
  cpu.s.eip = (site->eip + site->insn.length) & site->block->key.eip_mask();
  Took took = site->shortcut(t, *site);
  if (took == Took::kNext && site->index + 1 == site->block->count) took = t.land_in_ring(*site);
  if (took != Took::kNothing) ++t.stats_.callouts[static_cast<u16>(site->insn.op)].shortcuts;
  return took;
}

struct Shortcuts {
  template <bool (*Transfer)(Cpu&)>
  static Took transfer(Translator& t, const Site&) {
    return Transfer(*t.cpu_) ? t.land(Mode::of(*t.cpu_)) : Took::kNothing;
  }

  // Of gates and IRET, which perhaps leave the ring or V86 mode. IOPL, which ring 0 alone changes, is the mode's
  // business in other rings; AC, that of programs.
  template <class Transfer>
  static Took through_gate(Translator& t, const Site& site, bool may_change_ac, Transfer transfer) {
    Cpu& cpu = *t.cpu_;
    const u8 cpl = cpu.s.cpl;
    if (!transfer(cpu)) return Took::kNothing;
    const bool aligned = may_change_ac && cpl == 3 && (cpu.s.cr0 & cr0::kAm) != 0;
    const bool in_ring = cpl == cpu.s.cpl && site.block->key.mode.protected_mode() && !aligned;
    return in_ring ? t.land_in_ring(site) : t.land(Mode::of(cpu));
  }

  // In V86 mode with IOPL 3 the gates are asked, unless VME lets the program answer itself.
  static Took int_n(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    const u8 vector = static_cast<u8>(site.insn.imm);
    if (cpu.v86() && (cpu.iopl() < 3 || (cpu.s.cr4 & cr4::kVme) != 0)) return Took::kNothing;
    return through_gate(t, site, false, [=](Cpu& c) {
      return c.real() ? quick::real_interrupt(c, vector) : quick::interrupt(c, vector, Cpu::Source::kSoftware);
    });
  }

  static Took iret(Translator& t, const Site& site) {
    return through_gate(t, site, true, [&](Cpu& c) { return quick::iret(c, site.insn.operand_size); });
  }

  static Took far_return(Translator& t, const Site& site) {
    const bool done = quick::far_return(*t.cpu_, site.insn.operand_size, site.insn.imm & 0xffff);
    return done ? t.land_in_ring(site) : Took::kNothing;
  }

  template <bool Call>
  static Took far_transfer(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    const Insn& insn = site.insn;
    u32 offset = insn.imm;
    u16 selector = insn.imm2;
    if (insn.operands[0].kind == OperandKind::kMem && !peek_pointer(cpu, insn, offset, selector)) return Took::kNothing;
    if (insn.operand_size == 2) offset &= 0xffff;
    const bool done =
        Call ? quick::far_call(cpu, selector, offset, insn.operand_size) : quick::far_jump(cpu, selector, offset);
    return done ? t.land_in_ring(site) : Took::kNothing;
  }

  // Where FS and GS are not checked at each access the mode knows how, as it does of the others.
  static Took loaded(Translator& t, const Site& site, SegReg reg) {
    const Mode mode = site.block->key.mode;
    if ((reg == kFs || reg == kGs) && mode.free_fs_gs()) return Took::kNext;
    const SegClass checks = t.cpu_->s.seg[reg].checks;
    return checks == mode.segment(reg) ? Took::kNext : t.land(mode.with(reg, checks));
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

  // A far pointer with an offset of 16 bits.
  static bool peek_pointer(Cpu& cpu, const Insn& insn, u32& offset, u16& selector) {
    const u32 at = interp::effective_address(cpu.s, insn);
    u16 low;
    if (insn.operand_size != 2 || !peek(cpu, interp::segment(insn), at, low) ||
        !peek(cpu, interp::segment(insn), (at + 2) & insn.address_mask, selector))
      return false;
    offset = low;
    return true;
  }

  template <SegReg To>
  static Took load_pointer(Translator& t, const Site& site) {
    Cpu& cpu = *t.cpu_;
    u32 offset;
    u16 selector;
    if (cpu.trap_check_needed() || !peek_pointer(cpu, site.insn, offset, selector) ||
        !quick::load_segment(cpu, To, selector))
      return Took::kNothing;
    cpu.s.r16(site.insn.operands[0].reg) = static_cast<u16>(offset);
    return loaded(t, site, To);
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
    const Mode mode = Mode::of(cpu);
    return mode == site.block->key.mode ? Took::kNext : t.land(mode);
  }

  static Took read_control(Translator& t, const Site& site) {
    CpuState& s = t.cpu_->s;
    if (t.cpu_->trap_check_needed() || s.cpl != 0) return Took::kNothing;
    u32& to = s.r32(site.insn.operands[0].reg);
    switch (site.insn.operands[1].reg) {
      case 0:
        to = t.cpu_->cr0_image();
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
    return t.land(Mode::of(cpu));
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
      return whole && mode.protected_mode() ? Shortcuts::iret : nullptr;
    case Op::kInt:
      return whole ? Shortcuts::int_n : nullptr;
    case Op::kCallFar:
      return whole && mode.protected_mode() ? Shortcuts::far_transfer<true> : nullptr;
    case Op::kJmpFar:
      return whole && mode.protected_mode() ? Shortcuts::far_transfer<false> : nullptr;
    case Op::kRetFar:
      return whole && mode.protected_mode() ? Shortcuts::far_return : nullptr;
    case Op::kLds:
      return whole ? Shortcuts::load_pointer<kDs> : nullptr;
    case Op::kLes:
      return whole ? Shortcuts::load_pointer<kEs> : nullptr;
    case Op::kLfs:
      return whole ? Shortcuts::load_pointer<kFs> : nullptr;
    case Op::kLgs:
      return whole ? Shortcuts::load_pointer<kGs> : nullptr;
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
