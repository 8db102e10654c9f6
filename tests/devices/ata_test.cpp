// ATA disks at register level, after ATA/ATAPI-6 and the PIIX3 datasheet.
#include <catch2/catch.hpp>

#include "tests/devices/ide_rig.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

std::string text(const std::vector<u16>& id, unsigned word, unsigned words) {
  std::string s;
  for (unsigned i = word; i < word + words; ++i) {
    s += static_cast<char>(id[i] >> 8);
    s += static_cast<char>(id[i]);
  }
  s.resize(s.find_last_not_of(' ') + 1);
  return s;
}

}  // namespace

TEST_CASE("after a reset a disk shows its signature and is ready") {
  IdeRig rig;
  rig.add_disk(0, 1000);
  for (int soft = 0; soft < 2; ++soft) {
    if (soft != 0) {
      rig.control(0x04);
      CHECK((rig.status() & 0x88) == 0x80);
      rig.control(0x00);
    }
    CHECK(rig.status() == 0x50);
    CHECK(rig.in(1) == 0x01);
    CHECK(rig.in(2) == 0x01);
    CHECK(rig.in(3) == 0x01);
    CHECK(rig.in(4) == 0x00);
    CHECK(rig.in(5) == 0x00);
    CHECK_FALSE(rig.irq());
  }
}

TEST_CASE("an absent device 1 and an empty channel read as nothing") {
  IdeRig rig;
  rig.add_disk(0, 1000);
  rig.out(6, 0xb0);
  CHECK(rig.status() == 0x00);
  CHECK(rig.alt_status() == 0x00);
  rig.out(2, 0x55);
  CHECK(rig.in(2) == 0x00);
  CHECK(rig.in(6) == 0x00);
  rig.command(0xec);
  CHECK(rig.status() == 0x00);
  CHECK_FALSE(rig.irq());
  rig.out(6, 0xa0);
  CHECK(rig.status() == 0x50);
  rig.channel = 1;
  rig.out(2, 0x55);
  CHECK(rig.in(2) == 0x00);
  CHECK(rig.status() == 0x00);
  rig.command(0xec);
  CHECK(rig.in(0) == 0xff);
}

TEST_CASE("IDENTIFY DEVICE tells geometry, capacity, modes and a correct checksum") {
  IdeRig rig;
  rig.add_disk(0, 4 * 16 * 63 + 5);
  const std::vector<u16> id = rig.identify(0xec);
  CHECK(rig.status() == 0x50);
  CHECK(id[0] == 0x0040);
  CHECK(id[1] == 4);
  CHECK(id[3] == 16);
  CHECK(id[6] == 63);
  CHECK(text(id, 10, 10) == "UM00001");
  CHECK(text(id, 27, 20) == "UMBRA HARDDISK");
  CHECK((id[49] & 0x0300) == 0x0300);
  CHECK(id[54] == 4);
  CHECK((id[57] | id[58] << 16) == 4 * 16 * 63);
  CHECK(id[59] == 0x110);
  CHECK((id[60] | id[61] << 16) == 4 * 16 * 63 + 5);
  CHECK((id[83] & 0xc400) == 0x4400);
  CHECK((id[88] & 0x3f) == 0x3f);
  CHECK((id[100] | id[101] << 16) == 4 * 16 * 63 + 5);
  u8 sum = 0;
  for (u16 w : id) sum = static_cast<u8>(sum + w + (w >> 8));
  CHECK(sum == 0);
  CHECK((id[255] & 0xff) == 0xa5);
}

TEST_CASE("PIO reads interrupt once for each sector, with every width of the data port") {
  for (unsigned size : {1u, 2u, 4u}) {
    IdeRig rig;
    rig.add_disk(0, 1000);
    rig.lba28(37, 3);
    rig.command(0x20);
    std::vector<u8> all;
    for (int i = 0; i < 3; ++i) {
      CHECK(rig.irq());
      CHECK(rig.status() == 0x58);
      CHECK_FALSE(rig.irq());
      const std::vector<u8> data = rig.read_data(512, size);
      all.insert(all.end(), data.begin(), data.end());
    }
    CHECK(all == expected(37, 3));
    CHECK(rig.status() == 0x50);
    CHECK_FALSE(rig.irq());
    CHECK(rig.in(2) == 0);
    CHECK(rig.in(3) == 39);
  }
}

TEST_CASE("PIO writes reach the medium, the first sector without an interrupt") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  rig.lba28(5, 3);
  rig.command(0x30);
  CHECK_FALSE(rig.irq());
  const std::vector<u8> fresh = expected(500, 3);
  for (int i = 0; i < 3; ++i) {
    CHECK(rig.status() == 0x58);
    rig.write_data({fresh.begin() + i * 512, fresh.begin() + (i + 1) * 512}, i == 1 ? 4 : 2);
    CHECK(rig.irq());
  }
  CHECK(rig.status() == 0x50);
  CHECK(medium_bytes(m, 5, 3) == fresh);
  CHECK(medium_bytes(m, 4, 1) == expected(4, 1));
  CHECK(medium_bytes(m, 8, 1) == expected(8, 1));
}

TEST_CASE("a count of zero means 256 sectors, and 65536 for the 48-bit commands") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 70000);
  rig.lba28(3, 0);
  rig.command(0x20);
  CHECK(rig.read_data(256 * 512) == expected(3, 256));
  CHECK(rig.status() == 0x50);
  rig.lba48(100, 0);
  rig.command(0x24);
  CHECK(rig.read_data(65536 * 512, 4) == medium_bytes(m, 100, 65536));
  CHECK(rig.status() == 0x50);
}

TEST_CASE("MULTIPLE commands transfer blocks, and are refused when switched off") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  rig.lba28(0, 8);
  rig.command(0xc6);
  CHECK(rig.status() == 0x50);
  CHECK(rig.identify(0xec)[59] == 0x108);
  const unsigned before = rig.lines.rises[14];
  rig.lba28(50, 20);
  rig.command(0xc4);
  std::vector<u8> all;
  for (u32 n : {8u, 8u, 4u}) {
    CHECK(rig.status() == 0x58);
    const auto data = rig.read_data(n * 512);
    all.insert(all.end(), data.begin(), data.end());
  }
  CHECK(all == expected(50, 20));
  CHECK(rig.lines.rises[14] == before + 3);
  rig.lba28(60, 9);
  rig.command(0xc5);
  rig.write_data(expected(900, 8));
  CHECK(rig.status() == 0x58);
  rig.write_data(expected(908, 1));
  CHECK(rig.status() == 0x50);
  CHECK(medium_bytes(m, 60, 9) == expected(900, 9));
  for (u8 bad : {3, 32, 255}) {
    rig.lba28(0, bad);
    rig.command(0xc6);
    CHECK((rig.status() & 1) != 0);
    CHECK(rig.in(1) == 0x04);
  }
  rig.lba28(0, 0);
  rig.command(0xc6);
  rig.lba28(0, 1);
  rig.command(0xc4);
  CHECK(rig.in(1) == 0x04);
}

TEST_CASE("CHS addresses use the geometry set by INITIALIZE DEVICE PARAMETERS") {
  IdeRig rig;
  rig.add_disk(0, 16 * 63 * 10);
  const auto chs = [&](u32 c, u8 h, u8 s, u8 count) {
    rig.out(6, static_cast<u8>(0xa0 | h));
    rig.out(2, count);
    rig.out(3, s);
    rig.out(4, static_cast<u8>(c));
    rig.out(5, static_cast<u8>(c >> 8));
  };
  chs(2, 3, 4, 1);
  rig.command(0x20);
  CHECK(rig.read_data(512) == expected((2 * 16 + 3) * 63 + 3, 1));
  chs(0, 15, 63, 2);
  rig.command(0x20);
  CHECK(rig.read_data(1024) == expected(16 * 63 - 1, 2));
  CHECK(rig.in(3) == 1);
  CHECK(rig.in(4) == 1);
  CHECK((rig.in(6) & 15) == 0);
  chs(0, 7, 0, 32);
  rig.command(0x91);
  CHECK(rig.status() == 0x50);
  chs(1, 2, 3, 1);
  rig.command(0x20);
  CHECK(rig.read_data(512) == expected((1 * 8 + 2) * 32 + 2, 1));
  for (const auto& [h, s] : {std::pair<u8, u8>{8, 1}, {0, 0}, {0, 33}}) {
    chs(0, h, s, 1);
    rig.command(0x20);
    CHECK(rig.status() == 0x51);
    CHECK(rig.in(1) == 0x10);
  }
}

TEST_CASE("sectors beyond the end are not found") {
  IdeRig rig;
  rig.add_disk(0, 100);
  for (u8 code : {0x20, 0x30, 0x40, 0xc4, 0xc5, 0xc8, 0xca, 0x70}) {
    rig.lba28(100, 1);
    rig.command(code);
    CHECK(rig.irq());
    CHECK(rig.status() == 0x51);
    CHECK(rig.in(1) == 0x10);
  }
  rig.lba28(99, 2);
  rig.command(0x20);
  CHECK(rig.in(1) == 0x10);
  rig.lba48(0xffffffffffff, 1);
  rig.command(0x24);
  CHECK(rig.in(1) == 0x10);
}

TEST_CASE("a read waits with BSY for a slow medium, and a reset forgets it") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  m.slow = true;
  rig.lba28(1, 1);
  rig.command(0x20);
  CHECK((rig.status() & 0x88) == 0x80);
  CHECK_FALSE(rig.irq());
  rig.out(3, 77);  // the registers are the drive's own now
  rig.command(0xec);
  CHECK((rig.status() & 0x88) == 0x80);
  m.step();
  CHECK(rig.irq());
  CHECK(rig.status() == 0x58);
  CHECK(rig.read_data(512) == expected(1, 1));
  rig.command(0x20);
  rig.control(4);
  rig.control(0);
  CHECK(m.waiting.empty());
  CHECK(rig.status() == 0x50);
  CHECK_FALSE(rig.irq());
  CHECK(rig.in(1) == 1);
}

TEST_CASE("errors of the medium become errors of the drive") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  m.status = BlockStatus::kIoError;
  rig.lba28(300, 200);
  rig.command(0x20);
  CHECK(rig.irq());
  CHECK(rig.status() == 0x51);
  CHECK(rig.in(1) == 0x40);
  CHECK((rig.in(3) | rig.in(4) << 8) == 300);
  m.status = BlockStatus::kNoSpace;
  rig.lba28(300, 1);
  rig.command(0x30);
  rig.write_data(expected(0, 1));
  CHECK(rig.status() == 0x71);
  CHECK(rig.in(1) == 0x04);
  rig.command(0xe7);
  CHECK(rig.status() == 0x71);
  m.status = BlockStatus::kOk;
  rig.command(0xe7);
  CHECK(rig.status() == 0x50);
}

TEST_CASE("with nIEN the line stays low, and an interrupt that waits is shown when it goes") {
  IdeRig rig;
  rig.add_disk(0, 1000);
  rig.control(0x02);
  rig.lba28(0, 1);
  rig.command(0x20);
  CHECK_FALSE(rig.irq());
  CHECK(rig.alt_status() == 0x58);
  rig.control(0x00);
  CHECK(rig.irq());
  CHECK(rig.alt_status() == 0x58);
  CHECK(rig.irq());
  CHECK(rig.status() == 0x58);
  CHECK_FALSE(rig.irq());
}

TEST_CASE("the high order bytes are read back with HOB, and any write clears HOB") {
  IdeRig rig;
  rig.add_disk(0, 1000);
  rig.lba48(0x060504030201, 0x0807);
  CHECK(rig.in(3) == 0x01);
  rig.control(0x80);
  CHECK(rig.in(2) == 0x08);
  CHECK(rig.in(3) == 0x04);
  CHECK(rig.in(4) == 0x05);
  CHECK(rig.in(5) == 0x06);
  rig.out(1, 0);
  CHECK(rig.in(5) == 0x03);
}

TEST_CASE("EXECUTE DEVICE DIAGNOSTIC selects device 0 and reports") {
  IdeRig rig;
  rig.add_disk(0, 1000);
  rig.add_disk(1, 1000);
  rig.out(6, 0xb0);
  rig.command(0x90);
  CHECK(rig.irq());
  CHECK((rig.in(6) & 0x10) == 0);
  CHECK(rig.status() == 0x50);
  CHECK(rig.in(1) == 0x01);
}

TEST_CASE("the two drives of a channel are told apart") {
  IdeRig rig;
  SlowMedium& a = rig.add_disk(0, 100);
  SlowMedium& b = rig.add_disk(1, 200);
  std::fill(a.data.begin(), a.data.end(), u8{0xaa});
  std::fill(b.data.begin(), b.data.end(), u8{0xbb});
  rig.lba28(7, 1, 1);
  rig.command(0x20);
  CHECK(rig.irq());
  rig.out(6, 0xe0);  // an unselected drive does not drive the line
  CHECK_FALSE(rig.irq());
  rig.command(0x20);
  CHECK(rig.read_data(512) == std::vector<u8>(512, 0xaa));
  rig.out(6, 0xf0);
  CHECK(rig.read_data(512) == std::vector<u8>(512, 0xbb));
}

TEST_CASE("the small commands do what they say") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  for (u8 code : {0x10, 0x1f, 0x91, 0x94, 0x95, 0x96, 0x97, 0x99, 0xe0, 0xe1, 0xe2, 0xe3, 0xe6, 0xe7, 0xea}) {
    rig.lba28(0, 1);
    rig.command(code);
    INFO(int{code});
    CHECK(rig.irq());
    CHECK(rig.status() == 0x50);
  }
  CHECK(m.flushes == 2);
  rig.command(0xe5);
  CHECK(rig.in(2) == 0xff);
  rig.lba28(0, 0);
  rig.command(0xf8);
  CHECK((rig.in(3) | rig.in(4) << 8) == 999);
  rig.lba28(995, 5);
  rig.command(0x40);
  CHECK(rig.status() == 0x50);
  CHECK((rig.in(3) | rig.in(4) << 8) == 999);
  rig.command(0xe8);
  rig.write_data(expected(1, 1));
  rig.command(0xe4);
  CHECK(rig.read_data(512) == expected(1, 1));
  for (u8 code : {0x00, 0x08, 0xa0, 0xa1, 0xb0, 0xff}) {
    rig.command(code);
    CHECK(rig.status() == 0x51);
    CHECK(rig.in(1) == 0x04);
  }
}

TEST_CASE("SET FEATURES chooses transfer modes and the write cache") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  const auto feature = [&](u8 code, u8 count) {
    rig.out(1, code);
    rig.out(2, count);
    rig.command(0xef);
    return rig.status();
  };
  CHECK(feature(0x03, 0x42) == 0x50);
  CHECK(rig.identify(0xec)[88] == 0x043f);
  CHECK(feature(0x03, 0x21) == 0x50);
  const auto id = rig.identify(0xec);
  CHECK(id[88] == 0x003f);
  CHECK(id[63] == 0x0207);
  CHECK(feature(0x03, 0x12) == 0x50);
  CHECK(rig.identify(0xec)[62] == 0x0407);
  CHECK(feature(0x03, 0x77) == 0x51);
  CHECK(feature(0x99, 0) == 0x51);
  CHECK(feature(0x82, 0) == 0x50);
  CHECK((rig.identify(0xec)[85] & 0x20) == 0);
  const int before = m.flushes;
  rig.lba28(0, 1);
  rig.command(0x30);
  rig.write_data(expected(1, 1));
  CHECK(m.flushes == before + 1);
  CHECK(feature(0x02, 0) == 0x50);
  rig.lba28(0, 1);
  rig.command(0x30);
  rig.write_data(expected(1, 1));
  CHECK(m.flushes == before + 1);
}

TEST_CASE("the geometry is what QEMU would choose") {
  std::vector<u8> mbr(512);
  Geometry g = guess_geometry(u64{2} << 21, mbr.data());
  CHECK(g.cylinders == 4161);
  CHECK(g.heads == 16);
  CHECK(g.sectors == 63);
  CHECK(g.translation == BiosTranslation::kLba);
  CHECK(guess_geometry(1000 * 16 * 63, mbr.data()).translation == BiosTranslation::kNone);
  CHECK(guess_geometry(u64{1} << 32, mbr.data()).cylinders == 16383);
  mbr[510] = 0x55;
  mbr[511] = 0xaa;
  u8* entry = mbr.data() + 446;
  entry[5] = 7;
  entry[6] = 0xc0 | 17;
  entry[12] = 1;
  g = guess_geometry(8 * 17 * 100, mbr.data());
  CHECK(g.cylinders == 100);
  CHECK(g.heads == 8);
  CHECK(g.sectors == 17);
  entry[5] = 254;
  entry[6] = 63;
  g = guess_geometry(u64{2} << 21, mbr.data());
  CHECK(g.heads == 16);
  CHECK(g.translation == BiosTranslation::kLarge);
  CHECK(guess_geometry(u64{1} << 25, mbr.data()).translation == BiosTranslation::kLba);
}

TEST_CASE("a disk's state survives in every phase of a transfer") {
  IdeRig rig;
  SlowMedium& m = rig.add_disk(0, 1000);
  const auto use = [&] {
    for (int i = 0; i < 20; ++i) {
      (void)rig.read_data(700);
      rig.write_data(std::vector<u8>(700));
      rig.run_due();
      rig.bm(0, 0);
      rig.bm(0, 1);
    }
  };
  check_state(
      rig.ide, [&] { rig.lba28(3, 200), rig.command(0x20), (void)rig.read_data(700); }, use);
  rig.control(4), rig.control(0);
  check_state(
      rig.ide, [&] { rig.lba28(3, 200), rig.command(0x30), rig.write_data(std::vector<u8>(700)); }, use);
  rig.control(4), rig.control(0);
  for (u32 i = 0; i < 16; ++i) rig.prd(0x1000 + i * 8, 0x10000 + (i % 8) * 0x10000, 0, i == 15);
  check_state(
      rig.ide, [&] { rig.lba48(3, 600), rig.command(0x25), rig.start_dma(0x1000, true); }, use);
  rig.control(4), rig.control(0);

  // A transfer goes on where it was saved.
  rig.lba28(3, 4);
  rig.command(0x20);
  (void)rig.read_data(512 + 100);
  const std::vector<u8> saved = saved_state(rig.ide);
  const std::vector<u8> rest = rig.read_data(3 * 512 - 100);
  rig.ide.reset();
  REQUIRE(load_state(rig.ide, saved));
  CHECK(rig.read_data(3 * 512 - 100) == rest);
  CHECK(rig.status() == 0x50);

  m.slow = true;  // what is in flight when the state is saved has arrived by then
  rig.lba28(9, 1);
  rig.command(0x20);
  (void)saved_state(rig.ide);
  CHECK(rig.status() == 0x58);
}

TEST_CASE("a state of other drives is refused") {
  IdeRig disk, cd;
  disk.add_disk(0, 100);
  cd.add_cd(0, 100);
  CHECK_FALSE(load_state(disk.ide, saved_state(cd.ide)));
}
