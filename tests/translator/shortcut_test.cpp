// Shortcuts held against the interpreter: segment loads, system calls, interrupts and returns over random descriptors,
// gates, stacks, flags and pages, most of them good enough that the shortcut is taken and many that it must refuse.
#include <catch2/catch.hpp>

#include "tests/translator/streams.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kStack = 0x20000, kGdt = 0xa000, kLdt = 0xa800, kTss = 0x600, kTables = 0xe0000;
constexpr u32 kEntries = 64, kLdtEntries = 16;
constexpr u32 kOuter = 0x30080;  // among HLTs, for frames are popped out of step and run as code
constexpr u32 kHalts = 0x1000;   // a HLT every 16 bytes

using Forms = std::vector<std::vector<u8>>;
const Forms kSensitive = {{0x8e, 0xd8},
                          {0x8e, 0xc0},
                          {0x8e, 0xe1},
                          {0x8e, 0xe8},  // mov ds/es/fs/gs
                          {0x8e, 0x1e},
                          {0x8e, 0x26},
                          {0x66, 0x8e, 0xd8},  // …, [esi]
                          {0x1f},
                          {0x07},
                          {0x0f, 0xa1},
                          {0x0f, 0xa9},  // pop
                          {0x66, 0x1f},
                          {0x1e},
                          {0x0e},
                          {0x16},  // push
                          {0x66, 0x06},
                          {0xcf},
                          {0xcf},
                          {0xcf},  // iret
                          {0x66, 0xcf},
                          {0xcd, 0x20},
                          {0xcd, 0x21},
                          {0xcd, 0x30},  // int
                          {0xcd, 0x38},
                          {0x0f, 0x34},
                          {0x0f, 0x35},
                          {0x0f, 0x06},  // sysenter, sysexit, clts
                          {0x0f, 0x22, 0xc3},
                          {0x0f, 0x20, 0xc1},
                          {0x0f, 0x20, 0xda},  // mov cr0, ebx; ecx, cr0; edx, cr3
                          {0x8e, 0xd0},
                          {0x17},
                          {0xcc},
                          {0xcb},
                          {0xcb},
                          {0x66, 0xcb},
                          {0x66, 0xcb},
                          {0xca, 8, 0},  // retf
                          {0x9a, 0x40, 0x11, 0, 0, 8, 0},
                          {0x66, 0x9a, 0x40, 0x11, 0x1b, 0},
                          {0xff, 0x1e},
                          {0x66, 0xff, 0x1e},  // call far
                          {0xea, 0x40, 0x11, 0, 0, 0x1b, 0},
                          {0x66, 0xff, 0x2e},  // jmp far
                          {0x66, 0xc4, 0x06},
                          {0x66, 0xc5, 0x1e},
                          {0x66, 0x0f, 0xb4, 0x06},  // les, lds, lfs
                          {0xa1, 0, 0, 0x10, 0}};    // …; mov eax, [100000h]
// One of each kind that reaches memory inline.
const Forms kReaching = {{0x50},
                         {0x58},
                         {0xe8, 0, 0, 0, 0},
                         {0xc9},  // push, pop, call, leave
                         {0xff, 0x36},
                         {0x8f, 0x06},
                         {0x6a, 0x12},
                         {0x1e},  // push, pop [esi]; push
                         {0x01, 0x06},
                         {0x03, 0x06},
                         {0x39, 0x07},
                         {0x87, 0x07},  // add, add, cmp, xchg
                         {0xa5},
                         {0xab},
                         {0xa7},
                         {0xaf},  // movsd, stosd, cmpsd, scasd
                         {0xad},
                         {0xf3, 0xa5},
                         {0xf3, 0xab},
                         {0xf3, 0xa7},  // lodsd, rep …
                         {0xd9, 0x06},
                         {0xd9, 0x1f},
                         {0x0f, 0x28, 0x06},
                         {0x0f, 0x29, 0x07},  // fld, fstp, movaps
                         {0x9c},
                         {0x66, 0xa5},
                         {0x0f, 0x10, 0x06},
                         {0x8a, 0x06}};

// Each may be denied by privilege, or find its unit switched off.
const Forms kGuarded = {{0xfa},
                        {0xfb},
                        {0x9c},
                        {0x9d},
                        {0x66, 0x9c},
                        {0x66, 0x9d},  // cli … popf
                        {0xcd, 0x21},
                        {0xcf},
                        {0x66, 0xcf},
                        {0xf4},
                        {0x0f, 0x06},
                        {0x0f, 0x01, 0x3e},  // … hlt clts invlpg
                        {0x0f, 0x32},
                        {0x0f, 0x09},
                        {0xd9, 0xe8},
                        {0xd9, 0x06},
                        {0x0f, 0xfc, 0xc1},
                        {0x0f, 0x28, 0xc1},  // fld1 … movaps
                        {0xd9, 0x1e},
                        {0x9b},
                        {0xdb, 0xe3},
                        {0x0f, 0x77},
                        {0x0f, 0x2a, 0xc1}};

class Scene {
 public:
  Scene(u32 seed, const Forms& forms) : random_(seed), forms_(forms) {}

  u32 random() { return random_(); }
  bool one_in(u32 n) { return random() % n == 0; }

  // The tables, in both machines.
  void tables() {
    for (u32 i = 1; i < kEntries; ++i) gdt_[i] = descriptor(i);
    for (u32 i = 0; i < kLdtEntries; ++i) ldt_[i] = descriptor(i);
    gdt_[1] = 0x00cf9b000000ffff, gdt_[2] = 0x00cf93000000ffff;
    gdt_[3] = 0x00cffb000000ffff, gdt_[4] = 0x00cff3000000ffff;
    gdt_[5] = gdt_[3], gdt_[6] = gdt_[4];  // what SYSEXIT makes of 8
    for (u32 v = 0; v < 64; ++v) gates_[v] = gate(v);
    paging_ = one_in(2);
    for (u32& entry : pages_) entry = 0x67;
    for (u32 page : {kStack >> 12, (kStack >> 12) - 1, kGdt >> 12, 9u, 0u}) {
      if (one_in(4)) pages_[page] = one_in(3) ? 0 : one_in(2) ? 0x63 : one_in(2) ? 0x65 : 0x07;
    }
    esp0_ = one_in(8) ? 0x9002 + random() % 16 : one_in(8) ? 0x9004 : 0x9800;
    ss0_ = one_in(6) ? selector() : 0x10;
  }

  void instruction() {
    code_.clear();
    const u32 length = 1 + random() % 3;
    for (u32 i = 0; i < length; ++i) {
      const auto& form = forms_[random() % forms_.size()];
      code_.insert(code_.end(), form.begin(), form.end());
      if (one_in(3)) code_.push_back(0x40);
    }
    code_.push_back(0xf4);
    const bool frame = &forms_ == &kSensitive && one_in(4);
    if (frame) code_ = {0xcf, 0xf4};
    cpl_ = one_in(2) ? 0 : one_in(8) ? 1 + random() % 2 : 3;
    stack_kind_ = one_in(4) ? 1 + random() % 4 : 0;
    flags_ = (random() & ~(flag::kVm | flag::kTf | flag::kRf)) | flag::kFixed;
    if (!one_in(4)) flags_ &= ~(flag::kNt | flag::kAc | flag::kVip);
    esp_ = kStack + (one_in(6) ? random() % 0x20 - 0x10 : 4 * (random() % 16)) - (one_in(4) ? 0x1000 : 0);
    if (frame) esp_ = kStack + 20 * (random() % 3);
    for (u32 i = 0; i < 8; ++i) registers_[i] = one_in(2) ? selector() : random();
    registers_[kEdx] = target();
    registers_[kEsi] = kStack + 4 * (random() % 8);
    if (&forms_ == &kReaching) {
      for (Gpr r : {kEsi, kEdi, kEbp}) registers_[r] = place();
      registers_[kEcx] = random() % 12;
    }
    cr0_ = one_in(3) ? cr0::kTs : 0;
    cr0_ |= one_in(4) ? cr0::kAm : 0;
    new_cr0_ = (one_in(3) ? 0 : cr0::kTs) | (one_in(4) ? cr0::kMp : 0) | (one_in(8) ? cr0::kWp : 0);
    // A frame for IRET, of which the first words may be popped as selectors.
    for (u32 i = 0; i < 32; i += 5) {
      frame_[i % 32] = target();
      const u32 rpl = one_in(2) ? 3 : 0;
      frame_[(i + 1) % 32] = one_in(4) ? selector() : rpl == 3 ? 0x1b : 8;
      frame_[(i + 2) % 32] = (random() & (one_in(4) ? ~0u : ~(flag::kTf | flag::kNt | flag::kVm | flag::kVip))) | 2;
      frame_[(i + 3) % 32] = kOuter + 4 * (random() % 8);
      frame_[(i + 4) % 32] = one_in(4) ? selector() : 0x23;
    }
    v86_ = &forms_ == &kGuarded && one_in(2);
    cr4_ = &forms_ == &kGuarded ? random() % 4 : 0;  // VME, PVI
    if (&forms_ == &kGuarded && one_in(2)) cr0_ |= one_in(4) ? cr0::kEm : cr0::kTs;
    if (v86_ && one_in(2)) flags_ |= flag::kIopl;
    if (frame && one_in(3)) {  // to V86 mode, where the HLTs are
      cpl_ = 0, esp_ = kStack, stack_kind_ = 0;
      frame_[0] = one_in(8) ? random() : 16 * (random() % 64);
      frame_[1] = kHalts >> 4;
      frame_[2] |= flag::kVm;
      frame_[3] = 0x80, frame_[4] = kOuter >> 4;
      for (u32 i = 5; i < 9; ++i) frame_[i] = random();
    }
    for (unsigned seg : {kDs, kEs, kFs, kGs}) segments_[seg] = one_in(3) ? selector() : one_in(4) ? 0 : 0x23;
    msr_cs_ = one_in(8) ? random() : 8;
    interrupt_ = one_in(12);
  }

  void set(Machine& m) const {
    m.flat_32();
    CpuState& s = m.cpu.s;
    m.memory->write(Phys(kGdt), gdt_, sizeof gdt_);
    m.memory->write(Phys(kLdt), ldt_, sizeof ldt_);
    m.memory->write(Phys(0x800), gates_, sizeof gates_);
    s.gdtr = {kGdt, sizeof gdt_ - 1};
    s.ldtr.base = kLdt, s.ldtr.limit = sizeof ldt_ - 1, s.ldtr.rights = 0x82;
    m.put(kOuter - 0x80, std::vector<u8>(0x100, 0xf4));
    std::vector<u8> zeros(0x68);
    m.put(kTss, zeros);
    m.put32(kTss + 4, esp0_), m.put32(kTss + 8, ss0_);
    m.put32(kTss + 12, 0x8800), m.put32(kTss + 16, 0x31), m.put32(kTss + 20, 0x8c00), m.put32(kTss + 24, 0x3a);
    s.tr.base = kTss, s.tr.limit = 0x67, s.tr.rights = 0x8b;
    m.put32(kTables, (kTables + 0x1000) | 7);
    for (u32 i = 0; i < 256; ++i) m.put32(kTables + 0x1000 + 4 * i, i << 12 | pages_[i]);
    m.memory->write(Phys(kStack - 0x1000), frame_, sizeof frame_);
    m.memory->write(Phys(kStack), frame_, sizeof frame_);
    m.put(kCode, code_);
    for (u32 i = 0; i < 8; ++i) s.gpr[i] = registers_[i];
    s.gpr[kEsp] = esp_;
    s.eflags = flags_ & (m.cpu.model.flags_mask | flag::kFixed);
    s.sysenter_cs = msr_cs_, s.sysenter_esp = 0x9400, s.sysenter_eip = kHalts + 16 * 40;
    s.seg[kCs] = Machine::flat(true, true, cpl_);
    s.seg[kSs] = Machine::flat(false, true, cpl_);
    Segment& ss = s.seg[kSs];
    if (stack_kind_ == 1) ss.rights &= 0xbfff;  // 16-bit
    if (stack_kind_ == 2) ss.base = 0x10;
    if (stack_kind_ == 3) ss.limit = kStack + 0x10;
    if (stack_kind_ == 4) ss.rights |= 4, ss.limit = kStack;
    ss.derive(true);
    for (unsigned seg : {kDs, kEs, kFs, kGs}) {
      const u32 number = segments_[seg] >> 3;
      Segment& g = s.seg[seg];
      g = Machine::flat(false, true, 3);
      g.selector = segments_[seg];
      if (number == 0) {
        g = Segment{};
        g.derive(false);
      } else if (segments_[seg] != 0x23) {
        g.rights = static_cast<u16>(0x93 | (number % 4) << 5 | 0xc000 | (number % 8 == 7 ? 0xc : 0));
        g.base = seg == kDs ? 0 : number << 4;
        g.derive(true);
      }
    }
    if (v86_) {
      s.eflags |= flag::kVm;
      for (unsigned seg = 0; seg < kSegCount; ++seg) {
        Segment& g = s.seg[seg];
        g.selector = seg == kCs ? kCode >> 4 : kStack >> 4;
        g.base = g.selector << 4, g.limit = 0xffff, g.rights = 0xf3;
        g.derive(true);
      }
      s.gpr[kEsp] = esp_ & 0xff, s.gpr[kEsi] &= 0xffff;
    }
    m.cpu.set_cr4(s.cr4 | cr4_);
    if (paging_) m.cpu.set_cr3(kTables);
    m.cpu.set_cr0((s.cr0 & ~cr0::kTs) | cr0_ | (paging_ ? cr0::kPg | cr0::kWp : 0));
    s.gpr[kEbx] = s.cr0 ^ new_cr0_;
    m.cpu.set_cpl(v86_ ? 3 : cpl_);
    m.start(v86_ ? 0 : kCode);
    m.cpu.pending = interrupt_ ? attention::kInterrupt : 0;
  }

  std::string describe() const {
    std::string text = format("v86 %u, cr0 %x, cr4 %x, ", v86_, cr0_, cr4_);
    text += format("cpl %u, stack %u, esp %x, flags %x, paging %u, interrupt %u\n", cpl_, stack_kind_, esp_, flags_,
                   paging_, interrupt_);
    const CpuModel& model = *find_cpu_model("max");
    const CodeSize size = v86_ ? CodeSize::k16 : CodeSize::k32;
    for (u32 at = 0; at < code_.size();) {
      const Decoded d = decode({code_.data() + at, code_.size() - at}, size, model);
      text += disassemble(d.insn, kCode + at, size) + "\n";
      at += std::max<u32>(1, d.insn.length);
    }
    return text;
  }

 private:
  // In one of the pages that may be missing, sometimes across their border.
  u32 place() { return kStack - (one_in(2) ? 0x1000 : 0) + (one_in(3) ? random() % 64 - 32 : 16 * (random() % 8)); }
  u32 target() { return one_in(5) ? random() | 0x100000 : kHalts + 16 * (random() % 64); }

  u16 selector() {
    if (one_in(6)) return static_cast<u16>(random() % 4);
    const u32 index = random() % (one_in(10) ? 80 : kEntries);
    return static_cast<u16>(index << 3 | (one_in(4) ? 4 : 0) | random() % 4);
  }

  // Mostly present, accessed segments; some of every kind.
  u64 descriptor(u32 i) {
    u32 access = one_in(4) ? random() & 0xff : 0x91 | (random() & 0x6e);
    if (one_in(2)) access = (access & ~0x60u) | (one_in(2) ? 0x60 : 0);
    if (one_in(2)) access = (access & ~4u);
    if ((access & 0x1f) == 9 || (access & 0x1f) == 0xb || (access & 0x1f) <= 7) access |= 0x10;  // no tasks, no gates
    const u32 limit = one_in(3) ? random() & 0xfffff : 0xfffff;
    const u32 base = one_in(3) ? i << 8 : 0;
    const u32 flags = one_in(4) ? random() & 0xd : 0xc;
    const u32 low = (base & 0xffff) << 16 | (limit & 0xffff);
    const u32 high = (base & 0xff000000) | flags << 20 | (limit & 0xf0000) | access << 8 | ((base >> 16) & 0xff);
    return u64{high} << 32 | low;
  }

  // Those of exceptions lead to ring 0; that of the interrupt, which goes on waiting, shuts it out.
  u64 gate(u32 v) {
    const u32 offset = kHalts + 16 * v;
    u32 code = 8, access = 0x8e | (v >= 0x20 || one_in(2) ? 0x60 : 0) | (v != 0x20 && one_in(2) ? 1 : 0);
    if (v > 0x20) {
      if (one_in(3)) code = selector();
      if (one_in(4)) access = (random() & 0xe0) | (one_in(2) ? 0xe : 6 + random() % 2);
    }
    return u64{offset & 0xffff0000} << 32 | u64{access} << 40 | code << 16 | (offset & 0xffff);
  }

  std::mt19937 random_;
  const Forms& forms_;
  u64 gdt_[kEntries] = {}, ldt_[kLdtEntries] = {}, gates_[64] = {};
  u32 pages_[256] = {};
  std::vector<u8> code_;
  u32 registers_[8] = {}, frame_[32] = {};
  u16 segments_[kSegCount] = {};
  bool paging_ = false, interrupt_ = false, v86_ = false;
  u8 cpl_ = 0;
  u32 stack_kind_ = 0, flags_ = 0, esp_ = 0, cr0_ = 0, cr4_ = 0, new_cr0_ = 0, msr_cs_ = 0, esp0_ = 0;
  u16 ss0_ = 0x10;
};

std::string hidden_parts(const CpuState& x, const CpuState& y) {
  std::string out;
  for (unsigned i = 0; i < kSegCount; ++i) {
    const Segment &p = x.seg[i], &q = y.seg[i];
    if (p.rights != q.rights || p.limit != q.limit || p.low != q.low || p.high != q.high || p.access != q.access ||
        p.partial != q.partial || p.checks != q.checks)
      out +=
          format("segment %u: rights %x %x, limit %x %x, access %x %x, checks %u %u\n", i, p.rights, q.rights, p.limit,
                 q.limit, p.access, q.access, static_cast<unsigned>(p.checks), static_cast<unsigned>(q.checks));
  }
  if (x.cpl != y.cpl) out += format("cpl %u %u\n", x.cpl, y.cpl);
  if (x.nmi_blocked != y.nmi_blocked) out += "nmi_blocked\n";
  return out;
}

// A broken frame or gate can make the guest run whatever lies in memory. There arithmetic flags that are undefined may
// differ; that must stay rare.
void run(u32 seed, bool windows, bool single, const Forms& forms) {
  TranslatorOptions options;
  options.always_windows = windows;
  if (single) options.max_block_insns = 1;
  u32 differing_flags = 0;
  Twins t(options);
  // Wherever control goes, there is a HLT.
  t.both([](Machine& m) { std::memset(m.ram(), 0xf4, kRam); });
  Scene scene(seed, forms);
  for (u32 n = 0; n < 6000; ++n) {
    if (n % 40 == 0) scene.tables();
    scene.instruction();
    t.both([&](Machine& m) { scene.set(m); });
    const Stop sa = t.run_a(), sb = t.run_b();
    const bool lost = ((t.a.cpu.s.eflags ^ t.b.cpu.s.eflags) & flag::kArithmetic) != 0;
    if (lost) std::memcpy(t.b.ram(), t.a.ram(), kRam);
    differing_flags += lost;
    const std::string difference = t.difference(lost ? ~flag::kArithmetic : ~0u) + hidden_parts(t.a.cpu.s, t.b.cpu.s);
    if (sa == sb && difference.empty()) continue;
    INFO(format("seed %u, stream %u: ", seed, n) << scene.describe() << difference);
    FAIL("engines differ");
  }
  CHECK(differing_flags < 10);
  const Statistics s = t.translator->gather();
  if (&forms != &kSensitive) {
    CHECK(s.guest_faults >= 300);
    return;
  }
  for (Op op : {Op::kMov, Op::kPop, Op::kIretd, Op::kInt, Op::kSysenter, Op::kSysexit, Op::kClts}) {
    const Statistics::Kind& k = s.callouts[static_cast<u16>(op)];
    INFO(info(op).name << ": " << k.shortcuts << " shortcuts, " << k.count << " callouts");
    CHECK(k.shortcuts >= 4);
    CHECK(k.count >= 4);
  }
}

}  // namespace

TEST_CASE("Shortcuts do what the handlers do, over random descriptors, gates, stacks and pages") {
  for (u32 seed = 1; seed <= 4; ++seed) run(seed, seed % 2 == 0, seed % 3 == 0, kSensitive);
}

TEST_CASE("Page faults of every kind of access are delivered as the handlers deliver them") {
  for (u32 seed = 1; seed <= 3; ++seed) run(seed, seed % 2 == 0, seed % 3 == 0, kReaching);
}

TEST_CASE("Faults that are certain are delivered as the handlers deliver them, in V86 mode too") {
  for (u32 seed = 1; seed <= 3; ++seed) run(seed, seed % 2 == 0, seed % 3 == 0, kGuarded);
}
