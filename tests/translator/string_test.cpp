// String instructions where they are not simple: over pages that are missing, read-only, devices, code or each other's
// aliases, at the ends of segments and of 16-bit addresses, downwards, onto themselves, and interrupted half-way.
#include <catch2/catch.hpp>

#include <random>
#include <thread>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kDirectory = 0xd0000, kTable = 0xd1000, kTss = 0x600;
constexpr u32 kArea = 0x60000, kAreaPages = 16, kDevice = 0xf0000;

struct Register final : BusTarget {
  u32 last = 0x11111111;
  u32 read(u32 offset, unsigned) override { return last + offset; }
  void write(u32 offset, u32 value, unsigned) override { last = value ^ offset << 24; }
};

enum class Kind : u32 { kFlat, kUser, kReal, kBased, kLimited, kDown, kCount };

struct Situation {
  Kind kind;
  bool short_offsets;  // in protected mode, too
  std::vector<u8> code;
  u32 eax, ecx, esi, edi, eflags, fill;
  u32 pages[kAreaPages];  // page table entries
  bool holds_code[kAreaPages];
};

void enter(Machine& m, const Situation& x) {
  m.flat_32();
  CpuState& s = m.cpu.s;
  m.put32(kDirectory, kTable | 0x67);
  for (u32 page = 0; page < 256; ++page) m.put32(kTable + page * 4, page << 12 | 0x67);
  for (u32 i = 0; i < kAreaPages; ++i) {
    m.put32(kTable + (kArea / kPageSize + i) * 4, x.pages[i]);
    m.memory->mark_code(kArea / kPageSize + i, x.holds_code[i]);
  }
  // Long runs of equal bytes, so that comparisons go far.
  std::mt19937 random(x.fill);
  const u8 byte = static_cast<u8>(random());
  std::memset(m.ram() + kArea, byte, kAreaPages * kPageSize);
  for (u32 i = 0; i < 12; ++i) m.ram()[kArea + random() % (kAreaPages * kPageSize)] = static_cast<u8>(random());
  s.gpr[kEax] = x.eax % 4 == 0 ? x.eax : byte * 0x01010101u;
  s.gpr[kEcx] = x.ecx, s.gpr[kEsi] = x.esi, s.gpr[kEdi] = x.edi;
  s.gpr[kEdx] = 1, s.gpr[kEbx] = 2, s.gpr[kEbp] = 3;
  m.put(kCode, x.code);
  m.start(kCode);
  s.eflags = x.eflags;
  const u32 paging = x.kind == Kind::kReal ? 0 : cr0::kPg | cr0::kWp;
  m.cpu.set_cr3(kDirectory);
  m.cpu.set_cr0(s.cr0 | paging);
  switch (x.kind) {
    case Kind::kUser:
      for (unsigned i = 0; i < kSegCount; ++i) s.seg[i] = Machine::flat(i == kCs, true, 3);
      s.tr.base = kTss, s.tr.limit = 0x67, s.tr.rights = 0x8b;
      m.put32(kTss + 4, 0x7000), m.put32(kTss + 8, 16);
      m.cpu.set_cpl(3);
      break;
    case Kind::kReal:
      m.cpu.set_cr0(s.cr0 & ~cr0::kPe);
      for (unsigned i = 0; i < kSegCount; ++i) set_segment(m, static_cast<SegReg>(i), 0x93, kArea, 0xffff);
      set_segment(m, kCs, 0x9b, kCode, 0xffff);
      set_segment(m, kSs, 0x93, 0x8000, 0xffff);
      set_segment(m, kEs, 0x93, kArea - 0x123, 0xffff);
      s.idtr = {0, 0x3ff};
      for (u32 v = 0; v < 64; ++v) m.put32(4 * v, (0x1000 + 16 * v) & 0xffff);
      s.eip = 0;
      break;
    case Kind::kBased:
      set_segment(m, kDs, 0xc093, x.short_offsets ? kArea + 3 : 0xffff1003, 0xffffffff);
      set_segment(m, kEs, 0xc093, x.short_offsets ? kArea - 0x1000 : 0x2000, 0xffffffff);
      break;
    case Kind::kLimited:
      set_segment(m, kDs, 0x4093, 0, kArea + 7 * kPageSize + 2);
      set_segment(m, kEs, 0x4091 | (x.fill & 2), 0, kArea + 9 * kPageSize + 4095);
      break;
    case Kind::kDown:
      set_segment(m, kEs, 0x4097, 0, kArea + 3 * kPageSize + 1);
      set_segment(m, kFs, 0x4093, 0, kArea + 12 * kPageSize + 1);
      break;
    default:
      break;
  }
}

Situation situation(std::mt19937& random) {
  const auto pick = [&](u32 n) { return static_cast<u32>(random() % n); };
  Situation x;
  x.kind = static_cast<Kind>(pick(static_cast<u32>(Kind::kCount)));
  constexpr u8 kOpcodes[] = {0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
  const u8 opcode = kOpcodes[pick(10)];
  if (pick(3) == 0) x.code.push_back(0x66);
  const bool address_size = pick(4) == 0;
  if (address_size) x.code.push_back(0x67);
  if (address_size && x.kind != Kind::kReal) x.kind = Kind::kBased;  // elsewhere lie the vectors
  x.short_offsets = address_size != (x.kind == Kind::kReal);
  if (pick(6) == 0) x.code.push_back(pick(2) == 0 ? 0x64 : 0x2e);
  if (pick(6) != 0) x.code.push_back(static_cast<u8>(0xf2 + pick(2)));
  x.code.push_back(opcode);
  if (pick(2) == 0) x.code.insert(x.code.end(), {0x0f, 0x92, 0xc2});  // setb dl: flags are live
  x.code.push_back(0xf4);
  x.eax = random(), x.fill = random();
  x.ecx = pick(4) == 0 ? pick(20) : pick(3) == 0 ? pick(kAreaPages * kPageSize / 4) : pick(6000);
  if (x.short_offsets && pick(2) == 0) x.ecx |= 0x50000;  // more than 16 bits
  const auto place = [&] {
    const u32 page = pick(kAreaPages) * kPageSize, near = pick(2) == 0 ? kPageSize - 1 - pick(24) : pick(kPageSize);
    return (x.kind == Kind::kReal || x.short_offsets ? 0 : kArea) + page + near;
  };
  x.esi = place();
  x.edi = pick(3) == 0 ? x.esi + pick(9) - 4 : place();
  if (x.short_offsets && pick(2) == 0) x.esi |= 0xabc0000, x.edi |= 0x1230000;
  x.eflags = flag::kFixed | (random() & flag::kArithmetic) | (pick(8) == 0 ? flag::kDf : 0);
  for (u32 i = 0; i < kAreaPages; ++i) {
    const u32 at = kArea + i * kPageSize, other = kArea + pick(kAreaPages) * kPageSize;
    constexpr u32 kSmooth = 0x67;
    switch (pick(24)) {
      case 0:
        x.pages[i] = at | 0x66;  // not present
        break;
      case 1:
        x.pages[i] = at | 0x65;  // read-only
        break;
      case 2:
        x.pages[i] = at | 0x63;  // not for users
        break;
      case 3:
        x.pages[i] = other | kSmooth;  // an alias
        break;
      case 4:
        x.pages[i] = kDevice | kSmooth;
        break;
      case 5:
        x.pages[i] = at | 0x07;  // neither accessed nor dirty
        break;
      default:
        x.pages[i] = at | kSmooth;
    }
    x.holds_code[i] = pick(24) == 0;
  }
  return x;
}

bool faulted(const Machine& m) { return m.cpu.s.eip >= 0x1000 && m.cpu.s.eip < 0x1400; }

void run(u32 seed, u32 count, TranslatorOptions options) {
  Twins t(options);
  Register of_a, of_b;
  t.a.memory->map_device(Phys(kDevice), kPageSize, of_a);
  t.b.memory->map_device(Phys(kDevice), kPageSize, of_b);
  std::mt19937 random(seed);
  u32 faults = 0;
  for (u32 n = 0; n < count; ++n) {
    const Situation x = situation(random);
    t.both([&](Machine& m) { enter(m, x); });
    const CodeSize size = x.kind == Kind::kReal ? CodeSize::k16 : CodeSize::k32;
    const Decoded d = decode({x.code.data(), x.code.size()}, size, t.a.cpu.model);
    INFO(format("seed %u, situation %u, kind %u: %s, ecx %x esi %x edi %x eflags %x\n", seed, n,
                static_cast<u32>(x.kind), disassemble(d.insn, kCode, size).c_str(), x.ecx, x.esi, x.edi, x.eflags));
    const Stop sa = t.run_a(), sb = t.run_b();
    faults += faulted(t.a) ? 1 : 0;
    const std::string difference = t.difference();
    INFO(difference);
    if (sa != sb || !difference.empty() || of_a.last != of_b.last) FAIL("engines differ");
  }
  CHECK(faults > count / 20);
  CHECK(faults < count / 2);
}

}  // namespace

TEST_CASE("String instructions run alike over every kind of page and segment") {
  for (u32 seed = 1; seed <= 4; ++seed) {
    TranslatorOptions options;
    options.always_windows = seed % 2 == 0;
    run(seed, 2500, options);
  }
}

TEST_CASE("Copies onto themselves, over pages, up and down, move one element after the other") {
  Twins t;
  std::mt19937 random(5);
  std::vector<u8> expected(kRam);
  for (u32 n = 0; n < 600; ++n) {
    const u32 size = 1u << random() % 3, count = random() % 9000 / size;
    const bool down = random() % 2 != 0, apart = random() % 4 == 0;
    const u32 from = kArea + 0x6000 + random() % 0x1000;
    const u32 to = apart ? from - 0x2800 + random() % 0x5000 : from + random() % 40 - 20;
    t.both([&](Machine& m) {
      m.flat_32();
      std::mt19937 fill(n);
      for (u32 at = kArea; at < kArea + kAreaPages * kPageSize; at += 4) m.put32(at, fill());
      m.put(kCode, {0xf3, 0x66, 0xa5, 0xf4});
      if (size != 2) m.put(kCode, {0x90, 0xf3, static_cast<u8>(size == 1 ? 0xa4 : 0xa5), 0xf4});
      m.cpu.s.gpr[kEsi] = from, m.cpu.s.gpr[kEdi] = to, m.cpu.s.gpr[kEcx] = count;
      if (down) m.cpu.s.eflags |= flag::kDf;
      m.start(kCode);
    });
    std::memcpy(expected.data(), t.a.ram(), kRam);
    const u32 step = down ? 0 - size : size;
    for (u32 i = 0; i < count; ++i) {
      u8 element[4];
      std::memcpy(element, &expected[from + i * step], size);
      std::memcpy(&expected[to + i * step], element, size);
    }
    t.run_a(), t.run_b();
    INFO(format("copy %u: %u times %u from %x to %x, down %d\n", n, count, size, from, to, down));
    REQUIRE(t.difference() == "");
    REQUIRE(std::memcmp(t.a.ram(), expected.data(), kRam) == 0);
    CHECK(t.a.cpu.s.gpr[kEdi] == to + count * step);
  }
}

TEST_CASE("A string that faults half-way goes on where it stopped") {
  Machine m;
  auto engine = make_translator(m);
  Situation x{Kind::kFlat, false, {0xf3, 0xa5, 0xf4}, 0, 0x1400, kArea + 2, kArea + 0x8000, flag::kFixed, 7, {}, {}};
  for (u32 i = 0; i < kAreaPages; ++i) x.pages[i] = (kArea + i * kPageSize) | 0x67;
  constexpr u32 kMissing = 10;
  x.pages[kMissing] = 0;
  enter(m, x);
  CHECK(engine->run(m.cpu) == Stop::kHalted);
  CHECK(m.cpu.s.eip == 0x1001 + 16 * kPageFault);
  CHECK(m.cpu.s.cr2 == kArea + kMissing * kPageSize);
  CHECK(m.cpu.s.gpr[kEcx] == 0x1400 - 2 * 0x400);
  CHECK(m.cpu.s.gpr[kEsi] == kArea + 2 + 2 * kPageSize);
  CHECK(m.cpu.s.gpr[kEdi] == kArea + 0x8000 + 2 * kPageSize);
  m.put32(kTable + (kArea / kPageSize + kMissing) * 4, (kArea + kMissing * kPageSize) | 0x67);
  m.start(kCode);
  CHECK(engine->run(m.cpu) == Stop::kHalted);
  CHECK(m.cpu.s.eip == kCode + 3);
  CHECK(m.cpu.s.gpr[kEcx] == 0);
  CHECK(std::memcmp(m.ram() + kArea + 2, m.ram() + kArea + 0x8000, 0x5000) == 0);
}

TEST_CASE("A single step sees every iteration") {
  Machine m;
  auto engine = make_translator(m);
  m.flat_32();
  m.put(kCode, {0xf3, 0xaa, 0xf4});
  m.cpu.s.gpr[kEcx] = 3, m.cpu.s.gpr[kEdi] = kArea;
  m.cpu.s.eflags |= flag::kTf;
  m.start(kCode);
  CHECK(engine->run(m.cpu) == Stop::kHalted);
  CHECK(m.cpu.s.gpr[kEcx] == 2);
  CHECK(m.cpu.s.gpr[kEdi] == kArea + 1);
}

TEST_CASE("A long string is interrupted between pages and can be resumed") {
  Machine m;
  auto engine = make_translator(m);
  // rep stosd; hlt: nearly 4 GiB, over and over the same pages.
  constexpr u32 kPage = kArea / kPageSize;
  m.flat_32();
  m.put32(kDirectory, kTable | 0x67);
  for (u32 page = 0; page < 256; ++page) m.put32(kTable + page * 4, page << 12 | 0x67);
  for (u32 i = 1; i < 1024; ++i) m.put32(kDirectory + i * 4, 0x20000 | 0x67);
  for (u32 page = 0; page < 1024; ++page) m.put32(0x20000 + page * 4, (kPage + page % 16) << 12 | 0x67);
  m.cpu.set_cr3(kDirectory);
  m.cpu.set_cr0(m.cpu.s.cr0 | cr0::kPg);
  m.put(kCode, {0xf3, 0xab, 0xf4});
  constexpr u32 kFrom = 0x400000, kDwords = 0x3ff00000;
  m.cpu.s.gpr[kEcx] = kDwords, m.cpu.s.gpr[kEdi] = kFrom;
  m.start(kCode);
  u32 interrupts = 0;
  for (u32 turn = 0; turn < 200 && interrupts < 5; ++turn) {
    m.cpu.s.eflags |= flag::kIf;
    std::thread kicker([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      m.cpu.pending.fetch_or(attention::kInterrupt);
      engine->kick();
    });
    const Stop stop = engine->run(m.cpu);
    kicker.join();
    m.cpu.pending = 0;
    REQUIRE(stop == Stop::kHalted);
    const u32 left = m.cpu.s.r32(kEcx);
    CHECK(m.cpu.s.r32(kEdi) == kFrom + 4 * (kDwords - left));
    if (m.cpu.s.eip == kCode + 3) {  // the host was too busy to interrupt it: once more
      CHECK(left == 0);
      m.cpu.s.gpr[kEcx] = kDwords, m.cpu.s.gpr[kEdi] = kFrom;
    } else {
      REQUIRE(m.cpu.s.eip == 0x1001 + 16 * 0x20);
      interrupts += left != 0 ? 1 : 0;
    }
    m.start(kCode);
    m.cpu.s.gpr[kEsp] = 0x8000;
  }
  CHECK(interrupts != 0);
}
