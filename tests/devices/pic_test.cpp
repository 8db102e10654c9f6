// 8259A: initialisation, priorities, every kind of EOI, masks, modes, spurious interrupts. Intel 231468.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"

using namespace umbra;

namespace {

struct Pics {
  Probe wires;
  PicPair pic{Line(wires, 0)};

  Pics(u8 icw4_master = 1, u8 icw4_slave = 1, u8 icw1 = 0x11) {
    pic.reset();
    for (BusTarget* chip : {&pic.master_ports(), &pic.slave_ports()}) {
      const bool master = chip == &pic.master_ports();
      chip->write(0, icw1, 1);
      chip->write(1, master ? 0x08 : 0x70, 1);
      chip->write(1, master ? 0x04 : 0x02, 1);
      chip->write(1, master ? icw4_master : icw4_slave, 1);
    }
  }
  void pulse(unsigned irq) {
    pic.set_line(irq, true);
    pic.set_line(irq, false);
  }
  void master(u8 ocw) { pic.master_ports().write(0, ocw, 1); }
  void slave(u8 ocw) { pic.slave_ports().write(0, ocw, 1); }
  u8 read_irr(BusTarget& chip) { return chip.write(0, 0x0a, 1), static_cast<u8>(chip.read(0, 1)); }
  u8 read_isr(BusTarget& chip) { return chip.write(0, 0x0b, 1), static_cast<u8>(chip.read(0, 1)); }
};

}  // namespace

TEST_CASE("Nothing comes through before ICW1: a ROM that sets up no interrupt controller meets no timer") {
  Probe wires;
  PicPair pic{Line(wires, 0)};
  pic.reset();
  pic.set_line(0, true);
  pic.set_line(8, true);
  CHECK_FALSE(pic.intr());
  pic.set_line(0, false);
  pic.set_line(8, false);
  Pics p;
  p.pulse(0);
  p.pic.reset();
  p.pulse(0);
  CHECK_FALSE(p.pic.intr());
}

TEST_CASE("An edge on an input raises INT and is acknowledged with its vector") {
  Pics p;
  CHECK_FALSE(p.pic.intr());
  p.pulse(3);
  CHECK(p.wires.levels[0]);
  CHECK(p.read_irr(p.pic.master_ports()) == 0x08);
  CHECK(p.pic.acknowledge() == 0x0b);
  CHECK_FALSE(p.pic.intr());
  CHECK(p.read_isr(p.pic.master_ports()) == 0x08);
  CHECK(p.read_irr(p.pic.master_ports()) == 0);
}

TEST_CASE("The slave's vector comes through the cascade, and both levels are in service") {
  Pics p;
  p.pulse(8);
  REQUIRE(p.pic.intr());
  CHECK(p.pic.acknowledge() == 0x70);
  CHECK(p.read_isr(p.pic.master_ports()) == 0x04);
  CHECK(p.read_isr(p.pic.slave_ports()) == 0x01);
  p.pulse(12);
  CHECK_FALSE(p.pic.intr());  // lower priority than what is served
  p.slave(0x20);
  p.master(0x20);
  CHECK(p.pic.intr());
  CHECK(p.pic.acknowledge() == 0x74);
}

TEST_CASE("Priorities: a higher request interrupts, a lower one waits for the EOI") {
  Pics p;
  p.pulse(5);
  CHECK(p.pic.acknowledge() == 0x0d);
  p.pulse(6);
  CHECK_FALSE(p.pic.intr());
  p.pulse(1);
  REQUIRE(p.pic.intr());
  CHECK(p.pic.acknowledge() == 0x09);
  p.master(0x20);  // ends 1, the highest in service
  CHECK(p.read_isr(p.pic.master_ports()) == 0x20);
  p.master(0x65);  // specific EOI of 5
  CHECK(p.read_isr(p.pic.master_ports()) == 0);
  CHECK(p.pic.acknowledge() == 0x0e);
}

TEST_CASE("A request that is gone at INTA is a spurious 7 without an ISR bit, on either chip") {
  Pics p;
  p.pic.elcr_ports().write(0, 0x08, 1);  // input 3: level
  p.pic.set_line(3, true);
  REQUIRE(p.pic.intr());
  p.pic.set_line(3, false);
  CHECK(p.pic.acknowledge() == 0x0f);
  CHECK(p.read_isr(p.pic.master_ports()) == 0);

  p.pic.elcr_ports().write(1, 0x02, 1);  // input 9
  p.pic.set_line(9, true);
  REQUIRE(p.pic.intr());
  p.pic.set_line(9, false);  // the master has latched the cascade's edge, the slave has nothing left
  CHECK(p.pic.acknowledge() == 0x77);
  CHECK(p.read_isr(p.pic.master_ports()) == 0x04);
  CHECK(p.read_isr(p.pic.slave_ports()) == 0);
}

TEST_CASE("Masked requests stay latched until the mask is taken away") {
  Pics p;
  p.pic.master_ports().write(1, 0x10, 1);
  CHECK(p.pic.master_ports().read(1, 1) == 0x10);
  p.pulse(4);
  CHECK_FALSE(p.pic.intr());
  p.pic.master_ports().write(1, 0, 1);
  CHECK(p.pic.acknowledge() == 0x0c);
}

TEST_CASE("Level-triggered inputs ask again for as long as they are up; ELCR cannot make the timer one") {
  Pics p;
  p.pic.elcr_ports().write(0, 0xff, 1);
  CHECK(p.pic.elcr_ports().read(0, 1) == 0xf8);
  p.pic.elcr_ports().write(1, 0xff, 1);
  CHECK(p.pic.elcr_ports().read(1, 1) == 0xde);
  p.pic.set_line(10, true);
  CHECK(p.pic.acknowledge() == 0x72);
  p.slave(0x20), p.master(0x20);
  CHECK(p.pic.intr());
  CHECK(p.pic.acknowledge() == 0x72);
  p.pic.set_line(10, false);
  p.slave(0x20), p.master(0x20);
  CHECK_FALSE(p.pic.intr());
}

TEST_CASE("Automatic EOI leaves nothing in service, and rotates when told to") {
  Pics p(3);
  p.master(0x80);  // rotate in automatic EOI mode
  p.pulse(0);
  CHECK(p.pic.acknowledge() == 0x08);
  CHECK(p.read_isr(p.pic.master_ports()) == 0);
  p.pulse(0), p.pulse(1);
  CHECK(p.pic.acknowledge() == 0x09);  // 0 has the lowest priority now
  CHECK(p.pic.acknowledge() == 0x08);
}

TEST_CASE("Rotation: with the EOI, with a specific EOI, and by set priority") {
  Pics p;
  p.pulse(2 + 1);
  p.pic.acknowledge();
  p.master(0xa0);  // rotate on non-specific EOI: 3 becomes the lowest
  p.pulse(3), p.pulse(4);
  CHECK(p.pic.acknowledge() == 0x0c);
  p.master(0xe4);  // rotate on specific EOI of 4
  CHECK(p.pic.master().regs().lowest == 4);
  p.master(0x60 | 3);
  p.master(0xc0 | 7);  // set priority: 7 lowest, the usual order
  p.pulse(6), p.pulse(5);
  CHECK(p.pic.acknowledge() == 0x0b);  // 3 had waited
  p.master(0x20);
  CHECK(p.pic.acknowledge() == 0x0d);
}

TEST_CASE("Special mask mode lets lower levels through while a masked one is in service") {
  Pics p;
  p.pulse(1);
  CHECK(p.pic.acknowledge() == 0x09);
  p.pulse(6);
  CHECK_FALSE(p.pic.intr());
  p.pic.master_ports().write(1, 0x02, 1);
  p.master(0x68);  // set special mask
  CHECK(p.pic.intr());
  CHECK(p.pic.acknowledge() == 0x0e);
  p.master(0x20);  // does not see the masked level 1
  CHECK(p.read_isr(p.pic.master_ports()) == 0x02);
  p.master(0x48);
  p.pic.master_ports().write(1, 0, 1);
  p.pulse(6);
  CHECK_FALSE(p.pic.intr());
}

TEST_CASE("Special fully nested mode lets the slave interrupt itself") {
  for (const bool nested : {false, true}) {
    Pics p(nested ? 0x11 : 0x01);
    p.pulse(12);
    CHECK(p.pic.acknowledge() == 0x74);
    p.pulse(9);  // higher within the slave
    CHECK(p.pic.intr() == nested);
  }
}

TEST_CASE("The poll command is an acknowledge by reading") {
  Pics p;
  p.master(0x0c);
  CHECK(p.pic.master_ports().read(0, 1) == 0);
  p.pulse(5);
  p.master(0x0c);
  CHECK(p.pic.master_ports().read(0, 1) == 0x85);
  CHECK(p.read_isr(p.pic.master_ports()) == 0x20);
}

TEST_CASE("ICW1 clears masks and service, level mode by ICW1 is seen, single mode skips ICW3") {
  Pics p;
  p.pic.master_ports().write(1, 0xff, 1);
  p.pulse(1);
  p.pic.master_ports().write(0, 0x1a, 1);  // level, single, no ICW4
  p.pic.master_ports().write(1, 0x40, 1);  // ICW2, the last one
  CHECK(p.pic.master_ports().read(1, 1) == 0);
  p.pic.master_ports().write(1, 0x01, 1);  // so this is OCW1
  CHECK(p.pic.master_ports().read(1, 1) == 0x01);
  p.pic.set_line(5, true);
  CHECK(p.pic.acknowledge() == 0x45);
  p.pic.master_ports().write(0, 0x20, 1);
  CHECK(p.pic.intr());  // still up
}
