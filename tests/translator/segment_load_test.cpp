// Segment loads of protected mode: descriptors that have been seen before and then change, in tables that shrink, move
// or go, from every ring, against the interpreter.
#include <catch2/catch.hpp>

#include <random>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kData = 0x20000, kGdt = 0x3000, kLdt = 0x3100, kOtherGdt = 0x5000;
constexpr u32 kDirectory = 0x80000, kTable = 0x81000, kEntries = 16;

const u64 kDescriptors[] = {0x00cf93000000ffff, 0x00cff3000000ffff,  // flat data of rings 0 and 3
                            0x000093020000ffff, 0x0000f3020000ffff,  // 64 KiB
                            0x0000f30200000fff, 0x0000f30200001fff,  // less
                            0x00cff3020000ffff, 0x0000d3020000ffff,  // 4 GiB from there, ring 2
                            0x00cffb000000ffff, 0x00cff9000000ffff,  // code to read and not to
                            0x00cf9f000000ffff, 0x0000f2020000ffff,  // conforming; not accessed yet
                            0x000073020000ffff, 0x0000e2020000ffff,  // not present; a system segment
                            0x0000f70200000fff};                     // expanding down

struct Form {
  std::vector<u8> bytes;
  Op op;
  bool short_data = false;  // DS of 64 KiB, for far pointers
};
// ESI and the stack point to selectors.
const Form kForms32[] = {
    {{0x8e, 0xd8}, Op::kMov}, {{0x8e, 0xc1}, Op::kMov},       {{0x8e, 0xe2}, Op::kMov},
    {{0x8e, 0xeb}, Op::kMov}, {{0x8e, 0x06}, Op::kMov},       {{0x8e, 0x2e}, Op::kMov},
    {{0x07}, Op::kPop},       {{0x0f, 0xa1}, Op::kPop},       {{0x66, 0x1f}, Op::kPop},
    {{0x50, 0x07}, Op::kPop}, {{0x39, 0xc8, 0x1f}, Op::kPop}, {{0x01, 0xc8, 0x8e, 0xdb}, Op::kMov}};
const Form kForms16[] = {{{0x8e, 0xd8}, Op::kMov},
                         {{0x8e, 0x04}, Op::kMov},
                         {{0x8e, 0xe2}, Op::kMov},
                         {{0x0f, 0xa1}, Op::kPop},
                         {{0x1f}, Op::kPop},
                         {{0x66, 0x07}, Op::kPop},
                         {{0x01, 0xc8, 0xc4, 0x1c}, Op::kLes, true},
                         {{0xc5, 0x34}, Op::kLds, true},
                         {{0xc4, 0x24}, Op::kLes, true},
                         {{0x0f, 0xb4, 0x14}, Op::kLfs, true},
                         {{0x0f, 0xb5, 0x2c}, Op::kLgs, true}};

class Rounds {
 public:
  Rounds(u32 seed, bool code_32, const TranslatorOptions& options)
      : twins_(options),
        random_(seed),
        code_32_(code_32),
        forms_(code_32 ? std::span<const Form>(kForms32) : std::span<const Form>(kForms16)) {
    paging_ = seed % 2 == 0;
    twins_.both([&](Machine& m) {
      for (std::size_t i = 0; i < forms_.size(); ++i) {
        // …; mov al, [12h]; mov es:[1802h], al; mov fs:[1902h], al; hlt: the block must know what it reaches memory
        // through
        const auto at = [&](u16 offset) {
          const auto low = static_cast<u8>(offset), high = static_cast<u8>(offset >> 8);
          return code_32_ ? std::vector<u8>{low, high, 0, 0} : std::vector<u8>{low, high};
        };
        const auto code =
            join({forms_[i].bytes, {0xa0}, at(0x12), {0x26, 0xa2}, at(0x1802), {0x64, 0xa2}, at(0x1902), {0xf4}});
        m.put(kCode + 32 * static_cast<u32>(i), code);
      }
      if (paging_) {
        m.map_identically(kDirectory, kTable);
        m.put32(kTable + (kGdt >> 12) * 4, kGdt | 0x63);
      }
    });
    gdtr_ = {kGdt, kEntries * 8 - 1};
    // Read out of step, the second makes no code.
    constexpr u64 kFixed[] = {0, 0x00cf9b000000ffff, 0x00cf9300000000ff, 0x00cff3000000ffff};
    for (u32 table : {kGdt, kLdt, kOtherGdt}) {
      for (u32 i = 1; i < kEntries; ++i) describe(table, i);
      if (table != kLdt) twins_.both([&](Machine& m) { m.memory->write(Phys(table), kFixed, sizeof kFixed); });
    }
  }

  u32 random(u32 n) { return random_() % n; }
  bool one_in(u32 n) { return random(n) == 0; }

  void describe(u32 table, u32 index) {
    if (table == kGdt && index < 4) return;
    const u64 d = kDescriptors[random(std::size(kDescriptors))];
    twins_.both([&](Machine& m) { m.memory->write(Phys(table + index * 8), &d, 8); });
  }

  void disturb() {
    if (one_in(3)) describe(one_in(2) ? kGdt : kLdt, 1 + random(kEntries - 1));
    if (one_in(4)) gdtr_.limit = static_cast<u16>(one_in(2) ? random(kEntries * 8) : kEntries * 8 - 1);
    if (one_in(20)) gdtr_.base = kGdt + random(3) * 4;
    if (one_in(4)) gdtr_.base = kGdt;
    if (one_in(4)) ldt_limit_ = one_in(2) ? random(kEntries * 8) : kEntries * 8 - 1;
    if (one_in(4)) ldt_there_ = !one_in(4);
    if (paging_ && one_in(6)) {
      data_there_ = !data_there_;
      twins_.both([&](Machine& m) {
        m.put32(kTable + (kData >> 12) * 4, data_there_ ? kData | 0x67 : 0);
        m.cpu.mmu.invalidate(Linear(kData));
      });
    }
    if (paging_ && one_in(6)) {  // the table is another one, and says so
      other_ = !other_;
      twins_.both([&](Machine& m) {
        m.put32(kTable + (kGdt >> 12) * 4, (other_ ? kOtherGdt : kGdt) | 0x63);
        m.cpu.mmu.invalidate(Linear(kGdt));
      });
    }
  }

  u16 selector() { return static_cast<u16>(random(kEntries) * 8 | (one_in(2) ? 4 : 0) | (one_in(2) ? random(4) : 0)); }

  std::string round() {
    const std::size_t form = random(static_cast<u32>(forms_.size()));
    const u8 cpl = one_in(2) ? 0 : one_in(2) ? 3 : static_cast<u8>(random(4));
    const bool big_stack = one_in(2), flags = one_in(2), short_too = one_in(4), wraps = one_in(4);
    const bool limited = one_in(3);  // what is loaded comes through segments to be checked
    u32 registers[8];
    for (u32& r : registers) r = selector() | random_() << 16;
    for (u32 i = 0; i < 32; ++i) words_[i] = selector();
    twins_.both([&](Machine& m) {
      CpuState& s = m.cpu.s;
      for (unsigned i = 0; i < kSegCount; ++i) s.seg[i] = Machine::flat(i == kCs, true, cpl);
      if (!code_32_) s.seg[kCs] = Machine::flat(true, false, cpl);
      if (!big_stack) s.seg[kSs] = Machine::flat(false, false, cpl);
      s.seg[kCs].base = code_32_ ? 0 : kCode;
      if (forms_[form].short_data || short_too) {
        s.seg[kDs].base = kData;
        s.seg[kDs].limit = 0xffff;
      } else if (limited) {
        s.seg[kDs].limit = 0x7ffff;
      }
      if (limited && big_stack) s.seg[kSs].limit = 0x7ffff;
      for (Segment& g : s.seg) g.derive(true);
      s.gdtr = gdtr_;
      s.ldtr.base = kLdt;
      s.ldtr.limit = ldt_limit_;
      s.ldtr.rights = ldt_there_ ? 0x82 : 0;
      s.tr.base = 0x600;
      s.tr.limit = 0x67;
      s.tr.rights = 0x8b;
      for (u32 ring = 0; ring < 3; ++ring) m.put32(0x604 + 8 * ring, 0x7000), m.put32(0x608 + 8 * ring, 16);
      for (unsigned r = 0; r < 8; ++r) s.gpr[r] = registers[r];
      s.gpr[kEsi] = s.seg[kDs].base != 0 ? 8 : kData + 8;
      s.gpr[kEsp] = big_stack ? kData + 16 : wraps ? 0x123fffe : 0x1230010;
      m.memory->write(Phys(kData), words_, sizeof words_);
      m.memory->write(Phys(0x10), words_, 16);
      m.memory->write(Phys(0xfffe), words_, 2);
      s.eflags = flag::kFixed | (flags ? flag::kArithmetic : 0);
      m.cpu.set_cpl(cpl);
      m.start((code_32_ ? kCode : 0) + 32 * static_cast<u32>(form));
    });
    const std::string what = twins_.run();
    return what.empty() ? what : format("form %u, CPL %u: ", static_cast<u32>(form), cpl) + what;
  }

 private:
  Twins twins_;
  std::mt19937 random_;
  const bool code_32_;
  const std::span<const Form> forms_;
  bool paging_ = false, other_ = false, ldt_there_ = true, data_there_ = true;
  TableReg gdtr_;
  u32 ldt_limit_ = kEntries * 8 - 1;
  u16 words_[32];
};

}  // namespace

TEST_CASE("Segments load as their descriptors say now, whatever these said before") {
  for (u32 seed = 1; seed <= 16; ++seed) {
    const bool code_32 = seed % 8 <= 4;
    TranslatorOptions options;
    options.always_windows = seed > 8;
    Rounds rounds(seed, code_32, options);
    for (u32 round = 0; round < 2000; ++round) {
      INFO("seed " << seed << ", round " << round);
      rounds.disturb();
      REQUIRE(rounds.round() == "");
    }
  }
}

TEST_CASE("A segment that has been loaded before is loaded without leaving generated code, in any ring") {
  for (u8 cpl : {0, 3})
    for (bool paging : {false, true}) {
      INFO("CPL " << u32{cpl} << (paging ? ", paging" : ""));
      Twins t;
      // l: mov ds, eax; mov es, ebx; mov gs, esi; push edx; pop fs; dec ecx; jnz l; hlt
      t.both([&](Machine& m) {
        m.put(kCode, {0x8e, 0xd8, 0x8e, 0xc3, 0x8e, 0xee, 0x52, 0x0f, 0xa1, 0x49, 0x75, 0xf4, 0xf4});
        for (u32 i = 0; i < 3; ++i) m.memory->write(Phys(kGdt + 8 + 8 * i), &kDescriptors[i == 2 ? 5 : i], 8);
        if (paging) {
          m.map_identically(kDirectory, kTable);
          m.put32(kTable + (kGdt >> 12) * 4, kGdt | 0x63);
        }
        if (cpl == 3) m.to_ring_3();
        CpuState& s = m.cpu.s;
        s.gdtr = {kGdt, 0xff};
        s.gpr[kEax] = s.gpr[kEbx] = cpl == 3 ? 0x13 : 8;
        s.gpr[kEdx] = 0x1b;
        s.gpr[kEsi] = cpl;  // null
        s.gpr[kEcx] = 1000;
        m.start(kCode);
      });
      CHECK(t.run() == "");
      CHECK(t.b.cpu.s.gpr[kEcx] == 0);
      const Statistics stats = t.translator->gather();
      for (Op op : {Op::kMov, Op::kPop}) {
        const auto& kind = stats.callouts[static_cast<u16>(op)];
        CHECK(kind.count + kind.missed + kind.shortcuts < 20);
      }
    }
}
