// The PCI bus, BARs, the host bridge, the PIIX3 and the power management function; fw_cfg and the debug ports.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"

using namespace umbra;

namespace {

class Card final : public Device, public PciFunction {
 public:
  Card() : PciFunction({.vendor = 0x1af4, .device = 0x1234, .class_code = 0x020000, .interrupt_pin = 1}) {
    add_io_bar(0, 32, target_);
    add_memory_bar(1, 4096, target_, {.prefetchable = true});
    add_rom(std::vector<u8>(3000, 0x55));
  }
  const char* name() const override { return "card"; }
  void reset() override { pci_reset(); }
  void state(Archive& a) override { pci_state(a); }
  void interrupt(bool level) { set_intx(level); }

 private:
  u32 read(u32 offset, unsigned) { return offset; }
  void write(u32, u32, unsigned) {}
  Region<Card> target_{this, &Card::read, &Card::write};
};

struct PciRig : ChipsetBench {
  Card card;
  PciRig() {
    bus.add(3, 0, card);
    card.connect_interrupt(Line(piix3, Piix3::pirq_of(3, 0)));
  }
  u32 config(unsigned device, unsigned function, u8 reg, unsigned size = 4) {
    select(device, function, reg);
    return bus.config_ports().read(4 + (reg & 3), size);
  }
  void config(unsigned device, unsigned function, u8 reg, u32 value, unsigned size) {
    select(device, function, reg);
    bus.config_ports().write(4 + (reg & 3), value, size);
  }

 private:
  void select(unsigned device, unsigned function, u8 reg) {
    bus.config_ports().write(0, 0x80000000 | device << 11 | function << 8 | (reg & 0xfc), 4);
  }
};

}  // namespace

TEST_CASE("Mechanism 1 reaches functions in every width; absent ones read as ones") {
  PciRig r;
  CHECK(r.config(0, 0, 0) == 0x12378086);
  CHECK(r.config(1, 0, 0, 2) == 0x8086);
  CHECK(r.config(1, 0, 2, 2) == 0x7000);
  CHECK((r.config(1, 0, 0x0e, 1) & 0x80) != 0);
  CHECK(r.config(1, 3, 0) == 0x71138086);
  CHECK(r.config(5, 0, 0) == 0xffffffff);
  CHECK(r.bus.config_ports().read(0, 4) == 0x80002800);
  r.bus.config_ports().write(0, 0, 4);
  CHECK(r.bus.config_ports().read(4, 4) == 0xffffffff);
}

TEST_CASE("Mechanism 2 opens with its key and closes again") {
  PciRig r;
  CHECK(r.bus.mechanism2_ports().read(0, 4) == 0xffffffff);
  r.bus.config_ports().write(0, 0xf0, 1);
  CHECK(r.bus.mechanism2_enabled());
  CHECK(r.bus.mechanism2_ports().read(0, 4) == 0x12378086);
  CHECK(r.bus.mechanism2_ports().read(0x100, 4) == 0x70008086);
  r.bus.config_ports().write(0, 0xf6, 1);
  CHECK(r.bus.mechanism2_ports().read(0x100, 4) == 0x71138086);
  r.bus.config_ports().write(0, 0, 1);
  CHECK_FALSE(r.bus.mechanism2_enabled());
}

TEST_CASE("BARs size, move, and decode only where the command register lets them") {
  PciRig r;
  r.config(3, 0, 0x10, 0xffffffff, 4);
  CHECK(r.config(3, 0, 0x10) == 0xffffffe1);
  r.config(3, 0, 0x14, 0xffffffff, 4);
  CHECK(r.config(3, 0, 0x14) == 0xfffff008);
  r.config(3, 0, 0x30, 0xfffffffe, 4);
  CHECK(r.config(3, 0, 0x30) == 0xfffff000);
  r.config(3, 0, 0x18, 0xffffffff, 4);
  CHECK(r.config(3, 0, 0x18) == 0);
  r.config(3, 0, 0x10, 0xc000, 4);
  r.config(3, 0, 0x14, 0xfebf0000, 4);
  CHECK(r.card.ranges().empty());
  r.config(3, 0, 4, 1, 2);
  REQUIRE(r.card.ranges().size() == 1);
  CHECK(r.card.ranges()[0].base == 0xc000);
  CHECK(r.card.ranges()[0].size == 32);
  r.config(3, 0, 4, 3, 2);
  CHECK(r.card.ranges().size() == 2);
  r.config(3, 0, 0x30, 0xfeb00001, 4);
  REQUIRE(r.card.ranges().size() == 3);
  CHECK(r.card.ranges()[2].rom);
  CHECK(r.card.ranges()[2].target->read(2999, 1) == 0x55);
  CHECK(r.card.ranges()[2].target->read(4000, 1) == 0xff);
  r.config(3, 0, 0x14, 0xffffffff, 4);  // being sized
  CHECK(r.card.ranges().size() == 2);
  r.card.reset();
  CHECK(r.card.ranges().empty());
}

TEST_CASE("Identity cannot be written, status bits are cleared by ones") {
  PciRig r;
  r.config(3, 0, 0, 0, 4);
  CHECK(r.config(3, 0, 0) == 0x12341af4);
  r.config(3, 0, 0x3c, 0x0b, 1);
  CHECK(r.config(3, 0, 0x3c, 2) == 0x010b);
  r.card.interrupt(true);
  CHECK((r.config(3, 0, 6, 2) & 8) != 0);
}

TEST_CASE("Status and subsystem of the chipset's functions are those of QEMU's board") {
  PciRig r;
  CHECK(r.config(1, 0, 6, 2) == 0x0200);  // medium DEVSEL#
  CHECK(r.config(1, 1, 6, 2) == 0x0280);  // and fast back-to-back
  CHECK(r.config(1, 3, 6, 2) == 0x0280);
  r.config(1, 3, 6, 0xffff, 2);
  CHECK(r.config(1, 3, 6, 2) == 0x0280);
  for (const unsigned function : {0u, 1u, 3u}) CHECK(r.config(1, function, 0x2c) == 0x11001af4);
  CHECK(r.config(0, 0, 0x2c) == 0x11001af4);
}

TEST_CASE("The power management function says which ports the board has") {
  PciRig r;
  CHECK(r.config(1, 3, 0x5f, 1) == 0x10);
  CHECK(r.config(1, 3, 0x67, 1) == 0x00);
  r.pm.set_ports({.parallel = true, .serial_a = true});
  r.pm.reset();
  CHECK(r.config(1, 3, 0x5f, 1) == 0x90);
  CHECK(r.config(1, 3, 0x67, 1) == 0x08);
}

TEST_CASE("PIRQ routing: off at reset, then to the ISA interrupt, shared by several slots") {
  PciRig r;
  REQUIRE(Piix3::pirq_of(3, 0) == 2);
  r.card.interrupt(true);
  CHECK_FALSE(r.wires.levels[11]);
  r.config(1, 0, 0x62, 0x0b, 1);
  CHECK(r.wires.levels[11]);
  r.piix3.set_line(1 * 4 + 2, true);  // another card on the same line
  r.card.interrupt(false);
  CHECK(r.wires.levels[11]);
  r.piix3.set_line(1 * 4 + 2, false);
  CHECK_FALSE(r.wires.levels[11]);
  r.card.interrupt(true);
  r.config(1, 0, 0x62, 0x0a, 1);
  CHECK(r.wires.levels[10]);
  CHECK_FALSE(r.wires.levels[11]);
  r.config(3, 0, 4, 0x400, 2);  // INTx disable
  CHECK_FALSE(r.wires.levels[10]);
  r.config(1, 0, 0x62, 0x01, 1);  // not an interrupt that can be routed to
  r.config(3, 0, 4, 0, 2);
  CHECK_FALSE(r.wires.levels[1]);
}

TEST_CASE("Reset control at CF9h resets on a rising bit 2") {
  PciRig r;
  const unsigned before = r.wires.rises[20];
  r.bus.config_ports().write(1, 0x02, 1);
  CHECK(r.wires.rises[20] == before);
  r.bus.config_ports().write(1, 0x06, 1);
  CHECK(r.wires.rises[20] == before + 1);
}

TEST_CASE("PAM registers describe thirteen ranges, and SMRAM locks") {
  PciRig r;
  r.config(0, 0, 0x59, 0x10, 1);
  CHECK(r.i440fx.pam(0).base == 0xf0000);
  CHECK(r.i440fx.pam(0).read_ram);
  CHECK_FALSE(r.i440fx.pam(0).write_ram);
  r.config(0, 0, 0x5a, 0x21, 1);
  CHECK(r.i440fx.pam(1).base == 0xc0000);
  CHECK(r.i440fx.pam(1).read_ram);
  CHECK(r.i440fx.pam(2).base == 0xc4000);
  CHECK(r.i440fx.pam(2).write_ram);
  CHECK_FALSE(r.i440fx.pam(2).read_ram);
  CHECK(r.i440fx.pam(12).base == 0xec000);
  CHECK_FALSE(r.i440fx.smram_open());
  r.config(0, 0, 0x72, 0x4a, 1);
  CHECK(r.i440fx.smram_open());
  r.config(0, 0, 0x72, 0x1a, 1);
  r.config(0, 0, 0x72, 0x4a, 1);
  CHECK_FALSE(r.i440fx.smram_open());
}

TEST_CASE("Power management: PMBA, the timer and its overflow, the button, SCI, sleep and the APM hand-over") {
  PciRig r;
  CHECK(r.pm.ranges().empty());
  r.config(1, 3, 0x40, 0xb001, 4);
  r.config(1, 3, 0x80, 1, 1);
  REQUIRE(r.pm.ranges().size() == 1);
  CHECK(r.pm.ranges()[0].base == 0xb000);
  BusTarget& io = *r.pm.ranges()[0].target;
  const u32 start = io.read(8, 4);
  r.run(kNanosPerSecond);
  CHECK(((io.read(8, 4) - start) & 0xffffff) == Piix4Pm::kTimerHz);

  r.pm.apm_ports().write(0, 0xf1, 1);
  CHECK((io.read(4, 2) & 1) != 0);
  io.write(0, 0xffff, 2);
  io.write(2, 0x0101, 2);
  CHECK_FALSE(r.wires.levels[9]);
  r.run(3 * kNanosPerSecond);  // the top bit changes every 2.34 s
  CHECK(r.wires.levels[9]);
  CHECK((io.read(0, 2) & 1) != 0);
  io.write(0, 1, 2);
  CHECK_FALSE(r.wires.levels[9]);
  r.pm.power_button();
  CHECK(r.wires.levels[9]);
  io.write(0, 0x0100, 2);
  CHECK_FALSE(r.wires.levels[9]);

  io.write(4, 1 | 1 << 10, 2);
  CHECK(r.sleeps.empty());
  io.write(4, 1 | 1 << 10 | 1 << 13, 2);
  io.write(4, 1 | 1 << 13, 2);
  CHECK(r.sleeps == std::vector<Piix4Pm::Sleep>{Piix4Pm::Sleep::kSuspend, Piix4Pm::Sleep::kOff});
  CHECK((io.read(4, 2) & 0x2000) == 0);
  r.pm.gpe_ports().write(2, 0xff, 1);
  CHECK(r.pm.gpe_ports().read(0, 4) == 0x00ff0000);
  r.pm.apm_ports().write(0, 0xf0, 1);
  CHECK((io.read(4, 2) & 1) == 0);
}

TEST_CASE("fw_cfg: items by byte, the directory sorted, DMA with select, skip, padding and refusals") {
  ChipsetBench b;
  b.fw_cfg.add_file("zebra", {7, 8, 9});
  const u16 key = b.fw_cfg.add_file("apple", {1, 2, 3, 4, 5});
  BusTarget& ports = b.fw_cfg.ports();
  const auto string = [&](u16 item, unsigned n) {
    ports.write(0, item, 2);
    std::string s;
    while (n-- > 0) s += static_cast<char>(ports.read(1, 1));
    return s;
  };
  CHECK(string(0, 4) == "QEMU");
  CHECK(string(1, 1) == "\x03");
  CHECK(string(key, 7) == std::string("\1\2\3\4\5\0\0", 7));
  const std::string directory = string(0x19, 4 + 2 * 64);
  CHECK(directory.substr(0, 4) == std::string("\0\0\0\2", 4));
  CHECK(directory.substr(4 + 8, 6) == std::string("apple\0", 6));
  CHECK(directory.substr(4 + 64 + 8, 5) == "zebra");

  BusTarget& dma = b.fw_cfg.dma_ports();
  CHECK(dma.read(0, 4) == 0x554d4551);
  const auto run = [&](u32 control, u32 length, u32 address) {
    const u8 descriptor[16] = {static_cast<u8>(control >> 24),
                               static_cast<u8>(control >> 16),
                               0,
                               static_cast<u8>(control),
                               static_cast<u8>(length >> 24),
                               static_cast<u8>(length >> 16),
                               static_cast<u8>(length >> 8),
                               static_cast<u8>(length),
                               0,
                               0,
                               0,
                               0,
                               static_cast<u8>(address >> 24),
                               static_cast<u8>(address >> 16),
                               static_cast<u8>(address >> 8),
                               static_cast<u8>(address)};
    b.memory.write(Phys(0x100), descriptor, sizeof descriptor);
    dma.write(4, 0x00010000, 4);
    return b.memory.bytes[0x103];
  };
  b.memory.bytes[0x2006] = 0xee;
  CHECK(run(static_cast<u32>(key) << 16 | 8 | 4, 1, 0) == 0);
  CHECK(run(2, 6, 0x2000) == 0);
  CHECK(b.memory.bytes[0x2000] == 2);
  CHECK(b.memory.bytes[0x2003] == 5);
  CHECK(b.memory.bytes[0x2005] == 0);
  CHECK(b.memory.bytes[0x2006] == 0xee);
  CHECK(run(16, 1, 0x2000) == 1);          // items are read-only
  CHECK(run(2, 0xffffffff, 0x2000) == 1);  // and four gigabytes of padding are not to be had
}

TEST_CASE("pci-testdev describes a test and counts its writes, on memory and on ports") {
  PciTestDevice device;
  device.config_write(0x10, 0xfebf0000, 4);
  device.config_write(0x14, 0xc000, 4);
  device.config_write(0x04, 3, 2);
  REQUIRE(device.ranges().size() == 2);
  BusTarget& memory = *device.ranges()[0].target;
  BusTarget& ports = *device.ranges()[1].target;
  CHECK(memory.read(0, 4) == 0);
  CHECK(memory.read(16, 1) == 0);
  const struct {
    BusTarget& bar;
    u32 first;
    u8 number;
    const char* name;
  } bars[] = {{memory, 0x800, 0, "mmio-no-eventfd"}, {ports, 0x83, 3, "portio-no-eventfd"}};
  for (const auto& b : bars) {
    INFO(b.name);
    b.bar.write(0, 0, 1);
    CHECK(b.bar.read(0, 4) == (0x100u | b.number));
    CHECK(b.bar.read(4, 4) == b.first);
    CHECK(b.bar.read(8, 4) == 0xfa);
    std::string name;
    for (u32 at = 16; b.bar.read(at, 1) != 0; ++at) name += static_cast<char>(b.bar.read(at, 1));
    CHECK(name == b.name);
    b.bar.write(b.first, 0xfa, 1);
    b.bar.write(b.first, 0x55, 1);
    b.bar.write(b.first + 1, 0xfa, 1);  // that of another test
    CHECK(b.bar.read(12, 4) == 1);
    b.bar.write(0, 1, 1);  // this one takes any byte
    CHECK(b.bar.read(12, 4) == 0);
    b.bar.write(b.first + 1, 0x55, 1);
    b.bar.write(b.first + 1, 0xce, 1);
    CHECK(b.bar.read(12, 4) == 2);
    b.bar.write(0, 3, 1);  // there is no fourth
    CHECK(b.bar.read(0, 4) == 0);
  }
}

TEST_CASE("Debug console, debug exit, test device and port 92h") {
  std::string text;
  DebugConsole console([&](u8 byte) { text += static_cast<char>(byte); });
  CHECK(console.read(0, 1) == 0xe9);
  console.write(0, 'x', 1);
  CHECK(text == "x");
  int code = -1;
  DebugExit exit([&](int c) { code = c; });
  exit.write(0, 0x10, 4);
  CHECK(code == 0x21);
  ChipsetBench b;
  b.testdev.io_port().write(0, 0x11223344, 4);
  b.testdev.io_port().write(1, 0xaa, 1);
  CHECK(b.testdev.io_port().read(0, 4) == 0x1122aa44);
  b.testdev.memory().write(0xfffc, 0x12345678, 4);
  CHECK(b.testdev.memory().read(0xfffe, 2) == 0x1234);
  b.port92.write(0, 2, 1);
  CHECK(b.wires.levels[19]);
  const unsigned resets = b.wires.rises[20];
  b.port92.write(0, 3, 1), b.port92.write(0, 3, 1);
  CHECK(b.wires.rises[20] == resets + 1);
}
