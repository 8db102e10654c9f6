// Sensitive instructions that run inline, held against the interpreter in every mode: random privilege, IOPL, V86 with
// and without VME, real mode, every flag, something pending or not.
#include <catch2/catch.hpp>

#include "tests/translator/streams.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000;
constexpr u32 kStack = 0x20000;

struct Situation {
  enum Kind { kFlat, kUser, kReal, kV86, kBasedStack, kSmallStack, kKinds };
  u32 kind, eflags, cr4, interrupt;
  std::vector<u8> code;
  u32 values[16];
};

// The TSS at 0x600 names the stack of ring 0.
void enter(Machine& m, const Situation& x) {
  m.flat_32();
  CpuState& s = m.cpu.s;
  const bool real = x.kind == Situation::kReal, v86 = x.kind == Situation::kV86;
  m.put32(0x604, 0x9000), m.put32(0x608, 0x10);
  m.put32(0x664, 0x200000), m.put32(0x680, 0);
  s.tr.base = 0x600, s.tr.limit = 0x1ff, s.tr.rights = 0x8b;
  m.cpu.set_cr4(s.cr4 | x.cr4);
  m.put(kCode, x.code);
  for (u32 i = 0; i < 16; ++i) m.put32(kStack + 4 * i, x.values[i]);
  s.gpr[kEax] = x.values[0], s.gpr[kEcx] = x.values[1], s.gpr[kEdx] = x.values[2], s.gpr[kEbx] = x.values[3];
  s.gpr[kEsp] = kStack;
  s.eflags = (x.eflags & m.cpu.model.flags_mask & ~(flag::kVm | flag::kTf | flag::kRf)) | flag::kFixed;
  m.start(kCode);
  if (real || v86) {
    if (real) m.cpu.set_cr0(s.cr0 & ~cr0::kPe);
    if (v86) s.eflags |= flag::kVm;
    for (unsigned seg = 0; seg < kSegCount; ++seg)
      set_segment(m, static_cast<SegReg>(seg), seg == kCs ? 0x4000 : 0x2000, v86 ? 0xf3 : 0x93,
                  seg == kCs ? kCode : kStack, 0xffff);
    s.gpr[kEsp] = 0, s.eip = 0;
    if (real) {
      s.idtr = {0, 0x3ff};
      for (u32 v = 0; v < 64; ++v) m.put32(4 * v, (0x1000 + 16 * v) & 0xffff);
    }
    s.gpr[kEsp] = 16;
  } else if (x.kind == Situation::kUser) {
    for (unsigned seg = 0; seg < kSegCount; ++seg) s.seg[seg] = Machine::flat(seg == kCs, true, 3);
  } else if (x.kind == Situation::kBasedStack) {
    set_segment(m, kSs, 0x10, 0xc093, 0x1000, 0xffffffff);
    s.gpr[kEsp] -= 0x1000;
  } else if (x.kind == Situation::kSmallStack) {
    set_segment(m, kSs, 0x10, 0x93, kStack, 0x1000);
    s.gpr[kEsp] = 0x7770008;
  }
  if (v86 || x.kind == Situation::kUser) m.cpu.set_cpl(3);
  if (x.interrupt != 0) m.cpu.pending = attention::kInterrupt;
}

void run(u32 seed, TranslatorOptions options) {
  Twins t(options);
  std::mt19937 random(seed);
  const std::vector<std::vector<u8>> kForms = {{0xfa},
                                               {0xfb},
                                               {0x9c},
                                               {0x9d},
                                               {0x66, 0x9c},
                                               {0x66, 0x9d},
                                               {0xfc},
                                               {0xfd},
                                               {0x40},
                                               {0x39, 0xc8},
                                               {0x11, 0xd8},
                                               {0x0f, 0xc8},
                                               {0x50},
                                               {0x5b},
                                               {0xac},
                                               {0x9f},
                                               {0x9e},
                                               {0x0f, 0x92, 0xc1},
                                               {0x60},
                                               {0x66, 0x60},
                                               {0x61},
                                               {0x66, 0x61},
                                               {0xc9},
                                               {0x66, 0xc9},
                                               {0xd7},
                                               {0x1e},
                                               {0x66, 0x1e},
                                               {0x8c, 0x1f},
                                               {0x0f, 0xa3, 0x07},
                                               {0x0f, 0xab, 0x07},
                                               {0x66, 0x0f, 0xbb, 0x0f},
                                               {0xf0, 0x0f, 0xb3, 0x0f},
                                               {0x0f, 0x20, 0xd0},
                                               {0xff, 0x37},
                                               {0x8f, 0x07}};
  u32 inlined = 0;
  for (u32 n = 0; n < 3000; ++n) {
    Situation x;
    x.kind = random() % Situation::kKinds;
    x.eflags = random();
    if (random() % 2 != 0) x.eflags |= flag::kIopl;
    if (random() % 2 != 0) x.eflags &= ~(flag::kNt | flag::kAc);
    x.cr4 = random() % 4;  // VME, PVI
    x.interrupt = random() % 4 == 0;
    const u32 length = 1 + random() % 6;
    for (u32 i = 0; i < length; ++i) {
      const auto& form = kForms[random() % kForms.size()];
      x.code.insert(x.code.end(), form.begin(), form.end());
    }
    x.code.push_back(0xf4);
    for (u32& v : x.values) {
      v = random();
      if (random() % 2 != 0) v = (x.eflags ^ (v & (flag::kArithmetic | flag::kDf | flag::kIf))) & ~flag::kTf;
    }
    t.both([&](Machine& m) { enter(m, x); });
    t.a.cpu.pending = x.interrupt, t.b.cpu.pending = x.interrupt;
    const Stop sa = t.run_a(), sb = t.run_b();
    t.a.cpu.pending = 0, t.b.cpu.pending = 0;
    const std::string difference = t.difference();
    std::string listing;
    const CodeSize size = x.kind == Situation::kReal || x.kind == Situation::kV86 ? CodeSize::k16 : CodeSize::k32;
    for (u32 at = 0; at < x.code.size();) {
      const Decoded d = decode({x.code.data() + at, x.code.size() - at}, size, t.a.cpu.model);
      listing += disassemble(d.insn, kCode + at, size) + "\n";
      at += std::max<u32>(1, d.insn.length);
    }
    INFO(format("seed %u, stream %u, kind %u, flags %x, cr4 %x, interrupt %u, end %x\n", seed, n, x.kind, x.eflags,
                x.cr4, x.interrupt, t.a.cpu.s.r32(kEsp))
         << listing << difference);
    if (sa != sb || !difference.empty()) FAIL("engines differ");
  }
  const Statistics s = t.translator->gather();
  for (Op op : {Op::kCli, Op::kSti, Op::kPushfd, Op::kPopfd}) inlined += s.callouts[static_cast<u16>(op)].inlined != 0;
  CHECK(inlined == 4);
}

}  // namespace

TEST_CASE("CLI, STI, PUSHF, POPF, whole frames and bit strings run alike in every mode") {
  for (u32 seed = 1; seed <= 4; ++seed) {
    TranslatorOptions options;
    options.always_windows = seed % 2 == 0;
    run(seed, options);
  }
}

TEST_CASE("An interrupt that waits for STI is taken behind the next instruction") {
  Twins t;
  // sti; inc eax; inc eax; hlt
  const std::vector<u8> code = {0xfb, 0x40, 0x40, 0xf4};
  for (u32 pending : {0u, attention::kInterrupt}) {
    t.both([&](Machine& m) {
      m.flat_32();
      m.put(kCode, code);
      m.start(kCode);
      m.cpu.pending = pending;
    });
    t.run_a(), t.run_b();
    CHECK(t.difference() == "");
    CHECK(t.b.cpu.s.gpr[kEax] == (pending != 0 ? 1 : 2));
  }
}

TEST_CASE("MOVNTI needs no unit: CR0.EM and CR0.TS and a missing CR4.OSFXSR do not stop it") {
  constexpr u32 kTo = 0x30000;
  for (u32 off : {0u, u32{cr0::kTs}, u32{cr0::kEm}, cr0::kTs | cr0::kEm}) {
    for (const bool prefixed : {false, true}) {  // 66h makes it invalid
      Twins t;
      const std::vector<u8> code = {0x0f, 0xc3, 0x06, 0x89, 0xc1, 0xf4};  // movnti [esi], eax; mov ecx, eax; hlt
      t.both([&](Machine& m) {
        m.flat_32();
        m.cpu.set_cr4(0);
        m.cpu.set_cr0(m.cpu.s.cr0 | off);
        if (prefixed) m.put(kCode, {0x66});
        m.put(kCode + prefixed, code);
        m.start(kCode);
        m.cpu.s.gpr[kEax] = 0x12345678, m.cpu.s.gpr[kEcx] = 0, m.cpu.s.gpr[kEsi] = kTo;
      });
      t.run_a(), t.run_b();
      INFO("CR0 bits " << off << ", prefix " << prefixed);
      CHECK(t.difference() == "");
      CHECK(t.b.cpu.s.gpr[kEcx] == (prefixed ? 0 : 0x12345678));
      CHECK(t.b.get32(kTo) == (prefixed ? 0 : 0x12345678));
    }
  }
}

TEST_CASE("RDTSC reads the scaled counter of the host, to the ring that may") {
  Machine m;
  auto engine = make_translator(m);
  constexpr u32 kBase = 1000, kOffset = 5;
  m.cpu.tsc_scale = {u64{1} << 63, kBase};  // half of the host's
  for (u8 cpl : {0, 3})
    for (u32 tsd : {0u, cr4::kTsd}) {
      m.flat_32();
      m.cpu.set_cr4(m.cpu.s.cr4 | tsd);
      m.cpu.s.tsc_offset = kOffset;
      m.put32(0x604, 0x9000), m.put32(0x608, 0x10);
      m.cpu.s.tr.base = 0x600, m.cpu.s.tr.limit = 0x67, m.cpu.s.tr.rights = 0x8b;
      m.put(kCode, {0xf9, 0x0f, 0x31, 0xf4});  // stc; rdtsc; hlt, a #GP outside ring 0
      m.start(kCode);
      if (cpl == 3)
        for (unsigned seg = 0; seg < kSegCount; ++seg) m.cpu.s.seg[seg] = Machine::flat(seg == kCs, true, 3);
      m.cpu.set_cpl(cpl);
      m.cpu.s.gpr[kEax] = m.cpu.s.gpr[kEdx] = 0;
      const u64 before = __builtin_ia32_rdtsc() / 2 + kBase + kOffset;
      CHECK(engine->run(m.cpu) == Stop::kHalted);
      const u64 after = __builtin_ia32_rdtsc() / 2 + kBase + kOffset;
      const u64 seen = m.cpu.s.gpr[kEdx] << 32 | m.cpu.s.gpr[kEax];
      INFO("cpl " << int{cpl} << ", tsd " << tsd);
      if (cpl == 3 && tsd != 0) {
        CHECK(seen == 0);
      } else {
        CHECK(seen >= before);
        CHECK(seen <= after);
      }
      if (cpl == 0) CHECK((m.cpu.s.eflags & flag::kCf) != 0);
    }
  const Statistics::Kind k = engine->gather().callouts[static_cast<u16>(Op::kRdtsc)];
  CHECK(k.inlined == 3);
  CHECK(k.count == 1);
}

TEST_CASE("CPUID answers alike, flags untouched, whatever was asked before and whether there is an APIC") {
  Twins t;
  t.both([](Machine& m) { m.put(kCode, {0xf9, 0x0f, 0xa2, 0x0f, 0x92, 0xc1, 0x0f, 0xa2, 0xf4}); });  // stc, …, setb cl
  std::mt19937 random(2);
  for (u32 n = 0; n < 2000; ++n) {
    const u32 leaves[] = {
        0,          1,          2,          3,          4,          5,          0x80000000, 0x80000001,
        0x80000003, 0x80000008, 0x80000009, 0x40000000, 0x00000010, 0xffffffff, 0x0ffffff0, static_cast<u32>(random())};
    const u32 leaf = leaves[random() % std::size(leaves)], subleaf = random() % 5;
    const bool moves = random() % 20 == 0, apic = random() % 2 == 0;
    t.both([&](Machine& m) {
      if (moves) m.cpu.write_msr(0x1b, apic ? 0xfee00900 : 0xfee00100);
      m.cpu.s.gpr[kEax] = leaf, m.cpu.s.gpr[kEcx] = subleaf;
      m.start(kCode);
    });
    INFO(format("leaf %x, subleaf %x", leaf, subleaf));
    REQUIRE(t.run() == "");
  }
}
