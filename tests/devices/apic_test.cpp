// Local APIC, I/O APIC and HPET.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"

using namespace umbra;

namespace {

struct Apics : ChipsetBench {
  Apics() { lapic.write(0xf0, 0x1ff, 4); }
  void redirect(unsigned pin, u64 entry) {
    ioapic.write(0, 0x10 + pin * 2, 4), ioapic.write(0x10, static_cast<u32>(entry), 4);
    ioapic.write(0, 0x11 + pin * 2, 4), ioapic.write(0x10, static_cast<u32>(entry >> 32), 4);
  }
  u32 redirection(unsigned pin) { return ioapic.write(0, 0x10 + pin * 2, 4), ioapic.read(0x10, 4); }
  u32 in(u32 reg) { return lapic.read(reg, 4); }
  void out(u32 reg, u32 value) { lapic.write(reg, value, 4); }
  void eoi() { out(0xb0, 0); }
  void pulse(unsigned pin) { ioapic.set_line(pin, true), ioapic.set_line(pin, false); }
};

}  // namespace

TEST_CASE("An edge through the I/O APIC is requested, served and ended in the local APIC") {
  Apics a;
  a.redirect(4, 0x31);
  a.pulse(4);
  REQUIRE(a.lapic.has_vector());
  CHECK(a.wires.levels[16]);
  CHECK(a.in(0x210) == 1u << 17);
  CHECK(a.lapic.acknowledge() == 0x31);
  CHECK(a.in(0x110) == 1u << 17);
  CHECK(a.in(0xa0) == 0x30);
  CHECK_FALSE(a.wires.levels[16]);
  a.eoi();
  CHECK(a.in(0x110) == 0);
  CHECK(a.lapic.acknowledge() == 0xff);  // spurious
}

TEST_CASE("Priority classes: the task priority and what is in service hold lower vectors back") {
  Apics a;
  a.redirect(1, 0x41), a.redirect(2, 0x52), a.redirect(3, 0x45);
  a.out(0x80, 0x40);
  a.pulse(1);
  CHECK_FALSE(a.lapic.has_vector());
  a.pulse(2);
  CHECK(a.lapic.acknowledge() == 0x52);
  a.out(0x80, 0);
  CHECK_FALSE(a.lapic.has_vector());
  a.eoi();
  CHECK(a.lapic.acknowledge() == 0x41);
  a.pulse(3);
  CHECK_FALSE(a.lapic.has_vector());  // same class
}

TEST_CASE("A level-triggered line keeps its remote IRR until the EOI, and asks again while it is up") {
  Apics a;
  a.redirect(10, 0x8000 | 0x61);
  a.ioapic.set_line(10, true);
  CHECK((a.redirection(10) & 0x4000) != 0);
  CHECK(a.lapic.acknowledge() == 0x61);
  CHECK(a.in(0x1b0) == 2);  // TMR
  CHECK_FALSE(a.lapic.has_vector());
  a.eoi();
  CHECK(a.lapic.acknowledge() == 0x61);
  a.ioapic.set_line(10, false);
  a.eoi();
  CHECK_FALSE(a.lapic.has_vector());
  CHECK((a.redirection(10) & 0x4000) == 0);
}

TEST_CASE("Masked pins: edges are lost, levels are looked at when unmasked") {
  Apics a;
  a.redirect(5, 0x10000 | 0x55);
  a.pulse(5);
  CHECK_FALSE(a.lapic.has_vector());
  a.redirect(5, 0x55);
  CHECK_FALSE(a.lapic.has_vector());
  a.pulse(5);
  CHECK(a.lapic.acknowledge() == 0x55);
  a.redirect(11, 0x10000 | 0x8000 | 0x66);
  a.ioapic.set_line(11, true);
  a.redirect(11, 0x8000 | 0x66);
  CHECK(a.lapic.has_vector());
}

TEST_CASE("Destinations: physical, logical flat, logical cluster, broadcast") {
  Apics a;
  a.out(0x20, 0x02000000);
  a.out(0xd0, 0x04000000);
  CHECK(a.lapic.accepts({.destination = 2}));
  CHECK_FALSE(a.lapic.accepts({.destination = 0}));
  CHECK(a.lapic.accepts({.destination = 0xff}));
  CHECK(a.lapic.accepts({.destination = 0x0c, .logical = true}));
  CHECK_FALSE(a.lapic.accepts({.destination = 0x03, .logical = true}));
  a.out(0xe0, 0x0fffffff);
  a.out(0xd0, 0x21000000);
  CHECK(a.lapic.accepts({.destination = 0x23, .logical = true}));
  CHECK_FALSE(a.lapic.accepts({.destination = 0x13, .logical = true}));
}

TEST_CASE("The virtual wire: the 8259's INT passes through LINT0, or past an APIC that is off") {
  ChipsetBench b;
  b.lapic.set_lint0(true);
  CHECK(b.lapic.wants_extint());
  CHECK(b.wires.levels[16]);
  b.lapic.write(0xf0, 0x1ff, 4);
  b.lapic.write(0x350, 0x10700, 4);
  CHECK_FALSE(b.wires.levels[16]);
  b.lapic.set_enabled(false);
  CHECK(b.lapic.wants_extint());
  b.lapic.set_lint0(false);
  CHECK_FALSE(b.wires.levels[16]);
  b.lapic.set_enabled(true);
  b.lapic.write(0xf0, 0x1ff, 4);
  b.lapic.write(0x360, 0x400, 4);
  b.lapic.set_lint1(true);
  CHECK(b.wires.rises[17] == 1);
}

TEST_CASE("Interprocessor interrupts come back to the only processor, or go nowhere") {
  Apics a;
  a.out(0x300, 0x40000 | 0x77);  // self
  CHECK(a.lapic.acknowledge() == 0x77);
  a.eoi();
  a.out(0x300, 0xc0000 | 0x77);  // all but self
  CHECK_FALSE(a.lapic.has_vector());
  a.out(0x310, 0x05000000), a.out(0x300, 0x78);
  CHECK_FALSE(a.lapic.has_vector());
  CHECK((a.in(0x300) & 0x1000) == 0);
  a.out(0x300, 0x40000 | 0x05);  // an illegal vector
  a.out(0x280, 0);
  CHECK((a.in(0x280) & 0x60) != 0);
  a.out(0x300, 0x80000 | 0x500);  // INIT to all
  CHECK(a.wires.rises[18] == 1);
}

TEST_CASE("The APIC timer: one shot, periodic, divided, masked") {
  Apics a;
  a.out(0x3e0, 0x0b);
  a.out(0x320, 0x40);
  a.out(0x380, 1000);
  a.run(400);
  CHECK(a.in(0x390) == 600);
  a.run(700);
  CHECK(a.in(0x390) == 0);
  CHECK(a.lapic.acknowledge() == 0x40);
  a.eoi();
  a.run(10000);
  CHECK_FALSE(a.lapic.has_vector());
  a.out(0x3e0, 0x03);  // by 16
  a.out(0x320, 0x20041);
  a.out(0x380, 1000);
  unsigned ticks = 0;
  for (unsigned i = 0; i < 160; ++i) {
    a.run(1000);
    if (a.lapic.has_vector()) a.lapic.acknowledge(), a.eoi(), ++ticks;
  }
  CHECK(ticks == 10);
  a.out(0x320, 0x30041);
  a.run(100000);
  CHECK_FALSE(a.lapic.has_vector());
}

TEST_CASE("The APIC timer's count goes on when mode or divider change, and what has run out stays at zero") {
  Apics a;
  a.out(0x3e0, 0x0b);
  a.out(0x320, 0x40);
  a.out(0x380, 1000);
  a.run(600);
  a.out(0x320, 0x20040);  // one shot to periodic
  CHECK(a.in(0x390) == 400);
  a.run(400);
  CHECK(a.lapic.acknowledge() == 0x40);
  a.eoi();
  a.run(300);
  CHECK(a.in(0x390) == 700);
  a.out(0x320, 0x40);  // and back
  CHECK(a.in(0x390) == 700);
  a.out(0x3e0, 0x00);  // by two
  CHECK(a.in(0x390) == 700);
  a.run(1000);
  CHECK(a.in(0x390) == 200);
  CHECK_FALSE(a.lapic.has_vector());
  a.run(400);
  CHECK(a.in(0x390) == 0);
  CHECK(a.lapic.acknowledge() == 0x40);
  a.eoi();
  a.out(0x320, 0x20040);
  a.run(10000);
  CHECK(a.in(0x390) == 0);
  CHECK_FALSE(a.lapic.has_vector());
  CHECK(a.in(0x380) == 1000);
}

TEST_CASE("Disabled by software, the APIC takes no interrupts and masks its entries") {
  Apics a;
  a.out(0x320, 0x40);
  a.out(0xf0, 0xff);
  CHECK((a.in(0x320) & 0x10000) != 0);
  a.redirect(4, 0x31);
  a.pulse(4);
  CHECK_FALSE(a.lapic.has_vector());
}

TEST_CASE("HPET: a main counter at 100 MHz that can be stopped and set") {
  ChipsetBench b;
  CHECK(b.hpet.read(4, 4) == 10'000'000);
  CHECK((b.hpet.read(0, 4) >> 16) == 0x8086);
  b.run(1000);
  CHECK(b.hpet.read(0xf0, 4) == 0);
  b.hpet.write(0x10, 1, 4);
  b.run(1000);
  CHECK(b.hpet.read(0xf0, 4) == 100);
  b.hpet.write(0x10, 0, 4);
  b.run(1000);
  CHECK(b.hpet.read(0xf0, 4) == 100);
  b.hpet.write(0xf0, 0xfffffff0, 4);
  b.hpet.write(0x10, 1, 4);
  b.run(320);
  CHECK(b.hpet.read(0xf0, 4) == 0x10);
  CHECK(b.hpet.read(0xf4, 4) == 1);
}

TEST_CASE("HPET: one-shot and periodic comparators, edge and level, legacy replacement") {
  ChipsetBench b;
  b.hpet.write(0x10, 1, 4);
  b.hpet.write(0x100, 0x100 | 4 | 2 << 9, 4);  // timer 0: 32 bits, enabled, route 2, edge
  b.hpet.write(0x108, 500, 4);
  b.run(4999);
  CHECK(b.wires.rises[34] == 0);
  b.run(1);
  CHECK(b.wires.rises[34] == 1);
  b.hpet.write(0x100, 0x100 | 4 | 2 << 9 | 8 | 0x40, 4);
  b.hpet.write(0x108, 1000, 4);
  b.hpet.write(0x108, 2000, 4);
  const unsigned before = b.wires.rises[34];
  b.run(1'000'000);
  CHECK(b.wires.rises[34] - before == 50);

  b.hpet.write(0x120, 0x100 | 4 | 2 | 16 << 9, 4);  // timer 1: level
  b.hpet.write(0x128, b.hpet.read(0xf0, 4) + 10, 4);
  b.run(200);
  CHECK(b.wires.levels[48]);
  CHECK(b.hpet.read(0x20, 4) == 2);
  b.hpet.write(0x20, 2, 4);
  CHECK_FALSE(b.wires.levels[48]);

  b.pit.write(3, 0x34, 1), b.pit.write(0, 0, 1), b.pit.write(0, 16, 1);
  b.hpet.write(0x10, 3, 4);
  const unsigned pit = b.wires.rises[0], hpet = b.wires.rises[32];
  b.run(10'000'000);
  CHECK(b.wires.rises[0] == pit);  // the PIT's wire is cut
  CHECK(b.wires.rises[32] > hpet);
}
