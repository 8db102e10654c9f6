// 16550A and the parallel port. National Semiconductor PC16550D.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"

using namespace umbra;

namespace {

struct Com {
  FakeTime time;
  Clock clock{time};
  Probe wires;
  FakeCharDev host;
  Uart16550 uart{clock, Line(wires, 4), "uart0"};

  Com() { uart.connect(&host), uart.write(4, 0x0b, 1); }
  void out(u32 reg, u32 value) { uart.write(reg, value, 1); }
  u32 in(u32 reg) { return uart.read(reg, 1); }
};

}  // namespace

TEST_CASE("Bytes go out at once, THR is empty again, and its interrupt is acknowledged by reading IIR") {
  Com c;
  CHECK(c.in(5) == 0x60);
  c.out(1, 2);
  CHECK(c.wires.levels[4]);
  CHECK(c.in(2) == 0x02);
  CHECK_FALSE(c.wires.levels[4]);
  CHECK(c.in(2) == 0x01);
  c.out(0, 'h'), c.out(0, 'i');
  CHECK(c.host.output == "hi");
  CHECK(c.wires.levels[4]);
}

TEST_CASE("A slow host end keeps THR full until it takes the byte") {
  Com c;
  c.host.budget = 1;
  c.out(0, 'a'), c.out(0, 'b');
  CHECK((c.in(5) & 0x60) == 0);
  c.host.budget = 10;
  run_clock(c.time, c.clock, c.time.now() + 5'000'000);
  CHECK((c.in(5) & 0x60) == 0x60);
  CHECK(c.host.output == "ab");
}

TEST_CASE("A host end that is full makes the line slow, and yet nothing of what was said by then stays in the FIFO") {
  Com c;
  c.out(2, 1);
  c.host.slow = true;
  for (const char letter : {'a', 'b', 'c'}) c.out(0, static_cast<u8>(letter));
  CHECK(c.host.output == "abc");
  CHECK((c.in(5) & 0x60) == 0);
  run_clock(c.time, c.clock, c.time.now() + 5'000'000);
  CHECK((c.in(5) & 0x60) == 0);
  c.host.slow = false;
  run_clock(c.time, c.clock, c.time.now() + 5'000'000);
  CHECK((c.in(5) & 0x60) == 0x60);
  CHECK(c.host.output == "abc");
}

TEST_CASE("Without FIFOs one byte is held, the next overruns it") {
  Com c;
  CHECK(c.host.room() == 1);
  c.out(1, 5);
  c.host.type("x");
  CHECK(c.host.room() == 0);
  CHECK(c.in(2) == 0x04);
  c.host.type("y");
  CHECK(c.in(2) == 0x06);
  CHECK((c.in(5) & 0x03) == 0x03);
  CHECK((c.in(5) & 0x02) == 0);
  CHECK(c.in(0) == 'y');
  CHECK(c.host.room_calls == 1);
  CHECK(c.in(2) == 0x01);
}

TEST_CASE("The FIFO interrupts at its trigger level, and after four characters' time below it") {
  Com c;
  c.out(2, 0x81);  // level 8
  c.out(1, 1);
  CHECK(c.in(2) == 0xc1);
  CHECK(c.host.room() == 16);
  c.host.type("1234567");
  CHECK_FALSE(c.wires.levels[4]);
  run_clock(c.time, c.clock, c.time.now() + 10'000'000);  // 9600 baud: 4.2 ms
  CHECK(c.in(2) == 0xcc);
  CHECK(c.in(0) == '1');
  CHECK_FALSE(c.wires.levels[4]);
  c.host.type("89");
  CHECK(c.in(2) == 0xc4);
  c.host.type("abcdefgh");
  CHECK(c.host.room() == 0);
  c.host.type("!");
  CHECK((c.in(5) & 2) != 0);
  std::string got;
  while ((c.in(5) & 1) != 0) got += static_cast<char>(c.in(0));
  CHECK(got == "23456789abcdefgh");
  c.host.type("zz");
  c.out(2, 0x83);  // reset the receiver
  CHECK((c.in(5) & 1) == 0);
}

TEST_CASE("Divisor latch, line control, scratch; OUT2 gates the interrupt") {
  Com c;
  c.out(3, 0x83);
  c.out(0, 0x01), c.out(1, 0x02);
  CHECK(c.uart.regs().divisor == 0x201);
  CHECK(c.in(1) == 0x02);
  c.out(3, 0x03);
  CHECK(c.in(1) == 0x00);
  c.out(7, 0xa5);
  CHECK(c.in(7) == 0xa5);
  c.out(1, 2);
  CHECK(c.wires.levels[4]);
  c.out(4, 0x03);
  CHECK_FALSE(c.wires.levels[4]);
  c.out(1, 0xff);
  CHECK(c.in(1) == 0x0f);
}

TEST_CASE("Loopback: data, modem lines and their deltas, break") {
  Com c;
  CHECK((c.in(6) & 0xf0) == 0xb0);
  c.out(4, 0x10);
  c.in(6);
  c.out(4, 0x1f);
  CHECK(c.in(6) == 0xfb);  // the ring indicator tells its trailing edge only
  c.out(4, 0x1b);
  CHECK(c.in(6) == 0xb4);
  c.out(0, 0x77);
  CHECK(c.host.output.empty());
  CHECK(c.in(0) == 0x77);
  c.out(3, 0x40);
  CHECK((c.in(5) & 0x11) == 0x11);
}

TEST_CASE("The printer port strobes bytes out and answers ready") {
  ChipsetBench b;
  b.parallel.write(0, 'P', 1);
  CHECK((b.parallel.read(1, 1) & 0xf8) == 0xd8);
  b.parallel.write(2, 0x1d, 1);
  CHECK(b.host.output.empty());
  b.parallel.write(2, 0x1c, 1);
  CHECK(b.host.output == "P");
  CHECK(b.wires.rises[7] == 1);
  CHECK(b.parallel.read(0, 1) == 'P');
  CHECK((b.parallel.read(2, 1) & 0x1f) == 0x1c);
}
