// The whole board under random port, PCI configuration and memory traffic, so that chips meet each other: BARs on top
// of other devices, DMA to device registers, reset by every road, keys and time between.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <random>

#include "tests/board/rom_rig.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

class Traffic {
 public:
  explicit Traffic(u32 seed) : random_(seed), rig_({}, config()) { r().clock().run_posted(); }

  void step() {
    const u32 op = random_();
    const unsigned size = 1u << (op >> 8) % 3;
    switch (op % 16) {
      case 0 ... 4:
        return rig_.out(port(), random_(), size);
      case 5 ... 7:
        return void(rig_.in(port(), size));
      case 8:
        return rig_.config(op >> 12 & 3, op >> 16 & 3, static_cast<u8>(random_()), random_(), size);
      case 9:
        return rig_.store(address(), random_(), size);
      case 10:
        return void(rig_.load(address(), size));
      case 11: {  // a bus master transfer, wherever its table leads
        rig_.store(0x1000 + (op >> 12 & 0xf8), address(), 4);
        rig_.store(0x1004 + (op >> 12 & 0xf8), random_(), 4);
        rig_.config(1, 1, 0x20, 0xc000, 4);
        rig_.config(1, 1, 0x04, 5, 2);
        rig_.out(0xc004, 0x1000, 4);
        rig_.out(0x1f2, 1 + (op >> 20 & 3), 1);
        rig_.out(0x1f7, (op & 0x100000) != 0 ? 0xc8 : 0xca, 1);
        return rig_.out(0xc000, (op & 0x100000) != 0 ? 9 : 1, 1);
      }
      case 12:
        return r().keys().key(static_cast<Key>(op >> 8 & 0x7f), (op & 0x10000) != 0);
      case 13:
        return r().pointer().move(static_cast<int>(random_() % 200) - 100, static_cast<int>(random_() % 200) - 100, 0);
      case 14:
        r().ide().quiesce();
        return r().clock().run_due();
      default:
        r().clock().run_posted();
        if (r().pic().intr()) rig_.in(0x20, 1);
    }
  }

 private:
  Machine& r() { return rig_.machine(); }
  static TempFolder& folder() {
    static TempFolder f;
    return f;
  }
  static MachineConfig config() {
    MachineConfig c = BoardRig::config();
    c.ram_bytes = 2u << 20;
    c.testdev = true;
    c.pci_testdev = true;
    c.no_shutdown = true;
    c.drives.push_back(
        {DriveConfig::Kind::kDisk, 0, folder().write("disk.img", std::string(512 * 256, 'd')), false, true});
    c.drives.push_back({DriveConfig::Kind::kCdrom, 2, "", true, false});
    return c;
  }
  u16 port() {
    static constexpr u16 kBases[] = {0x00,  0x20,  0x40,  0x60,   0x70,   0x80,   0x90,   0xa0,   0xc0,  0xe0,  0xf0,
                                     0x170, 0x1f0, 0x1ce, 0x2f8,  0x370,  0x378,  0x3b0,  0x3c0,  0x3d0, 0x3f0, 0x4d0,
                                     0x510, 0xb2,  0xcf8, 0x2000, 0xae00, 0xafe0, 0xb000, 0xb100, 0xc000};
    const u32 bits = random_();
    return (bits & 0xf000) == 0 ? static_cast<u16>(bits >> 16)
                                : static_cast<u16>(kBases[bits % std::size(kBases)] + (bits >> 16 & 15));
  }
  u32 address() {
    static constexpr u32 kBases[] = {0,          0xa0000,    0xb8000,    0xc0000,    0xf0000,
                                     0x1ff000,   0x200000,   0xe0000000, 0xfd000000, 0xfebf0000,
                                     0xfec00000, 0xfed00000, 0xfee00000, 0xff000000, 0xfffff000};
    const u32 bits = random_();
    return kBases[bits % std::size(kBases)] + (bits >> 16 & 0xffc);
  }

  std::mt19937 random_;
  RomRig rig_;
};

void fuzz(u32 seed, unsigned steps) {
  Traffic traffic(seed);
  for (unsigned i = 0; i < steps; ++i) traffic.step();
}

}  // namespace

TEST_CASE("The board stands random traffic") {
  for (u32 seed = 1; seed <= 3; ++seed) CHECK_NOTHROW(fuzz(seed, 20'000));
}

#ifndef UMBRA_SANITIZE  // which keeps what was freed
TEST_CASE("A guest that hammers the devices does not make the process grow") {
  const auto resident = [] {
    std::ifstream statm("/proc/self/statm");
    u64 pages = 0, in_memory = 0;
    statm >> pages >> in_memory;
    return in_memory * kPageSize;
  };
  Traffic traffic(99);
  for (unsigned i = 0; i < 50'000; ++i) traffic.step();
  const u64 before = resident();
  for (unsigned i = 0; i < 4'000'000; ++i) traffic.step();
  CHECK(resident() < before + (8u << 20));
}
#endif

TEST_CASE("The board stands random traffic for as long as is asked") {
  const char* text = std::getenv("UMBRA_FUZZ_SECONDS");
  const double seconds = text != nullptr ? std::atof(text) : 0.2;
  const char* first = std::getenv("UMBRA_FUZZ_SEED");
  u32 seed = 1000 * (first != nullptr ? static_cast<u32>(std::atoi(first)) : 1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  u64 runs = 0;
  do {
    fuzz(seed++, 5'000);
    ++runs;
  } while (std::chrono::steady_clock::now() < end);
  std::printf("| the whole board, 5000 accesses each | %llu |\n", static_cast<unsigned long long>(runs));
  CHECK(runs > 0);
}
