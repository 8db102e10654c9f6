// 8254: all six modes against the datasheet's waveforms (Intel 231164), reading, gates, IRQ0.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"

using namespace umbra;

namespace {

struct PitRig {
  FakeTime time;
  Clock clock{time};
  Probe wires;
  Pit pit{clock, Line(wires, 0)};

  void tick(u64 n) { run_clock(time, clock, time_of_tick(ticks_at(time.now(), kPitHz) + n, kPitHz)); }
  void program(unsigned counter, u8 mode, u16 count, bool bcd = false) {
    pit.write(3, static_cast<u32>(counter << 6 | 0x30 | mode << 1 | (bcd ? 1 : 0)), 1);
    pit.write(counter, count & 0xff, 1);
    pit.write(counter, count >> 8, 1);
  }
  u16 read(unsigned counter) {
    pit.write(3, counter << 6, 1);  // latch
    const u32 low = pit.read(counter, 1);
    return static_cast<u16>(low | pit.read(counter, 1) << 8);
  }
};

}  // namespace

TEST_CASE("Mode 0: OUT is low until the count is over, and the gate stops it") {
  PitRig r;
  r.program(2, 0, 10);
  r.pit.set_gate(2, true);
  CHECK_FALSE(r.pit.out(2));
  r.tick(4);
  CHECK(r.read(2) == 6);
  r.pit.set_gate(2, false);
  r.tick(100);
  CHECK(r.read(2) == 6);
  r.pit.set_gate(2, true);
  r.tick(5);
  CHECK_FALSE(r.pit.out(2));
  r.tick(1);
  CHECK(r.pit.out(2));
  r.tick(1);
  CHECK(r.read(2) == 0xffff);  // counts on
  CHECK(r.pit.out(2));
}

TEST_CASE("Mode 0 on counter 0 interrupts once") {
  PitRig r;
  r.program(0, 0, 1000);
  CHECK_FALSE(r.wires.levels[0]);
  const unsigned before = r.wires.rises[0];
  r.tick(999);
  CHECK(r.wires.rises[0] == before);
  r.tick(1);
  CHECK(r.wires.rises[0] == before + 1);
  r.tick(500000);
  CHECK(r.wires.rises[0] == before + 1);
}

TEST_CASE("Mode 1: a one-shot that the gate triggers, and triggers again") {
  PitRig r;
  r.program(2, 1, 20);
  CHECK(r.pit.out(2));
  r.tick(50);
  CHECK(r.pit.out(2));
  r.pit.set_gate(2, true);
  CHECK_FALSE(r.pit.out(2));
  r.tick(15);
  r.pit.set_gate(2, false);
  r.pit.set_gate(2, true);
  r.tick(15);
  CHECK_FALSE(r.pit.out(2));
  r.tick(5);
  CHECK(r.pit.out(2));
}

TEST_CASE("Mode 2: divides by N, low for the last tick; a new count waits for the period's end") {
  PitRig r;
  r.program(2, 2, 10);
  r.pit.set_gate(2, true);
  for (unsigned i = 0; i < 25; ++i) {
    CHECK(r.pit.out(2) == (i % 10 != 9));
    CHECK(r.read(2) == 10 - i % 10);
    r.tick(1);
  }
  r.program(2, 2, 10);
  r.tick(4);
  r.pit.write(2, 6, 1);
  r.pit.write(2, 0, 1);
  r.tick(5);
  CHECK(r.read(2) == 1);
  r.tick(1);
  CHECK(r.read(2) == 6);
}

TEST_CASE("Mode 3: a square wave; odd counts are high one tick longer") {
  PitRig r;
  r.pit.set_gate(2, true);
  for (const unsigned n : {8u, 9u}) {
    r.program(2, 3, static_cast<u16>(n));
    for (unsigned i = 0; i < 3 * n; ++i) {
      INFO(n << " " << i);
      CHECK(r.pit.out(2) == (i % n < (n + 1) / 2));
      CHECK(r.read(2) % 2 == 0);
      r.tick(1);
    }
  }
  r.pit.set_gate(2, false);
  CHECK(r.pit.out(2));
}

TEST_CASE("Modes 4 and 5: a strobe of one tick, by software and by the gate") {
  PitRig r;
  r.pit.set_gate(2, true);
  r.program(2, 4, 7);
  r.tick(6);
  CHECK(r.pit.out(2));
  r.tick(1);
  CHECK_FALSE(r.pit.out(2));
  r.tick(1);
  CHECK(r.pit.out(2));
  r.pit.set_gate(2, false);
  r.program(2, 5, 7);
  r.tick(30);
  CHECK(r.pit.out(2));
  r.pit.set_gate(2, true);
  r.tick(7);
  CHECK_FALSE(r.pit.out(2));
  r.tick(1);
  CHECK(r.pit.out(2));
}

TEST_CASE("BCD counts, and zero is the largest count") {
  PitRig r;
  r.pit.set_gate(2, true);
  r.program(2, 2, 0x1000, true);
  r.tick(1);
  CHECK(r.read(2) == 0x0999);
  r.program(2, 2, 0, true);
  r.tick(1);
  CHECK(r.read(2) == 0x9999);
  r.program(2, 2, 0);
  r.tick(1);
  CHECK(r.read(2) == 0xffff);
}

TEST_CASE("Latches hold until read; a second latch command is ignored; read-back gives status first") {
  PitRig r;
  r.pit.set_gate(2, true);
  r.program(2, 2, 1000);
  r.tick(10);
  r.pit.write(3, 0x80, 1);
  r.tick(10);
  r.pit.write(3, 0x80, 1);
  CHECK((r.pit.read(2, 1) | r.pit.read(2, 1) << 8) == 990);
  CHECK((r.pit.read(2, 1) | r.pit.read(2, 1) << 8) == 980);
  r.pit.write(3, 0xc8, 1);  // status and count of counter 2
  r.tick(5);
  CHECK(r.pit.read(2, 1) == 0xb4);  // OUT high, count loaded, both bytes, mode 2
  CHECK((r.pit.read(2, 1) | r.pit.read(2, 1) << 8) == 980);
  r.pit.write(3, 0xb6, 1);  // a new control word: null count until the count comes
  r.pit.write(3, 0xe8, 1);
  CHECK((r.pit.read(2, 1) & 0x40) != 0);
}

TEST_CASE("Single-byte access modes") {
  PitRig r;
  r.pit.set_gate(2, true);
  r.pit.write(3, 0x94, 1);  // low byte only, mode 2
  r.pit.write(2, 50, 1);
  r.tick(1);
  CHECK(r.pit.read(2, 1) == 49);
  CHECK(r.pit.read(2, 1) == 49);
  r.pit.write(3, 0xa4, 1);  // high byte only
  r.pit.write(2, 2, 1);
  CHECK(r.pit.regs().counter[2].period == 512);
}

TEST_CASE("IRQ0 comes at the programmed rate, and what a stalled host missed is made good with room between") {
  PitRig r;
  r.program(0, 2, 11932);  // 100 Hz
  const unsigned start = r.wires.rises[0];
  run_clock(r.time, r.clock, r.time.now() + kNanosPerSecond);
  CHECK(r.wires.rises[0] - start == 99 + 1 - (kPitHz % 11932 == 0 ? 0 : 1));
  const unsigned before = r.wires.rises[0];
  r.time.advance(200'000'000);  // nobody ran for twenty ticks
  r.clock.run_due();
  CHECK(r.wires.rises[0] == before + 1);
  CHECK(r.clock.next_deadline() > r.time.now());
  run_clock(r.time, r.clock, r.time.now() + 100'000'000);
  CHECK(r.wires.rises[0] - before >= 29);
  CHECK(r.wires.rises[0] - before <= 31);
  // Of an hour, a second's worth comes and no more.
  const unsigned then = r.wires.rises[0];
  r.time.advance(3600 * kNanosPerSecond);
  run_clock(r.time, r.clock, r.time.now() + kNanosPerSecond);
  CHECK(r.wires.rises[0] - then <= 202);
}

TEST_CASE("The fastest rates do not take the host over") {
  PitRig r;
  r.program(0, 2, 2);
  unsigned events = 0;
  for (const u64 end = r.time.now() + 10'000'000; r.clock.next_deadline() < end; ++events) {
    r.time.set(std::max(r.time.now(), r.clock.next_deadline()));
    r.clock.run_due();
  }
  CHECK(events <= 1001);
}

TEST_CASE("Port 61h gates the speaker's counter, shows its output and the refresh toggle") {
  ChipsetBench b;
  b.pit.write(3, 0xb6, 1);
  b.pit.write(2, 0xa9, 1);
  b.pit.write(2, 0x04, 1);  // 1193: 1 kHz
  CHECK(b.port61.speaker_hz() == 0);
  b.port61.write(0, 3, 1);
  CHECK(b.port61.speaker_hz() == 1000);
  CHECK((b.port61.read(0, 1) & 0x23) == 0x23);
  b.run(600'000);
  CHECK((b.port61.read(0, 1) & 0x20) == 0);
  unsigned toggles = 0;
  u32 last = b.port61.read(0, 1) & 0x10;
  for (unsigned i = 0; i < 1000; ++i) {
    b.run(1000);
    const u32 now = b.port61.read(0, 1) & 0x10;
    toggles += now != last ? 1 : 0;
    last = now;
  }
  CHECK(toggles >= 65);  // every 15.08 µs
  CHECK(toggles <= 67);
}
