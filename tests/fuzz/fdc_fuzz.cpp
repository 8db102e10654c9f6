// Bytes as a script of register and DMA traffic on a floppy controller with two drives, with media changes, failing
// media and saved states between.
#include "devices/storage/fdc.h"
#include "tests/devices/ide_rig.h"
#include "tests/devices/state_check.h"
#include "tests/fuzz/targets.h"

namespace umbra {

void fuzz_fdc(const u8* data, std::size_t size) {
  struct Dma final : DmaLine {
    bool dreq = false;
    void set_dreq(bool level) override { dreq = level; }
  };
  FakeTime time;
  Clock clock(time);
  Dma dma;
  Fdc fdc(clock, Line());
  fdc.connect_dma(dma);
  const auto insert = [&](unsigned n, u32 sectors) {
    auto medium = std::make_unique<SlowMedium>(sectors);
    SlowMedium* m = medium.get();
    (void)fdc.insert(n, std::move(medium)).error();
    return fdc.drive(n).medium() == m ? m : nullptr;
  };
  SlowMedium* media[2] = {insert(0, 720), insert(1, 100)};
  fdc.reset();
  std::vector<u8> saved = saved_state(fdc);
  std::size_t at = 0;
  const auto take = [&](unsigned count) {
    u32 value = 0;
    for (unsigned i = 0; i < count; ++i) value |= (at < size ? u32{data[at++]} : 0u) << (8 * i);
    return value;
  };
  std::vector<u8> block(65536);
  while (at < size) {
    const u32 op = take(1);
    const unsigned n = op >> 7;
    switch (op & 15) {
      case 0 ... 4:
        fdc.registers().write(5, take(1), 1);
        break;
      case 5: {  // a data command that has a chance
        static constexpr u8 kCodes[16] = {0xe6, 0xc5, 0x4d, 0x42, 0xf6, 0x4a, 0x4c, 0x0f,
                                          0xc9, 0x49, 0xd1, 0xf9, 0xdd, 0x66, 0x6c, 0x07};
        const u32 bits = take(1);
        fdc.registers().write(2, 0x1c, 1);
        fdc.registers().write(7, 2, 1);
        for (u32 b : {u32{kCodes[op >> 4]}, bits & 7, bits >> 3, bits >> 2 & 1, bits >> 5, 2u, 9u, 27u, 255u})
          fdc.registers().write(5, b, 1);
        break;
      }
      case 6:
        fdc.registers().write(take(1) % 8, take(1), 1);
        break;
      case 7:
        (void)fdc.registers().read(take(1) % 8, 1);
        break;
      case 8: {
        const unsigned reads = take(1);
        for (unsigned i = 0; i < reads * 8; ++i) (void)fdc.registers().read(5, 1);
        break;
      }
      case 9 ... 10:
        if (dma.dreq) CHECK(fdc.dma_transfer(block.data(), 1 + take(2), (op & 0x10) != 0, (op & 0x20) != 0) <= 65536);
        break;
      case 11 ... 12:
        time.advance(u64{take(1)} << 12);
        clock.run_due();
        break;
      case 13:
        if ((op & 0x10) != 0) {
          fdc.eject(n);
          media[n] = nullptr;
        } else {
          static constexpr u32 kSizes[4] = {1, 720, 2880, 7000};
          SlowMedium* fresh = insert(n, kSizes[op >> 5 & 3]);
          if (fresh != nullptr) media[n] = fresh;
        }
        break;
      case 14:
        if (media[n] == nullptr) break;
        media[n]->slow = (op & 0x10) != 0;
        media[n]->status = static_cast<BlockStatus>((op & 0x20) != 0 ? 1 : 0);
        media[n]->step();
        break;
      case 15:
        if ((op & 0x10) != 0)
          saved = saved_state(fdc);
        else
          saved[take(2) % saved.size()] ^= static_cast<u8>(take(1));
        if ((op & 0x30) == 0) (void)load_state(fdc, saved).error();
        break;
    }
  }
}

}  // namespace umbra
