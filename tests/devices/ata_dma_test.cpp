// DMA of ATA disks through the PIIX3's bus master, whose descriptors the guest may fill with anything.
#include <catch2/catch.hpp>

#include "tests/devices/ide_rig.h"

using namespace umbra;

TEST_CASE("DMA reads and writes go through the descriptor table") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  rig.prd(0x1000, 0x20000, 512 + 100, false);
  rig.prd(0x1008, 0x30000, 4 * 512 - 612, true);
  rig.lba28(10, 4);
  rig.command(0xc8);
  CHECK_FALSE(rig.irq());
  CHECK((rig.status() & 0x88) != 0);
  rig.start_dma(0x1000, true);
  CHECK(rig.irq());
  CHECK(rig.bm(2) == 0x04);  // interrupt, no longer active
  CHECK(rig.status() == 0x50);
  std::vector<u8> got = ram_bytes(rig, 0x20000, 612);
  const auto rest = ram_bytes(rig, 0x30000, 4 * 512 - 612);
  got.insert(got.end(), rest.begin(), rest.end());
  CHECK(got == expected(10, 4));
  rig.bm(2, 0x04);
  CHECK(rig.bm(2) == 0x00);

  rig.lba28(800, 4);
  rig.start_dma(0x1000, false);  // started before the command, which some drivers do
  rig.command(0xca);
  CHECK(rig.irq());
  CHECK(medium_bytes(m, 800, 4) == expected(10, 4));
  rig.lba48(900, 4);
  rig.command(0x3d);
  rig.start_dma(0x1000, false);
  CHECK(m.flushes == 1);
  CHECK(medium_bytes(m, 900, 4) == expected(10, 4));
}

TEST_CASE("DMA waits until the function may use the PCI bus") {
  IdeRig rig;
  rig.add_disk(0, 1000);
  rig.ide.grant_bus(false);
  rig.prd(0x1000, 0x20000, 512, true);
  rig.lba28(10, 1);
  rig.command(0xc8);
  rig.start_dma(0x1000, true);
  rig.run_due();
  CHECK_FALSE(rig.irq());
  CHECK(rig.bm(2) == 0x01);  // active, and nothing moves
  CHECK(ram_bytes(rig, 0x20000, 512) != expected(10, 1));
  rig.ide.grant_bus(true);
  CHECK(rig.irq());
  CHECK(rig.bm(2) == 0x04);
  CHECK(ram_bytes(rig, 0x20000, 512) == expected(10, 1));
}

TEST_CASE("a long DMA transfer is moved in parts, between which the processor runs") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 5000);
  for (u32 i = 0; i < 16; ++i) rig.prd(0x1000 + i * 8, 0x10000 + (i % 8) * 0x10000, 0, i == 15);  // 64 KiB each
  rig.lba48(77, 1024);
  rig.command(0x25);
  rig.start_dma(0x1000, true);
  CHECK_FALSE(rig.irq());
  CHECK((rig.status() & 0x80) != 0);
  rig.run_due();
  CHECK(rig.irq());
  CHECK(rig.bm(2) == 0x05);  // the table describes more than was moved
  CHECK(ram_bytes(rig, 0x10000, 512 * 1024) == medium_bytes(m, 77, 1024));
}

TEST_CASE("a descriptor table that is too short ends the transfer without an interrupt") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  rig.prd(0x1000, 0x20000, 512, true);
  rig.lba28(10, 2);
  rig.command(0xc8);
  rig.start_dma(0x1000, true);
  CHECK_FALSE(rig.irq());
  CHECK(rig.bm(2) == 0x00);
  CHECK((rig.status() & 0x88) == 0);
  rig.lba28(10, 2);
  rig.command(0xca);
  rig.start_dma(0x1000, false);
  CHECK_FALSE(rig.irq());
  CHECK(medium_bytes(m, 10, 2) == expected(10, 2));
}

TEST_CASE("hostile descriptor tables end: loops, table over itself, device registers, the end of memory") {
  IdeRig rig;
  rig.add_disk(0, 70000);
  // Two-byte descriptors to the end of memory and beyond, where everything reads as ones.
  for (u32 at = 0x1000; at + 8 <= rig.memory.ram.size(); at += 8) rig.prd(at, 0xfee00000, 2, false);
  rig.lba48(0, 0);
  rig.command(0x25);
  rig.start_dma(0x1000, true);
  rig.run_due();
  CHECK((rig.status() & 0x88) == 0);
  CHECK(rig.memory.dropped > 0);
  // A table that the transfer overwrites with descriptors.
  rig.prd(0x2000, 0x2000, 0, false);
  rig.lba48(0, 0);
  rig.command(0x25);
  rig.start_dma(0x2000, true);
  rig.run_due();
  CHECK((rig.status() & 0x88) == 0);
  rig.lba48(0, 0);
  rig.command(0x35);
  rig.start_dma(0xfffffff8, false);
  rig.run_due();
  CHECK((rig.status() & 0x88) == 0);
}

TEST_CASE("the bus master's registers mask, clear on ones, and are reached with every width") {
  IdeRig rig;
  rig.add_disk(0, 1000);
  rig.ide.bus_master().write(4, 0x12345677, 4);
  CHECK(rig.ide.bus_master().read(4, 4) == 0x12345674);
  CHECK(rig.ide.bus_master().read(6, 2) == 0x1234);
  CHECK(rig.ide.bus_master().read(12, 4) == 0);
  rig.bm(2, 0x60);
  CHECK(rig.bm(2) == 0x60);
  rig.bm(0, 0xff);
  CHECK(rig.bm(0) == 0x09);
  CHECK(rig.bm(2) == 0x61);
  rig.bm(0, 0);
  CHECK(rig.bm(2) == 0x60);
}
