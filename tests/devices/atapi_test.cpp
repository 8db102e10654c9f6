// The ATAPI CD-ROM drive: the PACKET protocol at register level, and the MMC commands that systems boot and mount with.
#include <catch2/catch.hpp>

#include "tests/devices/ide_rig.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

using Bytes = std::vector<u8>;

struct CdRig : IdeRig {
  SlowMedium* disc = nullptr;
  explicit CdRig(u32 blocks = 300) {
    channel = 1;
    if (blocks != 0)
      disc = &add_cd(2, blocks);
    else
      ide.attach_cdrom(2, nullptr);
  }
  AtapiDrive& drive() { return *ide.cdrom(2); }

  Bytes blocks(u32 first, u32 count) {
    Bytes data;
    for (u64 s = u64{first} * 4; s < (u64{first} + count) * 4; ++s)
      for (u32 i = 0; i < kSectorSize; ++i) data.push_back(pattern(s, i));
    return data;
  }
  void send(Bytes cdb, u16 limit, bool dma = false) {
    cdb.resize(12);
    out(6, 0xa0);
    out(1, dma ? 1 : 0);
    out(4, static_cast<u8>(limit));
    out(5, static_cast<u8>(limit >> 8));
    command(0xa0);
    REQUIRE((status() & 0x89) == 0x08);
    REQUIRE(in(2) == 0x01);  // command phase
    write_data(cdb);
  }
  // The data of a command, its last status, and the size of each part.
  Bytes packet(const Bytes& cdb, u16 limit = 0xfffe) {
    send(cdb, limit);
    Bytes all;
    parts.clear();
    for (;;) {
      CHECK(irq());
      const u8 reason = in(2);
      last = status();
      if ((last & 0x08) == 0) {
        CHECK(reason == 0x03);
        break;
      }
      CHECK(reason == 0x02);
      const u32 size = in(4) | u32{in(5)} << 8;
      parts.push_back(size);
      const Bytes part = read_data(size + (size & 1));
      all.insert(all.end(), part.begin(), part.begin() + size);
    }
    error = in(1);
    return all;
  }
  bool ok(const Bytes& cdb) {
    (void)packet(cdb);
    return (last & 1) == 0;
  }
  u32 sense() {  // key, code, qualifier
    const Bytes s = packet({0x03, 0, 0, 0, 18});
    REQUIRE(s.size() == 18);
    return s[2] << 16 | s[12] << 8 | s[13];
  }

  u8 last = 0, error = 0;
  std::vector<u32> parts;
};

u32 be32(const Bytes& b, std::size_t at) { return b[at] << 24 | b[at + 1] << 16 | b[at + 2] << 8 | b[at + 3]; }

}  // namespace

TEST_CASE("a CD-ROM drive that is alone does not show its signature in device 1's place") {
  IdeRig rig;
  rig.add_cd(0, 100);
  rig.out(6, 0xa0);
  CHECK((rig.in(4) == 0x14 && rig.in(5) == 0xeb));
  rig.out(6, 0xb0);
  CHECK((rig.in(4) == 0x00 && rig.in(5) == 0x00));
}

TEST_CASE("an ATAPI drive shows its signature and is no disk") {
  CdRig rig;
  CHECK(rig.status() == 0x00);
  CHECK(rig.in(4) == 0x14);
  CHECK(rig.in(5) == 0xeb);
  rig.out(4, 0);
  rig.command(0xec);
  CHECK(rig.status() == 0x41);
  CHECK(rig.in(1) == 0x04);
  CHECK(rig.in(4) == 0x14);
  CHECK(rig.in(5) == 0xeb);
  const std::vector<u16> id = rig.identify(0xa1);
  CHECK(id[0] == 0x85c0);
  CHECK((id[49] & 0x300) == 0x300);
  CHECK(rig.irq() == false);
  rig.out(4, 0);
  rig.command(0x08);
  CHECK(rig.status() == 0x00);
  CHECK(rig.in(4) == 0x14);
}

TEST_CASE("DEVICE RESET is taken in the middle of a transfer") {
  CdRig rig;
  rig.disc->slow = true;
  rig.send({0x28, 0, 0, 0, 0, 5, 0, 0, 2}, 0x800);
  CHECK((rig.status() & 0x80) != 0);
  rig.command(0x08);
  CHECK(rig.status() == 0x00);
  CHECK(rig.disc->waiting.empty());
  CHECK_FALSE(rig.irq());
  rig.disc->slow = false;
  CHECK(rig.packet({0x28, 0, 0, 0, 0, 5, 0, 0, 1}) == rig.blocks(5, 1));
}

TEST_CASE("READ transfers blocks in parts of the host's byte count") {
  CdRig rig;
  CHECK(rig.packet({0x28, 0, 0, 0, 0, 7, 0, 0, 3}, 2048) == rig.blocks(7, 3));
  CHECK(rig.parts == std::vector<u32>{2048, 2048, 2048});
  CHECK(rig.packet({0xa8, 0, 0, 0, 0, 100, 0, 0, 0, 200}, 0xfffe) == rig.blocks(100, 200));
  CHECK(rig.packet({0x28, 0, 0, 0, 0, 9, 0, 0, 1}, 1001) == rig.blocks(9, 1));
  CHECK(rig.parts == std::vector<u32>{1000, 1000, 48});
  CHECK(rig.packet({0x28, 0, 0, 0, 0, 9, 0, 0, 1}, 0) == rig.blocks(9, 1));
  CHECK(rig.packet({0x28, 0, 0, 0, 0, 9, 0, 0, 0}).empty());
  CHECK((rig.last & 1) == 0);
}

TEST_CASE("READ over DMA fills the descriptors' memory, also in several parts") {
  CdRig rig;
  for (u32 i = 0; i < 9; ++i) rig.prd(0x1000 + i * 8, 0x10000 + i * 0x10000, 0, i == 8);
  rig.send({0x28, 0, 0, 0, 0, 3, 0, 1, 0x20}, 0, true);  // 288 blocks, 576 KiB
  CHECK_FALSE(rig.irq());
  rig.start_dma(0x1000, true);
  rig.run_due();
  CHECK(rig.irq());
  CHECK(rig.bm(2) == 0x04);
  CHECK((rig.status() & 0x89) == 0);
  CHECK(rig.in(2) == 0x03);
  CHECK(Bytes(rig.memory.ram.begin() + 0x10000, rig.memory.ram.begin() + 0x10000 + 288 * 2048) == rig.blocks(3, 288));
  rig.prd(0x1000, 0x20000, 36, true);
  rig.send({0x12, 0, 0, 0, 36}, 0, true);
  rig.start_dma(0x1000, true);
  CHECK(rig.irq());
  CHECK(rig.memory.ram[0x20000] == 0x05);
}

TEST_CASE("descriptor tables that are too short or loop end an ATAPI transfer") {
  CdRig rig;
  rig.prd(0x1000, 0x20000, 512, true);
  rig.send({0x28, 0, 0, 0, 0, 3, 0, 0, 4}, 0, true);
  rig.start_dma(0x1000, true);
  CHECK_FALSE(rig.irq());
  CHECK((rig.status() & 0x88) == 0);
  for (u32 at = 0x1000; at + 8 <= rig.memory.ram.size(); at += 8) rig.prd(at, 0xfec00000, 2, false);
  rig.send({0x28, 0, 0, 0, 0, 3, 0, 1, 0}, 0, true);
  rig.start_dma(0x1000, true);
  rig.run_due();
  CHECK((rig.status() & 0x88) == 0);
  CHECK(rig.memory.dropped > 0);
}

TEST_CASE("READ CD gives user data or raw frames") {
  CdRig rig;
  CHECK(rig.packet({0xbe, 0, 0, 0, 0, 20, 0, 0, 2, 0x10}) == rig.blocks(20, 2));
  const Bytes raw = rig.packet({0xbe, 0, 0, 0, 0, 20, 0, 0, 40, 0xf8});
  REQUIRE(raw.size() == 40 * 2352);
  for (u32 i = 0; i < 40; ++i) {
    const u8* frame = raw.data() + i * 2352;
    CHECK(frame[0] == 0x00);
    CHECK(frame[1] == 0xff);
    CHECK(frame[11] == 0x00);
    const u32 position = 150 + 20 + i;
    CHECK(frame[12] == 0x00);
    CHECK(frame[13] == (position / 75 / 10 << 4 | position / 75 % 10));
    CHECK(frame[14] == (position % 75 / 10 << 4 | position % 75 % 10));
    CHECK(frame[15] == 0x01);
    CHECK(Bytes(frame + 16, frame + 16 + 2048) == rig.blocks(20 + i, 1));
  }
  CHECK(rig.packet({0xb9, 0, 0, 0, 2, 20, 0, 2, 22, 0x10}) == rig.blocks(20, 2));
  CHECK(rig.ok({0xbe, 0, 0, 0, 0, 20, 0, 0, 2, 0x00}));
  CHECK_FALSE(rig.ok({0xbe, 0, 0, 0, 0, 20, 0, 0, 2, 0x30}));
}

TEST_CASE("errors are told by CHECK CONDITION and REQUEST SENSE, once") {
  CdRig rig;
  CHECK_FALSE(rig.ok({0x28, 0, 0, 0, 1, 0x2c, 0, 0, 1}));  // block 300 of 300
  CHECK(rig.last == 0x41);
  CHECK(rig.error == 0x54);
  CHECK(rig.sense() == 0x052100);
  CHECK(rig.sense() == 0x000000);
  CHECK_FALSE(rig.ok({0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff}));
  CHECK(rig.sense() == 0x052100);
  CHECK_FALSE(rig.ok({0x04}));  // FORMAT UNIT
  CHECK(rig.sense() == 0x052000);
  CHECK_FALSE(rig.ok({0x12, 1}));
  CHECK(rig.sense() == 0x052400);
  rig.disc->status = BlockStatus::kIoError;
  CHECK_FALSE(rig.ok({0x28, 0, 0, 0, 0, 1, 0, 0, 1}));
  CHECK((rig.error >> 4) == 3);
  CHECK(rig.sense() == 0x031100);
}

TEST_CASE("an empty drive says that there is no medium") {
  CdRig rig(0);
  for (u8 code : {0x00, 0x25, 0x28, 0x43, 0x51, 0xbe}) {
    CHECK_FALSE(rig.ok({code, 0, 0, 0, 0, 0, 0, 0, 1, 0x10}));
    CHECK(rig.sense() == 0x023a01);
  }
  CHECK(rig.packet({0x12, 0, 0, 0, 96}).size() == 36);
  CHECK(rig.packet({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8})[5] == 0x00);
}

TEST_CASE("a new disc is announced: no medium, then unit attention, then ready") {
  CdRig rig;
  CHECK(rig.ok({0x00}));
  CHECK(rig.drive().eject(false));
  CHECK_FALSE(rig.ok({0x00}));
  CHECK(rig.sense() == 0x023a02);
  CHECK(rig.packet({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}) == Bytes{0, 6, 4, 0x10, 3, 1, 0, 0});
  rig.drive().insert(memory_image(Bytes(50 * 2048, 0x5a), rig.clock));
  CHECK(rig.packet({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}) == Bytes{0, 6, 4, 0x10, 2, 2, 0, 0});
  CHECK(rig.packet({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8})[4] == 0);
  CHECK_FALSE(rig.ok({0x00}));
  CHECK((rig.sense() >> 8) == 0x023a);
  CHECK_FALSE(rig.ok({0x00}));
  CHECK(rig.sense() == 0x062800);
  CHECK(rig.ok({0x00}));
  CHECK(be32(rig.packet({0x25}), 0) == 49);
  CHECK(rig.packet({0x28, 0, 0, 0, 0, 0, 0, 0, 1}) == Bytes(2048, 0x5a));
}

TEST_CASE("a locked tray opens by force only, and the guest is asked") {
  CdRig rig;
  CHECK(rig.ok({0x1e, 0, 0, 0, 1}));
  CHECK(rig.drive().locked());
  CHECK_FALSE(rig.ok({0x1b, 0, 0, 0, 2}));
  CHECK(rig.sense() == 0x055302);
  CHECK_FALSE(rig.drive().eject(false));
  CHECK(rig.packet({0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8})[4] == 1);
  CHECK(rig.ok({0x00}));
  CHECK(rig.drive().eject(true));
  CHECK(rig.drive().tray_open());
  CHECK_FALSE(rig.drive().locked());
}

TEST_CASE("the guest opens and closes the tray with the disc in it") {
  CdRig rig;
  CHECK(rig.ok({0x1b, 0, 0, 0, 2}));
  CHECK(rig.drive().tray_open());
  CHECK_FALSE(rig.ok({0x00}));
  CHECK(rig.ok({0x1b, 0, 0, 0, 3}));
  CHECK_FALSE(rig.drive().tray_open());
  for (int i = 0; i < 3 && !rig.ok({0x00}); ++i) (void)rig.sense();
  CHECK((rig.last & 1) == 0);
}

TEST_CASE("a disc that is taken out under a read fails it") {
  CdRig rig;
  rig.disc->slow = true;
  rig.send({0x28, 0, 0, 0, 0, 5, 0, 0, 2}, 0x800);
  rig.drive().eject(true);
  CHECK(rig.irq());
  CHECK((rig.status() & 0x89) == 0x01);
}

TEST_CASE("INQUIRY, capacity and TOC describe a CD with one data track") {
  CdRig rig;
  const Bytes inquiry = rig.packet({0x12, 0, 0, 0, 96});
  REQUIRE(inquiry.size() == 36);
  CHECK(inquiry[0] == 0x05);
  CHECK(inquiry[1] == 0x80);
  CHECK(std::string(inquiry.begin() + 8, inquiry.begin() + 16) == "UMBRA   ");
  CHECK(rig.packet({0x12, 0, 0, 0, 5}).size() == 5);
  CHECK(rig.packet({0x25}) == Bytes{0, 0, 1, 0x2b, 0, 0, 8, 0});
  CHECK(rig.packet({0x43, 0, 0, 0, 0, 0, 0, 0, 100}) ==
        Bytes{0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 1, 0x2c});
  CHECK(rig.packet({0x43, 2, 0, 0, 0, 0, 1, 0, 100}) ==
        Bytes{0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 0, 6, 0});
  CHECK(rig.packet({0x43, 0, 0, 0, 0, 0, 0xaa, 0, 100}).size() == 12);
  CHECK(rig.packet({0x43, 0, 1, 0, 0, 0, 0, 0, 12}) == Bytes{0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0});
  CHECK(rig.packet({0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40}) == Bytes{0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0});
  CHECK(rig.packet({0x43, 0, 2, 0, 0, 0, 0, 0, 100}).size() == 4 + 4 * 11);
  CHECK_FALSE(rig.ok({0x43, 0, 0, 0, 0, 0, 2, 0, 100}));
  CHECK(rig.ok({0x2b, 0, 0, 0, 1, 0x2b}));
  CHECK_FALSE(rig.ok({0x2b, 0, 0, 0, 1, 0x2c}));
}

TEST_CASE("mode pages, configuration, disc and mechanism are told, cut to the size asked for") {
  CdRig rig;
  const Bytes page = rig.packet({0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 128});
  REQUIRE(page.size() == 28);
  CHECK(page[1] == 26);
  CHECK(page[2] == 0x01);
  CHECK(page[8] == 0x2a);
  CHECK(page[9] == 18);
  CHECK(rig.packet({0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 128}).size() == 8 + 8 + 16 + 20);
  CHECK(rig.packet({0x1a, 0, 0x01, 0, 128}).size() == 4 + 8);
  CHECK(rig.packet({0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 10}).size() == 10);
  CHECK_FALSE(rig.ok({0x5a, 0, 0x05, 0, 0, 0, 0, 0, 128}));
  CHECK_FALSE(rig.ok({0x5a, 0, 0xea, 0, 0, 0, 0, 0, 128}));
  CHECK(rig.sense() == 0x053900);
  const Bytes features = rig.packet({0x46, 0, 0, 0, 0, 0, 0, 0, 200});
  CHECK(be32(features, 0) == features.size() - 4);
  CHECK((features[6] << 8 | features[7]) == 0x0008);
  CHECK(rig.packet({0x46, 2, 0, 3, 0, 0, 0, 0, 200}).size() == 8 + 8);
  CHECK(rig.packet({0x46, 2, 0x12, 3, 0, 0, 0, 0, 200}).size() == 8);
  CHECK(rig.packet({0x51, 0, 0, 0, 0, 0, 0, 0, 200}).size() == 34);
  CHECK(rig.packet({0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8}).size() == 8);
  CHECK(rig.packet({0x42, 2, 0x40, 1, 0, 0, 0, 0, 16}).size() == 16);
  CHECK(rig.ok({0xbb, 0, 0xff, 0xff, 0xff, 0xff}));
}

TEST_CASE("MODE SELECT takes its parameters from the host") {
  CdRig rig;
  rig.send({0x55, 0x10, 0, 0, 0, 0, 0, 0, 20}, 12);
  CHECK(rig.irq());
  CHECK(rig.status() == 0x58);
  CHECK(rig.in(2) == 0x00);
  CHECK(rig.in(4) == 12);
  rig.write_data(Bytes(12));
  CHECK(rig.in(4) == 8);
  rig.write_data(Bytes(8));
  CHECK(rig.status() == 0x50);
  CHECK(rig.in(2) == 0x03);
}

TEST_CASE("a CD-ROM drive's state survives in every phase, and only with the same disc") {
  CdRig rig;
  const auto use = [&] {
    for (int i = 0; i < 20; ++i) {
      (void)rig.read_data(700);
      rig.write_data(Bytes(64, static_cast<u8>(i)));
      rig.run_due();
      rig.bm(0, 0);
      rig.bm(0, 1);
    }
  };
  const auto reset = [&] { rig.control(4), rig.control(0); };
  check_state(
      rig.ide,
      [&] {
        rig.send({0x28, 0, 0, 0, 0, 7, 0, 0, 200}, 2048), (void)rig.read_data(700);
      },
      use);
  reset();
  check_state(
      rig.ide,
      [&] {
        rig.command(0xa0), rig.write_data({0x28, 0});
      },
      use);
  reset();
  check_state(
      rig.ide,
      [&] {
        rig.send({0x55, 0, 0, 0, 0, 0, 0, 0, 200}, 100), rig.write_data(Bytes(20));
      },
      use);
  reset();
  check_state(
      rig.ide,
      [&] {
        rig.send({0x28, 0, 0, 0, 0, 3, 0, 1, 0}, 0, true);
      },
      use);
  reset();
  const Bytes saved = saved_state(rig.ide);
  rig.drive().eject(true);
  CHECK_FALSE(load_state(rig.ide, saved));
}
