// Bytes as a script of port and MMIO traffic to every chip of the board at once, with keys, movements, serial input,
// DMA requests and time between.
#include "tests/devices/chipset_bench.h"

namespace umbra {
namespace {

class NoisyDma final : public DmaRequester {
 public:
  std::size_t dma_transfer(u8* data, std::size_t size, bool to_memory, bool) override {
    if (to_memory) std::memset(data, 0x5a, size);
    line->set_dreq(true);  // the rudest thing a device may do
    return size;
  }
  DmaLine* line = nullptr;
};

}  // namespace

void fuzz_chipset(const u8* data, std::size_t size) {
  ChipsetBench bench;
  NoisyDma noisy;
  noisy.line = &bench.dma.line(2);
  bench.dma.connect(2, noisy);
  bench.dma.connect(5, noisy);
  std::vector<ChipsetBench::Range> ranges = bench.ranges();
  std::size_t at = 0;
  const auto take = [&](unsigned count) {
    u32 value = 0;
    for (unsigned i = 0; i < count; ++i) value |= (at < size ? u32{data[at++]} : 0u) << (8 * i);
    return value;
  };
  while (at < size) {
    const u32 op = take(1);
    if (op >= 0xf0) {
      switch (op & 7) {
        case 0:
          bench.keyboard.key(static_cast<Key>(take(1)), (op & 8) != 0);
          break;
        case 1:
          bench.mouse.move(static_cast<i8>(take(1)), static_cast<i8>(take(1)), static_cast<i8>(take(1)));
          break;
        case 2:
          bench.mouse.buttons(take(1));
          break;
        case 3:
          bench.host.type("x");
          break;
        case 4:
          bench.dma.line((op & 8) != 0 ? 5 : 2).set_dreq(true);
          break;
        case 5:
          bench.time.advance(take(3) * 16);
          bench.clock.run_due();
          break;
        case 6:
          bench.lapic.set_lint0((op & 8) != 0);
          break;
        default:
          bench.lapic.acknowledge(), bench.pic.acknowledge();
      }
      continue;
    }
    if (op % 29 == 28) ranges = bench.ranges();
    const ChipsetBench::Range& range = ranges[op % ranges.size()];
    const u32 how = take(1);
    const unsigned bytes = std::min(1u << (how & 3) % 3, range.widest);
    const u32 offset = (range.size > 256 ? take(2) : take(1)) % (range.size - bytes + 1) & ~(bytes - 1);
    if ((how & 0x40) != 0)
      range.target->write(offset, take(bytes), bytes);
    else
      range.target->read(offset, bytes);
  }
  bench.clock.run_due();
}

}  // namespace umbra
