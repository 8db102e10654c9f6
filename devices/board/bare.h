// The bare board: a processor, RAM, a ROM at the top of memory and of the first megabyte, and ports that only write:
// COM1 (3F8h), 0xE9 and 0x190 (POST codes), and isa-debug-exit. For test programs; there are no interrupts on it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "cpu/cpu.h"
#include "cpu/engine.h"
#include "devices/board/config.h"
#include "devices/board/host_time.h"

namespace umbra {

class BareBoard final : public PortSpace, public InterruptController, public CpuHost {
 public:
  using Output = std::function<void(u8)>;

  static Result<std::unique_ptr<BareBoard>> create(const CpuModel& model, u64 ram_bytes, const std::vector<u8>& rom,
                                                   DebugExitConfig debug_exit, Output output);
  Cpu& cpu() { return *cpu_; }
  const Cpu& cpu() const { return *cpu_; }
  PhysicalMemory& memory() { return *memory_; }
  const PhysicalMemory& memory() const { return *memory_; }

  enum class End : u8 { kExit, kHalted, kTripleFault, kStopped };
  // Runs until the guest ends. A triple fault resets the processor unless `no_reboot`.
  End run(Engine& engine, bool no_reboot);
  int exit_code() const { return exit_code_.value_or(0); }
  void stop();  // from another thread or a signal handler: run() returns kStopped

 private:
  BareBoard(const CpuModel& model, std::unique_ptr<PhysicalMemory> memory, DebugExitConfig debug_exit, Output output);
  u32 in(u16 port, unsigned size) override;
  void out(u16 port, u32 value, unsigned size) override;
  u8 acknowledge() override { return 0; }
  u64 tsc() override { return time_.now(); }

  std::unique_ptr<PhysicalMemory> memory_;
  DebugExitConfig debug_exit_;
  Output output_;
  std::unique_ptr<Cpu> cpu_;
  HostTime time_;
  u8 line_control_ = 0;
  std::optional<int> exit_code_;
  std::atomic<bool> stop_{false};
  Engine* engine_ = nullptr;
};

}  // namespace umbra
