// A processor with plain memory and nothing around it: ports read all ones, INTR gives a vector the test chose.
#pragma once

#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <span>

#include "cpu/cpu.h"
#include "cpu/interp/interp.h"

namespace umbra {

struct OpenPorts : PortSpace {
  u32 last_out = 0;
  u16 last_port = 0;
  u16 remapped = 0xffff;  // what a 386EX has at ports 22h and 23h, and every test of its vectors reads
  u32 in(u16 port, unsigned size) override {
    u32 value = 0;
    for (unsigned i = 0; i < size; ++i) {
      const u16 at = static_cast<u16>(port + i);
      const u32 byte = at == 0x22 ? remapped & 0xff : at == 0x23 ? remapped >> 8 : 0xff;
      value |= byte << (8 * i);
    }
    return value;
  }
  void out(u16 port, u32 value, unsigned) override {
    last_port = port;
    last_out = value;
  }
};

struct FixedVector : InterruptController {
  u8 vector = 0x20;
  unsigned taken = 0;
  u8 acknowledge() override {
    ++taken;
    return vector;
  }
};

struct FixedTsc : CpuHost {
  u64 now = 0;
  u64 tsc() override { return now += 100; }
};

inline std::unique_ptr<PhysicalMemory> plain_memory(u64 size) {
  auto memory = PhysicalMemory::create(size);
  if (!memory) std::abort();
  (*memory)->map_ram(Phys(0), size, 0, true);
  return std::move(*memory);
}

struct TestMachine {
  std::unique_ptr<PhysicalMemory> memory;
  OpenPorts ports;
  FixedVector pic;
  FixedTsc host;
  Cpu cpu;
  Interpreter interp;

  explicit TestMachine(const char* model = "max", u64 size = 16 << 20)
      : memory(plain_memory(size)), cpu(*find_cpu_model(model), *memory, ports, pic, host), interp(*memory) {}

  void poke(u32 at, std::initializer_list<u8> bytes) { memory->write(Phys(at), bytes.begin(), bytes.size()); }
  void poke(u32 at, std::span<const u8> bytes) { memory->write(Phys(at), bytes.data(), bytes.size()); }
  template <class T>
  T peek(u32 at) {
    T value;
    memory->read(Phys(at), &value, sizeof value);
    return value;
  }
  void go(u16 cs, u32 eip) {
    cpu.set_real_segment(kCs, cs);
    cpu.s.eip = eip;
  }
  // Flat 32-bit ring 0 without descriptor tables: hidden parts are set directly.
  void flat32() {
    cpu.s.cr0 |= cr0::kPe;
    for (unsigned i = 0; i < kSegCount; ++i) {
      Segment& g = cpu.s.seg[i];
      g.selector = i == kCs ? 8 : 16;
      g.rights = i == kCs ? 0xc09b : 0xc093;
      g.base = 0;
      g.limit = 0xffffffff;
      g.derive(true);
    }
    cpu.update_paging();
  }
  Stop run() { return interp.run(cpu); }
  Stop step(unsigned n = 1) {
    Stop stop = Stop::kAttention;
    while (n-- > 0) stop = interp.step(cpu);
    return stop;
  }
};

}  // namespace umbra
