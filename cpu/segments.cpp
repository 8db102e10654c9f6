// Segment registers: how they are loaded in real, V86 and protected mode. SDM vol. 3 chapters 3, 5 and 20.
#include "cpu/descriptor.h"

namespace umbra {

bool fetch_descriptor(Cpu& cpu, u16 selector, Descriptor& d) {
  u32 base = cpu.s.gdtr.base, limit = cpu.s.gdtr.limit;
  if ((selector & 4) != 0) {
    if (!cpu.s.ldtr.present()) return false;
    base = cpu.s.ldtr.base;
    limit = cpu.s.ldtr.limit;
  }
  if ((selector | 7u) > limit) return false;
  d.at = Linear(base + (selector & 0xfff8));
  const u64 raw = cpu.read_system<u64>(d.at);
  d.low = static_cast<u32>(raw);
  d.high = static_cast<u32>(raw >> 32);
  if (cpu.model.generation <= Generation::k286) d.high &= 0xffff;  // the last word is reserved there
  return true;
}

Descriptor require_descriptor(Cpu& cpu, u16 selector, u8 vector, u32 ext) {
  Descriptor d;
  if (null_selector(selector) || !fetch_descriptor(cpu, selector, d)) {
    cpu.fault(vector, selector_error(selector, ext));
  }
  return d;
}

void set_accessed(Cpu& cpu, Descriptor& d) {
  if ((d.high & 0x100) != 0) return;
  d.high |= 0x100;
  cpu.write_system<u8>(d.at + 5, static_cast<u8>(d.high >> 8));
}

Segment make_segment(u16 selector, const Descriptor& d) {
  Segment segment;
  segment.selector = selector;
  segment.rights = d.rights();
  segment.base = d.base();
  segment.limit = d.limit();
  segment.derive(true);
  return segment;
}

Segment null_segment(u16 selector) {
  Segment segment;
  segment.selector = selector;
  segment.limit = 0xffff;  // what real mode finds if it is entered like this
  segment.derive(false);
  return segment;
}

Segment stack_segment(Cpu& cpu, u16 selector, unsigned cpl, u8 vector, u32 ext) {
  Descriptor d = require_descriptor(cpu, selector, vector, ext);
  if ((selector & 3u) != cpl || d.dpl() != cpl || !d.writable_data()) cpu.fault(vector, selector_error(selector, ext));
  if (!d.present()) cpu.fault(kStackFault, selector_error(selector, ext));
  set_accessed(cpu, d);
  return make_segment(selector, d);
}

Segment data_segment(Cpu& cpu, u16 selector, unsigned cpl, u8 vector, u32 ext) {
  if (null_selector(selector)) return null_segment(selector);
  Descriptor d = require_descriptor(cpu, selector, vector, ext);
  if (!d.readable()) cpu.fault(vector, selector_error(selector, ext));
  if (!d.conforming() && (d.dpl() < cpl || d.dpl() < (selector & 3))) cpu.fault(vector, selector_error(selector, ext));
  if (!d.present()) cpu.fault(kNotPresent, selector_error(selector, ext));
  set_accessed(cpu, d);
  return make_segment(selector, d);
}

void Cpu::set_real_segment(SegReg reg, u16 selector) {
  Segment& segment = s.seg[reg];
  segment.selector = selector;
  segment.base = u32{selector} << 4;
  if (v86()) {
    segment.limit = 0xffff;
    segment.rights = 0xf3;
  } else {
    // The hidden limit stays what protected mode left there ("unreal" mode); so does D, for CS and SS.
    segment.rights = static_cast<u16>((segment.rights & 0xff00) | 0x93);
  }
  segment.derive(true);
}

void Cpu::load_segment(SegReg reg, u16 selector) {
  if (!protected_mode()) {
    set_real_segment(reg, selector);
  } else if (reg == kSs) {
    s.seg[kSs] = stack_segment(*this, selector, s.cpl, kGeneralProtection);
  } else {
    s.seg[reg] = data_segment(*this, selector, s.cpl, kGeneralProtection);
  }
}

void Cpu::set_cpl(u8 cpl) {
  s.cpl = cpl;
  const bool user = cpl == 3;
  if (mmu.user() != user) mmu.set_user(user);
}

void Stack::require_room(u32 bytes) const {
  const u32 first = (esp_ - bytes) & mask_;
  if (first >= segment_.low && first + bytes - 1 <= segment_.high && first + bytes > first) return;
  // The stack pointer may wrap in the middle of a frame, so the words are checked one by one.
  u32 offset = esp_;
  for (u32 done = 0; done < bytes; done += 2) {
    offset = (offset - 2) & mask_;
    check(offset, 2);
  }
}

void Stack::store(u32 offset, u32 value, unsigned size) {
  if (cpu_.model.generation == Generation::k8086 && offset == 0xffff) {  // the only one whose words wrap
    cpu_.write_linear<u8>(Linear(segment_.base + offset), static_cast<u8>(value));
    cpu_.write_linear<u8>(Linear(segment_.base), static_cast<u8>(value >> 8));
    return;
  }
  check(offset, size);
  const Linear at(segment_.base + offset);
  if (size == 2) {
    cpu_.write_linear<u16>(at, static_cast<u16>(value));
  } else {
    cpu_.write_linear<u32>(at, value);
  }
}

u32 Stack::load(u32 offset, unsigned size) {
  if (cpu_.model.generation == Generation::k8086 && offset == 0xffff) {
    const u32 low = cpu_.read_linear<u8>(Linear(segment_.base + offset));
    return low | u32{cpu_.read_linear<u8>(Linear(segment_.base))} << 8;
  }
  check(offset, size);
  const Linear at(segment_.base + offset);
  return size == 2 ? cpu_.read_linear<u16>(at) : cpu_.read_linear<u32>(at);
}

}  // namespace umbra
