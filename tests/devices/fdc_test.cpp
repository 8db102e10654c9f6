// The floppy controller at register level, after the 82077AA and 82078 datasheets.
#include <catch2/catch.hpp>
#include <random>

#include "tests/devices/fdc_rig.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

using Bytes = std::vector<u8>;

}  // namespace

TEST_CASE("the controller comes out of reset with one interrupt and four polls to acknowledge") {
  FdcRig rig;
  CHECK_FALSE(rig.irq());
  rig.out(2, 0x00);
  CHECK(rig.msr() == 0x00);
  rig.out(5, 0x08);  // ignored in reset
  rig.start();
  CHECK(rig.msr() == 0x80);
  rig.out(4, 0x80);  // the reset bit of the data rate select register clears itself
  rig.wait();
  CHECK(rig.irq());
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0xc0, 0x00});
}

TEST_CASE("without the DMA gate the interrupt does not leave the controller") {
  FdcRig rig;
  rig.start();
  rig.out(2, 0x14);
  rig.command({0x07, 0x00});
  rig.wait();
  CHECK_FALSE(rig.irq());
  rig.out(2, 0x1c);
  CHECK(rig.irq());
}

TEST_CASE("seek and recalibrate move the heads and are told of by SENSE INTERRUPT STATUS") {
  FdcRig rig;
  rig.start();
  rig.command({0x0f, 0x00, 33});
  CHECK((rig.msr() & 0x91) == 0x81);  // drive 0 is busy, the controller is not
  rig.wait();
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x20, 33});
  CHECK(rig.msr() == 0x80);
  rig.command({0x04, 0x00});
  CHECK(rig.results() == Bytes{0x28});
  rig.command({0x07, 0x00});
  rig.wait();
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x20, 0});
  rig.command({0x04, 0x00});
  CHECK(rig.results() == Bytes{0x38});
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x80});
  rig.seek(10);
  rig.command({0xcf, 0x00, 5});
  rig.wait();
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x20, 15});
  rig.command({0x8f, 0x00, 200});
  rig.wait();
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x20, 0});
  CHECK(rig.seek(5, 1) == Bytes{0x21, 5});  // nobody hears that there is no second drive …
  rig.command({0x07, 0x01});
  rig.wait();
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x71, 0});  // … until it does not find track 0
}

TEST_CASE("seeks of two drives overlap, and each is told of") {
  FdcRig rig;
  rig.insert(1, 2880);
  rig.start();
  rig.command({0x0f, 0x00, 5});
  rig.command({0x0f, 0x01, 7});
  CHECK((rig.msr() & 0x03) == 0x03);
  rig.wait();
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x20, 5});
  CHECK(rig.irq());
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x21, 7});
  CHECK_FALSE(rig.irq());
  rig.command({0x07, 0x02});  // a drive that is not there finds no track 0
  rig.wait();
  rig.command({0x08});
  CHECK(rig.results() == Bytes{0x72, 0});
}

TEST_CASE("READ DATA over DMA ends at the terminal count and says which sector is next") {
  FdcRig rig;
  rig.start();
  rig.seek(3);
  rig.dma.program(2 * 512, true);
  rig.command({0xe6, 0x00, 3, 0, 5, 2, 18, 0x1b, 0xff});
  CHECK((rig.msr() & 0xd0) == 0x10);
  rig.wait();
  CHECK(rig.irq());
  CHECK(rig.moved() == rig.sectors(3 * 36 + 4, 2));
  CHECK(rig.results() == Bytes{0x00, 0x00, 0x00, 3, 0, 7, 2});
  CHECK_FALSE(rig.irq());
  CHECK_FALSE(rig.dma.dreq);
}

TEST_CASE("multi-track goes on to the second head; the results at a track's end follow the table") {
  FdcRig rig;
  rig.start();
  rig.dma.program(36 * 512, true);
  rig.command({0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.moved() == rig.sectors(0, 36));
  CHECK(rig.results() == Bytes{0x00, 0x00, 0x00, 1, 0, 1, 2});
  rig.dma.program(18 * 512, true);
  rig.command({0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.results() == Bytes{0x04, 0x00, 0x00, 0, 1, 1, 2});
  rig.dma.program(18 * 512, true);
  rig.command({0x46, 0x04, 0, 1, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.moved() == rig.sectors(18, 18));
  CHECK(rig.results() == Bytes{0x04, 0x00, 0x00, 1, 1, 1, 2});
  rig.dma.program(30000, true);  // more than the cylinder has: no terminal count
  rig.command({0x46, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.dma.at == 2 * 512);
  CHECK(rig.results() == Bytes{0x40, 0x80, 0x00, 1, 0, 1, 2});
}

TEST_CASE("WRITE DATA over DMA reaches the medium, a half sector filled up with zeros") {
  FdcRig rig;
  rig.start();
  const Bytes fresh = rig.sectors(777, 3);
  std::copy(fresh.begin(), fresh.end(), rig.dma.memory.begin());
  rig.dma.program(512 + 512 + 100, false);
  rig.command({0xc5, 0x00, 0, 0, 2, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.results() == Bytes{0x00, 0x00, 0x00, 0, 0, 5, 2});
  Bytes want(fresh.begin(), fresh.begin() + 1124);
  want.resize(3 * 512);
  CHECK(Bytes(rig.disk->data.begin() + 512, rig.disk->data.begin() + 4 * 512) == want);
  CHECK(Bytes(rig.disk->data.begin() + 4 * 512, rig.disk->data.begin() + 5 * 512) == rig.sectors(4, 1));
}

TEST_CASE("without DMA every byte goes through the FIFO, and the end of the track ends the command") {
  FdcRig rig;
  rig.start();
  rig.command({0x03, 0xaf, 0x03});
  rig.command({0x46, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.irq());
  Bytes data;
  while ((rig.msr() & 0xf0) == 0xf0) data.push_back(rig.in(5));
  CHECK(data == rig.sectors(16, 2));
  CHECK(rig.irq());
  CHECK(rig.results() == Bytes{0x40, 0x80, 0x00, 1, 0, 1, 2});
  rig.command({0x45, 0x00, 0, 0, 18, 2, 18, 0x1b, 0xff});
  rig.wait();
  const Bytes fresh = rig.sectors(99, 1);
  for (u8 b : fresh) {
    REQUIRE((rig.msr() & 0xf0) == 0xb0);
    rig.out(5, b);
  }
  CHECK(rig.results() == Bytes{0x40, 0x80, 0x00, 1, 0, 1, 2});
  CHECK(Bytes(rig.disk->data.begin() + 17 * 512, rig.disk->data.begin() + 18 * 512) == fresh);
}

TEST_CASE("addresses that are not on the disk are not found") {
  FdcRig rig;
  rig.start();
  rig.command({0x13, 0, 0x00, 0});  // implied seek off
  const auto read = [&](u8 select, u8 c, u8 h, u8 r, u8 n) {
    rig.dma.program(512, true);
    rig.command({0x46, select, c, h, r, n, 18, 0x1b, 0xff});
    rig.wait();
    CHECK(rig.dma.at == 0);
    Bytes result = rig.results();
    REQUIRE(result.size() == 7);
    result.resize(3);
    return result;
  };
  CHECK(read(0, 0, 0, 19, 2) == Bytes{0x40, 0x04, 0x00});
  CHECK(read(0, 0, 0, 0, 2) == Bytes{0x40, 0x04, 0x00});
  CHECK(read(0, 0, 0, 1, 3) == Bytes{0x40, 0x04, 0x00});
  CHECK(read(0, 0, 1, 1, 2) == Bytes{0x40, 0x04, 0x00});
  CHECK(read(0, 7, 0, 1, 2) == Bytes{0x40, 0x04, 0x10});
  CHECK(read(1, 0, 0, 1, 2) == Bytes{0x49, 0x05, 0x00});  // no such drive
  rig.out(7, 2);
  CHECK(read(0, 0, 0, 1, 2) == Bytes{0x40, 0x01, 0x00});  // wrong data rate
  rig.out(7, 0);
  rig.command({0x13, 0, 0x40, 0});
  rig.dma.program(512, true);
  rig.command({0x46, 0, 7, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.moved() == rig.sectors(7 * 36, 1));
  CHECK(rig.results()[0] == 0x20);  // it has sought
}

TEST_CASE("a protected disk is not written or formatted, an unreadable one gives data errors") {
  FdcRig rig;
  rig.start();
  rig.disk->status = BlockStatus::kIoError;
  rig.dma.program(512, true);
  rig.command({0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.results() == Bytes{0x40, 0x20, 0x20, 0, 0, 1, 2});
  REQUIRE(rig.fdc.insert(0, memory_image(Bytes(2880 * 512), rig.clock, true)));
  rig.command({0x04, 0x00});
  CHECK(rig.results() == Bytes{0x78});
  rig.dma.program(512, false);
  rig.command({0x45, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.results()[1] == 0x02);
  rig.command({0x4d, 0, 2, 18, 0x50, 0xf6});
  rig.wait();
  CHECK(rig.results()[1] == 0x02);
}

TEST_CASE("FORMAT TRACK fills the sectors that the host names") {
  FdcRig rig;
  rig.start();
  rig.seek(2);
  for (u8 s = 0; s < 18; ++s) {
    const u8 id[4] = {2, 1, static_cast<u8>(18 - s), 2};
    std::copy(id, id + 4, rig.dma.memory.begin() + s * 4);
  }
  rig.dma.program(18 * 4, false);
  rig.command({0x4d, 0x04, 2, 18, 0x50, 0xf6});
  rig.wait();
  CHECK((rig.results()[0] & 0xc0) == 0x00);
  const auto at = rig.disk->data.begin() + (2 * 36 + 18) * 512;
  CHECK(Bytes(at, at + 18 * 512) == Bytes(18 * 512, 0xf6));
  CHECK(Bytes(at - 512, at) == rig.sectors(2 * 36 + 17, 1));
  CHECK(Bytes(at + 18 * 512, at + 19 * 512) == rig.sectors(3 * 36, 1));
  rig.dma.memory[2] = 30;  // a sector that the image has no room for
  rig.dma.program(18 * 4, false);
  rig.command({0x4d, 0x04, 2, 18, 0x50, 0xf6});
  rig.wait();
  CHECK(rig.results()[1] == 0x04);
}

TEST_CASE("READ TRACK, VERIFY, READ DELETED DATA and READ ID") {
  FdcRig rig;
  rig.start();
  rig.dma.program(3 * 512, true);
  rig.command({0x42, 0, 0, 0, 9, 2, 3, 0x1b, 0xff});  // from the first sector, whatever R says
  rig.wait();
  CHECK(rig.moved() == rig.sectors(0, 3));
  CHECK((rig.results()[0] & 0xc0) == 0);
  rig.command({0xf6, 0x80, 0, 0, 1, 2, 18, 0x1b, 36});
  rig.wait();
  CHECK(rig.results() == Bytes{0x00, 0x00, 0x00, 1, 0, 1, 2});
  rig.command({0x56, 0, 0, 0, 1, 2, 20, 0x1b, 0});  // the track has 18
  rig.wait();
  CHECK(rig.results()[1] == 0x04);
  rig.dma.program(2 * 512, true);
  rig.command({0x4c, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.results()[2] == 0x40);
  rig.seek(9);
  rig.command({0x4a, 0x04});
  rig.wait();
  CHECK(rig.irq());
  CHECK(rig.results() == Bytes{0x04, 0x00, 0x00, 9, 1, 1, 2});
  rig.seek(80);
  rig.command({0x4a, 0x00});
  rig.wait();
  CHECK(rig.results()[1] == 0x01);
}

TEST_CASE("the registers that drivers look at to tell controllers apart") {
  FdcRig rig;
  rig.start();
  rig.command({0x10});
  CHECK(rig.results() == Bytes{0x90});
  rig.command({0x18});
  CHECK(rig.results() == Bytes{0x41});
  rig.command({0x14});
  CHECK(rig.results() == Bytes{0x00});
  rig.command({0x94});
  CHECK(rig.results() == Bytes{0x10});
  rig.command({0x13, 0x00, 0x5a, 0x07});
  rig.command({0x12, 0x04});
  rig.seek(5);
  rig.command({0x0e});
  CHECK(rig.results() == Bytes{5, 0, 0, 0, 0xaf, 0x02, 0, 0x84, 0x5a, 0x07});
  rig.command({0x17, 0x01});
  CHECK(rig.results() == Bytes{0x01});
  for (u8 code : {0x00, 0x01, 0x0b, 0x1f, 0x33, 0x2e, 0xff, 0x5e}) {
    rig.command({code});
    CHECK(rig.results() == Bytes{0x80});
  }
}

TEST_CASE("the disk-change line is set by a change and cleared by a step with a disk in") {
  FdcRig rig;
  rig.start();
  CHECK(rig.in(7) == 0x80);
  rig.seek(1);
  CHECK(rig.in(7) == 0x00);
  rig.fdc.eject(0);
  CHECK(rig.in(7) == 0x80);
  rig.seek(2);
  CHECK(rig.in(7) == 0x80);
  rig.dma.program(512, true);
  rig.command({0x46, 0, 2, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK((rig.results()[0] & 0xc8) == 0x48);
  rig.insert(0, 1440);
  CHECK(rig.in(7) == 0x80);
  rig.seek(1);
  CHECK(rig.in(7) == 0x00);
}

TEST_CASE("the format is told by the size, and small images are the start of a disk") {
  struct {
    u32 total;
    FloppyType type;
    u8 cylinders, heads, sectors;
  } const known[] = {{320, FloppyType::k360K, 40, 1, 8},    {360, FloppyType::k360K, 40, 1, 9},
                     {640, FloppyType::k360K, 40, 2, 8},    {720, FloppyType::k360K, 40, 2, 9},
                     {1440, FloppyType::k1440K, 80, 2, 9},  {2400, FloppyType::k1200K, 80, 2, 15},
                     {2880, FloppyType::k1440K, 80, 2, 18}, {3486, FloppyType::k1440K, 83, 2, 21},
                     {3520, FloppyType::k1440K, 80, 2, 22}, {5760, FloppyType::k2880K, 80, 2, 36},
                     {7680, FloppyType::k2880K, 80, 2, 48}};
  for (const auto& k : known) {
    INFO(k.total);
    FdcRig rig(k.total);
    CHECK(rig.fdc.type(0) == k.type);
    rig.start();
    rig.seek(static_cast<u8>(k.cylinders - 1));
    const u8 head = static_cast<u8>(k.heads - 1);
    rig.dma.program(512, true);
    rig.command({0x46, static_cast<u8>(head << 2), static_cast<u8>(k.cylinders - 1), head, k.sectors, 2, k.sectors,
                 0x1b, 0xff});
    rig.wait();
    CHECK((rig.results()[0] & 0xc0) == 0);
    CHECK(rig.moved() == rig.sectors(k.total - 1, 1));
  }
  FdcRig small(1);
  CHECK(small.fdc.type(0) == FloppyType::k1440K);
  small.start();
  small.dma.program(1024, true);
  small.command({0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  small.wait();
  Bytes want = small.sectors(0, 1);
  want.resize(1024);
  CHECK(small.moved() == want);
  CHECK(FdcRig(3001).fdc.type(0) == FloppyType::k2880K);
  FdcRig none(0);
  CHECK(none.fdc.type(0) == FloppyType::kNone);
  CHECK(none.fdc.insert(0, memory_image(Bytes(6000 * 512), none.clock)).error().find("hard disk") != std::string::npos);
}

TEST_CASE("CVE-2015-3456: no sequence of FIFO writes leaves the FIFO") {
  // The original: READ ID and DRIVE SPECIFICATION went on taking parameters for ever.
  for (int first = 0; first < 256; ++first) {
    FdcRig rig;
    rig.start();
    rig.out(5, static_cast<u8>(first));
    for (int i = 0; i < 3000; ++i) rig.out(5, static_cast<u8>(i % 3 == 0 ? first : i));
    rig.wait();
    for (int i = 0; i < 3000; ++i) (void)rig.in(5);
    rig.wait();
    rig.out(2, 0x00);
    rig.start();  // it still works
  }
}

TEST_CASE("a slow medium holds up the command, and a reset forgets it") {
  FdcRig rig;
  rig.disk->slow = true;
  rig.start();
  rig.dma.program(1024, true);
  rig.command({0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.msr() == 0x10);
  CHECK(rig.dma.at == 0);
  rig.disk->step();
  CHECK(rig.dma.at == 512);
  CHECK_FALSE(rig.irq());
  rig.out(2, 0x08);
  CHECK(rig.disk->waiting.empty());
  CHECK_FALSE(rig.dma.dreq);
  rig.start();
  rig.dma.program(1024, true);
  rig.command({0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  rig.disk->step();
  rig.disk->step();
  CHECK(rig.irq());
  CHECK(rig.moved() == rig.sectors(0, 2));
}

TEST_CASE("a disk that is taken out under a transfer ends it") {
  FdcRig rig;
  rig.disk->slow = true;
  rig.start();
  rig.dma.program(1024, true);
  rig.command({0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  rig.fdc.eject(0);
  CHECK(rig.irq());
  CHECK((rig.results()[0] & 0xc0) == 0x40);
}

TEST_CASE("the floppy controller's state survives in every phase") {
  FdcRig rig;
  rig.start();
  const auto use = [&] {
    for (int i = 0; i < 40; ++i) {
      rig.out(5, static_cast<u8>(i));
      (void)rig.in(5);
      rig.dma.program(200, i % 2 == 0);
      rig.wait();
    }
    rig.dma.left = 0;
  };
  check_state(
      rig.fdc,
      [&] {
        rig.command({0x46, 0, 0});
      },
      use);
  rig.out(2, 0x08), rig.start();
  rig.dma.program(0, true);
  check_state(
      rig.fdc,
      [&] {
        rig.command({0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff}), rig.wait();
      },
      use);
  rig.out(2, 0x08), rig.start();
  check_state(
      rig.fdc,
      [&] {
        rig.command({0x45, 0, 0, 0, 1, 2, 18, 0x1b, 0xff}), rig.wait(), rig.dma.program(100, false);
      },
      use);
  rig.out(2, 0x08), rig.start();
  check_state(
      rig.fdc,
      [&] {
        rig.command({0x0f, 0, 40});
      },
      use);
  rig.out(2, 0x08), rig.start();
  rig.command({0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff});
  rig.wait();
  CHECK(rig.fdc.dma_transfer(rig.dma.memory.data(), 700, true, false) == 700);
  const Bytes saved = saved_state(rig.fdc);
  rig.dma.left = 0;
  rig.fdc.reset();
  REQUIRE(load_state(rig.fdc, saved));
  rig.dma.dreq = true;         // the 8237's own state says so
  rig.dma.program(324, true);  // goes on in the middle of the second sector
  Bytes rest = rig.sectors(1, 1);
  rest.erase(rest.begin(), rest.begin() + 188);
  CHECK(rig.moved() == rest);
  CHECK(rig.results() == Bytes{0x00, 0x00, 0x00, 0, 0, 3, 2});
}
