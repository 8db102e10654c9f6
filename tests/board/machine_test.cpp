// The board's own business: the memory map, ports, every road to a reset, power, pause, idling, state.
#include <catch2/catch.hpp>
#include <ctime>
#include <thread>

#include "devices/board/layout.h"
#include "tests/board/rom_rig.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

using Bytes = std::vector<u8>;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Bytes kExit = {0xba, 0x01, 0x05, 0xb0, 0x10, 0xee};  // mov dx, 501h; mov al, 10h; out dx, al
constexpr int kExitCode = 0x21;
const Bytes kHalt = {0xf4, 0xeb, 0xfd};

// Counts boots in CMOS byte 50h; the second one exits, the first one goes on with `road`.
Bytes reset_by(const Bytes& road) {
  const Bytes count = {0xb0,
                       0x50,
                       0xe6,
                       0x70,
                       0xe4,
                       0x71,
                       0xfe,
                       0xc0,
                       0x88,
                       0xc4,
                       0xb0,
                       0x50,
                       0xe6,
                       0x70,
                       0x88,
                       0xe0,
                       0xe6,
                       0x71,
                       0x80,
                       0xfc,
                       0x02,
                       0x75,
                       static_cast<u8>(kExit.size() + kHalt.size())};
  return count + kExit + kHalt + road + kHalt;
}

double cpu_seconds() {
  std::timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

}  // namespace

TEST_CASE("pc-testdev lies where QEMU has it") {
  MachineConfig c = BoardRig::config();
  c.testdev = true;
  RomRig r({}, std::move(c));
  r.out(0xe0, 0x12345678, 4);
  CHECK(r.in(0xe0, 4) == 0x12345678);
  CHECK(r.in(0xe8, 4) == 0x12345678);
  r.out(0xe8, 0xcafe, 2);
  CHECK(r.in(0xe0, 2) == 0xcafe);
  r.out(0xe4, 0x1000, 4);
  r.store(0xff00fff8, 0x55aa, 2);
  CHECK(r.load(0xff00fff8, 2) == 0x55aa);
  r.out(0x2005, 1, 1);
  CHECK((r.machine().ioapic().regs().lines & 1u << 5) != 0);
  r.out(0x2017, 1, 1);
  CHECK((r.machine().ioapic().regs().lines & 1u << 23) != 0);
  r.out(0x2017, 0, 1);
  CHECK((r.machine().ioapic().regs().lines & 1u << 23) == 0);
}

TEST_CASE("Firmware shows at both tops, RAM below, nothing between") {
  RomRig r({0x90, 0x91});
  CHECK(r.load(0xf0000, 2) == 0x9190);
  CHECK(r.load(0xffff0000, 2) == 0x9190);
  r.store(0xf0000, 0x1234, 2);
  CHECK(r.load(0xf0000, 2) == 0x9190);
  r.store(0x500, 0xabcd, 2);
  CHECK(r.load(0x500, 2) == 0xabcd);
  r.store((64u << 20) - 4, 0x11223344, 4);
  CHECK(r.load((64u << 20) - 4, 4) == 0x11223344);
  CHECK(r.load(64u << 20, 4) == 0xffffffff);
  CHECK(r.load(0xc0000, 4) == 0xffffffff);
}

TEST_CASE("PAM: write through to RAM while ROM is read, then RAM, then RAM that cannot be written") {
  RomRig r({0x90, 0x91});
  r.config(0, 0, 0x59, 0x20, 1);
  r.store(0xf0000, 0x55aa, 2);
  CHECK(r.load(0xf0000, 2) == 0x9190);
  r.config(0, 0, 0x59, 0x30, 1);
  CHECK(r.load(0xf0000, 2) == 0x55aa);
  r.store(0xf0000, 0x66bb, 2);
  r.config(0, 0, 0x59, 0x10, 1);
  r.store(0xf0000, 0, 2);
  CHECK(r.load(0xf0000, 2) == 0x66bb);
  r.config(0, 0, 0x59, 0x00, 1);
  CHECK(r.load(0xf0000, 2) == 0x9190);
  r.config(0, 0, 0x5a, 0x33, 1);
  r.store(0xc4000, 0x77, 1);
  CHECK(r.load(0xc4000, 1) == 0x77);
  r.config(0, 0, 0x5c, 0x02, 1);  // an adapter's place: nothing there to read, writes go to RAM
  r.store(0xd0000, 0x1234, 2);
  CHECK(r.load(0xd0000, 2) == 0xffff);
  r.config(0, 0, 0x5c, 0x01, 1);
  CHECK(r.load(0xd0000, 2) == 0x1234);
}

TEST_CASE("SMRAM opens behind the VGA window; A20 wraps by either switch") {
  RomRig r({});
  r.config(0, 0, 0x72, 0x4a, 1);
  r.store(0xa0000, 0x42, 1);
  CHECK(r.load(0xa0000, 1) == 0x42);
  r.config(0, 0, 0x72, 0x0a, 1);
  CHECK(r.machine().memory().kind(Phys(0xb8000)) == PhysicalMemory::Kind::kDevice);
  CHECK(r.machine().memory().a20());
  r.out(0x92, 0, 1);
  CHECK_FALSE(r.machine().memory().a20());
  r.out(0x64, 0xdf, 1);
  CHECK(r.machine().memory().a20());
}

TEST_CASE("A frame buffer BAR moves, never over RAM, and the chipset's ranges win over it") {
  RomRig r({});
  r.config(2, 0, 4, 3, 2);
  r.config(2, 0, 0x10, 0xe0000000, 4);
  r.store(0xe0000010, 0xdeadbeef, 4);
  CHECK(r.load(0xe0000010, 4) == 0xdeadbeef);
  r.config(2, 0, 0x10, 0xc0000000, 4);
  CHECK(r.load(0xe0000010, 4) == 0xffffffff);
  CHECK(r.load(0xc0000010, 4) == 0xdeadbeef);
  r.store(0x01000010, 0x1234, 4);
  r.config(2, 0, 0x10, 0x01000000, 4);
  CHECK(r.load(0x01000010, 4) == 0x1234);
  r.config(2, 0, 0x10, 0xfe000000, 4);  // 16 MiB that hold both APICs
  CHECK(r.load(0xfe000010, 4) == 0xdeadbeef);
  CHECK(r.load(0xfee00030, 4) == 0x00050014);
  CHECK(r.machine().memory().kind(Phys(0xfec00000)) == PhysicalMemory::Kind::kDevice);
}

TEST_CASE("DMA cannot reach device registers") {
  RomRig r({});
  const u32 before = static_cast<u32>(r.load(0xfee000f0, 4));
  const u32 junk = 0x1234;
  r.machine().memory().write(Phys(0xfee000f0), &junk, 4);
  CHECK(r.load(0xfee000f0, 4) == before);
  r.machine().memory().write(Phys(0xb8000), &junk, 4);
  u32 seen = 0;
  r.machine().memory().read(Phys(0xfee000f0), &seen, 4);
  CHECK(seen == 0xffffffff);
}

TEST_CASE("What an empty floppy drive, and the chip select nobody has programmed, say of themselves") {
  RomRig r({});
  r.out(0x70, 0x10, 1);
  CHECK(r.in(0x71, 1) == 0x50);  // 2.88 MB: any disk that comes can be read
  r.out(0xcf8, 0x80000878, 4);
  CHECK(r.in(0xcfc, 4) == 0x00000002);
}

TEST_CASE("Ports: wide accesses to byte devices are split, what nobody hears is ones, mechanism 2 overlays on demand") {
  RomRig r({});
  r.out(0x70, 0x7740, 2);  // index, then data
  r.out(0x70, 0x40, 1);
  CHECK(r.in(0x71, 1) == 0x77);
  CHECK(r.in(0x1234, 4) == 0xffffffff);
  CHECK(r.in(0xc000, 4) == 0xffffffff);
  r.out(0xcf8, 0x10, 1);
  CHECK(r.in(0xc000, 4) == 0x12378086);
  r.out(0xcf8, 0, 1);
  CHECK(r.in(0xc000, 4) == 0xffffffff);
  CHECK(r.machine().ports().describe().find("0cf8-0000000000000cff (prio 0, i/o): pci config") != std::string::npos);
}

TEST_CASE("Every road to a reset leads to a second boot") {
  const struct {
    const char* name;
    Bytes road;
  } roads[] = {
      {"keyboard controller", {0xb0, 0xfe, 0xe6, 0x64}},
      {"port 92h", {0xb0, 0x01, 0xe6, 0x92}},
      {"port CF9h", {0xba, 0xf9, 0x0c, 0xb0, 0x02, 0xee, 0xb0, 0x06, 0xee}},
      {"triple fault", {0x2e, 0x0f, 0x01, 0x1e, 0x00, 0xe0, 0xcc}},  // lidt [cs:e000h]; int3
  };
  for (const auto& road : roads) {
    INFO(road.name);
    Bytes code = reset_by(road.road);
    code.resize(0xe000, 0xf4);
    code = code + Bytes{0, 0, 0, 0, 0, 0};  // an empty table
    RomRig r(code);
    CHECK(r.board.run_until([] { return false; }, 5) == kExitCode);
  }
}

TEST_CASE("A code in CMOS that asks firmware to go on makes a reset one of the processor alone") {
  const Bytes pulse = {0xb0, 0xfe, 0xe6, 0x64};
  for (const u8 code : {0x05, 0x09, 0x0a, 0x00}) {
    INFO(int{code});
    MachineConfig config = BoardRig::config();
    config.no_reboot = true;
    RomRig r(reset_by(pulse), std::move(config));
    r.out(0x70, 0x0f, 1), r.out(0x71, code, 1);
    r.out(0x21, 0x5a, 1);  // the 8259's mask
    r.out(0x4d0, 0x08, 1);
    const int end = r.board.run_until([] { return false; }, 5);
    CHECK(end == (code != 0 ? kExitCode : 0));  // 0: -no-reboot ended it
    if (code == 0) continue;
    CHECK(r.in(0x21, 1) == 0x5a);
    CHECK(r.in(0x4d0, 1) == 0x08);
  }
}

TEST_CASE("-no-reboot ends at a triple fault; soft-off ends, or pauses with -no-shutdown") {
  Bytes triple = {0x2e, 0x0f, 0x01, 0x1e, 0x00, 0xe0, 0xcc};
  triple.resize(0xe000, 0xf4);
  triple = triple + Bytes{0, 0, 0, 0, 0, 0};
  MachineConfig config = BoardRig::config();
  config.no_reboot = true;
  RomRig r(triple, std::move(config));
  std::vector<MachineEvent> events;
  r.machine().on_event([&](MachineEvent e) { events.push_back(e); });
  CHECK(r.board.run_until([] { return false; }, 5) == 0);
  CHECK(events == std::vector<MachineEvent>{MachineEvent::kResume, MachineEvent::kShutdown});

  const Bytes soft_off = {0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef};  // mov dx, 604h; mov ax, 2000h; out dx, ax
  const auto power = [](RomRig& rig) {
    rig.config(1, 3, 0x40, 0x601, 4);
    rig.config(1, 3, 0x80, 1, 1);
  };
  RomRig off(soft_off + kHalt);
  power(off);
  CHECK(off.board.run_until([] { return false; }, 5) == 0);

  config = BoardRig::config();
  config.no_shutdown = true;
  RomRig stays(soft_off + kHalt, std::move(config));
  power(stays);
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stays.machine().quit(7);
  });
  CHECK(stays.board.run_until([] { return false; }, 5) == 7);
  CHECK_FALSE(stays.machine().running());
  later.join();
}

TEST_CASE("The RTC's alarm ends a sleep, and firmware and system are told") {
  // al = CMOS 0Fh; jump over if it is not FEh; exit with 10h
  const Bytes resumed = {0xb0, 0x0f, 0xe6, 0x70, 0xe4, 0x71, 0x3c, 0xfe,
                         0x75, 0x06, 0xba, 0x01, 0x05, 0xb0, 0x10, 0xee};
  constexpr u16 kRtcEnable = 0x400;
  for (const bool alarm : {true, false}) {
    RomRig r(resumed + kHalt);
    std::vector<MachineEvent> events;
    r.machine().on_event([&](MachineEvent e) { events.push_back(e); });
    const auto power = [&] {
      r.config(1, 3, 0x40, 0x601, 4);
      r.config(1, 3, 0x80, 1, 1);
    };
    const auto cmos = [&](u8 index, u8 value) {
      r.out(0x70, index, 1);
      r.out(0x71, value, 1);
    };
    power();
    for (const u8 index : {1, 3, 5}) cmos(index, 0xc0);  // every second
    cmos(0x0b, 0x22);
    r.config(0, 0, 0x5a, 0x33, 1);  // RAM behind C0000h
    r.out(0x602, alarm ? kRtcEnable : 0, 2);
    r.out(0x604, 0x2400, 2);
    if (alarm) {
      CHECK(r.board.run_until([] { return false; }, 5) == kExitCode);
      power();
      CHECK((r.in(0x600, 2) & 0x8500) == 0x8400);
      r.out(0xcf8, 0x80000058, 4);
      CHECK(r.in(0xcfe, 1) == 0x33);
    } else {
      CHECK(r.board.run_until([] { return false; }, 1.5) == BoardRig::kTimeUp);
      CHECK(std::string(r.machine().status()) == "paused (suspended)");
    }
    const auto woken = std::count(events.begin(), events.end(), MachineEvent::kWakeup);
    CHECK(woken == (alarm ? 1 : 0));
  }
}

TEST_CASE("Stopped from another thread the machine's time stands still, and goes on when told") {
  RomRig r(kHalt);
  u64 stopped_at = 0, resumed_at = 0;
  std::thread other([&] {
    const auto nap = [] { std::this_thread::sleep_for(std::chrono::milliseconds(100)); };
    nap();
    r.machine().stop();
    r.machine().post([&] { stopped_at = r.machine().clock().now(); });
    nap();
    r.machine().post([&] { resumed_at = r.machine().clock().now(); });
    r.machine().cont();
    nap();
    r.machine().quit(3);
  });
  CHECK(r.machine().run(*r.board.engine) == 3);
  other.join();
  CHECK(stopped_at > 0);
  CHECK(resumed_at == stopped_at);
  CHECK(r.machine().clock().now() > resumed_at);
}

TEST_CASE("The real-time clock goes on over a pause, unless it follows the guest") {
  for (const bool follows : {false, true}) {
    MachineConfig config = BoardRig::config();
    config.rtc_start = 1'000'000'000;
    config.rtc_follows_guest = follows;
    RomRig r(kHalt, std::move(config));
    std::thread other([&] {
      r.machine().stop();
      std::this_thread::sleep_for(std::chrono::milliseconds(1200));
      r.machine().cont();
      r.machine().quit(3);
    });
    CHECK(r.machine().run(*r.board.engine) == 3);
    other.join();
    CHECK((r.machine().rtc().seconds() > 1'000'000'000) == !follows);
  }
}

TEST_CASE("-boot once holds until the first reset, -no-acpi takes the power management function away") {
  MachineConfig config = BoardRig::config();
  config.boot_order = "ca";
  config.boot_once = "d";
  config.acpi = false;
  RomRig r(kHalt, std::move(config));
  CHECK(r.machine().rtc().cmos(0x3d) == 0x03);
  CHECK(r.machine().pci().at(1, 3) == nullptr);
  CHECK(r.in(0xb2, 1) == 0xff);
  r.machine().reset();
  r.board.run_until([&] { return r.machine().rtc().cmos(0x3d) == 0x12; }, 5);
  CHECK(r.machine().rtc().cmos(0x3d) == 0x12);
}

TEST_CASE("A halted guest costs next to no host time") {
  BoardRig rig;  // SeaBIOS, waiting to try again with its timer running
  REQUIRE(rig.machine != nullptr);
  REQUIRE(rig.run_until_screen("No bootable device", 30) == BoardRig::kSeen);
  const double before = cpu_seconds();
  CHECK(rig.run_until([] { return false; }, 2) == BoardRig::kTimeUp);
  CHECK(cpu_seconds() - before < 0.06);  // 3 % of two seconds
}

TEST_CASE("The machine is saved, runs on, is restored and is the same again; a file of another size is refused") {
  BoardRig rig;
  REQUIRE(rig.machine != nullptr);
  REQUIRE(rig.run_until_screen("No bootable device", 30) == BoardRig::kSeen);
  const std::vector<u8> saved = saved_state(*rig.machine);
  const u64 hash = state_hash(*rig.machine);
  rig.machine->memory().store(Phys(0x500), 0x5a5a, 2);
  rig.machine->ports().out(0x92, 0, 1);
  CHECK(state_hash(*rig.machine) != hash);
  const Status restored = load_state(*rig.machine, saved);
  INFO(restored.error());
  REQUIRE(restored);
  CHECK(rig.machine->memory().a20());
  CHECK(rig.screen().find("No bootable device") != std::string::npos);

  MachineConfig config = BoardRig::config();
  config.ram_bytes = 32u << 20;
  BoardRig smaller(std::move(config));
  REQUIRE(smaller.machine != nullptr);
  CHECK_FALSE(load_state(*smaller.machine, saved));
}

TEST_CASE("What cannot be had is said in a sentence") {
  const auto error = [](auto change) {
    MachineConfig config = BoardRig::config();
    change(config);
    return BoardRig(std::move(config)).error;
  };
  CHECK(error([](MachineConfig& c) { c.bios = "/nonexistent/rom"; }).find("/nonexistent/rom") != std::string::npos);
  CHECK(error([](MachineConfig& c) { c.kernel = "/nonexistent/kernel"; }).find("/nonexistent/kernel") !=
        std::string::npos);
  CHECK(error([](MachineConfig& c) { c.drives.push_back({.file = "/nonexistent/disk"}); }).find("/nonexistent/disk") !=
        std::string::npos);
  CHECK(error([](MachineConfig& c) { c.drives.push_back({}); }).find("image") != std::string::npos);
}

TEST_CASE("The IDE function's DMA waits for the bus master bit of its command register") {
  MachineConfig c = BoardRig::config();
  TempFolder folder;
  c.drives.push_back({DriveConfig::Kind::kDisk, 0, folder.write("disk.img", std::string(512 * 64, 'd')), false, false});
  RomRig r({}, std::move(c));
  r.config(1, 1, 0x20, 0xc000, 4);
  r.config(1, 1, 0x04, 1, 2);  // I/O, but no bus master
  r.store(0x1000, 0x20000, 4);
  r.store(0x1004, 0x80000200, 4);
  r.out(0xc004, 0x1000, 4);
  for (const auto& [port, value] :
       {std::pair<u16, u8>{0x1f6, 0xe0}, {0x1f2, 1}, {0x1f3, 0}, {0x1f4, 0}, {0x1f5, 0}, {0x1f7, 0xc8}})
    r.out(port, value, 1);
  r.out(0xc000, 9, 1);
  const auto settle = [&] {
    r.machine().ide().quiesce();
    r.machine().clock().run_due();
  };
  settle();
  CHECK(r.load(0x20000, 1) != 'd');
  CHECK((r.in(0xc002, 1) & 1) != 0);
  r.config(1, 1, 0x04, 5, 2);
  settle();
  CHECK(r.load(0x20000, 1) == 'd');
  CHECK((r.in(0xc002, 1) & 5) == 4);
}
