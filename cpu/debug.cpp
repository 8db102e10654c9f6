// Debug registers and the traps that come of them. SDM vol. 3 chapter 17. Debug-control MSR features (branch traces)
// are left out.
#include "cpu/cpu.h"

namespace umbra {

namespace {

enum class Kind : u8 { kExecute = 0, kWrite = 1, kIo = 2, kReadWrite = 3 };

struct Breakpoint {
  bool enabled;
  Kind kind;
  u32 address, size;
};

Breakpoint breakpoint(const CpuState& s, unsigned n) {
  const u32 control = s.dr[7];
  Breakpoint b;
  b.enabled = ((control >> (n * 2)) & 3) != 0;
  b.kind = static_cast<Kind>((control >> (16 + n * 4)) & 3);
  // Length code 2 is eight bytes on processors with long mode and undefined before; it is taken as one here.
  constexpr u8 kSizes[] = {1, 2, 1, 4};
  b.size = kSizes[(control >> (18 + n * 4)) & 3];
  b.address = s.dr[n] & ~(b.size - 1);
  return b;
}

bool overlaps(const Breakpoint& b, u32 address, u32 size) {
  return address - b.address < b.size || b.address - address < size;
}

// Breakpoints that an access meets: once one is met by an enabled one, DR6 shows the disabled that match as well.
u32 met(const CpuState& s, u32 address, u32 size, Kind kind, Kind other) {
  u32 all = 0, enabled = 0;
  for (unsigned n = 0; n < 4; ++n) {
    const Breakpoint b = breakpoint(s, n);
    if ((b.kind != kind && b.kind != other) || !overlaps(b, address, size)) continue;
    all |= 1u << n;
    if (b.enabled) enabled |= 1u << n;
  }
  return enabled != 0 ? all : 0;
}

// The processor overwrites B0 to B3 at each debug exception; the rest it only ever sets ("certain debug exceptions may
// clear bits 0-3", SDM vol. 3 section 17.2.3).
void report(CpuState& s, u32 bits) { s.dr[6] = (s.dr[6] & ~u32{15}) | bits; }

void debug_trap(Cpu& cpu, u32 bits) {
  report(cpu.s, bits);
  cpu.interrupt(kDebug, Cpu::Source::kException);
}

}  // namespace

void Cpu::set_dr7(u32 value) {
  s.dr[7] = (value & 0xffff23ff) | dr7::kFixed;
  const bool data_before = (s.armed & debug_arm::kData) != 0;
  s.armed = 0;
  u32 pages[4], page_count = 0;
  for (unsigned n = 0; n < 4; ++n) {
    const Breakpoint b = breakpoint(s, n);
    if (!b.enabled) continue;
    switch (b.kind) {
      case Kind::kExecute:
        s.armed |= debug_arm::kCode;
        break;
      case Kind::kIo:
        if ((s.cr4 & cr4::kDe) != 0) s.armed |= debug_arm::kIo;
        break;
      case Kind::kWrite:
      case Kind::kReadWrite:
        s.armed |= debug_arm::kData;
        pages[page_count++] = page_of(Linear(b.address));
        break;
    }
  }
  if (data_before || page_count != 0) mmu.watch({pages, page_count});
}

u32 Cpu::debug_register(unsigned n) {
  check_debug_register(n);
  return s.dr[n];
}

void Cpu::set_debug_register(unsigned n, u32 value) {
  check_debug_register(n);
  if (n == 7) {
    set_dr7(value);
  } else if (n == 6) {
    s.dr[6] = (value & 0xe00f) | dr6::kFixed;
  } else {
    s.dr[n] = value;
    set_dr7(s.dr[7]);
  }
}

// MOV DR: 4 and 5 are other names of 6 and 7 until CR4.DE makes them invalid; DR7.GD guards them all.
void Cpu::check_debug_register(unsigned& n) {
  if (n == 4 || n == 5) {
    if ((s.cr4 & cr4::kDe) != 0) fault(kInvalidOpcode);
    n += 2;
  }
  if (s.cpl != 0) fault(kGeneralProtection, 0);
  if ((s.dr[7] & dr7::kGd) != 0) {
    report(s, dr6::kBd);
    fault(kDebug);
  }
}

bool Cpu::begin_insn() {
  if ((s.shadow & kInhibitDebug) == 0) {
    if (s.pending_debug != 0) {
      const u32 bits = s.pending_debug;
      s.pending_debug = 0;
      debug_trap(*this, bits);
      return true;
    }
    if ((s.armed & debug_arm::kCode) != 0 && (s.eflags & flag::kRf) == 0) {
      const u32 linear = s.seg[kCs].base + static_cast<u32>(s.eip);
      if (const u32 bits = met(s, linear, 1, Kind::kExecute, Kind::kExecute); bits != 0) {
        debug_trap(*this, bits);
        return true;
      }
    }
  }
  s.eflags &= ~flag::kRf;
  if ((s.eflags & flag::kTf) != 0) s.pending_debug |= dr6::kBs;
  return false;
}

void Cpu::end_of_insn_traps() {
  if (s.pending_debug == 0) return;
  if ((s.shadow & kInhibitDebug) != 0) {  // MOV SS: a data breakpoint waits for the next instruction, a step is lost
    s.pending_debug &= ~dr6::kBs;
    return;
  }
  const u32 bits = s.pending_debug;
  s.pending_debug = 0;
  debug_trap(*this, bits);
}

// INT1 is no condition that DR6 knows; a data breakpoint that MOV SS held back is reported along with it.
void Cpu::icebp() {
  if (const u32 held = s.pending_debug & 15; held != 0) report(s, held);
  s.pending_debug = 0;
  interrupt(kDebug, Source::kIcebp);
}

void Cpu::note_access(Linear a, u32 size, bool write) {
  s.pending_debug |= met(s, a.value, size, Kind::kReadWrite, write ? Kind::kWrite : Kind::kReadWrite);
}

void Cpu::note_port(u16 port, u32 size) {
  if ((s.armed & debug_arm::kIo) != 0) s.pending_debug |= met(s, port, size, Kind::kIo, Kind::kIo);
}

}  // namespace umbra
