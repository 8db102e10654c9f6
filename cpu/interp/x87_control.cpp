// Control instructions, the environment and state images of SDM vol. 1 section 8.1.10 in their four layouts, FWAIT,
// FXSAVE and FXRSTOR.
#include <cstring>

#include "cpu/interp/x87.h"

namespace umbra {

using interp::effective_address;
using interp::segment;

namespace {

void initialize(Cpu& cpu) {
  FpuState& f = cpu.s.fpu;
  x87_rotate(f, -static_cast<int>(x87_top(f)));
  f.fcw = 0x37f;
  f.fsw &= fsw::kEs;  // so that FERR# is seen to fall
  x87_update_summary(cpu);
  f.ftw = 0;
  f.fop = 0;
  f.fip = f.fdp = 0;
  f.fcs = f.fds = 0;
}

void set_control(Cpu& cpu, u16 value) {
  constexpr u16 kWritable = 0x1f3f, kAlwaysOne = 0x40;
  cpu.s.fpu.fcw = (value & kWritable) | kAlwaysOne;
  x87_update_summary(cpu);
}

// The full tag word: 0 valid, 1 zero, 2 special, 3 empty, by physical register.
u16 full_tags(const FpuState& f) {
  u16 tags = 0;
  for (unsigned i = 0; i < 8; ++i) {
    unsigned tag = 3;
    if (!x87_empty(f, i)) {
      const FloatClass c = classify(x87_get(f, i));
      tag = c == FloatClass::kZero ? 1 : c == FloatClass::kNormal ? 0 : 2;
    }
    tags |= static_cast<u16>(tag << (((x87_top(f) + i) & 7) * 2));
  }
  return tags;
}

u8 abridged_tags(u16 tags) {
  u8 valid = 0;
  for (unsigned i = 0; i < 8; ++i) valid |= static_cast<u8>(((tags >> (2 * i) & 3) != 3) << i);
  return valid;
}

// Seven cells: control, status, tags, instruction pointer and selector, data pointer and selector. Real and V86 mode
// keep linear addresses with the opcode between.
struct Environment {
  u32 cell[7];
};

Environment environment(const Cpu& cpu, bool wide) {
  const FpuState& f = cpu.s.fpu;
  const u32 upper = wide ? 0xffff0000 : 0;
  Environment e{{f.fcw | upper, f.fsw | upper, full_tags(f) | upper, 0, 0, 0, 0}};
  if (cpu.protected_mode()) {
    e.cell[3] = f.fip;
    e.cell[4] = f.fcs | (wide ? static_cast<u32>(f.fop) << 16 : 0);
    e.cell[5] = f.fdp;
    e.cell[6] = f.fds | upper;
  } else {
    const u32 ip = f.fip + (u32{f.fcs} << 4), dp = f.fdp + (u32{f.fds} << 4);
    e.cell[3] = (ip & 0xffff) | (wide ? 0xffff0000 : 0);
    e.cell[4] = (wide ? (ip >> 16) << 12 : (ip >> 16 & 0xf) << 12) | f.fop;
    e.cell[5] = (dp & 0xffff) | (wide ? 0xffff0000 : 0);
    e.cell[6] = wide ? (dp >> 16) << 12 : (dp >> 16 & 0xf) << 12;
  }
  return e;
}

void set_environment(Cpu& cpu, const Environment& e, bool wide) {
  FpuState& f = cpu.s.fpu;
  x87_rotate(f, static_cast<int>((e.cell[1] >> 11) & 7) - static_cast<int>(x87_top(f)));
  f.fsw = static_cast<u16>((e.cell[1] & ~u32{fsw::kEs | fsw::kBusy}) | (f.fsw & fsw::kEs));
  f.ftw = abridged_tags(static_cast<u16>(e.cell[2]));
  if (cpu.protected_mode()) {
    f.fip = wide ? e.cell[3] : e.cell[3] & 0xffff;
    f.fcs = static_cast<u16>(e.cell[4]);
    if (wide) f.fop = e.cell[4] >> 16 & 0x7ff;
    f.fdp = wide ? e.cell[5] : e.cell[5] & 0xffff;
    f.fds = static_cast<u16>(e.cell[6]);
  } else {
    const u32 high_mask = wide ? 0xffff : 0xf;
    f.fip = (e.cell[3] & 0xffff) | (e.cell[4] >> 12 & high_mask) << 16;
    f.fop = e.cell[4] & 0x7ff;
    f.fdp = (e.cell[5] & 0xffff) | (e.cell[6] >> 12 & high_mask) << 16;
    f.fcs = f.fds = 0;
  }
  set_control(cpu, static_cast<u16>(e.cell[0]));
}

Environment read_environment(Cpu& cpu, const Insn& insn, u32 at, bool wide) {
  Environment e{};
  for (unsigned i = 0; i < 7; ++i) {
    e.cell[i] = wide ? cpu.read<u32>(segment(insn), at + 4 * i) : cpu.read<u16>(segment(insn), at + 2 * i);
  }
  return e;
}

void write_environment(Cpu& cpu, const Insn& insn, u32 at, bool wide) {
  const Environment e = environment(cpu, wide);
  for (unsigned i = 0; i < 7; ++i) {
    if (wide) {
      cpu.write<u32>(segment(insn), at + 4 * i, e.cell[i]);
    } else {
      cpu.write<u16>(segment(insn), at + 2 * i, static_cast<u16>(e.cell[i]));
    }
  }
}

}  // namespace

namespace interp::fp {

void fnop(Cpu& cpu, const Insn& insn) {
  if (x87_enter(cpu)) x87_note(cpu, insn);
}

// FENI and FDISI are the 8087's, FSETPM the 287's; later units take them for nothing.
void ignored(Cpu& cpu, const Insn&) { x87_enter_no_wait(cpu); }

void fninit(Cpu& cpu, const Insn&) {
  if (x87_enter_no_wait(cpu)) initialize(cpu);
}

void fnclex(Cpu& cpu, const Insn&) {
  if (!x87_enter_no_wait(cpu)) return;
  cpu.s.fpu.fsw &= static_cast<u16>(~(fsw::kExceptions | fsw::kSf));
  x87_update_summary(cpu);
}

void fldcw(Cpu& cpu, const Insn& insn) {
  if (x87_enter(cpu)) set_control(cpu, cpu.read<u16>(segment(insn), effective_address(cpu.s, insn)));
}

void fnstcw(Cpu& cpu, const Insn& insn) {
  if (x87_enter_no_wait(cpu)) cpu.write<u16>(segment(insn), effective_address(cpu.s, insn), cpu.s.fpu.fcw);
}

void fnstsw_memory(Cpu& cpu, const Insn& insn) {
  if (x87_enter_no_wait(cpu)) cpu.write<u16>(segment(insn), effective_address(cpu.s, insn), cpu.s.fpu.fsw);
}

void fnstsw_ax(Cpu& cpu, const Insn&) {
  if (x87_enter_no_wait(cpu)) cpu.s.r16(kEax) = cpu.s.fpu.fsw;
}

void fnstenv(Cpu& cpu, const Insn& insn) {
  if (!x87_enter_no_wait(cpu)) return;
  const bool wide = insn.operand_size == 4;
  const u32 at = effective_address(cpu.s, insn);
  cpu.check(segment(insn), at, wide ? 28 : 14, Access::kWrite);
  write_environment(cpu, insn, at, wide);
  set_control(cpu, cpu.s.fpu.fcw | fsw::kExceptions);
}

void fldenv(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const bool wide = insn.operand_size == 4;
  set_environment(cpu, read_environment(cpu, insn, effective_address(cpu.s, insn), wide), wide);
}

void fnsave(Cpu& cpu, const Insn& insn) {
  if (!x87_enter_no_wait(cpu)) return;
  const bool wide = insn.operand_size == 4;
  const u32 size = wide ? 28 : 14;
  const u32 at = effective_address(cpu.s, insn);
  cpu.check(segment(insn), at, size + 80, Access::kWrite);
  write_environment(cpu, insn, at, wide);
  for (unsigned i = 0; i < 8; ++i) {
    const Float80 v = x87_get(cpu.s.fpu, i);
    cpu.write<u64>(segment(insn), at + size + 10 * i, v.mantissa);
    cpu.write<u16>(segment(insn), at + size + 10 * i + 8, v.sign_exponent);
  }
  initialize(cpu);
}

void frstor(Cpu& cpu, const Insn& insn) {
  if (!x87_enter(cpu)) return;
  const bool wide = insn.operand_size == 4;
  const u32 size = wide ? 28 : 14;
  const u32 at = effective_address(cpu.s, insn);
  const Environment e = read_environment(cpu, insn, at, wide);
  Float80 st[8];
  for (unsigned i = 0; i < 8; ++i) {
    st[i].mantissa = cpu.read<u64>(segment(insn), at + size + 10 * i);
    st[i].sign_exponent = cpu.read<u16>(segment(insn), at + size + 10 * i + 8);
  }
  set_environment(cpu, e, wide);
  const u8 tags = cpu.s.fpu.ftw;
  for (unsigned i = 0; i < 8; ++i) x87_set(cpu.s.fpu, i, st[i]);
  cpu.s.fpu.ftw = tags;
}

}  // namespace interp::fp

namespace interp {

namespace {

// FXSAVE keeps ours as it is, but for the parts that the 32-bit form does not write: XMM8-15 and what is the
// software's.
constexpr u32 kFxsaveWritten = 288;
constexpr u32 kFxsaveSize = 512;
struct FxImage {
  u64 words[kFxsaveWritten / 8];
};

// After the limit, before the pages.
void check_image_alignment(Cpu& cpu, const Insn& insn, u32 at) {
  const Segment& g = cpu.s.seg[insn.segment];
  if (g.inside(at, kFxsaveSize) && ((g.base + at) & 15) != 0) cpu.fault(kGeneralProtection, 0);
}

void fxsave_image(Cpu& cpu, const Insn& insn) {
  if ((cpu.s.cr0 & (cr0::kEm | cr0::kTs)) != 0) cpu.fault(kDeviceNotAvailable);
  const u32 at = effective_address(cpu.s, insn);
  check_image_alignment(cpu, insn, at);
  const Linear linear = cpu.check(segment(insn), at, kFxsaveSize, Access::kWrite);
  if (FxImage* to = cpu.mmu.store_ptr<FxImage>(linear)) {  // each switch of tasks comes here
    std::memcpy(to, &cpu.s.fpu, sizeof *to);
    return;
  }
  FxImage image;
  std::memcpy(&image, &cpu.s.fpu, sizeof image);
  for (u32 i = 0; i < std::size(image.words); ++i) cpu.write_linear<u64>(linear + 8 * i, image.words[i]);
}

void fxrstor_image(Cpu& cpu, const Insn& insn) {
  if ((cpu.s.cr0 & (cr0::kEm | cr0::kTs)) != 0) cpu.fault(kDeviceNotAvailable);
  const u32 at = effective_address(cpu.s, insn);
  check_image_alignment(cpu, insn, at);
  const Linear linear = cpu.check(segment(insn), at, kFxsaveSize, Access::kRead);
  FxImage image;
  if (const FxImage* from = cpu.mmu.load_ptr<FxImage>(linear)) {
    image = *from;
  } else {
    for (u32 i = 0; i < std::size(image.words); ++i) image.words[i] = cpu.read_linear<u64>(linear + 8 * i);
  }
  FpuState next = cpu.s.fpu;
  std::memcpy(static_cast<void*>(&next), &image, sizeof image);
  if ((next.mxcsr & ~cpu.s.fpu.mxcsr_mask) != 0) cpu.fault(kGeneralProtection, 0);
  next.mxcsr_mask = cpu.s.fpu.mxcsr_mask;
  next.fsw = static_cast<u16>((next.fsw & ~fsw::kEs) | (cpu.s.fpu.fsw & fsw::kEs));
  next.fop &= 0x7ff;
  next.reserved0 = 0;
  next.reserved1 = next.reserved2 = 0;
  for (auto& st : next.st) std::memset(st + 10, 0, 6);
  cpu.s.fpu = next;
  set_control(cpu, next.fcw);
}

void wait(Cpu& cpu, const Insn&) {
  constexpr u32 kBoth = cr0::kMp | cr0::kTs;
  if ((cpu.s.cr0 & kBoth) == kBoth) cpu.fault(kDeviceNotAvailable);
  if ((cpu.model.features_edx & cpuid::kFpu) != 0) x87_check_pending(cpu);
}

}  // namespace

Handler fwait(const Insn&) { return wait; }
Handler fxsave(const Insn&) { return fxsave_image; }
Handler fxrstor(const Insn&) { return fxrstor_image; }

}  // namespace interp

}  // namespace umbra
