#include <catch2/catch.hpp>

#include "devices/video/pci_vga.h"
#include "tests/devices/state_check.h"
#include "tests/devices/vga_rig.h"

using namespace umbra;

namespace {

struct PciRig : VgaRig {
  PciVga pci{vga, std::vector<u8>(39 * 1024, 0x55)};

  PciRig() {
    pci.config_write(0x10, 0xfd000000, 4);
    pci.config_write(0x18, 0xfebf0000, 4);
    pci.config_write(4, 3, 2);
  }
  BusTarget& bar(u32 base) {
    for (const PciRange& r : pci.ranges())
      if (r.base == base) return *r.target;
    throw std::runtime_error("no such range");
  }
};

}  // namespace

TEST_CASE("The PCI VGA has QEMU's identity and BARs") {
  PciRig v;
  CHECK(v.pci.config_read(0, 4) == 0x11111234);
  CHECK(v.pci.config_read(0x0a, 2) == 0x0300);
  CHECK(v.pci.config_read(0x2c, 4) == 0x11001af4);
  v.pci.config_write(0x10, 0xffffffff, 4);
  CHECK(v.pci.config_read(0x10, 4) == 0xff000008);
  v.pci.config_write(0x18, 0xffffffff, 4);
  CHECK(v.pci.config_read(0x18, 4) == 0xfffff000);
  v.pci.config_write(0x30, 0xfffff800, 4);
  CHECK(v.pci.config_read(0x30, 4) == 0xffff0000);
}

TEST_CASE("The frame buffer BAR is the video memory") {
  PciRig v;
  v.bar(0xfd000000).write(0x123456, 0xcafe, 2);
  CHECK(v.memory[0x123456] == 0xfe);
  CHECK(v.bar(0xfd000000).read(0x123456, 4) == 0xcafe);
  bool ram = false;
  for (const PciRange& r : v.pci.ranges()) ram |= r.ram == v.memory.data();
  CHECK(ram);
}

TEST_CASE("The register BAR mirrors ports, dispi and EDID") {
  PciRig v;
  BusTarget& mmio = v.bar(0xfebf0000);
  mmio.write(0x400 + 0x02, 0x67, 1);
  CHECK(mmio.read(0x400 + 0x0c, 1) == 0x67);
  CHECK(v.in(0x3cc) == 0x67);
  mmio.write(0x502, 800, 2);
  mmio.write(0x504, 600, 2);
  mmio.write(0x506, 32, 2);
  mmio.write(0x508, 0x41, 2);
  CHECK(v.dispi(VbeRegs::kVirtWidth) == 800);
  CHECK(mmio.read(0x500, 2) == 0xb0c5);
  CHECK(mmio.read(0x502, 4) == (600u << 16 | 800));
  CHECK(mmio.read(0x514, 2) == 256);
  CHECK(mmio.read(0x600, 4) == 8);
  CHECK(mmio.read(0x604, 4) == 0x1e1e1e1e);
  CHECK(mmio.read(0x700, 1) == 0xff);
  CHECK(mmio.read(0x000, 4) == 0xffffff00);
  u8 sum = 0;
  for (u32 i = 0; i < 128; ++i) sum = static_cast<u8>(sum + mmio.read(i, 1));
  CHECK(sum == 0);
  CHECK(mmio.read(54, 2) == 6500);  // the preferred mode's clock in units of 10 kHz
}

TEST_CASE("The PCI VGA's state comes back after save, poke and restore") {
  PciRig v;
  check_state(v.pci, [&] { v.pci.config_write(0x10, 0xe0000000, 4); });
}
