// The interpreter and the translator on the same random streams: every register, flag and byte of memory.
#include <catch2/catch.hpp>

#include "tests/translator/streams.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000;  // and pages behind it, so that no page sees so many versions that it is given up

bool faulted(const Machine& m, Stop stop) {
  const u32 eip = static_cast<u32>(m.cpu.s.eip);
  return stop == Stop::kShutdown || (eip >= 0x1000 && eip < 0x1400);
}

struct Run {
  u32 seed;
  u32 streams;
  bool fpu = false;
  TranslatorOptions options = {};
  bool x87 = false;
  bool strings = false;   // the first instruction is one, repeated half of the time
  bool branches = false;  // forward, between the others, so that hot code makes regions of them
};

void lock_step(const Run& run) {
  Twins t(run.options);
  Streams s(run.seed);
  s.fpu = run.fpu;
  t.both([&](Machine& m) {
    std::mt19937 fill(run.seed);
    for (u32 i = 0x10000; i < kRam; i += 4) m.put32(i, fill());
  });
  u32 faults = 0;
  for (u32 n = 0; n < run.streams; ++n) {
    std::vector<u8> code;
    s.x87_only = run.x87;
    const u32 length = 1 + s.pick(8);
    for (u32 i = 0; i < length; ++i) {
      s.allow_repeats = i == 0;
      const std::vector<u8> insn = s.insn(t.a.cpu.model);
      code.insert(code.end(), insn.begin(), insn.end());
    }
    if (run.strings) {
      constexpr u8 kStrings[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
      std::vector<u8> first{kStrings[s.pick(10)]};
      if (s.chance(20)) first.insert(first.begin(), 0x66);
      if (s.chance(60)) first.insert(first.begin(), static_cast<u8>(0xf2 + s.pick(2)));
      code.insert(code.begin(), first.begin(), first.end());
    }
    const u32 start = kCode + n % 64 * kPageSize + s.pick(kPageSize);
    if (run.branches) code = branching(s, start, [&] { return s.insn(t.a.cpu.model); });
    code.push_back(0xf4);
    u32 values[8];
    for (u32& v : values) v = s.value();
    values[kEcx] = s.chance(50) ? s.pick(80) : s.pick(0x1800);
    if (s.chance(90)) values[kEsp] = 0x20000 + s.pick(0x1000) * 4;
    const u32 eflags = flag::kFixed | (s.random() & (flag::kArithmetic | flag::kDf));
    u8 vector_state[128 + 8 * 16];
    for (u8& b : vector_state) b = static_cast<u8>(s.random());
    t.both([&](Machine& m) {
      m.flat_32();
      m.put(start, code);
      for (unsigned r = 0; r < 8; ++r) m.cpu.s.gpr[r] = values[r];
      m.cpu.s.eflags = eflags;
      m.cpu.s.fpu = FpuState{};
      std::memcpy(m.cpu.s.fpu.xmm, vector_state, 128);
      m.cpu.s.fpu.ftw = static_cast<u8>(vector_state[0] | 1);
      for (unsigned i = 0; i < 8; ++i) {
        const double value = static_cast<i16>(vector_state[128 + i] << 8 | vector_state[129 + i]) / 16.0;
        const long double wide = value;
        std::memcpy(m.cpu.s.fpu.st[i], &wide, 10);
      }
      m.start(start);
    });
    const Stop sa = t.run_a(), sb = t.run_b();
    faults += faulted(t.a, sa) ? 1 : 0;
    const std::string difference = t.difference(~0u, run.fpu);
    INFO("seed " << run.seed << ", stream " << n << "\n"
                 << listing(code, start, s.size, t.a.cpu.model) << difference
                 << format("start %x, flags %x; eip %x esp %x cr2 %x cs %x\n", start, eflags,
                           static_cast<u32>(t.a.cpu.s.eip), t.a.cpu.s.r32(kEsp), t.a.cpu.s.cr2,
                           t.a.cpu.s.seg[kCs].selector));
    if (sa != sb || !difference.empty()) {
      FAIL("engines differ");
    }
  }
  CHECK(faults < run.streams);
  CHECK(t.translator->gather().translations > run.streams / 2);
}

}  // namespace

TEST_CASE("Integer streams run alike on the interpreter and the translator") { lock_step({1, 6000}); }

TEST_CASE("Blocks of one instruction run like long ones") {
  TranslatorOptions options;
  options.max_block_insns = 1;
  lock_step({2, 3000, false, options});
}

TEST_CASE("A host without BMI2 changes nothing") {
  TranslatorOptions options;
  options.bmi2 = false;
  lock_step({8, 3000, false, options});
}

TEST_CASE("A code cache that is always full changes nothing") {
  TranslatorOptions options;
  options.code_bytes = 24576;
  lock_step({3, 3000, false, options});
}

TEST_CASE("MMX and SSE streams run alike") { lock_step({4, 4000, true, {}, false}); }

TEST_CASE("The window lane gives the same results as the table lane") {
  TranslatorOptions options;
  options.always_windows = true;
  lock_step({5, 4000, false, options});
  lock_step({6, 2000, true, options, false});
}

TEST_CASE("Regions of hot code, with branches in them, run alike") {
  for (u32 seed = 30; seed < 36; ++seed) {
    TranslatorOptions options;
    options.always_windows = seed % 3 != 0;
    if (seed % 3 == 2) options.max_block_insns = 7;
    if (seed == 31) options.code_bytes = 32768;  // always full
    Run run{seed, 1500, seed % 2 == 1, options};
    run.branches = true;
    lock_step(run);
  }
}

TEST_CASE("x87 streams run alike") { lock_step({7, 4000, true, {}, true}); }

TEST_CASE("String instructions, repeated or not, run alike") {
  for (u32 seed = 20; seed < 24; ++seed) {
    TranslatorOptions options;
    options.always_windows = seed % 2 == 0;
    Run run{seed, 1500, false, options};
    run.strings = true;
    lock_step(run);
  }
}
