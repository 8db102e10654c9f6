// A floppy controller with a drive, a disk of known contents and a DMA channel, for tests at register level.
#pragma once

#include <catch2/catch.hpp>

#include "devices/storage/fdc.h"
#include "tests/devices/ide_rig.h"

namespace umbra {

// The 8237's side, as devices/dma.h tells it.
struct FakeDma final : DmaLine {
  Fdc* fdc = nullptr;
  std::vector<u8> memory = std::vector<u8>(65536);
  u32 at = 0, left = 0;
  bool to_memory = true;
  bool dreq = false, busy = false;

  void program(u32 count, bool into_memory) {
    at = 0;
    left = count;
    to_memory = into_memory;
    serve();
  }
  void set_dreq(bool level) override {
    dreq = level;
    serve();
  }
  void serve() {
    if (busy) return;
    busy = true;
    while (dreq && left > 0) {
      const u32 size = std::min(left, 100u);  // in odd parts
      const auto n = static_cast<u32>(fdc->dma_transfer(memory.data() + at, size, to_memory, size == left));
      REQUIRE(n <= size);
      at += n;
      left -= n;
      if (n == 0) break;
    }
    busy = false;
  }
};

struct FdcRig {
  FakeTime time;
  Clock clock{time};
  LevelSpy lines;
  Fdc fdc{clock, Line(lines, 6)};
  FakeDma dma;
  SlowMedium* disk = nullptr;

  explicit FdcRig(u32 sectors = 2880) {
    dma.fdc = &fdc;
    fdc.connect_dma(dma);
    if (sectors != 0) disk = &insert(0, sectors);
    fdc.reset();
  }
  SlowMedium& insert(unsigned n, u32 sectors) {
    auto medium = std::make_unique<SlowMedium>(sectors);
    SlowMedium& m = *medium;
    for (u64 s = 0; s < sectors; ++s)
      for (u32 i = 0; i < kSectorSize; ++i) m.data[s * kSectorSize + i] = IdeRig::pattern(s, i);
    REQUIRE(fdc.insert(n, std::move(medium)));
    return m;
  }
  u8 in(u32 reg) { return static_cast<u8>(fdc.registers().read(reg, 1)); }
  void out(u32 reg, u8 value) { fdc.registers().write(reg, value, 1); }
  u8 msr() { return in(4); }
  bool irq() { return lines.level[6]; }
  void wait() {
    for (int i = 0; i < 10 && clock.next_deadline() != kNever; ++i) {
      time.set(std::max(time.now(), clock.next_deadline()));
      clock.run_due();
    }
  }
  void command(std::initializer_list<u8> bytes) {
    for (u8 b : bytes) {
      REQUIRE((msr() & 0xc0) == 0x80);
      out(5, b);
    }
  }
  std::vector<u8> results() {
    std::vector<u8> all;
    while ((msr() & 0xd0) == 0xd0) all.push_back(in(5));
    REQUIRE(all.size() <= 16);
    return all;
  }
  void start() {  // out of reset, as a BIOS does it
    out(2, 0x08);
    out(2, 0x1c);
    wait();
    CHECK(irq());
    for (u8 n = 0; n < 4; ++n) {
      command({0x08});
      CHECK(results() == std::vector<u8>{static_cast<u8>(0xc0 | n), 0});
    }
    CHECK_FALSE(irq());
    command({0x03, 0xaf, 0x02});
    out(7, rate());
  }
  u8 rate() {
    const FloppyFormat* f = fdc.drive(0).format();
    return f == nullptr || f->rates & 1 ? 0 : f->rates & 8 ? 3 : 2;
  }
  std::vector<u8> seek(u8 cylinder, u8 drive = 0) {
    command({0x0f, drive, cylinder});
    wait();
    CHECK(irq());
    command({0x08});
    return results();
  }
  std::vector<u8> sectors(u64 first, u32 count) {
    std::vector<u8> data;
    for (u32 s = 0; s < count; ++s)
      for (u32 i = 0; i < kSectorSize; ++i) data.push_back(IdeRig::pattern(first + s, i));
    return data;
  }
  std::vector<u8> moved() { return {dma.memory.begin(), dma.memory.begin() + dma.at}; }
};

}  // namespace umbra
