#include "cpu/quick.h"

#include "cpu/base/log.h"
#include "cpu/transfer.h"

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

u32 fetch(const u8* at, u32 size) { return size == 2 ? fetch<u16>(at) : fetch<u32>(at); }

void put(u8* at, u32 value, u32 size) {
  if (size == 2) {
    const u16 word = static_cast<u16>(value);
    std::memcpy(at, &word, sizeof word);
  } else {
    std::memcpy(at, &value, sizeof value);
  }
}

const u64* system_loads(Cpu& cpu) { return cpu.mmu.table_of(false)->load; }

// The highest CPL that may load it for data; -1 for none.
int reach_of(const Segment& g) {
  if ((g.rights & (kCode | kWriteOrRead)) == kCode) return -1;
  if ((g.rights & (kCode | kConforming)) == (kCode | kConforming)) return 3;
  return g.dpl() < (g.selector & 3) ? -1 : g.dpl();
}

// A code or data segment that has been accessed before. Null: look closely.
const KnownDescriptor* known_descriptor(Cpu& cpu, u16 selector) {
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
  Known& k = cpu.known_descriptors[(selector >> 3) % Known::kCount];
  if (k.raw == raw && k.segment.selector == selector) [[likely]]
    return &k;
  constexpr u64 kUsual = u64{kAccessed | kSegment | kPresent} << 40;
  if ((raw & kUsual) != kUsual || cpu.model.generation < Generation::k386) return nullptr;
  Descriptor d;
  d.low = static_cast<u32>(raw);
  d.high = static_cast<u32>(raw >> 32);
  const Segment made = make_segment(selector, d);
  k = {raw, made, static_cast<i8>(reach_of(made))};
  return &k;
}

const Segment* known(Cpu& cpu, u16 selector) {
  const Known* k = known_descriptor(cpu, selector);
  return k == nullptr ? nullptr : &k->segment;
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

constexpr u8 kFlatCode = Segment::kReadable, kFlatData = Segment::kReadable | Segment::kWritable | Segment::kFlat;

// In place: what is written in pieces and then copied as a whole waits for the pieces.
void make_flat(Segment& to, u32 selector, u16 rights, u8 access) {
  to.selector = static_cast<u16>(selector);
  to.rights = rights;
  to.base = to.low = 0;
  to.limit = to.high = 0xffffffff;
  to.access = access;
  to.partial = access == kFlatData ? 0 : 1;
  to.checks = access == kFlatData ? SegClass::kFlat : SegClass::kChecked;
}

// null_segment and, in V86 mode, Cpu::set_real_segment, without deriving anew what never changes.
void make_null(Segment& to, u16 selector) { to = {selector, 0, 0, 0xffff, 1, 0, 0, 1, SegClass::kChecked}; }

void make_v86(Segment& to, u16 selector) {
  constexpr u8 kAll = Segment::kReadable | Segment::kWritable;
  to = {selector, 0xf3, u32{selector} << 4, 0xffff, 0, 0xffff, kAll, 1, SegClass::kShort};
}

u32 stack_mask(const Segment& ss) { return ss.big() ? 0xffffffff : 0xffff; }

// ESP moved inside its stack.
u32 moved(const Segment& ss, u32 esp, i32 by) {
  const u32 mask = stack_mask(ss);
  return (esp & ~mask) | ((esp + static_cast<u32>(by)) & mask);
}

// Pushes downwards into one page, of which all checks have been made.
class Frame {
 public:
  Frame(u8* top, u32 size) : at_(top), size_(size) {}
  void push(u32 value) {
    at_ -= size_;
    put(at_, value, size_);
  }

 private:
  u8* at_;
  const u32 size_;
};

// Where `bytes` may be pushed, all in one page and in the segment; or null.
u8* frame_top(const u64* plane, const Segment& ss, u32 esp, u32 bytes) {
  const u32 top = esp & stack_mask(ss);
  if (top < bytes || (ss.access & Segment::kWritable) == 0 || top - bytes < ss.low || top - 1 > ss.high) return nullptr;
  u8* low = within(plane, Linear(ss.base + (top - bytes)), bytes);
  return low == nullptr ? nullptr : low + bytes;
}

// Where `bytes` may be popped, likewise.
const u8* frame_at(Cpu& cpu, u32 bytes) {
  const Segment& ss = cpu.s.seg[kSs];
  const u32 low = cpu.s.r32(kEsp) & stack_mask(ss), last = low + bytes - 1;
  if ((ss.access & Segment::kReadable) == 0 || low < ss.low || last > ss.high || last < low || last > stack_mask(ss))
    return nullptr;
  return within(cpu.mmu.table()->load, Linear(ss.base + low), bytes);
}

struct Gate {
  Segment code;
  u32 eip;
  u32 size;    // of what it pushes
  bool masks;  // IF
};

bool through(Cpu& cpu, u8 vector, bool software, Gate& gate) {
  const CpuState& s = cpu.s;
  if (u32{vector} * 8 + 7 > s.idtr.limit) return false;
  const u8* at = within(system_loads(cpu), Linear(s.idtr.base + u32{vector} * 8), 8);
  if (at == nullptr) return false;
  const u32 low = fetch<u32>(at), high = fetch<u32>(at + 4);
  if ((high & 0x9600) != 0x8600) return false;  // present, interrupt or trap gate
  if (software && ((high >> 13) & 3) < s.cpl) return false;
  const Segment* code = known(cpu, static_cast<u16>(low >> 16));
  if (code == nullptr) return false;
  gate.code = *code;  // the next one may take its place
  gate.size = (high & 0x800) != 0 ? 4 : 2;
  gate.eip = (gate.size == 4 ? high & 0xffff0000 : 0) | (low & 0xffff);
  gate.masks = (high & 0x100) == 0;
  return gate.eip <= code->limit;
}

// SS:ESP of an inner ring, out of a 32-bit TSS.
const Segment* known_stack(Cpu& cpu, unsigned cpl, u32& esp) {
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
  const u32 extra = what.has_error ? 1 : 0;
  u8* top;
  u32 esp, words;
  const Segment* ss = nullptr;
  const unsigned cpl = gate.code.dpl();
  if (!is_code(gate.code, cpl)) return false;
  const bool v86 = cpu.v86();
  if (cpl == s.cpl) {
    esp = s.r32(kEsp);
    words = 3 + extra;
    if (v86 || cpu.checks_alignment()) return false;
    top = frame_top(cpu.mmu.table()->store, s.seg[kSs], esp, gate.size * words);
    if (top == nullptr) return false;
  } else {
    const bool to_supervisor = s.cpl == 3;
    if (cpl > s.cpl || (v86 && cpl != 0)) return false;
    ss = known_stack(cpu, cpl, esp);
    if (ss == nullptr) return false;
    words = (v86 ? 9 : 5) + extra;
    top = frame_top(cpu.mmu.table_of(false)->store, *ss, esp, gate.size * words);
    if (top == nullptr || (to_supervisor && !cpu.mmu.quick_user(false))) return false;
  }
  Frame frame(top, gate.size);
  if (v86) {
    for (SegReg reg : {kGs, kFs, kDs, kEs}) {
      frame.push(s.seg[reg].selector);
      make_null(s.seg[reg], 0);
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
  s.r32(kEsp) = moved(s.seg[kSs], esp, -static_cast<i32>(gate.size * words));
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
  make_v86(s.seg[kCs], selector(1));
  make_v86(s.seg[kSs], selector(4));
  make_v86(s.seg[kEs], selector(5));
  make_v86(s.seg[kDs], selector(6));
  make_v86(s.seg[kFs], selector(7));
  make_v86(s.seg[kGs], selector(8));
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
    make_null(to, selector);
    return true;
  }
  const Known* k = known_descriptor(cpu, selector);
  if (k == nullptr || cpu.s.cpl > k->reach) return false;
  to = k->segment;
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

bool iret(Cpu& cpu, u32 size) {
  CpuState& s = cpu.s;
  if (!ordinary(cpu) || cpu.v86() || (s.eflags & (flag::kNt | flag::kVip)) != 0 || cpu.checks_alignment()) return false;
  const u32 esp = s.r32(kEsp);
  const u8* frame = frame_at(cpu, 3 * size);
  if (frame == nullptr) return false;
  const u32 eip = fetch(frame, size), flags = fetch(frame + 2 * size, size);
  const u16 selector = fetch<u16>(frame + size);
  if ((flags & (flag::kTf | flag::kVip)) != 0) return false;
  if ((flags & flag::kVm) != 0) return s.cpl == 0 && flat_stack(s.seg[kSs]) && to_v86(cpu, Linear(esp), flags);
  const Segment* code = known(cpu, selector);
  const unsigned rpl = selector & 3;
  if (code == nullptr || rpl < s.cpl || !is_code(*code, rpl) || eip > code->limit) return false;
  u32 mask = flag::kArithmetic | flag::kTf | flag::kDf | flag::kNt;
  if (size == 4) mask |= flag::kRf | flag::kAc | flag::kId;
  if (s.cpl <= cpu.iopl()) mask |= flag::kIf;
  if (s.cpl == 0) mask |= flag::kIopl | (size == 4 ? flag::kVif | flag::kVip : 0);
  if (rpl == s.cpl) {
    s.r32(kEsp) = moved(s.seg[kSs], esp, static_cast<i32>(3 * size));
    s.seg[kCs] = *code;
    s.eip = eip;
  } else {
    frame = frame_at(cpu, 5 * size);
    if (frame == nullptr) return false;
    const Segment cs = *code;
    const Segment* ss = known(cpu, fetch<u16>(frame + 4 * size));
    if (ss == nullptr || !is_stack(*ss, rpl)) return false;
    for (SegReg reg : {kEs, kDs, kFs, kGs})
      if (too_privileged(s.seg[reg], rpl)) return false;
    if (rpl == 3 && !cpu.mmu.quick_user(true)) return false;
    s.seg[kSs] = *ss;
    const u32 outer = fetch(frame + 3 * size, size);
    s.r32(kEsp) = ss->big() ? outer : (esp & 0xffff0000) | (outer & 0xffff);
    enter_code(cpu, cs, rpl, eip);
  }
  cpu.set_flags(flags, mask);
  s.nmi_blocked = false;
  return true;
}

bool real_interrupt(Cpu& cpu, u8 vector) {
  CpuState& s = cpu.s;
  const u32 entry = u32{vector} * 4;
  if (!cpu.real() || cpu.trap_check_needed() || s.shadow != 0 || log_on(Log::kInt) || entry + 3 > s.idtr.limit)
    return false;
  const u8* at = within(cpu.mmu.table()->load, Linear(s.idtr.base + entry), 4);
  u8* top = frame_top(cpu.mmu.table()->store, s.seg[kSs], s.r32(kEsp), 6);
  if (at == nullptr || top == nullptr) return false;
  const u32 target = fetch<u32>(at);
  Frame frame(top, 2);
  frame.push(flags_image(cpu));
  frame.push(s.seg[kCs].selector);
  frame.push(static_cast<u32>(s.eip));
  s.r32(kEsp) = moved(s.seg[kSs], s.r32(kEsp), -6);
  s.eflags &= ~(flag::kIf | flag::kTf | flag::kAc | flag::kRf);
  cpu.set_real_segment(kCs, static_cast<u16>(target >> 16));
  s.eip = target & 0xffff;
  return true;
}

// Code that may be reached without a gate. Not conforming.
const Segment* direct_code(Cpu& cpu, u16 selector, u32 eip) {
  const Segment* code = known(cpu, selector);
  const unsigned cpl = cpu.s.cpl;
  const bool allowed = code != nullptr && is_code(*code, cpl) && (selector & 3u) <= cpl && eip <= code->limit;
  return allowed ? code : nullptr;
}

bool far_jump(Cpu& cpu, u16 selector, u32 offset) {
  if (!ordinary(cpu) || cpu.v86()) return false;
  const Segment* code = direct_code(cpu, selector, offset);
  if (code == nullptr) return false;
  enter_code(cpu, *code, cpu.s.cpl, offset);
  return true;
}

bool far_call(Cpu& cpu, u16 selector, u32 offset, u32 size) {
  CpuState& s = cpu.s;
  if (!ordinary(cpu) || cpu.v86() || cpu.checks_alignment()) return false;
  const Segment* code = direct_code(cpu, selector, offset);
  u8* top = frame_top(cpu.mmu.table()->store, s.seg[kSs], s.r32(kEsp), 2 * size);
  if (code == nullptr || top == nullptr) return false;
  Frame frame(top, size);
  frame.push(s.seg[kCs].selector);
  frame.push(static_cast<u32>(s.eip));
  s.r32(kEsp) = moved(s.seg[kSs], s.r32(kEsp), -static_cast<i32>(2 * size));
  enter_code(cpu, *code, s.cpl, offset);
  return true;
}

bool far_return(Cpu& cpu, u32 size, u32 release) {
  CpuState& s = cpu.s;
  if (!ordinary(cpu) || cpu.v86() || cpu.checks_alignment()) return false;
  const u8* frame = frame_at(cpu, 2 * size);
  if (frame == nullptr) return false;
  const u32 eip = fetch(frame, size);
  const u16 selector = fetch<u16>(frame + size);
  const Segment* code = (selector & 3u) == s.cpl ? direct_code(cpu, selector, eip) : nullptr;
  if (code == nullptr) return false;
  s.r32(kEsp) = moved(s.seg[kSs], s.r32(kEsp), static_cast<i32>(2 * size + release));
  enter_code(cpu, *code, s.cpl, eip);
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
