// Control and debug registers, descriptor-table registers, HLT, TLB and caches, TSC, CPUID and MSRs. PUSHF, POPF, CLI
// and STI are in flags.cpp.
#include "cpu/interp/system.h"

namespace umbra::interp {
namespace {

// --- MOV CR, MOV DR, LMSW -------------------------------------------------------------------------------------------

bool has_cr(const Cpu& cpu, unsigned n) {
  if (n == 4) return cpu.model.features_edx != 0;
  return n == 0 || n == 2 || n == 3;
}

void read_control(Cpu& cpu, const Insn& insn) {
  const unsigned n = insn.operands[1].reg;
  if (!has_cr(cpu, n)) cpu.fault(kInvalidOpcode);
  require_ring0(cpu);
  const CpuState& s = cpu.s;
  const u32 values[] = {cpu.cr0_image(), 0, s.cr2, s.cr3, s.cr4};
  cpu.s.r32(insn.operands[0].reg) = values[n];
}

void write_control(Cpu& cpu, const Insn& insn) {
  const unsigned n = insn.operands[0].reg;
  if (!has_cr(cpu, n)) cpu.fault(kInvalidOpcode);
  require_ring0(cpu);
  const u32 value = cpu.s.r32(insn.operands[1].reg);
  switch (n) {
    case 0:
      return cpu.set_cr0(value);
    case 2:
      cpu.s.cr2 = value;
      return;
    case 3:
      return cpu.set_cr3(value);
    default:
      return cpu.set_cr4(value);
  }
}

void read_debug(Cpu& cpu, const Insn& insn) {
  cpu.s.r32(insn.operands[0].reg) = cpu.debug_register(insn.operands[1].reg);
}

void write_debug(Cpu& cpu, const Insn& insn) {
  cpu.set_debug_register(insn.operands[0].reg, cpu.s.r32(insn.operands[1].reg));
}

void load_status_word(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  const u32 value = load_operand<u16>(cpu, insn, 0);
  constexpr u32 kMask = cr0::kMp | cr0::kEm | cr0::kTs;
  cpu.set_cr0((cpu.s.cr0 & ~kMask) | (value & (kMask | cr0::kPe)));  // PE goes on, never off
}

void store_status_word(Cpu& cpu, const Insn& insn) { store_status(cpu, insn, cpu.cr0_image()); }

void clear_task_switched(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  cpu.s.cr0 &= ~cr0::kTs;
}

// --- descriptor-table registers -------------------------------------------------------------------------------------

template <TableReg CpuState::*Register>
void load_table(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  const u32 at = effective_address(cpu.s, insn);
  const u16 limit = cpu.read<u16>(segment(insn), at);
  const u32 base = cpu.read<u32>(segment(insn), (at + 2) & insn.address_mask);
  (cpu.s.*Register).limit = limit;
  (cpu.s.*Register).base = insn.operand_size == 2 ? base & 0xffffff : base;
}

template <TableReg CpuState::*Register>
void store_table(Cpu& cpu, const Insn& insn) {
  const TableReg& r = cpu.s.*Register;
  const u32 at = effective_address(cpu.s, insn);
  const u32 base_at = (at + 2) & insn.address_mask;
  cpu.check(segment(insn), base_at, 4, Access::kWrite);
  cpu.write<u16>(segment(insn), at, r.limit);
  cpu.write<u32>(segment(insn), base_at, cpu.model.generation == Generation::k286 ? r.base | 0xff000000 : r.base);
}

// --- the rest -------------------------------------------------------------------------------------------------------

void halt(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  cpu.s.activity = Activity::kHalted;
}

void invalidate_page(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  cpu.mmu.invalidate(Linear(cpu.s.seg[insn.segment].base + effective_address(cpu.s, insn)));
}

// Memory here is always coherent.
void flush_caches(Cpu& cpu, const Insn&) { require_ring0(cpu); }

void set_pair(Cpu& cpu, u64 value) {
  set_reg(cpu.s, kEax, static_cast<u32>(value));
  set_reg(cpu.s, kEdx, static_cast<u32>(value >> 32));
}

void read_tsc(Cpu& cpu, const Insn&) {
  if ((cpu.s.cr4 & cr4::kTsd) != 0) require_ring0(cpu);
  set_pair(cpu, cpu.tsc());
}

// Two counters that count nothing.
void read_counter(Cpu& cpu, const Insn&) {
  if ((cpu.s.cr4 & cr4::kPce) == 0) require_ring0(cpu);
  if (cpu.s.r32(kEcx) > 1) cpu.fault(kGeneralProtection, 0);
  set_pair(cpu, 0);
}

void read_model_register(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  set_pair(cpu, cpu.read_msr(cpu.s.r32(kEcx)));
}

void write_model_register(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  cpu.write_msr(cpu.s.r32(kEcx), u64{cpu.s.r32(kEdx)} << 32 | cpu.s.r32(kEax));
}

void identify(Cpu& cpu, const Insn&) { cpu.identify(); }

}  // namespace

Handler mov_system(const Insn& insn) {
  if (insn.operands[0].kind == OperandKind::kCr) return write_control;
  if (insn.operands[1].kind == OperandKind::kCr) return read_control;
  return insn.operands[0].kind == OperandKind::kDr ? write_debug : read_debug;
}

Handler lmsw(const Insn&) { return load_status_word; }
Handler smsw(const Insn&) { return store_status_word; }
Handler clts(const Insn&) { return clear_task_switched; }
Handler lgdt(const Insn&) { return load_table<&CpuState::gdtr>; }
Handler lidt(const Insn&) { return load_table<&CpuState::idtr>; }
Handler sgdt(const Insn&) { return store_table<&CpuState::gdtr>; }
Handler sidt(const Insn&) { return store_table<&CpuState::idtr>; }
Handler hlt(const Insn&) { return halt; }
Handler invlpg(const Insn&) { return invalidate_page; }
Handler invd(const Insn&) { return flush_caches; }
Handler wbinvd(const Insn&) { return flush_caches; }
Handler rdtsc(const Insn&) { return read_tsc; }
Handler rdpmc(const Insn&) { return read_counter; }
Handler rdmsr(const Insn&) { return read_model_register; }
Handler wrmsr(const Insn&) { return write_model_register; }
Handler cpuid(const Insn&) { return identify; }

}  // namespace umbra::interp
