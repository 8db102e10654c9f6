#include "cpu/quick.h"

#include "cpu/base/log.h"
#include "cpu/descriptor.h"

namespace umbra::quick {
namespace {

using Known = KnownDescriptor;

// Bits of Segment::rights.
constexpr u32 kAccessed = 1, kWriteOrRead = 2, kCode = 8, kConforming = 4, kSegment = 0x10, kPresent = 0x80;
constexpr u32 dpl_bits(u32 dpl) { return dpl << 5; }

// `bytes` of memory at `a`, in one page, as the table shows it.
u8* within(const u64* plane, Linear a, u32 bytes) {
  const u64 addend = plane[page_of(a)];
  if (addend == 0 || page_offset(a) > kPageSize - bytes) return nullptr;
  return reinterpret_cast<u8*>(addend + a.value);
}

template <class T>
T fetch(const u8* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void put(u8* at, u32 value) { std::memcpy(at, &value, sizeof value); }

const u64* system_loads(Cpu& cpu) { return cpu.mmu.table_of(false)->load; }

// A code or data segment that has been accessed before. Null: look closely.
const Segment* known(Cpu& cpu, u16 selector) {
  const CpuState& s = cpu.s;
  u32 base = s.gdtr.base, limit = s.gdtr.limit;
  if ((selector & 4) != 0) {
    if (!s.ldtr.present()) return nullptr;
    base = s.ldtr.base;
    limit = s.ldtr.limit;
  }
  if ((selector | 7u) > limit || (selector & 0xfffc) == 0) return nullptr;
  const u8* at = within(system_loads(cpu), Linear(base + (selector & 0xfff8)), 8);
  if (at == nullptr) return nullptr;
  const u64 raw = fetch<u64>(at);
  Known& k = cpu.known_descriptors[(selector >> 3) % std::size(cpu.known_descriptors)];
  if (k.raw == raw && k.segment.selector == selector) [[likely]]
    return &k.segment;
  constexpr u64 kUsual = u64{kAccessed | kSegment | kPresent} << 40;
  if ((raw & kUsual) != kUsual || cpu.model.generation < Generation::k386) return nullptr;
  Descriptor d;
  d.low = static_cast<u32>(raw);
  d.high = static_cast<u32>(raw >> 32);
  k = {raw, make_segment(selector, d)};
  return &k.segment;
}

bool is_stack(const Segment& g, unsigned cpl) {
  constexpr u32 kMask = kSegment | kCode | kWriteOrRead | dpl_bits(3);
  return (g.rights & kMask) == (kSegment | kWriteOrRead | dpl_bits(cpl)) && (g.selector & 3u) == cpl;
}

bool flat_stack(const Segment& g) { return (g.access & Segment::kFlat) != 0 && g.big(); }

// Non-conforming.
bool is_code(const Segment& g, unsigned dpl) {
  constexpr u32 kMask = kSegment | kCode | kConforming | dpl_bits(3);
  return (g.rights & kMask) == (kSegment | kCode | dpl_bits(dpl));
}

// Nothing waits for the end of this instruction, and nobody wants to hear of it.
bool ordinary(const Cpu& cpu) {
  return !cpu.trap_check_needed() && !cpu.real() && cpu.s.shadow == 0 && !log_on(Log::kInt);
}

// In place: what is written in pieces and then copied as a whole waits for the pieces.
void make_flat(Segment& to, u32 selector, u16 rights, u8 access) {
  to.selector = static_cast<u16>(selector);
  to.rights = rights;
  to.base = to.low = 0;
  to.limit = to.high = 0xffffffff;
  to.access = access;
}
constexpr u8 kFlatCode = Segment::kReadable, kFlatData = Segment::kReadable | Segment::kWritable | Segment::kFlat;

// Pushes downwards into one page, of which all checks have been made.
class Frame {
 public:
  Frame(u8* top, u32 esp) : at_(top), esp_(esp) {}
  void push(u32 value) {
    at_ -= 4;
    esp_ -= 4;
    put(at_, value);
  }
  u32 esp() const { return esp_; }

 private:
  u8* at_;
  u32 esp_;
};

u8* frame_top(const u64* plane, u32 esp, u32 bytes) {
  if (esp < bytes) return nullptr;
  u8* low = within(plane, Linear(esp - bytes), bytes);
  return low == nullptr ? nullptr : low + bytes;
}

struct Gate {
  Segment code;
  u32 eip;
  bool masks;  // IF
};

bool through(Cpu& cpu, u8 vector, bool software, Gate& gate) {
  const CpuState& s = cpu.s;
  if (u32{vector} * 8 + 7 > s.idtr.limit) return false;
  const u8* at = within(system_loads(cpu), Linear(s.idtr.base + u32{vector} * 8), 8);
  if (at == nullptr) return false;
  const u32 low = fetch<u32>(at), high = fetch<u32>(at + 4);
  if ((high & 0x9e00) != 0x8e00) return false;  // present, 32-bit interrupt or trap gate
  if (software && ((high >> 13) & 3) < s.cpl) return false;
  const Segment* code = known(cpu, static_cast<u16>(low >> 16));
  if (code == nullptr) return false;
  gate.code = *code;  // the next one may take its place
  gate.eip = (high & 0xffff0000) | (low & 0xffff);
  gate.masks = (high & 0x100) == 0;
  return gate.eip <= code->limit;
}

// SS:ESP of an inner ring, out of a 32-bit TSS.
const Segment* inner_stack(Cpu& cpu, unsigned cpl, u32& esp) {
  const Segment& tr = cpu.s.tr;
  const u32 offset = 4 + 8 * cpl;
  if ((tr.rights & 8) == 0 || offset + 5 > tr.limit) return nullptr;
  const u8* at = within(system_loads(cpu), Linear(tr.base + offset), 6);
  if (at == nullptr) return nullptr;
  esp = fetch<u32>(at);
  const Segment* ss = known(cpu, fetch<u16>(at + 4));
  return ss != nullptr && is_stack(*ss, cpl) && flat_stack(*ss) ? ss : nullptr;
}

void enter_code(Cpu& cpu, const Segment& code, unsigned cpl, u32 eip) {
  CpuState& s = cpu.s;
  s.seg[kCs] = code;
  s.seg[kCs].selector = static_cast<u16>((code.selector & 0xfffc) | cpl);
  s.eip = eip;
  s.cpl = static_cast<u8>(cpl);
}

struct Push {
  u32 eip;
  bool has_error;
  u32 error;
  u32 flags;  // set in the image
};

bool enter_gate(Cpu& cpu, u8 vector, bool software, const Push& what) {
  CpuState& s = cpu.s;
  Gate gate;
  if (!ordinary(cpu) || !through(cpu, vector, software, gate)) return false;
  const u32 extra = what.has_error ? 4 : 0;
  u8* top;
  u32 esp;
  const Segment* ss = nullptr;
  const unsigned cpl = gate.code.dpl();
  if (!is_code(gate.code, cpl)) return false;
  const bool v86 = cpu.v86();
  if (cpl == s.cpl) {
    esp = s.r32(kEsp);
    if (v86 || !flat_stack(s.seg[kSs]) || cpu.checks_alignment()) return false;
    top = frame_top(cpu.mmu.table()->store, esp, 12 + extra);
    if (top == nullptr) return false;
  } else {
    const bool to_supervisor = s.cpl == 3;
    if (cpl > s.cpl || (v86 && cpl != 0)) return false;
    ss = inner_stack(cpu, cpl, esp);
    if (ss == nullptr) return false;
    top = frame_top(cpu.mmu.table_of(false)->store, esp, (v86 ? 36 : 20) + extra);
    if (top == nullptr || (to_supervisor && !cpu.mmu.quick_user(false))) return false;
  }
  Frame frame(top, esp);
  if (v86) {
    for (SegReg reg : {kGs, kFs, kDs, kEs}) {
      frame.push(s.seg[reg].selector);
      s.seg[reg] = null_segment(0);
    }
  }
  if (ss != nullptr) {
    frame.push(s.seg[kSs].selector);
    frame.push(s.r32(kEsp));
    s.seg[kSs] = *ss;
  }
  frame.push(s.eflags | what.flags);
  frame.push(s.seg[kCs].selector);
  frame.push(what.eip);
  if (what.has_error) frame.push(what.error);
  s.r32(kEsp) = frame.esp();
  enter_code(cpu, gate.code, cpl, gate.eip);
  s.eflags &= ~(flag::kTf | flag::kNt | flag::kRf | flag::kVm | (gate.masks ? flag::kIf : 0));
  s.activity = Activity::kRunning;
  return true;
}

bool to_v86(Cpu& cpu, Linear esp, u32 flags) {
  CpuState& s = cpu.s;
  const u8* frame = within(cpu.mmu.table()->load, esp, 36);
  if (frame == nullptr || fetch<u32>(frame) > 0xffff || !cpu.mmu.quick_user(true)) return false;
  const auto selector = [&](u32 place) { return static_cast<u16>(fetch<u32>(frame + 4 * place)); };
  s.eip = fetch<u32>(frame);
  s.r32(kEsp) = fetch<u32>(frame + 12);
  cpu.set_flags(flags, cpu.model.flags_mask);
  cpu.set_real_segment(kCs, selector(1));
  cpu.set_real_segment(kSs, selector(4));
  cpu.set_real_segment(kEs, selector(5));
  cpu.set_real_segment(kDs, selector(6));
  cpu.set_real_segment(kFs, selector(7));
  cpu.set_real_segment(kGs, selector(8));
  s.cpl = 3;
  s.nmi_blocked = false;
  return true;
}

// What a return to an outer ring would take away from the program.
bool too_privileged(const Segment& g, unsigned cpl) {
  const bool conforming = (g.rights & (kSegment | kCode | kConforming)) == (kSegment | kCode | kConforming);
  return g.present() && !conforming && g.dpl() < cpl;
}

}  // namespace

bool load_segment(Cpu& cpu, SegReg reg, u16 selector) {
  Segment& to = cpu.s.seg[reg];
  if (!cpu.protected_mode()) {
    cpu.set_real_segment(reg, selector);
    return true;
  }
  if (null_selector(selector)) {
    to = null_segment(selector);
    return true;
  }
  const Segment* g = known(cpu, selector);
  if (g == nullptr || (g->rights & (kCode | kWriteOrRead)) == kCode) return false;
  const bool conforming = (g->rights & (kCode | kConforming)) == (kCode | kConforming);
  if (!conforming && (g->dpl() < cpu.s.cpl || g->dpl() < (selector & 3))) return false;
  to = *g;
  return true;
}

bool sysenter(Cpu& cpu) {
  CpuState& s = cpu.s;
  if (!ordinary(cpu) || cpu.v86() || s.cpl != 3 || (cpu.model.features_edx & cpuid::kSep) == 0 ||
      null_selector(static_cast<u16>(s.sysenter_cs)) || !cpu.mmu.quick_user(false))
    return false;
  const u32 cs = s.sysenter_cs & 0xfffc;
  s.eflags &= ~(flag::kVm | flag::kIf | flag::kRf);
  make_flat(s.seg[kCs], cs, 0xc09b, kFlatCode);
  make_flat(s.seg[kSs], cs + 8, 0xc093, kFlatData);
  s.r32(kEsp) = s.sysenter_esp;
  s.eip = s.sysenter_eip;
  s.cpl = 0;
  return true;
}

bool sysexit(Cpu& cpu) {
  CpuState& s = cpu.s;
  if (!ordinary(cpu) || s.cpl != 0 || (cpu.model.features_edx & cpuid::kSep) == 0 ||
      null_selector(static_cast<u16>(s.sysenter_cs)) || !cpu.mmu.quick_user(true))
    return false;
  const u32 cs = (s.sysenter_cs & 0xfffc) + 16;
  make_flat(s.seg[kCs], cs | 3, 0xc0fb, kFlatCode);
  make_flat(s.seg[kSs], (cs + 8) | 3, 0xc0f3, kFlatData);
  s.r32(kEsp) = s.r32(kEcx);
  s.eip = s.r32(kEdx);
  s.cpl = 3;
  return true;
}

bool iret(Cpu& cpu) {
  CpuState& s = cpu.s;
  if (!ordinary(cpu) || cpu.v86() || (s.eflags & (flag::kNt | flag::kVip)) != 0 || !flat_stack(s.seg[kSs]) ||
      cpu.checks_alignment())
    return false;
  const u32 esp = s.r32(kEsp);
  const u8* frame = within(cpu.mmu.table()->load, Linear(esp), 12);
  if (frame == nullptr) return false;
  const u32 eip = fetch<u32>(frame), flags = fetch<u32>(frame + 8);
  const u16 selector = static_cast<u16>(fetch<u32>(frame + 4));
  if ((flags & (flag::kTf | flag::kVip)) != 0) return false;
  if ((flags & flag::kVm) != 0) return s.cpl == 0 && to_v86(cpu, Linear(esp), flags);
  const Segment* code = known(cpu, selector);
  const unsigned rpl = selector & 3;
  if (code == nullptr || rpl < s.cpl || !is_code(*code, rpl) || eip > code->limit) return false;
  u32 mask = flag::kArithmetic | flag::kTf | flag::kDf | flag::kNt | flag::kRf | flag::kAc | flag::kId;
  if (s.cpl <= cpu.iopl()) mask |= flag::kIf;
  if (s.cpl == 0) mask |= flag::kIopl | flag::kVif | flag::kVip;
  if (rpl == s.cpl) {
    s.r32(kEsp) = esp + 12;
    s.seg[kCs] = *code;
    s.eip = eip;
  } else {
    frame = within(cpu.mmu.table()->load, Linear(esp), 20);
    if (frame == nullptr) return false;
    const Segment cs = *code;
    const Segment* ss = known(cpu, static_cast<u16>(fetch<u32>(frame + 16)));
    if (ss == nullptr || !is_stack(*ss, rpl) || !ss->big()) return false;
    for (SegReg reg : {kEs, kDs, kFs, kGs})
      if (too_privileged(s.seg[reg], rpl)) return false;
    if (rpl == 3 && !cpu.mmu.quick_user(true)) return false;
    s.seg[kSs] = *ss;
    s.r32(kEsp) = fetch<u32>(frame + 12);
    enter_code(cpu, cs, rpl, eip);
  }
  cpu.set_flags(flags, mask);
  s.nmi_blocked = false;
  return true;
}

bool interrupt(Cpu& cpu, u8 vector, Cpu::Source source) {
  return enter_gate(cpu, vector, source == Cpu::Source::kSoftware, {static_cast<u32>(cpu.s.eip), false, 0, 0});
}

bool deliver(Cpu& cpu, const GuestFault& fault) {
  if (fault.vector == kDebug || fault.vector == kDoubleFault) return false;
  return enter_gate(cpu, fault.vector, false,
                    {static_cast<u32>(cpu.s.insn_eip), fault.has_error, fault.error, flag::kRf});
}

}  // namespace umbra::quick
