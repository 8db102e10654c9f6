// The machine under test: one processor with paging, ring-3 segments as on the host, and an IDT whose every gate leads
// to a HLT in ring 0, so that an engine's run() returns after one instruction and an INT3 or a fault.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "cpu/cpu.h"
#include "cpu/engine.h"
#include "tests/oracle/case.h"

namespace umbra::oracle {

class GuestCpu {
 public:
  static Result<std::unique_ptr<GuestCpu>> create(const std::string& engine);

  u8* memory(u32 region_offset) { return memory_->base() + kRegionPhys + region_offset; }
  void set_code(std::span<const u8> bytes);
  Outcome run(const Input& in);
  const CpuModel& model() const { return cpu_->model; }

 private:
  static constexpr u32 kGdt = 0x1000, kIdt = 0x2000, kTss = 0x3000, kStack0 = 0x5000, kHandlers = 0x5000,
                       kDirectory = 0x6000, kRegionTable = 0x7000, kSystemTable = 0x8000, kRegionPhys = 0x40000,
                       kRam = 0x100000, kSystem = 0xc0000000;

  struct Ports final : PortSpace {
    u32 in(u16, unsigned) override { return ~0u; }
    void out(u16, u32, unsigned) override {}
  };
  struct NoInterrupts final : InterruptController {
    u8 acknowledge() override { return 0; }
  };
  struct Host final : CpuHost {
    u64 tsc() override { return 0; }
  };

  GuestCpu() = default;
  void put32(u32 at, u32 value);
  u32 get32(u32 at) const;
  void build_tables();
  void build_state(bool wide);

  std::unique_ptr<PhysicalMemory> memory_;
  Ports ports_;
  NoInterrupts pic_;
  Host host_;
  std::unique_ptr<Cpu> cpu_;
  std::unique_ptr<Engine> engine_;
  CpuState base_[2];
};

}  // namespace umbra::oracle
