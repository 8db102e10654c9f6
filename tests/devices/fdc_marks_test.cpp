// Deleted data marks, and the SCAN commands: 82077AA datasheet, tables 5-6 to 5-9.
#include "tests/devices/fdc_rig.h"
#include "tests/devices/state_check.h"

using namespace umbra;

namespace {

using Bytes = std::vector<u8>;

// A data command over `sectors` sectors of track 0 from sector `first`, EOT 18; its result.
Bytes run(FdcRig& rig, u8 opcode, u8 first, u32 sectors, bool to_memory, u8 last_byte = 0xff) {
  rig.dma.program(sectors * 512, to_memory);
  rig.command({opcode, 0, 0, 0, first, 2, 18, 0x1b, last_byte});
  rig.wait();
  return rig.results();
}

constexpr u8 kRead = 0x46, kReadDeleted = 0x4c, kWrite = 0x45, kWriteDeleted = 0x49, kSkip = 0x20;

}  // namespace

TEST_CASE("READ DATA stops at a sector marked as deleted, and skips it when told so") {
  FdcRig rig;
  rig.start();
  CHECK(run(rig, kWriteDeleted, 3, 1, false) == Bytes{0, 0, 0, 0, 0, 4, 2});
  const Bytes stopped = run(rig, kRead, 2, 4, true);
  CHECK(stopped == Bytes{0, 0, 0x40, 0, 0, 3, 2});  // CM, and R is the sector that has the mark
  CHECK(rig.moved().size() == 2 * 512);             // it is read all the same
  CHECK(run(rig, kRead | kSkip, 2, 2, true) == Bytes{0, 0, 0x40, 0, 0, 5, 2});
  Bytes want = rig.sectors(1, 1);
  const Bytes fourth = rig.sectors(3, 1);
  want.insert(want.end(), fourth.begin(), fourth.end());
  CHECK(rig.moved() == want);
  CHECK(run(rig, kWrite, 3, 1, false)[2] == 0);  // plain data again
  CHECK(run(rig, kRead, 2, 3, true) == Bytes{0, 0, 0, 0, 0, 5, 2});
}

TEST_CASE("READ DELETED DATA wants the marks, and a verify tells of them") {
  FdcRig rig;
  rig.start();
  run(rig, kWriteDeleted, 5, 2, false);
  CHECK(run(rig, kReadDeleted, 5, 2, true) == Bytes{0, 0, 0, 0, 0, 7, 2});
  CHECK(run(rig, kReadDeleted, 4, 2, true) == Bytes{0, 0, 0x40, 0, 0, 4, 2});
  CHECK(run(rig, kReadDeleted | kSkip, 1, 1, true) == Bytes{0, 0, 0x40, 0, 0, 6, 2});
  rig.dma.program(0, true);
  rig.command({0x56, 0, 0, 0, 1, 2, 18, 0x1b, 0});
  rig.wait();
  CHECK(rig.results() == Bytes{0, 0, 0x40, 0, 0, 5, 2});
  run(rig, kReadDeleted | kSkip, 7, 1, true);  // none left on the track
  CHECK(rig.moved().empty());
}

TEST_CASE("marks go with the disk") {
  FdcRig rig;
  rig.start();
  run(rig, kWriteDeleted, 1, 1, false);
  rig.insert(0, 2880);
  CHECK(run(rig, kRead, 1, 1, true)[2] == 0);
}

TEST_CASE("SCAN finds the sector that is equal, not above or not below") {
  FdcRig rig;
  rig.start();
  for (u32 s = 0; s < 18; ++s)
    for (u32 i = 0; i < 512; ++i) rig.disk->data[s * 512 + i] = static_cast<u8>(0x10 + s);
  const auto scan = [&](u8 kind, u8 wanted, u32 sectors, u8 step = 1) {
    rig.dma.memory.assign(rig.dma.memory.size(), wanted);
    return run(rig, static_cast<u8>(0x40 | kind), 1, sectors, false, step);
  };
  CHECK(scan(0x11, 0x14, 18) == Bytes{0, 0, 0x08, 0, 0, 5, 2});  // equal: sector 5
  CHECK(scan(0x11, 0x44, 19) == Bytes{0, 0, 0x04, 1, 0, 1, 2});  // on no sector of the track
  CHECK(scan(0x11, 0x14, 2)[2] == 0x04);                         // not before the terminal count
  CHECK(scan(0x19, 0x14, 18) == Bytes{0, 0, 0x00, 0, 0, 1, 2});  // low or equal: the first is lower
  CHECK(scan(0x19, 0x10, 18)[2] == 0x08);                        // and here equal
  CHECK(scan(0x1d, 0x13, 18) == Bytes{0, 0, 0x08, 0, 0, 4, 2});  // high or equal
  CHECK(scan(0x1d, 0x0f, 18) == Bytes{0, 0, 0x00, 0, 0, 1, 2});  // high
  CHECK(scan(0x11, 0xff, 18) == Bytes{0, 0, 0x08, 0, 0, 1, 2});  // FFh fits anything
  CHECK(scan(0x11, 0x13, 18, 2)[2] == 0x04);                     // every other sector: 1, 3, 5 …
  CHECK(scan(0x11, 0x14, 18, 2) == Bytes{0, 0, 0x08, 0, 0, 5, 2});
  CHECK(rig.disk->data[0] == 0x10);  // nothing is written
}

TEST_CASE("SCAN without DMA, and its state") {
  FdcRig rig;
  rig.start();
  rig.command({0x03, 0xaf, 0x03});
  rig.command({0x51, 0, 0, 0, 1, 2, 18, 0x1b, 1});
  rig.wait();
  const Bytes data = rig.sectors(0, 1);
  for (u32 i = 0; i < 512; ++i) {
    REQUIRE((rig.msr() & 0xf0) == 0xb0);
    if (i == 100) {
      const Bytes saved = saved_state(rig.fdc);
      rig.fdc.reset();
      REQUIRE(load_state(rig.fdc, saved));
    }
    rig.out(5, data[i]);
  }
  rig.wait();
  CHECK(rig.results()[2] == 0x08);
}
