// Bytes as a script of port and MMIO traffic to every chip of the board at once, or to one of them, with keys,
// movements, serial input, DMA requests, damaged saved states and time between.
#include "tests/devices/chipset_bench.h"
#include "tests/devices/state_check.h"
#include "tests/fuzz/targets.h"

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

namespace {

// Every function lies on the bus of the bench, so what is tried on it is its configuration space.
u32 config_address(std::string_view chip, u32 bits) {
  const u32 function = chip == "i440fx" ? 0 : chip == "piix3" ? 0x800 : chip == "piix3-ide" ? 0x900 : 0xb00;
  return 0x80000000 | function | (bits & 0xfc);
}

}  // namespace

void fuzz_chip(std::string_view chip, const u8* data, std::size_t size) {
  ChipsetBench bench;
  NoisyDma noisy;
  noisy.line = &bench.dma.line(2);
  bench.dma.connect(2, noisy);
  bench.dma.connect(5, noisy);
  const auto wanted = [&](const Device& d) { return chip.empty() || chip == d.name(); };
  const bool function = chip == "i440fx" || chip == "piix3" || chip == "piix3-ide" || chip == "piix4pm";
  std::vector<Device*> devices = bench.devices;
  std::erase_if(devices, [&](const Device* d) { return !wanted(*d); });
  const auto look = [&] {
    std::vector<ChipsetBench::Range> all = bench.ranges();
    std::erase_if(all, [&](const ChipsetBench::Range& r) { return !wanted(*r.chip); });
    return all;
  };
  std::vector<ChipsetBench::Range> ranges = look();
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
    if (op >= 0xec && !devices.empty()) {
      Device& device = *devices[take(1) % devices.size()];
      std::vector<u8> saved = saved_state(device);
      for (u32 n = op & 3; n > 0 && !saved.empty(); --n) saved[take(2) % saved.size()] ^= static_cast<u8>(take(1));
      (void)load_state(device, saved).error();
      continue;
    }
    if (function && (op & 1) != 0) {
      BusTarget& ports = bench.bus.config_ports();
      ports.write(0, config_address(chip, take(1)), 4);
      if ((op & 2) != 0)
        ports.write(4, take(4), 4);
      else
        ports.read(4 + (op >> 2 & 3), 1);
      continue;
    }
    if (op % 29 == 28) ranges = look();
    if (ranges.empty()) continue;  // keyboard and mouse have no ports of their own: their bytes come through the 8042
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

void fuzz_chipset(const u8* data, std::size_t size) { fuzz_chip("", data, size); }

}  // namespace umbra
