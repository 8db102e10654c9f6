// The keyboard controller, the keyboard and the mouse behind it.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

struct Kbc {
  FakeTime time;
  Clock clock{time};
  Probe wires;
  I8042 kbc{clock, {Line(wires, 1), Line(wires, 12), Line(wires, 19), Line(wires, 20)}};
  Ps2Keyboard keyboard{clock, [this] { kbc.device_ready(); }};
  Ps2Mouse mouse{[this] { kbc.device_ready(); }};

  Kbc() {
    kbc.connect(keyboard, mouse);
    keyboard.reset();
    mouse.reset();
    kbc.reset();
  }
  u32 status() { return kbc.command_port().read(0, 1); }
  void command(u8 value) { kbc.command_port().write(0, value, 1); }
  void data(u8 value) { kbc.data_port().write(0, value, 1); }
  int read() { return (status() & 1) != 0 ? static_cast<int>(kbc.data_port().read(0, 1)) : -1; }
  std::vector<int> all() {
    std::vector<int> bytes;
    for (int b = read(); b >= 0; b = read()) bytes.push_back(b);
    return bytes;
  }
  void to_mouse(u8 value) { command(0xd4), data(value); }
  void raw() { command(0x60), data(0x03); }  // no translation
  void press(Key k) { keyboard.key(k, true), keyboard.key(k, false); }
};

using Bytes = std::vector<int>;

}  // namespace

TEST_CASE("Self-test, interface tests, command byte and internal RAM") {
  Kbc k;
  CHECK(k.read() == -1);
  k.command(0xaa);
  CHECK(k.all() == Bytes{0x55});
  CHECK((k.status() & 4) != 0);
  k.command(0xab);
  CHECK(k.read() == 0);
  k.command(0xa9);
  CHECK(k.read() == 0);
  k.command(0x60), k.data(0x45);
  k.command(0x20);
  CHECK(k.read() == 0x45);
  k.command(0x65), k.data(0x99);
  k.command(0x25);
  CHECK(k.read() == 0x99);
}

TEST_CASE("Keys come translated to set 1, raw when translation is off, with IRQ1") {
  Kbc k;
  k.keyboard.key(0x1e, true);
  CHECK(k.wires.levels[1]);
  CHECK((k.status() & 0x21) == 0x01);
  CHECK(k.read() == 0x1e);
  CHECK_FALSE(k.wires.levels[1]);
  k.keyboard.key(0x1e, false);
  CHECK(k.all() == Bytes{0x9e});
  k.press(0xc8);  // up
  CHECK(k.all() == Bytes{0xe0, 0x48, 0xe0, 0xc8});
  k.raw();
  k.press(0x1e);
  CHECK(k.all() == Bytes{0x1c, 0xf0, 0x1c});
  k.press(kKeyPause);
  CHECK(k.all() == Bytes{0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77});
}

TEST_CASE("Every key of set 2 translates to its set 1 code") {
  Kbc k;
  for (unsigned code = 1; code < 0x54; ++code) {
    k.press(static_cast<Key>(code));
    INFO(code);
    CHECK(k.all() == Bytes{static_cast<int>(code), static_cast<int>(code | 0x80)});
  }
}

TEST_CASE("Print Screen and Pause change with Ctrl and Alt") {
  Kbc k;
  k.press(kKeyPrint);
  CHECK(k.all() == Bytes{0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa});
  k.keyboard.key(0x38, true);
  k.all();
  k.press(kKeyPrint);
  CHECK(k.all() == Bytes{0x54, 0xd4});
  k.keyboard.key(0x38, false);
  k.keyboard.key(0x1d, true);
  k.all();
  k.press(kKeyPause);
  CHECK(k.all() == Bytes{0xe0, 0x46, 0xe0, 0xc6});
}

TEST_CASE("The keyboard's commands: identify, LEDs, echo, sets, reset, resend, unknown") {
  Kbc k;
  k.raw();
  k.data(0xf2);
  CHECK(k.all() == Bytes{0xfa, 0xab, 0x83});
  k.data(0xed);
  CHECK(k.all() == Bytes{0xfa});
  k.data(0x05);
  CHECK(k.all() == Bytes{0xfa});
  CHECK(k.keyboard.leds() == 5);
  k.data(0xee);
  CHECK(k.all() == Bytes{0xee});
  k.data(0xfe);
  CHECK(k.all() == Bytes{0xee});
  k.data(0xf0), k.all(), k.data(0);
  CHECK(k.all() == Bytes{0xfa, 2});
  k.data(0xf0), k.all(), k.data(1), k.all();
  k.press(0x1e);
  CHECK(k.all() == Bytes{0x1e, 0x9e});
  k.data(0xf0), k.all(), k.data(3), k.all();
  k.press(0x1e);
  CHECK(k.all() == Bytes{0x1c});  // set 3: letters repeat but do not break
  k.data(0xfa), k.all();
  k.press(0x1e);
  CHECK(k.all() == Bytes{0x1c, 0xf0, 0x1c});
  k.data(0x01);
  CHECK(k.all() == Bytes{0xfe});
  k.data(0xff);
  CHECK(k.all() == Bytes{0xfa, 0xaa});
  k.data(0xf5), k.all();
  k.press(0x1e);
  CHECK(k.all().empty());
  k.data(0xf4), k.all();
  k.press(0x1e);
  CHECK(k.all() == Bytes{0x1c, 0xf0, 0x1c});
}

TEST_CASE("A held key repeats after the delay at the rate of F3h; the host's own repeats are dropped") {
  Kbc k;
  k.data(0xf3), k.all(), k.data(0x00), k.all();  // 250 ms, 30 a second
  k.keyboard.key(0x1e, true);
  k.keyboard.key(0x1e, true);
  CHECK(k.all() == Bytes{0x1e});
  unsigned repeats = 0;
  for (unsigned ms = 0; ms < 1250; ms += 5) {
    run_clock(k.time, k.clock, k.time.now() + 5'000'000);
    repeats += static_cast<unsigned>(k.all().size());
  }
  CHECK(repeats >= 29);
  CHECK(repeats <= 31);
  k.keyboard.key(0x1e, false);
  k.all();
  run_clock(k.time, k.clock, k.time.now() + kNanosPerSecond);
  CHECK(k.all().empty());
}

TEST_CASE("A handler that reads twice gets the same byte, and the next one comes with its own interrupt") {
  Kbc k;
  k.keyboard.key(0x1e, true);
  k.keyboard.key(0x30, true);
  CHECK(k.kbc.data_port().read(0, 1) == 0x1e);
  CHECK(k.kbc.data_port().read(0, 1) == 0x1e);
  CHECK_FALSE(k.wires.levels[1]);
  run_clock(k.time, k.clock, k.time.now() + 1'000'000);
  CHECK(k.wires.levels[1]);
  CHECK(k.kbc.data_port().read(0, 1) == 0x30);
}

TEST_CASE("A full buffer loses keys, not its order, and never the answers") {
  Kbc k;
  for (unsigned i = 0; i < 100; ++i) k.press(0x1e);
  k.data(0xf2);
  const Bytes bytes = k.all();
  CHECK(bytes.size() < 40);
  REQUIRE(bytes.size() > 4);
  CHECK(bytes[bytes.size() - 3] == 0xfa);
}

TEST_CASE("A20 and reset by the output port, by their commands and by pulses") {
  Kbc k;
  CHECK(k.wires.levels[19]);
  k.command(0xdd);
  CHECK_FALSE(k.wires.levels[19]);
  k.command(0xdf);
  CHECK(k.wires.levels[19]);
  k.command(0xd1), k.data(0xdd);
  CHECK_FALSE(k.wires.levels[19]);
  k.command(0xd0);
  CHECK((k.read() & 0x02) == 0);
  const unsigned resets = k.wires.rises[20];
  k.command(0xff);
  CHECK(k.wires.rises[20] == resets);
  k.command(0xfe);
  CHECK(k.wires.rises[20] == resets + 1);
  k.command(0xd1), k.data(0xfe);
  CHECK(k.wires.rises[20] == resets + 2);
}

TEST_CASE("The system flag stays once the self-test has passed") {
  Kbc k;
  CHECK((k.status() & 0x04) == 0);
  k.command(0xaa);
  CHECK(k.read() == 0x55);
  k.command(0x60), k.data(0x61);
  CHECK((k.status() & 0x04) != 0);
}

TEST_CASE("Bytes can be put into the output buffer as if from either device") {
  Kbc k;
  k.command(0xd2), k.data(0x42);
  CHECK((k.status() & 0x21) == 0x01);
  CHECK(k.read() == 0x42);
  k.command(0xd3), k.data(0x43);
  CHECK((k.status() & 0x21) == 0x21);
  CHECK(k.wires.levels[12]);
  CHECK(k.read() == 0x43);
}

TEST_CASE("Disabled interfaces hold their bytes back") {
  Kbc k;
  k.command(0xad);
  k.keyboard.key(0x1e, true);
  CHECK(k.read() == -1);
  k.command(0xae);
  CHECK(k.read() == 0x1e);
  k.to_mouse(0xf4), k.all();
  k.command(0xa7);
  k.mouse.move(5, 0, 0);
  CHECK(k.read() == -1);
  k.command(0xa8);
  CHECK(k.all() == Bytes{0x08, 5, 0});
}

TEST_CASE("The mouse: reset, identify, status, stream reports on IRQ12") {
  Kbc k;
  k.to_mouse(0xff);
  CHECK(k.all() == Bytes{0xfa, 0xaa, 0x00});
  k.to_mouse(0xf2);
  CHECK(k.all() == Bytes{0xfa, 0x00});
  k.mouse.move(1, 1, 0);
  CHECK(k.all().empty());  // not enabled
  k.to_mouse(0xf4);
  CHECK(k.all() == Bytes{0xfa});
  k.all();
  k.mouse.move(10, 20, 0);
  CHECK(k.wires.levels[12]);
  Bytes report = k.all();
  REQUIRE(report.size() == 3);
  CHECK(report[0] == 0x28);  // y is negative: down on the screen
  CHECK(report[1] == 10);
  CHECK(report[2] == (-20 & 0xff));
  k.mouse.buttons(5);
  CHECK(k.all() == Bytes{0x0d, 0, 0});
  k.to_mouse(0xe9);
  CHECK(k.all() == Bytes{0xfa, 0x26, 2, 100});
}

TEST_CASE("Movement that one report cannot carry goes on in the next") {
  Kbc k;
  k.to_mouse(0xf4), k.all();
  k.mouse.move(600, 0, 0);
  const Bytes reports = k.all();
  REQUIRE(reports.size() == 9);
  CHECK(reports[1] + reports[4] + reports[7] == 600);
}

TEST_CASE("The knock opens the wheel, then five buttons") {
  Kbc k;
  const auto rates = [&](std::initializer_list<u8> list) {
    for (const u8 rate : list) k.to_mouse(0xf3), k.to_mouse(rate);
    k.all();
  };
  rates({200, 100, 80});
  k.to_mouse(0xf2);
  CHECK(k.all() == Bytes{0xfa, 3});
  k.to_mouse(0xf4), k.all();
  k.mouse.move(0, 0, -1);
  CHECK(k.all() == Bytes{0x08, 0, 0, 0xff});
  rates({200, 200, 80});
  k.to_mouse(0xf2);
  CHECK(k.all() == Bytes{0xfa, 4});
  k.mouse.buttons(0x18);
  CHECK(k.all() == Bytes{0x08, 0, 0, 0x30});
}

TEST_CASE("Remote and wrap modes, and 2:1 scaling") {
  Kbc k;
  k.to_mouse(0xf0), k.to_mouse(0xf4), k.all();
  k.mouse.move(3, 0, 0);
  CHECK(k.all().empty());
  k.to_mouse(0xeb);
  CHECK(k.all() == Bytes{0xfa, 0x08, 3, 0});
  k.to_mouse(0xee), k.all();
  k.to_mouse(0x5a);
  CHECK(k.all() == Bytes{0x5a});
  k.to_mouse(0xec), k.to_mouse(0xea), k.to_mouse(0xe7), k.all();
  k.mouse.move(4, 0, 0);
  CHECK(k.all() == Bytes{0x08, 6, 0});
}

TEST_CASE("Key names go both ways") {
  for (unsigned key = 1; key < 256; ++key) {
    const std::string_view name = key_name(static_cast<Key>(key));
    if (name.empty()) continue;
    CHECK(key_from_name(name) == key);
  }
  CHECK(key_from_name("ret") == 0x1c);
  CHECK(key_from_name("pause") == kKeyPause);
  CHECK(key_from_name("kp_enter") == 0x9c);
  CHECK(key_from_name("no such key") == kKeyNone);
}

TEST_CASE("Indices of PS/2 queues out of a saved file are refused and leave the queue empty") {
  Ps2Queue q;
  q.push(1), q.push(2);
  const std::vector<u8> good = saved_state(q);
  REQUIRE(load_state(q, good));
  unsigned refused = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {  // whichever byte holds an index
    std::vector<u8> bad = good;
    bad[at] = 0xff;
    if (load_state(q, bad)) continue;
    ++refused;
    for (int i = 0; i < 300; ++i) q.push(static_cast<u8>(i));
    CHECK(q.size() == Ps2Queue::kCapacity);
    while (!q.empty()) q.pop();
  }
  CHECK(refused >= 2);
}
