// 8237A: addressing, counts, modes, masks, page registers, status. Intel 231466.
#include <catch2/catch.hpp>

#include "tests/devices/chipset_bench.h"

using namespace umbra;

namespace {

// A device that moves at most `step` bytes at a time.
class Source final : public DmaRequester {
 public:
  std::size_t dma_transfer(u8* data, std::size_t size, bool to_memory, bool terminal_count) override {
    const std::size_t n = std::min(size, step);
    for (std::size_t i = 0; i < n; ++i) {
      if (to_memory)
        data[i] = next++;
      else
        taken.push_back(data[i]);
    }
    if (terminal_count && n == size) ++terminal_counts;
    moved += n;
    if (moved >= limit && line != nullptr) line->set_dreq(false);
    return n;
  }
  std::size_t step = 1000, limit = ~std::size_t{0}, moved = 0;
  unsigned terminal_counts = 0;
  u8 next = 0;
  std::vector<u8> taken;
  DmaLine* line = nullptr;
};

struct DmaRig {
  FlatMemory memory{1 << 20};
  Dma dma{memory};
  Source device;

  explicit DmaRig(unsigned channel) : channel_(channel) {
    dma.reset();
    dma.connect(channel, device);
    device.line = &dma.line(channel);
    dma.high_ports().write(11 * 2, 0xc0, 1);  // channel 4: cascade
    dma.high_ports().write(10 * 2, 0, 1);
  }
  void out(u32 reg, u8 value) {
    if (channel_ < 4)
      dma.low_ports().write(reg, value, 1);
    else
      dma.high_ports().write(reg * 2, value, 1);
  }
  u8 in(u32 reg) {
    return static_cast<u8>(channel_ < 4 ? dma.low_ports().read(reg, 1) : dma.high_ports().read(reg * 2, 1));
  }
  void program(u8 page, u16 address, u16 count, u8 mode) {
    static constexpr u32 kPages[8] = {7, 3, 1, 2, 15, 11, 9, 10};
    const u32 n = channel_ & 3;
    out(12, 0);
    out(11, static_cast<u8>(mode | n));
    out(n * 2, address & 0xff), out(n * 2, address >> 8);
    out(n * 2 + 1, count & 0xff), out(n * 2 + 1, count >> 8);
    dma.page_ports().write(kPages[channel_], page, 1);
    out(10, static_cast<u8>(n));
  }
  void request() { dma.line(channel_).set_dreq(true); }

 private:
  unsigned channel_;
};

}  // namespace

TEST_CASE("A write transfer puts the device's bytes into memory and ends with terminal count") {
  DmaRig r(2);
  r.program(0x03, 0x1000, 511, 0x44);
  r.request();
  CHECK(r.device.moved == 512);
  CHECK(r.device.terminal_counts == 1);
  CHECK(r.memory.bytes[0x31000] == 0);
  CHECK(r.memory.bytes[0x311ff] == 0xff);
  CHECK(r.memory.bytes[0x31200] == 0);
  CHECK((r.in(8) & 0x04) != 0);
  CHECK((r.in(8) & 0x04) == 0);   // reading status clears TC
  CHECK((r.in(15) & 0x04) != 0);  // and the channel is masked
}

TEST_CASE("A read transfer hands memory to the device; verify leaves memory alone") {
  DmaRig r(1);
  for (unsigned i = 0; i < 16; ++i) r.memory.bytes[0x500 + i] = static_cast<u8>(0xa0 + i);
  r.program(0, 0x500, 15, 0x48);
  r.request();
  REQUIRE(r.device.taken.size() == 16);
  CHECK(r.device.taken[15] == 0xaf);
  DmaRig v(2);
  v.memory.bytes[0x500] = 0x11;
  v.program(0, 0x500, 15, 0x40);
  v.request();
  CHECK(v.device.moved == 16);
  CHECK(v.memory.bytes[0x500] == 0x11);
}

TEST_CASE("The address wraps within its 64 KiB page, and counts down in decrement mode") {
  DmaRig r(2);
  r.program(0x01, 0xfffe, 3, 0x44);
  r.request();
  CHECK(r.memory.bytes[0x1fffe] == 0);
  CHECK(r.memory.bytes[0x1ffff] == 1);
  CHECK(r.memory.bytes[0x10000] == 2);
  CHECK(r.memory.bytes[0x10001] == 3);
  CHECK(r.memory.bytes[0x20000] == 0);
  DmaRig d(2);
  d.program(0x02, 0x0103, 3, 0x64);
  d.request();
  CHECK(d.memory.bytes[0x20103] == 0);
  CHECK(d.memory.bytes[0x20100] == 3);
}

TEST_CASE("Channels 5 to 7 move words, and their page register has no bit 0") {
  DmaRig r(5);
  r.program(0x05, 0x8000, 7, 0x44);
  r.request();
  CHECK(r.device.moved == 16);
  CHECK(r.memory.bytes[0x50000] == 0);
  CHECK(r.memory.bytes[0x5000f] == 15);
}

TEST_CASE("Auto-initialise starts over, and the device may stop it") {
  DmaRig r(1);
  r.device.limit = 40;
  r.device.step = 10;
  r.program(0, 0x2000, 9, 0x54);
  r.request();
  CHECK(r.device.moved == 40);
  CHECK(r.device.terminal_counts == 4);
  CHECK((r.in(15) & 0x02) == 0);
}

TEST_CASE("A request waits behind the mask, the disabled controller, and the masked cascade") {
  DmaRig r(2);
  r.program(0, 0x2000, 9, 0x44);
  r.out(10, 0x06);
  r.request();
  CHECK(r.device.moved == 0);
  CHECK((r.in(8) & 0x40) != 0);
  r.out(8, 0x04);
  r.out(10, 0x02);
  CHECK(r.device.moved == 0);
  r.dma.high_ports().write(10 * 2, 0x04, 1);
  r.out(8, 0x00);
  CHECK(r.device.moved == 0);
  r.dma.high_ports().write(10 * 2, 0x00, 1);
  CHECK(r.device.moved == 10);
}

TEST_CASE("Counts and addresses read back through the flip-flop; a master clear masks everything") {
  DmaRig r(3);
  r.program(0, 0x1234, 0x5678, 0x44);
  r.out(12, 0);
  CHECK(r.in(6) == 0x34);
  CHECK(r.in(6) == 0x12);
  CHECK(r.in(7) == 0x78);
  r.out(13, 0);
  CHECK(r.in(15) == 0x0f);
  CHECK(r.in(7) == 0x78);  // and the flip-flop is clear
}

TEST_CASE("A device that raises DREQ within every transfer does not hang or recurse") {
  class Greedy final : public DmaRequester {
   public:
    std::size_t dma_transfer(u8*, std::size_t size, bool, bool) override {
      line->set_dreq(true);
      ++calls;
      return size;
    }
    DmaLine* line = nullptr;
    unsigned calls = 0;
  } greedy;
  DmaRig r(2);
  greedy.line = &r.dma.line(2);
  r.dma.connect(2, greedy);
  r.program(0, 0, 0, 0x54);  // one byte, for ever
  r.request();
  CHECK(greedy.calls > 0);
  CHECK(greedy.calls < 10000);
}
