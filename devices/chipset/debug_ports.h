// Ports that exist for debugging and for test guests: debug console (E9h, 402h), isa-debug-exit and QEMU's
// pc-testdev, which kvm-unit-tests drive.
#pragma once

#include <array>
#include <functional>

#include "devices/device.h"

namespace umbra {

// Bytes written are given to `sink`; a read shows E9h, which is how guests find the port.
class DebugConsole final : public Device, public BusTarget {
 public:
  explicit DebugConsole(std::function<void(u8)> sink) : sink_(std::move(sink)) {}
  const char* name() const override { return "debugcon"; }
  void reset() override {}
  void state(Archive&) override {}
  u32 read(u32, unsigned) override { return 0xe9; }
  void write(u32 offset, u32 value, unsigned size) override;

 private:
  std::function<void(u8)> sink_;
};

// A write of v ends the machine with the exit code v * 2 + 1.
class DebugExit final : public Device, public BusTarget {
 public:
  explicit DebugExit(std::function<void(int code)> exit) : exit_(std::move(exit)) {}
  const char* name() const override { return "debugexit"; }
  void reset() override {}
  void state(Archive&) override {}
  u32 read(u32, unsigned) override { return 0; }
  void write(u32, u32 value, unsigned) override { exit_(static_cast<int>(value << 1 | 1)); }

 private:
  std::function<void(int)> exit_;
};

// pc-testdev: E0h–E3h hold what is written (in any width), E8h–EBh are the same a byte at a time, 2000h–2017h raise and
// lower the interrupt lines 0–23, and FF000000h is 64 KiB of plain I/O memory. A dword written to E4h makes the host
// forget and find again the page at that address, of which the guest must not notice anything.
class TestDevice final : public Device {
 public:
  TestDevice(std::function<void(unsigned irq, bool level)> set_irq, std::function<void(Phys page)> forget)
      : set_irq_(std::move(set_irq)), forget_(std::move(forget)) {}
  const char* name() const override { return "testdev"; }
  void reset() override;
  void state(Archive& a) override;
  BusTarget& io_port() { return io_port_; }
  BusTarget& flush_port() { return flush_port_; }
  BusTarget& irq_ports() { return irq_ports_; }
  BusTarget& memory() { return memory_; }

  static constexpr u32 kMemorySize = 0x10000;

 private:
  u32 io_read(u32 offset, unsigned size);
  void io_write(u32 offset, u32 value, unsigned size);
  u32 flush_read(u32 offset, unsigned size);
  void flush_write(u32 offset, u32 value, unsigned size);
  u32 irq_read(u32 offset, unsigned size);
  void irq_write(u32 offset, u32 value, unsigned size);
  u32 memory_read(u32 offset, unsigned size);
  void memory_write(u32 offset, u32 value, unsigned size);

  struct Regs {
    u32 data = 0;
    std::array<u8, kMemorySize> memory{};
  };
  std::function<void(unsigned, bool)> set_irq_;
  std::function<void(Phys)> forget_;
  Regs r_;
  Region<TestDevice> io_port_{this, &TestDevice::io_read, &TestDevice::io_write};
  Region<TestDevice> flush_port_{this, &TestDevice::flush_read, &TestDevice::flush_write};
  Region<TestDevice> irq_ports_{this, &TestDevice::irq_read, &TestDevice::irq_write};
  Region<TestDevice> memory_{this, &TestDevice::memory_read, &TestDevice::memory_write};
};

}  // namespace umbra
