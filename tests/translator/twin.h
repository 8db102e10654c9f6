// Two equal machines, one run by the interpreter and one by the translator, and the comparison of everything a guest
// could see.
#pragma once

#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cpu/base/log.h"
#include "cpu/interp/interp.h"
#include "tests/translator/disturber.h"
#include "translator/x64/backend.h"

namespace umbra::test {

inline constexpr u32 kRam = 1u << 20;

struct NullPorts final : PortSpace {
  u32 in(u16 port, unsigned size) override { return port * 0x01010101u >> (32 - 8 * size); }
  void out(u16, u32, unsigned) override {}
};
struct OneInterrupt final : InterruptController {
  u8 acknowledge() override { return 0x20; }
};
struct FixedHost final : CpuHost {
  u64 tsc() override { return ticks++; }
  u64 ticks = 0;
};

struct Machine {
  std::unique_ptr<PhysicalMemory> memory = std::move(*PhysicalMemory::create(kRam));
  NullPorts ports;
  OneInterrupt pic;
  FixedHost host;
  Cpu cpu{*find_cpu_model("max"), *memory, ports, pic, host};

  Machine() { memory->map_ram(Phys(0), kRam, 0, true); }
  u8* ram() { return memory->base(); }
  void put(u32 at, const std::vector<u8>& bytes) { memory->write(Phys(at), bytes.data(), bytes.size()); }
  void put32(u32 at, u32 value) { memory->write(Phys(at), &value, 4); }
  u32 get32(u32 at) {
    u32 value;
    memory->read(Phys(at), &value, 4);
    return value;
  }

  static Segment flat(bool code, bool big = true, u8 dpl = 0) {
    Segment s;
    s.selector = static_cast<u16>((code ? 8 : 16) | dpl);
    s.rights = static_cast<u16>((code ? 0x9b : 0x93) | dpl << 5 | (big ? 0xc000 : 0x8000));
    s.limit = 0xffffffff;
    s.derive(true);
    return s;
  }
  // 32-bit protected mode, flat; the IDT at 0x800 leads each vector to a HLT of its own at 0x1000 + 16 * vector.
  void flat_32() {
    CpuState& s = cpu.s;
    cpu.reset();
    cpu.set_cr0((s.cr0 | cr0::kPe | cr0::kNe) & ~(cr0::kEm | cr0::kTs | cr0::kCd | cr0::kNw));
    cpu.set_cr4(cr4::kOsfxsr | cr4::kOsxmmexcpt);
    put32(0x700 + 8, 0x0000ffff), put32(0x700 + 12, 0x00cf9b00);
    put32(0x700 + 16, 0x0000ffff), put32(0x700 + 20, 0x00cf9300);
    s.gdtr = {0x700, 0x17};
    s.idtr = {0x800, 0x1ff};
    for (u32 v = 0; v < 64; ++v) {
      put32(0x800 + 8 * v, 8u << 16 | (0x1000 + 16 * v));
      put32(0x804 + 8 * v, 0x8e00);
      put(0x1000 + 16 * v, {0xf4});
    }
    for (unsigned i = 0; i < kSegCount; ++i) s.seg[i] = flat(i == kCs);
    s.gpr[kEsp] = 0x8000;
    s.eflags = flag::kFixed;
    cpu.set_cpl(0);
    cpu.update_paging();
  }
  // The first megabyte at its own address, for everybody.
  void map_identically(u32 directory, u32 table, u32 flags = 0) {
    put32(directory, table | 0x67);
    for (u32 page = 0; page < kRam / kPageSize; ++page) put32(table + page * 4, page << 12 | 0x67 | flags);
    cpu.set_cr3(directory);
    cpu.set_cr0(cpu.s.cr0 | cr0::kPg | cr0::kWp);
  }
  // The program in flat ring 3, with a TSS for the way back.
  void to_ring_3() {
    constexpr u32 kTss = 0x600;
    for (unsigned i = 0; i < kSegCount; ++i) cpu.s.seg[i] = flat(i == kCs, true, 3);
    cpu.s.tr.base = kTss;
    cpu.s.tr.limit = 0x67;
    cpu.s.tr.rights = 0x8b;
    cpu.s.tr.selector = 0x18;
    cpu.s.tr.derive(true);
    put32(kTss + 4, 0x7000);
    put32(kTss + 8, 16);
    cpu.set_cpl(3);
  }
  void start(u32 eip) {
    cpu.s.eip = eip;
    cpu.s.activity = Activity::kRunning;
    cpu.s.shadow = 0;
  }
};

inline std::unique_ptr<Translator> make_translator(Machine& m, TranslatorOptions options = {}) {
  options.verify = true;
  options.code_bytes = std::min(options.code_bytes, 8u << 20);
  auto engine = make_x64_engine(*m.memory, options);
  return std::unique_ptr<Translator>(static_cast<Translator*>(engine->release()));
}

struct Twins {
  Machine a, b;
  Interpreter interpreter{*a.memory};
  std::unique_ptr<Disturber> disturber = Disturber::from_environment();
  std::unique_ptr<Translator> translator;
  explicit Twins(TranslatorOptions options = {}) {
    if (disturber != nullptr) disturber->attach(options);
    translator = make_translator(b, options);
    a.flat_32();
    b.flat_32();
  }
  template <class F>
  void both(F f) {
    f(a);
    f(b);
  }
  Stop run_a() { return interpreter.run(a.cpu); }
  Stop run_b() { return disturber != nullptr ? disturber->run(*translator, b.cpu) : translator->run(b.cpu); }
  // Empty when they end alike.
  std::string run() {
    const Stop x = run_a(), y = run_b();
    return x == y ? difference() : "stops differ";
  }

  // Empty when equal. `flags` are the EFLAGS bits compared.
  std::string difference(u32 flags = ~0u, bool fpu = false) {
    std::string out;
    const CpuState &x = a.cpu.s, &y = b.cpu.s;
    static const char* const kNames[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    const auto say = [&](const char* what, u64 p, u64 q) {
      if (p != q)
        out += format("%s: interp %llx, jit %llx\n", what, static_cast<unsigned long long>(p),
                      static_cast<unsigned long long>(q));
    };
    for (unsigned r = 0; r < 8; ++r) say(kNames[r], x.gpr[r], y.gpr[r]);
    say("eip", x.eip, y.eip);
    say("eflags", x.eflags & flags, y.eflags & flags);
    say("cr0", x.cr0, y.cr0);
    say("cr2", x.cr2, y.cr2);
    say("activity", static_cast<u64>(x.activity), static_cast<u64>(y.activity));
    for (unsigned i = 0; i < kSegCount; ++i) {
      say("selector", x.seg[i].selector, y.seg[i].selector);
      say("base", x.seg[i].base, y.seg[i].base);
      say("limit", x.seg[i].limit, y.seg[i].limit);
      say("rights", x.seg[i].rights, y.seg[i].rights);
      say("access", x.seg[i].access, y.seg[i].access);
    }
    if (fpu) {
      say("fcw", x.fpu.fcw, y.fpu.fcw);
      say("fsw", x.fpu.fsw & ~0x200, y.fpu.fsw & ~0x200);  // C1 after an underflow is the oracle suite's matter
      say("ftw", x.fpu.ftw, y.fpu.ftw);
      say("mxcsr", x.fpu.mxcsr, y.fpu.mxcsr);
      for (unsigned i = 0; i < 8; ++i)
        if (std::memcmp(x.fpu.st[i], y.fpu.st[i], 10) != 0) out += format("st%u differs\n", i);
      for (unsigned i = 0; i < 8; ++i)
        if (std::memcmp(x.fpu.xmm[i], y.fpu.xmm[i], 16) != 0) out += format("xmm%u differs\n", i);
    }
    if (std::memcmp(a.ram(), b.ram(), kRam) != 0)
      for (u32 i = 0, shown = 0; i < kRam && shown < 8; ++i)
        if (a.ram()[i] != b.ram()[i]) {
          out += format("[%x]: interp %02x, jit %02x\n", i, a.ram()[i], b.ram()[i]);
          ++shown;
        }
    return out;
  }
};

inline void set_segment(Machine& m, SegReg seg, u16 rights, u32 base, u32 limit) {
  Segment& s = m.cpu.s.seg[seg];
  s.rights = rights;
  s.base = base;
  s.limit = limit;
  s.derive(true);
}
inline void set_segment(Machine& m, SegReg seg, u16 selector, u16 rights, u32 base, u32 limit) {
  m.cpu.s.seg[seg].selector = selector;
  set_segment(m, seg, rights, base, limit);
}

// Code in pieces.
inline std::vector<u8> le32(u32 v) {
  return {static_cast<u8>(v), static_cast<u8>(v >> 8), static_cast<u8>(v >> 16), static_cast<u8>(v >> 24)};
}
inline std::vector<u8> join(std::initializer_list<std::vector<u8>> parts) {
  std::vector<u8> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace umbra::test
