// 16-bit code in real, unreal and virtual-8086 mode against the interpreter: segments loaded every few instructions,
// far transfers and interrupts that lead to the next instruction by another segment, words at the edge of 64 KiB, odd
// limits, stacks in the page that the code is in (a window does not let these be written).
#include <catch2/catch.hpp>

#include "tests/translator/streams.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x48000, kHandlers = 0x1000, kMonitor = 0x7000;
enum class World : u32 { kReal, kUnreal, kOddLimits, kBigStack, kV86, kWorlds };

class RealMode {
 public:
  RealMode(u32 seed, World world, const TranslatorOptions& options) : world_(world), t_(options), s_(seed) {
    s_.size = CodeSize::k16;
    t_.both([&](Machine& m) {
      std::mt19937 fill(seed);
      for (u32 at = 0; at < kRam; at += 4) m.put32(at, fill());
    });
  }

  std::string stream() {
    u16 cs = static_cast<u16>((kCode - 16 * s_.pick(0x900)) >> 4);
    const u16 first = cs;
    const std::vector<u8> code = make(cs);
    u32 registers[8];
    for (u32& r : registers) r = edge();
    const bool stack_by_code = s_.chance(30);
    if (stack_by_code) registers[kEsp] = 0x800 + s_.pick(0x700);
    const u32 flags = s_.random() & flag::kArithmetic;
    t_.both([&](Machine& m) { enter(m, code, first, registers, flags, stack_by_code); });
    t_.run_a();
    t_.run_b();
    const std::string found = t_.difference();
    CpuState& x = t_.a.cpu.s;
    const u32 frame = x.r32(kEsp);  // in V86 mode HLT is #GP
    const u32 end = world_ == World::kV86 ? t_.a.get32(frame + 4) + 16 * t_.a.get32(frame + 8) + 1
                                          : x.seg[kCs].base + static_cast<u32>(x.eip);
    completed += end == kCode + code.size() ? 1 : 0;
    return found.empty() ? "" : found + listing(code, kCode - first * 16, CodeSize::k16, t_.a.cpu.model);
  }
  u32 completed = 0;  // streams that ran to their end

 private:
  u16 edge() {
    const u32 kind = s_.pick(10);
    if (kind < 2) return static_cast<u16>(0 - s_.pick(6));
    return static_cast<u16>(kind < 3 ? s_.pick(4) : s_.random());
  }
  void put16(std::vector<u8>& code, u32 value) {
    code.push_back(static_cast<u8>(value));
    code.push_back(static_cast<u8>(value >> 8));
  }
  // A way to the instruction behind it, under another CS mostly.
  void far_transfer(std::vector<u8>& code, u16& cs) {
    const u32 kind = s_.pick(6);
    if (kind == 0) {
      code.insert(code.end(), {0xcd, static_cast<u8>(0x20 + s_.pick(4))});
      return;
    }
    const u32 at = kCode + static_cast<u32>(code.size());
    const u32 bytes = kind <= 2 ? 5 : kind == 3 ? 7 : kind == 4 ? 8 : 19;
    if (s_.chance(80)) cs = static_cast<u16>((kCode - 16 * s_.pick(0x900)) >> 4);
    const u32 offset = at + bytes - cs * 16;
    const auto pushed = [&] {
      code.push_back(0x68), put16(code, cs);
      code.push_back(0x68), put16(code, offset);
    };
    switch (kind) {
      case 1:
      case 2:
        code.push_back(kind == 1 ? 0xea : 0x9a);
        put16(code, offset);
        put16(code, cs);
        break;
      case 3:
        pushed();
        code.push_back(0xcb);
        break;
      case 4:
        code.push_back(0x9c);
        pushed();
        code.push_back(0xcf);
        break;
      default:
        for (const auto& [where, what] : {std::pair{0x3000u, offset}, {0x3002u, u32{cs}}}) {
          code.insert(code.end(), {0xc7, 0x06});
          put16(code, where);
          put16(code, what);
        }
        code.insert(code.end(), {0x90, 0x90, 0x90, 0xff, static_cast<u8>(s_.chance(50) ? 0x1e : 0x2e), 0x00, 0x30});
    }
  }
  void segment_load(std::vector<u8>& code) {
    static const std::vector<u8> kLoads[] = {{0x8e, 0xc0},
                                             {0x8e, 0xd8},
                                             {0x8e, 0xe0},
                                             {0x8e, 0xe8},
                                             {0x8e, 0xd0},
                                             {0x8e, 0x07},
                                             {0x8e, 0x1c},
                                             {0x8e, 0x27},
                                             {0xc4, 0x1f},
                                             {0xc5, 0x34},
                                             {0x07},
                                             {0x1f},
                                             {0x17},
                                             {0x06},
                                             {0x1e},
                                             {0x0f, 0xa1},
                                             {0x0f, 0xa9},
                                             {0x0f, 0xa0},
                                             {0x0f, 0xa8},
                                             {0x0f, 0xb4, 0x07},
                                             {0x0f, 0xb5, 0x1c}};
    if (s_.chance(60)) code.push_back(0xb8), put16(code, 0x1000 + s_.pick(0x7000));
    const std::vector<u8>& load = kLoads[s_.pick(std::size(kLoads))];
    if (s_.chance(8)) code.push_back(static_cast<u8>(0x26 + 8 * s_.pick(4)));
    if (s_.chance(5)) code.push_back(0x66);
    code.insert(code.end(), load.begin(), load.end());
    if (s_.chance(70)) code.push_back(0xb8 + 3 + 3 * static_cast<u8>(s_.pick(2))), put16(code, edge());  // BX or SI
  }
  std::vector<u8> make(u16& cs) {
    std::vector<u8> code;
    const u32 length = 4 + s_.pick(14);
    for (u32 i = 0; i < length; ++i) {
      const u32 kind = s_.pick(10);
      if (kind < 2) {
        far_transfer(code, cs);
      } else if (kind < 5) {
        segment_load(code);
      } else {
        s_.allow_repeats = i == 0;
        const std::vector<u8> bytes = s_.insn(t_.a.cpu.model);
        code.insert(code.end(), bytes.begin(), bytes.end());
      }
    }
    code.push_back(0xf4);
    return code;
  }

  void enter(Machine& m, const std::vector<u8>& code, u16 cs, const u32* registers, u32 flags, bool stack_by_code) {
    CpuState& s = m.cpu.s;
    m.flat_32();
    const bool v86 = world_ == World::kV86;
    if (v86) {
      m.to_ring_3();
      m.put32(0x600 + 4, kMonitor);
      m.put32(0x600 + 0x64, 0x680000);
    } else {
      m.cpu.set_cr0(s.cr0 & ~cr0::kPe);
      s.idtr = {0, 0x3ff};
      for (u32 v = 0; v < 256; ++v) m.put32(4 * v, kHandlers + 16 * v);
    }
    for (u32 v = 0; v < 64; ++v) m.put(kHandlers + 16 * v, {static_cast<u8>(v < 0x20 || v86 ? 0xf4 : 0xcf)});
    m.put(kCode, code);
    s.eflags = flag::kFixed | flags | (v86 ? flag::kVm | flag::kIopl : 0);
    for (unsigned r = 0; r < 8; ++r) s.gpr[r] = registers[r];
    for (unsigned i = 0; i < kSegCount; ++i) {
      Segment& g = s.seg[i];
      g.selector = i == kCs ? cs : static_cast<u16>(0x1800 + 0x900 * i);
      if (i == kSs && stack_by_code) g.selector = kCode >> 4;
      g.rights = v86 ? 0xf3 : 0x93;
      g.base = g.selector * 16u;
      g.limit = 0xffff;
      const bool data = i != kCs && i != kSs;
      if (world_ == World::kUnreal && data) g.limit = 0xffffffff, g.rights |= 0x8000;
      if (world_ == World::kOddLimits && i != kCs) g.limit = i % 2 == 0 ? 0xfffe : 0xffff, g.rights = 0x92;
      if (world_ == World::kBigStack && i == kSs) g.limit = flags & 1 ? 0xffffffff : 0xffff, g.rights |= 0xc000;
      g.derive(true);
    }
    m.start(kCode - cs * 16u);
  }

  const World world_;
  Twins t_;
  Streams s_;
};

void check(u32 seed, World world, const TranslatorOptions& options, u32 streams) {
  RealMode real(seed, world, options);
  for (u32 i = 0; i < streams; ++i) {
    const std::string found = real.stream();
    INFO("seed " << seed << " world " << static_cast<u32>(world) << " stream " << i << "\n" << found);
    REQUIRE(found.empty());
  }
  CHECK(real.completed > streams / 4);
}

}  // namespace

TEST_CASE("16-bit code with segment loads and far transfers leaves what the interpreter leaves") {
  for (u32 world = 0; world < static_cast<u32>(World::kWorlds); ++world) {
    for (u32 options = 0; options < 4; ++options) {
      TranslatorOptions o;
      o.windows = options != 0;
      o.always_windows = options >= 2;
      o.bmi2 = options != 3;
      check(world * 10 + options + 1, static_cast<World>(world), o, 400);
    }
  }
}

TEST_CASE("A far transfer from a segment like that of a reset does not lead to a table that is gone") {
  Twins t;
  constexpr u16 kFar = 0x5000;
  const auto run = [&](u16 selector, u32 base) {
    t.both([&](Machine& m) {
      m.flat_32();
      m.cpu.set_cr0(m.cpu.s.cr0 & ~cr0::kPe);
      for (Segment& g : m.cpu.s.seg) {
        g = {};
        g.rights = 0x93;
        g.limit = 0xffff;
        g.derive(true);
      }
      m.cpu.s.seg[kCs].selector = selector;
      m.cpu.s.seg[kCs].base = base;
      m.start(0);
    });
    const Stop a = t.run_a(), b = t.run_b();
    CHECK(a == b);
    CHECK(t.difference() == "");
  };
  t.both([&](Machine& m) {
    m.put(kCode, {0xea, 0, 0, kFar & 0xff, kFar >> 8});  // jmp kFar:0
    m.put(kFar * 16, {0xb8, 1, 0, 0xf4});                // mov ax, 1; hlt
    for (u32 n = 0; n < 300; ++n) m.put(0x60000 + 16 * n, {0xf4});
  });
  for (u32 n = 0; n < 3; ++n) run(kCode >> 4, kCode);
  for (u32 n = 0; n < 300; ++n) run(0xf000, 0x60000 + 16 * n);
  run(0xf000, kCode);
  CHECK(t.b.cpu.s.gpr[kEax] == 1);
}
