// MC146818A: reading and setting the time in every format, the three interrupts, UIP, the divider.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"

using namespace umbra;

namespace {

struct RtcRig {
  static constexpr i64 kBase = 951'782'400 - 10;  // ten seconds before 2000-02-29 00:00:00
  FakeTime time;
  Clock clock{time};
  Probe wires;
  Rtc rtc{clock, Line(wires, 8), kBase};

  u8 get(u8 index) { return rtc.write(0, index, 1), static_cast<u8>(rtc.read(1, 1)); }
  void set(u8 index, u8 value) { rtc.write(0, index, 1), rtc.write(1, value, 1); }
  void run(u64 nanos) { run_clock(time, clock, time.now() + nanos); }
  void seconds(u64 n) { run(n * kNanosPerSecond); }
};

}  // namespace

TEST_CASE("Civil dates and seconds agree over the centuries") {
  for (const i64 s :
       {i64{0}, i64{951'782'399}, i64{951'782'400}, i64{4'102'444'799}, i64{-2'208'988'800}, i64{1'709'164'800}})
    CHECK(seconds_from_civil(civil_from_seconds(s)) == s);
  const CivilTime leap = civil_from_seconds(951'782'400);
  CHECK(leap.year == 2000);
  CHECK(leap.month == 2);
  CHECK(leap.day == 29);
  CHECK(leap.weekday == 3);  // a Tuesday
}

TEST_CASE("The time runs, in BCD and 24 hours at first, over the leap day") {
  RtcRig r;
  CHECK(r.get(0) == 0x50);
  CHECK(r.get(2) == 0x59);
  CHECK(r.get(4) == 0x23);
  CHECK(r.get(7) == 0x28);
  r.seconds(10);
  CHECK(r.get(0) == 0x00);
  CHECK(r.get(4) == 0x00);
  CHECK(r.get(7) == 0x29);
  CHECK(r.get(8) == 0x02);
  CHECK(r.get(9) == 0x00);
  CHECK(r.get(0x32) == 0x20);
  r.seconds(86400);
  CHECK(r.get(7) == 0x01);
  CHECK(r.get(8) == 0x03);
}

TEST_CASE("Binary and twelve hours are shown and taken") {
  RtcRig r;
  r.set(11, 0x04);  // binary, 12 hours
  CHECK(r.get(4) == (0x80 | 11));
  CHECK(r.get(0) == 50);
  r.seconds(10);
  CHECK(r.get(4) == 12);  // midnight is twelve in the morning
  r.set(11, 0x84);
  r.set(4, 0x80 | 12), r.set(2, 30), r.set(0, 15), r.set(7, 31), r.set(8, 12), r.set(9, 99), r.set(0x32, 19);
  r.seconds(5);
  CHECK(r.get(0) == 15);  // SET holds the time still
  r.set(11, 0x04);
  r.seconds(1);
  CHECK(r.get(0) == 16);
  CHECK(r.get(4) == (0x80 | 12));
  CHECK(r.rtc.seconds() == seconds_from_civil({1999, 12, 31, 12, 30, 16}));
}

TEST_CASE("The periodic interrupt comes at the rate of register A, once for each read of C") {
  RtcRig r;
  r.set(10, 0x26);  // 1024 Hz
  r.get(12);
  r.set(11, 0x42);
  r.run(976'562);
  r.run(2);
  CHECK(r.wires.levels[8]);
  CHECK(r.get(12) == 0xc0);
  CHECK_FALSE(r.wires.levels[8]);
  CHECK(r.get(12) == 0x00);
  const unsigned before = r.wires.rises[8];
  for (unsigned i = 0; i < 4000; ++i) {
    r.run(250'000);
    if (r.wires.levels[8]) r.get(12);
  }
  CHECK(r.wires.rises[8] - before == 1024);
  r.set(10, 0x2f);  // 2 Hz
  r.set(10, 0x20);  // off
  r.get(12);
  r.seconds(3);
  CHECK((r.get(12) & 0x40) == 0);
}

TEST_CASE("Periodic ticks that a stalled host missed are made good") {
  RtcRig r;
  r.set(11, 0x42);
  r.time.advance(100'000'000);
  r.clock.run_due();
  unsigned ticks = 0;
  for (unsigned i = 0; i < 2000; ++i) {
    r.run(50'000);
    if (r.wires.levels[8]) r.get(12), ++ticks;
  }
  CHECK(ticks >= 200);
  CHECK(ticks <= 206);
}

TEST_CASE("The update interrupt comes each second, and UIP announces it by 244 µs") {
  RtcRig r;
  r.set(11, 0x12);
  r.get(12);
  r.run(999'700'000);
  CHECK((r.get(10) & 0x80) == 0);
  r.run(100'000);
  CHECK((r.get(10) & 0x80) != 0);
  CHECK_FALSE(r.wires.levels[8]);
  r.run(300'000);
  CHECK(r.wires.levels[8]);
  CHECK((r.get(12) & 0x90) == 0x90);
  r.seconds(1);
  CHECK(r.wires.levels[8]);
}

TEST_CASE("Alarms: at a time, and with don't-care fields; the flag shows without its interrupt too") {
  RtcRig r;
  r.set(1, 0x05), r.set(3, 0x00), r.set(5, 0x00);
  r.set(11, 0x22);
  r.get(12);
  r.seconds(14);
  CHECK_FALSE(r.wires.levels[8]);
  r.seconds(2);
  CHECK(r.wires.levels[8]);
  CHECK((r.get(12) & 0xa0) == 0xa0);
  r.set(11, 0x02);
  r.set(1, 0xc0), r.set(3, 0xff), r.set(5, 0xff);  // every second
  r.get(12);
  r.seconds(2);
  CHECK_FALSE(r.wires.levels[8]);
  CHECK((r.get(12) & 0x20) != 0);
}

TEST_CASE("The divider held in reset stops the clock; let go, the first update is half a second away") {
  RtcRig r;
  r.set(10, 0x70);
  const u8 second = r.get(0);
  r.seconds(5);
  CHECK(r.get(0) == second);
  r.set(10, 0x26);
  r.run(499'000'000);
  CHECK(r.get(0) == second);
  r.run(2'000'000);
  CHECK(r.get(0) != second);
}

TEST_CASE("The century has a second address, as on a PS/2") {
  RtcRig r;
  CHECK(r.get(0x37) == r.get(0x32));
  r.set(11, 0x82), r.set(0x37, 0x19), r.set(11, 0x02);
  CHECK(r.get(0x32) == 0x19);
  CHECK(r.get(0x37) == 0x19);
}

TEST_CASE("CMOS bytes are kept over a reset, interrupts are not; C and D cannot be written") {
  RtcRig r;
  r.set(0x40, 0x77);
  r.set(11, 0x72);
  r.rtc.reset();
  CHECK(r.get(0x40) == 0x77);
  CHECK(r.get(11) == 0x02);
  r.set(12, 0xff), r.set(13, 0x00);
  CHECK(r.get(13) == 0x80);
  CHECK(r.get(12) == 0x00);
}
