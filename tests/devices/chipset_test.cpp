// What holds for every chip: state, tampering, random traffic, and that all clocks tell the same time.
#include <catch2/catch.hpp>

#include "tests/devices/state_check.h"
#include "tests/fuzz/chipset_fuzz.cpp"

using namespace umbra;

namespace {

// A change to each device that a guest could make.
void poke(ChipsetBench& b, const std::string& name) {
  if (name == "pic")
    b.pic.master_ports().write(1, 0x55, 1);
  else if (name == "pit")
    b.pit.write(3, 0x34, 1), b.pit.write(0, 7, 1);
  else if (name == "port61")
    b.port61.write(0, 3, 1);
  else if (name == "port92")
    b.port92.write(0, 2, 1);
  else if (name == "post")
    b.post.write(0, 0xaa, 1);
  else if (name == "rtc")
    b.rtc.write(0, 0x40, 1), b.rtc.write(1, 0x77, 1);
  else if (name == "dma")
    b.dma.low_ports().write(3, 9, 1);
  else if (name == "ps2kbd")
    b.keyboard.reset(), b.keyboard.key(0x1e, true);
  else if (name == "ps2mouse")
    b.mouse.send(0xf4);
  else if (name == "i8042")
    b.i8042.command_port().write(0, 0x60, 1);
  else if (name == "uart0")
    b.uart.write(7, 0x5a, 1);
  else if (name == "parallel0")
    b.parallel.write(0, 0x41, 1);
  else if (name == "lapic")
    b.lapic.write(0x80, 0x30, 4);
  else if (name == "ioapic")
    b.ioapic.write(0, 0x12, 4);
  else if (name == "hpet")
    b.hpet.write(0x10, 1, 4);
  else if (name == "fw_cfg")
    b.fw_cfg.ports().write(0, 5, 2);
  else if (name == "testdev")
    b.testdev.io_port().write(0, 0x1234, 4);
  else if (name == "pci")
    b.bus.config_ports().write(0, 0x80000800, 4);
  else if (name == "i440fx")
    b.i440fx.config_write(0x59, 0x30, 1);
  else if (name == "piix3")
    b.piix3.config_write(0x60, 0x0b, 1);
  else if (name == "piix3-ide")
    b.piix3_ide.config_write(0x44, 0x5a, 1);
  else if (name == "pci-testdev")
    b.pci_testdev.config_write(0x3c, 0x0b, 1);
  else if (name == "piix4pm")
    b.pm.config_write(0x40, 0x600, 4);
  else
    FAIL("no poke for " << name);
}

}  // namespace

TEST_CASE("Every chip is saved, changed, restored, equal again, and survives a tampered file") {
  std::mt19937 random(7);
  ChipsetBench bench;
  bench.run(12'345'678);
  const auto use = [&] {
    for (ChipsetBench::Range& r : bench.ranges()) {
      for (u32 offset = 0; offset < std::min(r.size, 16u); ++offset) {
        r.target->read(offset, 1);
        if (random() % 4 == 0) r.target->write(offset, random() & 0xff, 1);
      }
    }
    bench.keyboard.key(0x1e, random() % 2 != 0);
    bench.mouse.move(1, 1, 1);
    bench.time.advance(1'000'000);
    bench.clock.run_due();
  };
  for (Device* device : bench.devices) {
    INFO(device->name());
    const bool plain_memory = std::string_view(device->name()) == "testdev";
    check_state(
        *device, [&] { poke(bench, device->name()); },
        [&] {
          if (!plain_memory) use();
        });
  }
}

TEST_CASE("Random traffic does the chips no harm") {
  std::mt19937 random(20260102);
  std::vector<u8> input(3000);
  for (int round = 0; round < 150; ++round) {
    for (u8& byte : input) byte = static_cast<u8>(random());
    REQUIRE_NOTHROW(fuzz_chipset(input.data(), input.size()));
  }
}

TEST_CASE("RTC, PIT, HPET, PM timer and local APIC agree over a minute") {
  ChipsetBench b;
  constexpr u64 kMinute = 60 * kNanosPerSecond;
  // PIT: 100 Hz on IRQ0. APIC: 1 kHz, vector 0x40. HPET: free running. RTC: 1024 Hz on IRQ8, and its seconds.
  b.pit.write(3, 0x34, 1);
  const unsigned divisor = 11932;
  b.pit.write(0, divisor & 0xff, 1);
  b.pit.write(0, divisor >> 8, 1);
  b.lapic.write(0xf0, 0x1ff, 4);
  b.lapic.write(0x3e0, 0x0b, 4);  // divide by one
  b.lapic.write(0x320, 0x20040, 4);
  b.lapic.write(0x380, 1'000'000, 4);
  b.hpet.write(0x10, 1, 4);
  b.rtc.write(0, 0x0b, 1);
  b.rtc.write(1, 0x42, 1);
  b.pm.config_write(0x40, 0x600, 4);
  b.pm.config_write(0x80, 1, 1);
  REQUIRE(b.pm.ranges().size() >= 1);
  BusTarget& pm_ports = *b.pm.ranges().front().target;
  const i64 second = b.rtc.seconds();
  const u32 pm_start = pm_ports.read(8, 4);
  u64 apic_ticks = 0, rtc_ticks = 0;
  const unsigned pit_start = b.wires.rises[0];
  while (b.time.now() < kMinute) {
    b.run(250'000);
    if (b.lapic.has_vector()) {
      REQUIRE(b.lapic.acknowledge() == 0x40);
      b.lapic.write(0xb0, 0, 4);
      ++apic_ticks;
    }
    if (b.wires.levels[8]) {
      b.rtc.write(0, 0x0c, 1);
      CHECK((b.rtc.read(1, 1) & 0x40) != 0);
      ++rtc_ticks;
    }
  }
  CHECK(b.rtc.seconds() - second == 60);
  CHECK(b.wires.rises[0] - pit_start == kPitHz * 60 / divisor);
  CHECK(apic_ticks == 60'000);
  CHECK(rtc_ticks == 60 * 1024);
  CHECK(b.hpet.counter() == 60 * Hpet::kHz);
  CHECK(((pm_ports.read(8, 4) - pm_start) & 0xffffff) == (60 * Piix4Pm::kTimerHz & 0xffffff));
}

TEST_CASE("pc-testdev: a register in every width, again by bytes, wires by number, a page forgotten, plain memory") {
  std::vector<std::pair<unsigned, bool>> wires;
  u64 forgotten = 0;
  TestDevice t([&](unsigned irq, bool level) { wires.emplace_back(irq, level); },
               [&](Phys page) { forgotten = page.value; });
  t.io_port().write(0, 0x11223344, 4);
  t.io_port().write(1, 0xaa, 1);
  t.io_port().write(2, 0xbbcc, 2);
  CHECK(t.io_port().read(0, 4) == 0xbbccaa44);
  CHECK((t.io_port().read(2, 2) & 0xffff) == 0xbbcc);
  t.irq_ports().write(0, 1, 1);
  t.irq_ports().write(23, 0x80, 1);  // whatever is not zero
  t.irq_ports().write(0, 0, 1);
  CHECK(wires == std::vector<std::pair<unsigned, bool>>{{0, true}, {23, true}, {0, false}});
  t.flush_port().write(0, 0x123456, 4);
  CHECK(forgotten == 0x123000);
  t.memory().write(0xfffc, 0xdeadbeef, 4);
  CHECK(t.memory().read(0xfffc, 4) == 0xdeadbeef);
}
