// SMART as smartctl uses it, at register level.
#include <catch2/catch.hpp>

#include "tests/devices/ide_rig.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

struct SmartRig : IdeRig {
  SmartRig() { add_disk(0, 1000); }
  void smart(u8 feature, u8 low = 0, u8 count = 1) {
    lba28(0xc24f00 | low, count);
    out(1, feature);
    command(0xb0);
  }
  std::vector<u8> sector(u8 feature, u8 low = 0) {
    smart(feature, low);
    CHECK(status() == 0x58);
    const std::vector<u8> data = read_data(512);
    CHECK(status() == 0x50);
    return data;
  }
  bool aborts(u8 feature, u8 low = 0, u8 count = 1) {
    smart(feature, low, count);
    return status() == 0x51 && in(1) == 0x04;
  }
};

u8 sum(const std::vector<u8>& data) {
  u8 total = 0;
  for (const u8 byte : data) total = static_cast<u8>(total + byte);
  return total;
}

}  // namespace

TEST_CASE("SMART tells of a drive in good health, each value above its threshold") {
  SmartRig rig;
  const std::vector<u8> data = rig.sector(0xd0), thresholds = rig.sector(0xd1);
  CHECK(sum(data) == 0);
  CHECK(sum(thresholds) == 0);
  unsigned attributes = 0;
  for (u32 at = 2; data[at] != 0; at += 12, ++attributes) {
    CHECK(thresholds[at] == data[at]);
    CHECK(data[at + 3] > thresholds[at + 1]);
    CHECK(data[at + 4] > thresholds[at + 1]);
  }
  CHECK(attributes == 7);
  rig.smart(0xda);
  CHECK(rig.irq());
  CHECK(rig.status() == 0x50);
  CHECK(rig.in(4) == 0x4f);
  CHECK(rig.in(5) == 0xc2);
}

TEST_CASE("Self-tests pass at once, and the newest is found in their log") {
  SmartRig rig;
  CHECK(rig.sector(0xd5, 6)[508] == 0);
  for (unsigned i = 1; i <= 23; ++i) {
    const u8 routine = i % 2 != 0 ? 0x01 : 0x82;
    rig.smart(0xd4, routine);
    CHECK(rig.status() == 0x50);
    const std::vector<u8> log = rig.sector(0xd5, 6);
    const u32 index = (i - 1) % 21 + 1;
    CHECK(sum(log) == 0);
    CHECK(log[508] == index);
    CHECK(log[2 + 24 * (index - 1)] == routine);
    CHECK(log[3 + 24 * (index - 1)] == 0);
  }
  rig.smart(0xd4, 0);
  CHECK(rig.status() == 0x50);
  CHECK(rig.sector(0xd5, 6)[508] == 2);
}

TEST_CASE("The log of errors is empty, and the directory knows both logs") {
  SmartRig rig;
  const std::vector<u8> errors = rig.sector(0xd5, 1), directory = rig.sector(0xd5, 0);
  CHECK(sum(errors) == 0);
  CHECK(errors[0] == 1);
  CHECK(errors[1] == 0);
  CHECK(directory[2] == 1);
  CHECK(directory[12] == 1);
  CHECK(directory[14] == 0);
}

TEST_CASE("SMART can be switched off, in IDENTIFY DEVICE too, and is then only switched on again") {
  SmartRig rig;
  CHECK((rig.identify(0xec)[82] & 1) == 1);
  CHECK((rig.identify(0xec)[85] & 1) == 1);
  rig.smart(0xd9);
  CHECK((rig.identify(0xec)[82] & 1) == 1);
  CHECK((rig.identify(0xec)[85] & 1) == 0);
  for (const u8 feature : {0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd9, 0xda, 0xdb}) CHECK(rig.aborts(feature));
  rig.smart(0xd8);
  CHECK((rig.identify(0xec)[85] & 1) == 1);
  CHECK(rig.sector(0xd0).size() == 512);
}

TEST_CASE("SMART aborts without its key, and for what the drive does not have") {
  SmartRig rig;
  rig.lba28(0xc24e00, 1);
  rig.out(1, 0xda);
  rig.command(0xb0);
  CHECK(rig.status() == 0x51);
  CHECK(rig.aborts(0xd5, 2));     // a log
  CHECK(rig.aborts(0xd6, 0x80));  // writing one
  CHECK(rig.aborts(0xd4, 4));     // a selective self-test
  CHECK(rig.aborts(0xd2, 0, 5));  // neither on nor off
  CHECK(rig.aborts(0xdb, 0, 5));
  CHECK(rig.aborts(0xdc));
  for (const u8 count : {0x00, 0xf8}) {
    rig.smart(0xdb, 0, count);
    CHECK(rig.sector(0xd0)[362] == (count != 0 ? 0x82 : 0x02));
  }
  for (const u8 count : {0x00, 0xf1}) {
    rig.smart(0xd2, 0, count);
    CHECK(rig.status() == 0x50);
  }
}

TEST_CASE("The log of self-tests survives in a saved state, and a broken one is refused") {
  SmartRig rig;
  check_state(
      rig.ide, [&] { rig.smart(0xd4, 2), rig.smart(0xd9); }, [&] { rig.smart(0xd8), rig.smart(0xd4, 1); });
}
