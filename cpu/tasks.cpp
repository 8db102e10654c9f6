// Hardware tasks: the switch, inner stacks, and the bitmaps that lie in a TSS. SDM vol. 3 chapter 7 and, for the
// I/O and redirection bitmaps, vol. 1 section 19.5 and vol. 3 section 20.3.
#include "cpu/transfer.h"

namespace umbra {

namespace {

// Where things lie in the two formats. General registers stand in encoding order from `gpr`, segment registers from
// `segments` in the order of SegReg (the 16-bit format has no FS and GS).
struct Layout {
  unsigned width;  // of a register
  u32 ip, flags, gpr, segments, ldt;
  u32 end;  // smallest legal limit
};
constexpr Layout kTss16Layout{2, 0x0e, 0x10, 0x12, 0x22, 0x2a, 0x2b};
constexpr Layout kTss32Layout{4, 0x20, 0x24, 0x28, 0x48, 0x60, 0x67};
constexpr u32 kCr3Offset = 0x1c, kTrapOffset = 0x64, kIoBaseOffset = 0x66;
constexpr u32 kBusyBit = 0x200;

const Layout& layout(bool wide) { return wide ? kTss32Layout : kTss16Layout; }
bool wide_tss(const Segment& tr) { return (tr.type() & 8) != 0; }

u32 read_field(Cpu& cpu, Linear at, unsigned width) {
  return width == 2 ? cpu.read_system<u16>(at) : cpu.read_system<u32>(at);
}

void write_field(Cpu& cpu, Linear at, u32 value, unsigned width) {
  if (width == 2) {
    cpu.write_system<u16>(at, static_cast<u16>(value));
  } else {
    cpu.write_system<u32>(at, value);
  }
}

struct TaskState {
  u32 eip, eflags, gpr[8], cr3 = 0;
  u16 segments[kSegCount] = {}, ldt;
  bool trap = false;
};

TaskState read_state(Cpu& cpu, Linear base, bool wide) {
  const Layout& l = layout(wide);
  const unsigned w = l.width;
  TaskState t;
  t.eip = read_field(cpu, base + l.ip, w);
  t.eflags = read_field(cpu, base + l.flags, w);
  // A 16-bit task finds ones in the upper halves; software may not rely on them.
  for (unsigned i = 0; i < 8; ++i) t.gpr[i] = read_field(cpu, base + (l.gpr + i * w), w) | (wide ? 0 : 0xffff0000);
  for (unsigned i = 0; i < (wide ? 6u : 4u); ++i) {
    t.segments[i] = static_cast<u16>(read_field(cpu, base + (l.segments + i * w), w));
  }
  t.ldt = static_cast<u16>(read_field(cpu, base + l.ldt, w));
  if (wide) {
    t.cr3 = cpu.read_system<u32>(base + kCr3Offset);
    t.trap = (cpu.read_system<u8>(base + kTrapOffset) & 1) != 0;
  }
  return t;
}

void save_state(Cpu& cpu, Linear base, bool wide, u32 eflags) {
  const Layout& l = layout(wide);
  const unsigned w = l.width;
  write_field(cpu, base + l.ip, static_cast<u32>(cpu.s.eip), w);
  write_field(cpu, base + l.flags, eflags, w);
  for (unsigned i = 0; i < 8; ++i) write_field(cpu, base + (l.gpr + i * w), cpu.s.r32(i), w);
  for (unsigned i = 0; i < (wide ? 6u : 4u); ++i) {
    // The upper halves of selectors are left alone.
    cpu.write_system<u16>(base + (l.segments + i * w), cpu.s.seg[i].selector);
  }
}

Descriptor target_tss(Cpu& cpu, u16 selector, TaskSwitch how, u32 ext) {
  const bool back = how == TaskSwitch::kReturn;
  const u8 vector = back ? kInvalidTss : kGeneralProtection;
  if ((selector & 4) != 0) cpu.fault(vector, selector_error(selector, ext));
  const Descriptor d = require_descriptor(cpu, selector, vector, ext);
  const u8 available = d.type() & ~2u;
  const bool tss = !d.segment() && (available == system_type::kTss16 ||
                                    (available == system_type::kTss32 && cpu.model.generation >= Generation::k386));
  if (!tss || ((d.high & kBusyBit) != 0) != back) cpu.fault(vector, selector_error(selector, ext));
  if (!d.present()) cpu.fault(kNotPresent, selector_error(selector, ext));
  if (d.limit() < layout(d.gate32()).end) cpu.fault(kInvalidTss, selector_error(selector, ext));
  return d;
}

void set_busy(Cpu& cpu, Linear descriptor, bool busy) {
  const u8 old = cpu.read_system<u8>(descriptor + 5);
  cpu.write_system<u8>(descriptor + 5, static_cast<u8>(busy ? old | 2 : old & ~2));
}

Segment task_code_segment(Cpu& cpu, u16 selector, u32 ext) {
  Descriptor d = require_descriptor(cpu, selector, kInvalidTss, ext);
  const unsigned rpl = selector & 3;
  if (!d.code() || (d.conforming() ? d.dpl() > rpl : d.dpl() != rpl)) {
    cpu.fault(kInvalidTss, selector_error(selector, ext));
  }
  if (!d.present()) cpu.fault(kNotPresent, selector_error(selector, ext));
  set_accessed(cpu, d);
  return make_segment(selector, d);
}

Segment task_ldt(Cpu& cpu, u16 selector, u32 ext) {
  if (null_selector(selector)) return null_segment(selector);
  if ((selector & 4) != 0) cpu.fault(kInvalidTss, selector_error(selector, ext));
  const Descriptor d = require_descriptor(cpu, selector, kInvalidTss, ext);
  if (d.segment() || d.type() != system_type::kLdt || !d.present()) {
    cpu.fault(kInvalidTss, selector_error(selector, ext));
  }
  return make_segment(selector, d);
}

// The new task's segment registers. Selectors are all in place, their hidden parts empty, before the first check: a
// fault here belongs to the new task.
void load_task_segments(Cpu& cpu, const TaskState& t, u32 ext) {
  CpuState& s = cpu.s;
  for (unsigned i = 0; i < kSegCount; ++i) s.seg[i] = null_segment(t.segments[i]);
  s.ldtr = null_segment(t.ldt);
  if (cpu.v86()) {
    cpu.set_cpl(3);
    s.ldtr = task_ldt(cpu, t.ldt, ext);
    for (unsigned i = 0; i < kSegCount; ++i) cpu.set_real_segment(static_cast<SegReg>(i), t.segments[i]);
    return;
  }
  const u8 cpl = t.segments[kCs] & 3;
  cpu.set_cpl(cpl);
  s.ldtr = task_ldt(cpu, t.ldt, ext);
  s.seg[kCs] = task_code_segment(cpu, t.segments[kCs], ext);
  s.seg[kSs] = stack_segment(cpu, t.segments[kSs], cpl, kInvalidTss, ext);
  for (SegReg reg : {kDs, kEs, kFs, kGs}) s.seg[reg] = data_segment(cpu, t.segments[reg], cpl, kInvalidTss, ext);
}

}  // namespace

void switch_task(Cpu& cpu, u16 selector, TaskSwitch how, u32 ext, const u32* error) {
  CpuState& s = cpu.s;
  SupervisorScope scope(cpu);
  Descriptor d = target_tss(cpu, selector, how, ext);
  const bool wide = d.gate32();
  const bool nests = how == TaskSwitch::kCall || how == TaskSwitch::kInterrupt;
  const Linear base(d.base()), old_base(s.tr.base);
  TaskState t = read_state(cpu, base, wide);

  // Nothing may fault once the old task's state is being written.
  const bool old_wide = wide_tss(s.tr);
  const Linear old_descriptor(s.gdtr.base + (s.tr.selector & 0xfff8u));
  const u32 saved_size = layout(old_wide).ldt - layout(old_wide).ip;
  cpu.probe(old_base + layout(old_wide).ip, saved_size, Access::kWrite);
  if (nests) cpu.probe(base, 2, Access::kWrite);
  if (!nests) cpu.probe(old_descriptor + 5, 1, Access::kWrite);
  if (how != TaskSwitch::kReturn) cpu.probe(d.at + 5, 1, Access::kWrite);

  save_state(cpu, old_base, old_wide, how == TaskSwitch::kReturn ? s.eflags & ~flag::kNt : s.eflags);
  if (!nests) set_busy(cpu, old_descriptor, false);
  if (nests) cpu.write_system<u16>(base, s.tr.selector);
  if (how != TaskSwitch::kReturn) set_busy(cpu, d.at, true);

  // From here on the new task runs.
  d.high |= kBusyBit;
  s.tr = make_segment(selector, d);
  s.cr0 |= cr0::kTs;
  if (wide && (s.cr0 & cr0::kPg) != 0 && t.cr3 != s.cr3) cpu.set_cr3(t.cr3);
  s.eip = s.insn_eip = t.eip;
  s.eflags = (t.eflags & cpu.model.flags_mask) | flag::kFixed | (nests ? flag::kNt : 0);
  for (unsigned i = 0; i < 8; ++i) s.r32(i) = t.gpr[i];
  if ((s.dr[7] & (dr7::kLocal | dr7::kLe)) != 0) cpu.set_dr7(s.dr[7] & ~(dr7::kLocal | dr7::kLe));
  s.shadow = 0;
  cpu.update_paging();
  load_task_segments(cpu, t, ext);
  if (t.trap) s.pending_debug |= dr6::kBt;
  if (error != nullptr) {
    Stack stack = Stack::current(cpu, ext);
    stack.push(*error, wide ? 4 : 2);
    s.r32(kEsp) = stack.esp();
  }
  if (t.eip > s.seg[kCs].limit) cpu.fault(kGeneralProtection, ext);
}

void task_gate(Cpu& cpu, const Descriptor& gate, TaskSwitch how, u32 ext, const u32* error) {
  switch_task(cpu, gate.gate_selector(), how, ext, error);
}

InnerStack inner_stack(Cpu& cpu, unsigned cpl, u32 ext) {
  const Segment& tr = cpu.s.tr;
  const bool wide = wide_tss(tr);
  const unsigned w = wide ? 4 : 2;
  const u32 offset = w + cpl * w * 2;
  if (offset + w + 1 > tr.limit) cpu.fault(kInvalidTss, selector_error(tr.selector, ext));
  const Linear at(tr.base + offset);
  SupervisorScope scope(cpu);
  const u32 esp = read_field(cpu, at, w);
  const u16 ss = cpu.read_system<u16>(at + w);
  return InnerStack{stack_segment(cpu, ss, cpl, kInvalidTss, ext), esp};
}

void Cpu::check_port(u16 port, u32 size) {
  note_port(port, size);
  if (real() || (!v86() && s.cpl <= iopl())) return;
  if (!wide_tss(s.tr) || s.tr.limit < kTss32Layout.end) fault(kGeneralProtection, 0);
  const u32 at = read_system<u16>(Linear(s.tr.base + kIoBaseOffset)) + port / 8u;
  if (at + 1 > s.tr.limit) fault(kGeneralProtection, 0);  // two bytes are read, always
  const u32 bits = read_system<u16>(Linear(s.tr.base + at));
  if (((bits >> (port & 7)) & ((1u << size) - 1)) != 0) fault(kGeneralProtection, 0);
}

bool vme_redirected_to_monitor(Cpu& cpu, u8 vector) {
  const Segment& tr = cpu.s.tr;
  if (!wide_tss(tr) || tr.limit < kTss32Layout.end) cpu.fault(kGeneralProtection, 0);
  const u32 at = cpu.read_system<u16>(Linear(tr.base + kIoBaseOffset)) - 32u + vector / 8u;
  if (at > tr.limit) cpu.fault(kGeneralProtection, 0);
  return ((cpu.read_system<u8>(Linear(tr.base + at)) >> (vector & 7)) & 1) != 0;
}

}  // namespace umbra
