// Accesses to devices: by moves that translated code makes without a handler, and by repeated strings that go element
// by element. What the device saw, in order, is compared, and it is a hostile one: it moves pages and raises
// interrupts.
#include <catch2/catch.hpp>

#include <random>

#include "tests/translator/streams.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kDirectory = 0xd0000, kTable = 0xd1000, kRamPage = 0x60000;
constexpr u32 kDevices = 0xa0000, kDevicePages = 4;

// Hears of every access, and answers by their number.
struct Witness final : BusTarget {
  Machine& m;
  std::vector<u64> seen;
  explicit Witness(Machine& machine) : m(machine) {}
  u32 read(u32 offset, unsigned size) override {
    seen.push_back(u64{offset} << 8 | size);
    return static_cast<u32>(seen.size()) * 0x9e3779b1u;
  }
  void write(u32 offset, u32 value, unsigned size) override {
    seen.push_back(u64{value} << 32 | u64{1} << 24 | u64{offset} << 8 | size);
    if (value % 61 == 1) m.cpu.pending.fetch_or(attention::kInterrupt);
    if (value % 31 == 2) move(offset % 2 != 0);
  }
  // The last page is RAM now and then.
  void move(bool ram) {
    const Phys last(kDevices + (kDevicePages - 1) * kPageSize);
    if (ram) {
      m.memory->map_ram(last, kPageSize, 0xc0000, true);
    } else {
      m.memory->map_device(last, kPageSize, *this, (kDevicePages - 1) * kPageSize);
    }
  }
};

struct Rig : Twins {
  Witness of_a{a}, of_b{b};
  explicit Rig(TranslatorOptions options = {}) : Twins(options) {
    a.memory->map_device(Phys(kDevices), kDevicePages * kPageSize, of_a);
    b.memory->map_device(Phys(kDevices), kDevicePages * kPageSize, of_b);
  }
  void forget() {
    of_a.seen.clear(), of_b.seen.clear();
    of_a.move(false), of_b.move(false);
  }
};

enum class Kind : u32 { kFlat, kPaged, kUser, kReal, kLimited, kCount };

void enter(Machine& m, Kind kind, const std::vector<u8>& code, u32 seed) {
  std::mt19937 random(seed);
  m.flat_32();
  CpuState& s = m.cpu.s;
  m.cpu.pending = 0;
  const bool real = kind == Kind::kReal;
  const auto place = [&] {
    const u32 page = random() % (kDevicePages + 1) * kPageSize;  // the one behind them is RAM
    const u32 near = random() % 4 == 0 ? kPageSize - 1 - random() % 6 : random() % kPageSize;
    return (random() % 4 == 0 ? (real ? 0xffff - random() % 8 : kRamPage + near) : (real ? 0 : kDevices) + page + near);
  };
  for (unsigned r : {kEax, kEdx}) s.gpr[r] = static_cast<u32>(random());
  for (unsigned r : {kEbx, kEsi, kEdi, kEbp}) s.gpr[r] = place();
  s.gpr[kEcx] = random() % 40;
  m.put(kCode, code);
  m.start(kCode);
  // Interrupts stay pending: where the engines would take one is their own affair.
  s.eflags = flag::kFixed | (random() & flag::kArithmetic) | (random() % 8 == 0 ? flag::kDf : 0);
  m.put32(kDirectory, kTable | 0x67);
  for (u32 page = 0; page < 256; ++page) m.put32(kTable + page * 4, page << 12 | 0x67);
  if (kind == Kind::kPaged || kind == Kind::kUser) {
    const u32 first = kDevices >> kPageBits;
    for (u32 page = 0; page < kDevicePages; ++page) {
      const u32 rights[] = {0x67, 0x67, 0x07, 0x05, 0x03, 0x66};
      m.put32(kTable + (first + page) * 4, (first + (random() % 6 == 0 ? 0 : page)) << 12 | rights[random() % 6]);
    }
    m.cpu.set_cr3(kDirectory);
    m.cpu.set_cr0(s.cr0 | cr0::kPg | cr0::kWp);
  }
  if (kind == Kind::kUser) m.to_ring_3();
  if (kind == Kind::kLimited) {
    set_segment(m, kDs, 0x4093, 0, kDevices + 2 * kPageSize + 1);
    set_segment(m, kEs, 0x4091, 0, 0xfffff);
  }
  if (real) {
    m.cpu.set_cr0(s.cr0 & ~cr0::kPe);
    for (unsigned i = 0; i < kSegCount; ++i) set_segment(m, static_cast<SegReg>(i), 0x93, kDevices, 0xffff);
    set_segment(m, kCs, 0x9b, kCode, 0xffff);
    set_segment(m, kSs, 0x93, 0x8000, 0xffff);
    s.idtr = {0, 0x3ff};
    for (u32 v = 0; v < 64; ++v) m.put32(4 * v, (0x1000 + 16 * v) & 0xffff);
    s.eip = 0;
  }
}

std::vector<u8> program(std::mt19937& random, bool mostly_plain) {
  std::vector<u8> code;
  const auto pick = [&](u32 n) { return static_cast<u32>(random() % n); };
  for (u32 n = 3 + pick(8); n > 0; --n) {
    if (pick(5) == 0) code.push_back(0x66);
    const u8 prefix = static_cast<u8>(pick(10) == 0 ? 0x26 : 0);
    if (prefix != 0) code.push_back(prefix);
    // EAX and EDX, or their bytes: what the others hold is an address or a count. [esi], [bp], [edi] or [bx], and a
    // bit.
    const auto modrm = [&](u8 opcode) {
      return static_cast<u8>(0x40 | pick(opcode % 2 == 0 ? 4 : 2) * 16 | (pick(2) == 0 ? 6 : 7));
    };
    if (pick(3) == 0) {
      constexpr u8 kStrings[] = {0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad};
      if (!mostly_plain || pick(8) == 0) code.push_back(0xf3);
      code.push_back(kStrings[pick(6)]);
    } else if (mostly_plain && pick(6) != 0) {
      const u8 opcode = static_cast<u8>(0x88 + pick(4));
      code.insert(code.end(), {opcode, modrm(opcode), static_cast<u8>(pick(16))});
    } else {
      constexpr u8 kOthers[] = {0x00, 0x0a, 0x22, 0x30, 0x38, 0x84, 0x86, 0x87};
      const u8 opcode = kOthers[pick(8)];
      code.insert(code.end(), {opcode, modrm(opcode), static_cast<u8>(pick(16))});
    }
    if (pick(4) == 0) code.insert(code.end(), {0x0f, 0x92, 0xc2});  // setb dl
  }
  code.push_back(0xf4);
  return code;
}

}  // namespace

TEST_CASE("Moves to and from devices reach them alike, one by one, whatever the devices do") {
  u32 accesses = 0;
  for (u32 seed = 1; seed <= 4; ++seed) {
    TranslatorOptions options;
    options.always_windows = seed % 2 == 0;
    Rig t(options);
    std::mt19937 random(seed);
    for (u32 n = 0; n < 1500; ++n) {
      const auto kind = static_cast<Kind>(random() % static_cast<u32>(Kind::kCount));
      const std::vector<u8> code = program(random, n % 2 == 0);
      const u32 situation = static_cast<u32>(random());
      t.forget();
      // Twice, so that its pages are known.
      for (u32 round = 0; round < 2; ++round) {
        t.both([&](Machine& m) { enter(m, kind, code, situation); });
        const Stop x = t.run_a(), y = t.run_b();
        INFO(format("seed %u, program %u, kind %u, round %u\n", seed, n, static_cast<u32>(kind), round)
             << listing(code, kind == Kind::kReal ? 0 : kCode, kind == Kind::kReal ? CodeSize::k16 : CodeSize::k32,
                        t.a.cpu.model));
        REQUIRE(x == y);
        REQUIRE(t.difference() == "");
        REQUIRE(t.of_a.seen == t.of_b.seen);
      }
      accesses += static_cast<u32>(t.of_a.seen.size());
    }
  }
  CHECK(accesses > 20'000);
}

TEST_CASE("A repeated string gives a device what as many single ones would") {
  std::mt19937 random(9);
  for (u32 n = 0; n < 400; ++n) {
    Twins t;
    Witness of_a(t.a), of_b(t.b);
    t.a.memory->map_device(Phys(kDevices), kDevicePages * kPageSize, of_a);
    t.b.memory->map_device(Phys(kDevices), kDevicePages * kPageSize, of_b);
    constexpr u8 kStrings[] = {0xa4, 0xa5, 0xaa, 0xab};
    const u8 opcode = kStrings[random() % 4];
    const bool word = random() % 3 == 0;
    const auto kind = random() % 2 == 0 ? Kind::kFlat : Kind::kPaged;
    const u32 situation = static_cast<u32>(random());
    std::vector<u8> repeated, single;
    if (word) repeated.push_back(0x66), single.push_back(0x66);
    repeated.insert(repeated.end(), {0xf3, opcode, 0xf4});
    single.insert(single.end(), {opcode, 0xe2, static_cast<u8>(word ? 0xfc : 0xfd), 0xf4});  // loop
    enter(t.a, kind, repeated, situation);
    enter(t.b, kind, single, situation);
    for (Machine* m : {&t.a, &t.b}) m->cpu.s.gpr[kEcx] |= 1;  // LOOP would go on from zero
    t.run_a(), t.run_b();
    INFO(format("string %u: %02x", n, opcode));
    REQUIRE(of_a.seen == of_b.seen);
    for (unsigned r : {kEax, kEsi, kEdi, kEcx}) REQUIRE(t.a.cpu.s.gpr[r] == t.b.cpu.s.gpr[r]);
  }
}

TEST_CASE("A device whose register is changed sees one read and one write, or neither where it may not be written") {
  Rig t;
  for (u32 round = 0; round < 3; ++round) {  // from the second on its page is known
    t.forget();
    t.both([&](Machine& m) {
      enter(m, Kind::kPaged, {0x66, 0x09, 0x07, 0x30, 0x47, 0x02, 0xf4}, 1);  // or [edi], ax; xor [edi+2], al
      m.map_identically(kDirectory, kTable);
      if (round == 2) m.put32(kTable + (kDevices >> 12) * 4, kDevices | 0x65), m.cpu.set_cr3(kDirectory);
      m.cpu.s.gpr[kEdi] = kDevices + 0x10, m.cpu.s.gpr[kEax] = 0x1234;
    });
    REQUIRE(t.run() == "");
    std::vector<u64> expected;
    if (round != 2) {
      const u32 first = (0x9e3779b1u & 0xffff) | 0x1234, second = (3 * 0x9e3779b1u & 0xff) ^ 0x34;
      expected = {0x1002, u64{first} << 32 | 0x1001002, 0x1201, u64{second} << 32 | 0x1001201};
    }
    CHECK(t.of_a.seen == expected);
    CHECK(t.of_b.seen == expected);
  }
}
