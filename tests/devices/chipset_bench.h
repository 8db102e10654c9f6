// The chips of the board on a bench: a fake clock, flat memory, and wires that remember.
#pragma once

#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "devices/chipset/debug_ports.h"
#include "devices/chipset/dma.h"
#include "devices/chipset/fw_cfg.h"
#include "devices/chipset/hpet.h"
#include "devices/chipset/ioapic.h"
#include "devices/chipset/lapic.h"
#include "devices/chipset/pic.h"
#include "devices/chipset/pit.h"
#include "devices/chipset/rtc.h"
#include "devices/chipset/system_ports.h"
#include "devices/input/i8042.h"
#include "devices/input/ps2_keyboard.h"
#include "devices/input/ps2_mouse.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/pci_bus.h"
#include "devices/pci/pci_testdev.h"
#include "devices/pci/piix3.h"
#include "devices/pci/piix3_ide.h"
#include "devices/pci/piix4_pm.h"
#include "devices/serial/parallel.h"
#include "devices/serial/uart16550.h"

namespace umbra {

class Probe final : public LineSink {  // a sink of wires for tests
 public:
  void set_line(unsigned input, bool level) override {
    if (level && !levels[input]) ++rises[input];
    levels[input] = level;
  }
  bool levels[64] = {};
  unsigned rises[64] = {};
};

class FlatMemory final : public GuestMemory {
 public:
  explicit FlatMemory(std::size_t size) : bytes(size) {}
  void read(Phys from, void* to, std::size_t size) override {
    std::memset(to, 0xff, size);
    if (from.value < bytes.size()) std::memcpy(to, &bytes[from.value], std::min<u64>(size, bytes.size() - from.value));
  }
  void write(Phys to, const void* from, std::size_t size) override {
    if (to.value < bytes.size()) std::memcpy(&bytes[to.value], from, std::min<u64>(size, bytes.size() - to.value));
  }
  std::vector<u8> bytes;
};

// The far end of a serial line; takes `budget` bytes before it says no.
class FakeCharDev final : public CharDev {
 public:
  std::size_t write(std::span<const u8> bytes) override {
    const std::size_t n = std::min(bytes.size(), budget);
    budget -= n;
    output.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    return n;
  }
  bool full() const override { return slow; }
  void room_available() override { ++room_calls; }
  std::string describe() const override { return "fake"; }
  void type(std::string_view text) {
    for (const char c : text) {
      const u8 byte = static_cast<u8>(c);
      receive({&byte, 1});
    }
  }
  std::string output;
  std::size_t budget = ~std::size_t{0};
  bool slow = false;
  unsigned room_calls = 0;
};

// Advances a fake clock to `until`, firing timers on the way at their own time.
inline void run_clock(FakeTime& time, Clock& clock, u64 until) {
  while (clock.next_deadline() <= until) {
    time.set(std::max(time.now(), clock.next_deadline()));
    clock.run_due();
  }
  time.set(std::max(time.now(), until));
}

struct ChipsetBench {
  static constexpr i64 kBase = 1'000'000'000;  // 2001-09-09 01:46:40

  FakeTime time;
  Clock clock{time};
  FlatMemory memory{1 << 20};
  Probe wires;  // 0–15 ISA interrupts, 16 INTR, 17 NMI, 18 INIT, 19 A20, 20 reset, 32–55 the I/O APIC's pins
  Line wire(unsigned n) { return Line(wires, n); }

  PicPair pic{wire(16)};
  Pit pit{clock, wire(0)};
  SystemControlB port61{clock, pit};
  SystemControlA port92{wire(19), wire(20)};
  PostCode post;
  Rtc rtc{clock, wire(8), kBase};
  Dma dma{memory};
  I8042 i8042{clock, {wire(1), wire(12), wire(19), wire(20)}};
  Ps2Keyboard keyboard{clock, [this] { i8042.device_ready(); }};
  Ps2Mouse mouse{[this] { i8042.device_ready(); }};
  FakeCharDev host;
  Uart16550 uart{clock, wire(4), "uart0"};
  Parallel parallel{wire(7), "parallel0"};
  LocalApic lapic{clock, {wire(16), wire(17), wire(18)}};
  IoApic ioapic{[this](const ApicMessage& m) {
    if (!lapic.accepts(m)) return false;
    lapic.deliver(m);
    return true;
  }};
  Hpet hpet{clock, [this](unsigned n) { return wire(32 + n); }, [this](bool on) { pit.disconnect_irq0(on); }};
  FwCfg fw_cfg{memory};
  TestDevice testdev{[](unsigned, bool) {}, [](Phys) {}};
  DebugConsole debugcon{[](u8) {}};
  DebugExit debug_exit{[](int) {}};
  PciBus bus;
  I440fx i440fx;
  Piix3 piix3{wires, wire(20)};
  Piix3Ide piix3_ide{post, [](bool) {}};
  PciTestDevice pci_testdev;
  std::vector<Piix4Pm::Sleep> sleeps;
  Piix4Pm pm{clock, wire(9), [this](Piix4Pm::Sleep s) { sleeps.push_back(s); }};

  struct Range {
    BusTarget* target;
    u32 size;
    unsigned widest;
    Device* chip;  // that it belongs to
  };
  std::vector<Device*> devices{&pic,     &pit,   &port61, &port92,   &post,      &rtc,    &dma,        &keyboard,
                               &mouse,   &i8042, &uart,   &parallel, &lapic,     &ioapic, &hpet,       &fw_cfg,
                               &testdev, &bus,   &i440fx, &piix3,    &piix3_ide, &pm,     &pci_testdev};

  ChipsetBench() {
    i8042.connect(keyboard, mouse);
    uart.connect(&host);
    parallel.connect(&host);
    lapic.on_eoi([this](u8 vector) { ioapic.eoi(vector); });
    bus.add(0, 0, i440fx);
    bus.add(1, 0, piix3);
    bus.add(1, 1, piix3_ide);
    bus.add(1, 3, pm);
    bus.connect_reset_control(piix3.reset_control());
    for (Device* d : devices) d->reset();
  }

  std::vector<Range> ranges() {
    std::vector<Range> all{{&pic.master_ports(), 2, 1, &pic},
                           {&pic.slave_ports(), 2, 1, &pic},
                           {&pic.elcr_ports(), 2, 1, &pic},
                           {&pit, 4, 1, &pit},
                           {&port61, 1, 1, &port61},
                           {&port92, 1, 1, &port92},
                           {&post, 1, 1, &post},
                           {&rtc, 2, 1, &rtc},
                           {&dma.low_ports(), 16, 1, &dma},
                           {&dma.high_ports(), 32, 1, &dma},
                           {&dma.page_ports(), 16, 1, &dma},
                           {&i8042.data_port(), 1, 1, &i8042},
                           {&i8042.command_port(), 1, 1, &i8042},
                           {&uart, 8, 1, &uart},
                           {&parallel, 4, 1, &parallel},
                           {&lapic, LocalApic::kSize, 4, &lapic},
                           {&ioapic, IoApic::kSize, 4, &ioapic},
                           {&hpet, Hpet::kSize, 4, &hpet},
                           {&fw_cfg.ports(), 2, 2, &fw_cfg},
                           {&fw_cfg.dma_ports(), 8, 4, &fw_cfg},
                           {&testdev.io_port(), 4, 4, &testdev},
                           {&testdev.flush_port(), 4, 4, &testdev},
                           {&testdev.irq_ports(), 24, 1, &testdev},
                           {&testdev.memory(), TestDevice::kMemorySize, 4, &testdev},
                           {&debugcon, 1, 1, &debugcon},
                           {&debug_exit, 4, 4, &debug_exit},
                           {&bus.config_ports(), 8, 4, &bus},
                           {&bus.mechanism2_ports(), 0x1000, 4, &bus},
                           {&pm.apm_ports(), 2, 1, &pm},
                           {&pm.gpe_ports(), 4, 4, &pm}};
    for (const PciRange& r : pm.ranges()) all.push_back({r.target, r.size, 4, &pm});
    return all;
  }

  void run(u64 nanos) { run_clock(time, clock, time.now() + nanos); }
};

}  // namespace umbra
