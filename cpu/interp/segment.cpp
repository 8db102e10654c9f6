// Far pointers into segment registers, and what programs may ask about selectors: LDS… LAR LSL VERR VERW ARPL; LLDT
// LTR SLDT STR. MOV and POP to segment registers are in move.cpp and stack.cpp.
#include "cpu/descriptor.h"
#include "cpu/interp/operands.h"
#include "cpu/interp/system.h"

namespace umbra::interp {
namespace {

template <SegReg Seg, class T>
void load_pointer(Cpu& cpu, const Insn& insn) {
  const u32 at = effective_address(cpu.s, insn);
  const T offset = cpu.read<T>(segment(insn), at);
  cpu.load_segment(Seg, cpu.read<u16>(segment(insn), (at + sizeof(T)) & insn.address_mask));
  reg<T>(cpu.s, insn.operands[0].reg) = offset;
}

template <SegReg Seg>
Handler far_pointer(const Insn& insn) {
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return load_pointer<Seg, T>; });
}

// A descriptor that the program may see, by CPL and RPL; nothing otherwise.
bool visible_descriptor(Cpu& cpu, u16 selector, Descriptor& d) {
  if (null_selector(selector) || !fetch_descriptor(cpu, selector, d)) return false;
  return d.conforming() || (d.dpl() >= cpu.s.cpl && d.dpl() >= (selector & 3));
}

// Bit n: system type n answers. LAR knows TSSs, LDTs, call and task gates; LSL what has a limit.
constexpr u16 kLarTypes = 0x1a3e, kLslTypes = 0x0a0e;

void set_zf(Cpu& cpu, bool on) { cpu.s.eflags = on ? cpu.s.eflags | flag::kZf : cpu.s.eflags & ~flag::kZf; }

template <u16 SystemTypes, u32 (*Answer)(const Descriptor&), class T>
void ask(Cpu& cpu, const Insn& insn) {
  require_protected_mode(cpu);
  const u16 selector = load_operand<u16>(cpu, insn, 1);
  Descriptor d;
  const bool ok = visible_descriptor(cpu, selector, d) && (d.segment() || ((SystemTypes >> d.type()) & 1) != 0);
  if (ok) reg<T>(cpu.s, insn.operands[0].reg) = static_cast<T>(Answer(d));
  set_zf(cpu, ok);
}

u32 rights_answer(const Descriptor& d) { return d.high & 0x00f0ff00; }
u32 limit_answer(const Descriptor& d) { return d.limit(); }

template <bool Write>
void verify(Cpu& cpu, const Insn& insn) {
  require_protected_mode(cpu);
  const u16 selector = load_operand<u16>(cpu, insn, 0);
  Descriptor d;
  set_zf(cpu, visible_descriptor(cpu, selector, d) && (Write ? d.writable_data() : d.readable()));
}

void adjust_rpl(Cpu& cpu, const Insn& insn) {
  require_protected_mode(cpu);
  const u16 wanted = reg<u16>(cpu.s, insn.operands[1].reg) & 3;
  const u16 selector = load_operand<u16>(cpu, insn, 0);
  const bool lower = (selector & 3) < wanted;
  if (lower) store_operand<u16>(cpu, insn, 0, static_cast<u16>((selector & ~3) | wanted));
  set_zf(cpu, lower);
}

void load_ldtr(Cpu& cpu, const Insn& insn) {
  require_protected_mode(cpu);
  require_ring0(cpu);
  const u16 selector = load_operand<u16>(cpu, insn, 0);
  if (null_selector(selector)) {
    cpu.s.ldtr = null_segment(selector);
    return;
  }
  if ((selector & 4) != 0) cpu.fault(kGeneralProtection, selector_error(selector));
  const Descriptor d = require_descriptor(cpu, selector, kGeneralProtection);
  if (d.segment() || d.type() != system_type::kLdt) cpu.fault(kGeneralProtection, selector_error(selector));
  if (!d.present()) cpu.fault(kNotPresent, selector_error(selector));
  cpu.s.ldtr = make_segment(selector, d);
}

void load_tr(Cpu& cpu, const Insn& insn) {
  require_protected_mode(cpu);
  require_ring0(cpu);
  const u16 selector = load_operand<u16>(cpu, insn, 0);
  if ((selector & 4) != 0) cpu.fault(kGeneralProtection, selector_error(selector));
  Descriptor d = require_descriptor(cpu, selector, kGeneralProtection);
  const bool available =
      d.type() == system_type::kTss16 || (d.type() == system_type::kTss32 && cpu.model.generation >= Generation::k386);
  if (d.segment() || !available) cpu.fault(kGeneralProtection, selector_error(selector));
  if (!d.present()) cpu.fault(kNotPresent, selector_error(selector));
  d.high |= 0x200;  // busy
  cpu.write_system<u8>(d.at + 5, static_cast<u8>(d.high >> 8));
  cpu.s.tr = make_segment(selector, d);
}

// To memory a word; to a 32-bit register the whole of it.
template <Segment CpuState::*Register>
void store_selector(Cpu& cpu, const Insn& insn) {
  require_protected_mode(cpu);
  store_status(cpu, insn, (cpu.s.*Register).selector);
}

}  // namespace

Handler les(const Insn& insn) { return far_pointer<kEs>(insn); }
Handler lds(const Insn& insn) { return far_pointer<kDs>(insn); }
Handler lss(const Insn& insn) { return far_pointer<kSs>(insn); }
Handler lfs(const Insn& insn) { return far_pointer<kFs>(insn); }
Handler lgs(const Insn& insn) { return far_pointer<kGs>(insn); }

Handler lar(const Insn& insn) {
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return ask<kLarTypes, rights_answer, T>; });
}
Handler lsl(const Insn& insn) {
  return by_word_size(insn.operand_size, []<class T>() -> Handler { return ask<kLslTypes, limit_answer, T>; });
}
Handler verr(const Insn&) { return verify<false>; }
Handler verw(const Insn&) { return verify<true>; }
Handler arpl(const Insn&) { return adjust_rpl; }
Handler lldt(const Insn&) { return load_ldtr; }
Handler ltr(const Insn&) { return load_tr; }
Handler sldt(const Insn&) { return store_selector<&CpuState::ldtr>; }
Handler str(const Insn&) { return store_selector<&CpuState::tr>; }

}  // namespace umbra::interp
