// The x87's opcode map (SDM vol. 2 appendix A, escapes D8-DF, aliases of the 8087 included), guards, stack and
// exceptions.
#include "cpu/interp/x87.h"

#include <cstring>

namespace umbra {

void x87_check_pending(Cpu& cpu) {
  if ((cpu.s.fpu.fsw & fsw::kEs) == 0) return;
  if ((cpu.s.cr0 & cr0::kNe) != 0) cpu.fault(kMathFault);
  // A real processor waits here with FERR# low until an interrupt comes or IGNNE# lets it go on. FERR# was raised with
  // the exception, so IRQ 13 has come if it could; what is left is the handler itself, for which IGNNE# is active.
  cpu.host.ferr(true);
}

bool x87_enter_no_wait(Cpu& cpu) {
  if ((cpu.s.cr0 & (cr0::kEm | cr0::kTs)) != 0) cpu.fault(kDeviceNotAvailable);
  return (cpu.model.features_edx & cpuid::kFpu) != 0;
}

bool x87_enter(Cpu& cpu) {
  if (!x87_enter_no_wait(cpu)) return false;
  x87_check_pending(cpu);
  return true;
}

u16 x87_opcode(const Insn& insn) {
  unsigned i = 0;
  while ((insn.raw[i] & 0xf8) != 0xd8) ++i;  // no prefix looks like an escape
  return static_cast<u16>(((insn.raw[i] & 7) << 8) | insn.raw[i + 1]);
}

void x87_note(Cpu& cpu, const Insn& insn) {
  FpuState& f = cpu.s.fpu;
  f.fop = x87_opcode(insn);
  f.fip = static_cast<u32>(cpu.s.insn_eip);
  f.fcs = cpu.s.seg[kCs].selector;
}

void x87_note_memory(Cpu& cpu, const Insn& insn, u32 offset) {
  x87_note(cpu, insn);
  cpu.s.fpu.fdp = offset;
  cpu.s.fpu.fds = cpu.s.seg[insn.segment].selector;
}

void x87_rotate(FpuState& f, int by) {
  u8 old[8][16];
  std::memcpy(old, f.st, sizeof old);
  for (unsigned i = 0; i < 8; ++i) std::memcpy(f.st[i], old[(i + static_cast<unsigned>(by)) & 7], 16);
  const unsigned top = (x87_top(f) + static_cast<unsigned>(by)) & 7;
  f.fsw = static_cast<u16>((f.fsw & ~fsw::kTop) | (top << 11));
}

void x87_update_summary(Cpu& cpu) {
  FpuState& f = cpu.s.fpu;
  const bool was = (f.fsw & fsw::kEs) != 0;
  const bool now = (f.fsw & ~f.fcw & fsw::kExceptions) != 0;
  f.fsw = static_cast<u16>((f.fsw & ~(fsw::kEs | fsw::kBusy)) | (now ? fsw::kEs | fsw::kBusy : 0));
  if (was != now && (cpu.s.cr0 & cr0::kNe) == 0) cpu.host.ferr(now);
}

bool x87_commit(Cpu& cpu, u16 status, u16 codes, u16 stopping) {
  FpuState& f = cpu.s.fpu;
  f.fsw = static_cast<u16>((f.fsw & ~codes) | (status & (fsw::kExceptions | codes)));
  if ((status & fsw::kExceptions) != 0) x87_update_summary(cpu);
  return (status & ~f.fcw & stopping) == 0;
}

namespace {

bool stack_fault(Cpu& cpu, u16 c1) {
  FpuState& f = cpu.s.fpu;
  f.fsw = static_cast<u16>((f.fsw & ~fsw::kC1) | fsw::kIe | fsw::kSf | c1);
  x87_update_summary(cpu);
  return (f.fcw & fsw::kIe) != 0;
}

}  // namespace

bool x87_underflow(Cpu& cpu) { return stack_fault(cpu, 0); }
bool x87_overflow(Cpu& cpu) { return stack_fault(cpu, fsw::kC1); }

namespace interp {

using namespace umbra::interp::fp;

Handler x87(const Insn& insn) {
  const u16 opcode = x87_opcode(insn);
  const unsigned escape = opcode >> 8, reg = (opcode >> 3) & 7, rm = opcode & 7;
  if ((opcode & 0xc0) != 0xc0) {
    static constexpr Map kD9 = {{}, {}, {}, {}, fldenv, fldcw, fnstenv, fnstcw};
    static constexpr Map kDb = {{}, {}, {}, {}, {}, fld_f80, {}, fstp_f80};
    static constexpr Map kDd = {{}, fisttp_i64, {}, {}, frstor, {}, fnsave, fnstsw_memory};
    static constexpr Map kDf = {{}, {}, {}, {}, fbld, fild_i64, fbstp, fistp_i64};
    switch (escape) {
      case 0:
        return kArithF32[reg];
      case 1:
        return kD9[reg] != nullptr ? kD9[reg] : kMoveF32[reg];
      case 2:
        return kArithI32[reg];
      case 3:
        return kDb[reg] != nullptr ? kDb[reg] : kMoveI32[reg];
      case 4:
        return kArithF64[reg];
      case 5:
        return kDd[reg] != nullptr ? kDd[reg] : kMoveF64[reg];
      case 6:
        return kArithI16[reg];
      default:
        return kDf[reg] != nullptr ? kDf[reg] : kMoveI16[reg];
    }
  }
  static constexpr Map kD9 = {fld_st, fxch, fnop, fstpnce, {}, {}, {}, {}};
  static constexpr Map kD9E0 = {fchs, fabs, {}, {}, ftst, fxam, {}, {}};
  static constexpr Map kDbE0 = {ignored, ignored, fnclex, fninit, ignored, {}, {}, {}};  // FENI, FDISI, FSETPM
  static constexpr Map kDd = {ffree, fxch, fst_st, fstp_st, fucom, fucomp, {}, {}};
  static constexpr Map kDf = {ffreep, fxch, fstp_st, fstp_st, fnstsw_ax, fucomip, fcomip, {}};
  switch (escape) {
    case 0:
      return kArithToSt0[reg];
    case 1:
      if (reg >= 6) return kFunctions[reg - 6][rm];
      return reg == 4 ? kD9E0[rm] : reg == 5 ? kConstants[rm] : kD9[reg];
    case 2:
      return reg < 4 ? kFcmov[0][reg] : fucompp;
    case 3:
      return reg < 4 ? kFcmov[1][reg] : reg == 4 ? kDbE0[rm] : reg == 5 ? fucomi : fcomi;
    case 4:
      return kArithToSti[reg];
    case 5:
      return kDd[reg];
    case 6:
      return reg == 3 ? fcompp : kArithToStiAndPop[reg];
    default:
      return kDf[reg];
  }
}

}  // namespace interp

}  // namespace umbra
