#include "cpu/show.h"

#include <cstring>

#include "cpu/base/log.h"

namespace umbra {
namespace {

unsigned show(u64 v) { return static_cast<unsigned>(v); }

std::string flags_text(u32 f) {
  std::string out = "-------";
  const struct {
    u32 bit;
    char name;
  } names[] = {{flag::kDf, 'D'}, {flag::kOf, 'O'}, {flag::kSf, 'S'}, {flag::kZf, 'Z'},
               {flag::kAf, 'A'}, {flag::kPf, 'P'}, {flag::kCf, 'C'}};
  for (std::size_t i = 0; i < out.size(); ++i)
    if ((f & names[i].bit) != 0) out[i] = names[i].name;
  return out;
}

// The rights as they lie in a descriptor's upper half, the limit's top bits included. In real mode they mean nothing.
std::string segment_line(const char* name, const Segment& s, bool protected_mode) {
  const u32 limit = (s.rights & 0x8000) != 0 ? s.limit >> 12 : s.limit;
  const u32 flags = (u32{s.rights} & 0xf0ff) << 8 | (limit & 0xf0000);
  std::string kind;
  if (!protected_mode || !s.present()) {
  } else if ((s.rights & 0x10) == 0) {
    static const char* const kSystem[] = {
        "Reserved", "TSS16-avl", "LDT",      "TSS16-busy", "CallGate16", "TaskGate", "IntGate16", "TrapGate16",
        "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32", "Reserved", "IntGate32", "TrapGate32"};
    kind = format(" DPL=%u %s", s.dpl(), kSystem[s.type()]);
  } else {
    static const char* const kData[] = {"DS", "CS"};
    kind = format(" DPL=%u %s%s [%c%c%c]", s.dpl(), kData[s.code()], s.big() ? (s.code() ? "32" : "  ") : "16",
                  s.code() ? ((s.type() & 4) != 0 ? 'C' : '-') : ((s.type() & 4) != 0 ? 'E' : '-'),
                  (s.type() & 2) != 0 ? (s.code() ? 'R' : 'W') : '-', (s.type() & 1) != 0 ? 'A' : '-');
  }
  return format("%-3s=%04x %08x %08x %08x%s\n", name, s.selector, s.base, s.limit, flags, kind.c_str());
}

}  // namespace

std::string show_registers(const CpuState& s, bool a20) {
  std::string out;
  const auto& g = s.gpr;
  out += format("EAX=%08x EBX=%08x ECX=%08x EDX=%08x\n", show(g[kEax]), show(g[kEbx]), show(g[kEcx]), show(g[kEdx]));
  out += format("ESI=%08x EDI=%08x EBP=%08x ESP=%08x\n", show(g[kEsi]), show(g[kEdi]), show(g[kEbp]), show(g[kEsp]));
  out += format("EIP=%08x EFL=%08x [%s] CPL=%u II=%u A20=%u SMM=0 HLT=%u\n", show(s.eip), s.eflags,
                flags_text(s.eflags).c_str(), s.cpl, (s.shadow & kInhibitInterrupts) != 0 ? 1u : 0u, a20 ? 1u : 0u,
                s.activity == Activity::kHalted ? 1u : 0u);
  const bool pe = (s.cr0 & cr0::kPe) != 0;
  static const char* const kNames[] = {"ES", "CS", "SS", "DS", "FS", "GS"};
  for (unsigned i = 0; i < kSegCount; ++i) out += segment_line(kNames[i], s.seg[i], pe);
  out += segment_line("LDT", s.ldtr, pe) + segment_line("TR", s.tr, pe);
  out += format("GDT=     %08x %08x\nIDT=     %08x %08x\n", s.gdtr.base, s.gdtr.limit, s.idtr.base, s.idtr.limit);
  out += format("CR0=%08x CR2=%08x CR3=%08x CR4=%08x\n", s.cr0, s.cr2, s.cr3, s.cr4);
  out += format("DR0=%08x DR1=%08x DR2=%08x DR3=%08x\nDR6=%08x DR7=%08x\n", s.dr[0], s.dr[1], s.dr[2], s.dr[3], s.dr[6],
                s.dr[7]);
  out += format("EFER=%016llx\n", static_cast<unsigned long long>(s.efer));
  return out;
}

std::string show_fpu(const CpuState& s) {
  const FpuState& f = s.fpu;
  std::string out =
      format("FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", f.fcw, f.fsw, (f.fsw >> 11) & 7u, f.ftw, f.mxcsr);
  for (unsigned i = 0; i < 8; ++i) {
    u64 mantissa;
    u16 exponent;
    const unsigned st = (i - (f.fsw >> 11)) & 7;
    std::memcpy(&mantissa, f.st[st], 8);
    std::memcpy(&exponent, f.st[st] + 8, 2);
    out +=
        format("FPR%u=%016llx %04x%c", i, static_cast<unsigned long long>(mantissa), exponent, i % 2 == 1 ? '\n' : ' ');
  }
  for (unsigned i = 0; i < 8; ++i) {
    u64 low, high;
    std::memcpy(&low, f.xmm[i], 8);
    std::memcpy(&high, f.xmm[i] + 8, 8);
    out += format("XMM%02u=%016llx %016llx%c", i, static_cast<unsigned long long>(high),
                  static_cast<unsigned long long>(low), i % 2 == 1 ? '\n' : ' ');
  }
  return out;
}

}  // namespace umbra
