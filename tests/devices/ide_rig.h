// An IDE function with its surroundings, and the host's side of the protocol, for tests.
#pragma once

#include <catch2/catch.hpp>
#include <cstring>
#include <deque>

#include "devices/storage/image.h"
#include "devices/storage/piix_ide.h"

namespace umbra {

struct LevelSpy final : LineSink {
  bool level[16] = {};
  unsigned rises[16] = {};
  void set_line(unsigned input, bool on) override {
    if (on && !level[input]) ++rises[input];
    level[input] = on;
  }
};

// 1 MiB of RAM; what lies above is a device range: reads as ones, writes are counted and dropped.
struct FakeMemory final : GuestMemory {
  std::vector<u8> ram = std::vector<u8>(1 << 20);
  u64 dropped = 0;
  void read(Phys from, void* to, std::size_t size) override {
    auto* out = static_cast<u8*>(to);
    for (std::size_t i = 0; i < size; ++i) out[i] = from.value + i < ram.size() ? ram[from.value + i] : 0xff;
  }
  void write(Phys to, const void* from, std::size_t size) override {
    const auto* in = static_cast<const u8*>(from);
    for (std::size_t i = 0; i < size; ++i) {
      if (to.value + i < ram.size())
        ram[to.value + i] = in[i];
      else
        ++dropped;
    }
  }
  void put32(u32 at, u32 value) { std::memcpy(ram.data() + at, &value, 4); }
};

// A medium whose requests wait until the test lets them go, and fail if it says so.
class SlowMedium final : public BlockDevice {
 public:
  explicit SlowMedium(u64 sectors) : data(sectors * kSectorSize) {}
  u64 sectors() const override { return data.size() / kSectorSize; }
  bool read_only() const override { return false; }
  void read(u64 sector, u32 count, u8* to, Done done) override {
    REQUIRE(sector + count <= sectors());
    waiting.push_back([=, this] {
      if (status == BlockStatus::kOk) std::memcpy(to, data.data() + sector * kSectorSize, count * kSectorSize);
      done(status);
    });
    if (!slow) drain();
  }
  void write(u64 sector, u32 count, const u8* from, Done done) override {
    REQUIRE(sector + count <= sectors());
    waiting.push_back([=, this] {
      if (status == BlockStatus::kOk) std::memcpy(data.data() + sector * kSectorSize, from, count * kSectorSize);
      done(status);
    });
    if (!slow) drain();
  }
  void flush(Done done) override {
    ++flushes;
    waiting.push_back([=, this] { done(status); });
    if (!slow) drain();
  }
  void drain() override {
    while (step()) continue;
  }
  bool step() {
    if (waiting.empty()) return false;
    auto first = std::move(waiting.front());
    waiting.pop_front();
    first();
    return true;
  }
  std::string describe() const override { return "slow"; }

  std::vector<u8> data;
  std::deque<std::function<void()>> waiting;
  BlockStatus status = BlockStatus::kOk;
  bool slow = false;
  int flushes = 0;
};

struct IdeRig {
  FakeTime time;
  Clock clock{time};
  FakeMemory memory;
  LevelSpy lines;
  PiixIde ide{clock, memory, Line(lines, 14), Line(lines, 15)};
  unsigned channel = 0;

  SlowMedium& add_disk(unsigned n, u64 sectors) {
    auto medium = std::make_unique<SlowMedium>(sectors);
    SlowMedium& m = *medium;
    for (u64 s = 0; s < sectors; ++s)
      for (u32 i = 0; i < kSectorSize; ++i) m.data[s * kSectorSize + i] = pattern(s, i);
    ide.attach_disk(n, std::move(medium));
    return m;
  }
  SlowMedium& add_cd(unsigned n, u32 blocks) {
    auto medium = std::make_unique<SlowMedium>(u64{blocks} * 4);
    SlowMedium& m = *medium;
    for (u64 s = 0; s < u64{blocks} * 4; ++s)
      for (u32 i = 0; i < kSectorSize; ++i) m.data[s * kSectorSize + i] = pattern(s, i);
    ide.attach_cdrom(n, std::move(medium));
    return m;
  }
  static u8 pattern(u64 sector, u32 i) { return static_cast<u8>(sector * 7 + i * 3 + (sector >> 8) + (i >> 8)); }

  u8 in(u32 reg) { return static_cast<u8>(ide.channel(channel).command().read(reg, 1)); }
  void out(u32 reg, u8 value) { ide.channel(channel).command().write(reg, value, 1); }
  u8 alt_status() { return static_cast<u8>(ide.channel(channel).control().read(0, 1)); }
  void control(u8 value) { ide.channel(channel).control().write(0, value, 1); }
  u8 status() { return in(7); }
  bool irq() { return lines.level[14 + channel]; }
  void command(u8 code) { out(7, code); }

  void lba28(u32 lba, u8 count, u8 unit = 0) {
    out(6, static_cast<u8>(0xe0 | unit << 4 | ((lba >> 24) & 15)));
    out(2, count);
    out(3, static_cast<u8>(lba));
    out(4, static_cast<u8>(lba >> 8));
    out(5, static_cast<u8>(lba >> 16));
  }
  void lba48(u64 lba, u16 count) {
    out(6, 0xe0);
    const auto pair = [&](u32 reg, u64 high, u64 low) {
      out(reg, static_cast<u8>(high));
      out(reg, static_cast<u8>(low));
    };
    pair(2, count >> 8, count);
    pair(3, lba >> 24, lba);
    pair(4, lba >> 32, lba >> 8);
    pair(5, lba >> 40, lba >> 16);
  }
  std::vector<u8> read_data(u32 bytes, unsigned size = 2) {
    std::vector<u8> data(bytes);
    ide.channel(channel).command().read_block(0, data.data(), bytes / size, size);
    return data;
  }
  void write_data(const std::vector<u8>& data, unsigned size = 2) {
    ide.channel(channel).command().write_block(0, data.data(), static_cast<u32>(data.size() / size), size);
  }
  std::vector<u16> identify(u8 code) {
    command(code);
    REQUIRE((status() & 0x88) == 0x08);
    std::vector<u16> words(256);
    for (u16& w : words) w = static_cast<u16>(ide.channel(channel).command().read(0, 2));
    return words;
  }

  u8 bm(u32 reg) { return static_cast<u8>(ide.bus_master().read(channel * 8 + reg, 1)); }
  void bm(u32 reg, u8 value) { ide.bus_master().write(channel * 8 + reg, value, 1); }
  void prd(u32 at, u32 address, u32 size, bool last) {
    memory.put32(at, address);
    memory.put32(at + 4, (size & 0xffff) | (last ? 0x80000000 : 0));
  }
  void start_dma(u32 table, bool to_memory) {
    ide.bus_master().write(channel * 8 + 4, table, 4);
    bm(2, 0x06);
    bm(0, to_memory ? 0x08 : 0x00);
    bm(0, to_memory ? 0x09 : 0x01);
  }
  void run_due() {
    for (int i = 0; i < 2000 && clock.next_deadline() <= clock.now(); ++i) clock.run_due();
  }
};

// What a fresh disk holds there, what a medium holds, what RAM holds.
inline std::vector<u8> expected(u64 sector, u32 count) {
  std::vector<u8> data(count * kSectorSize);
  for (u32 s = 0; s < count; ++s)
    for (u32 i = 0; i < kSectorSize; ++i) data[s * kSectorSize + i] = IdeRig::pattern(sector + s, i);
  return data;
}

inline std::vector<u8> medium_bytes(const SlowMedium& m, u64 sector, u32 count) {
  const auto from = m.data.begin() + static_cast<std::ptrdiff_t>(sector * kSectorSize);
  return {from, from + count * kSectorSize};
}

inline std::vector<u8> ram_bytes(IdeRig& rig, u32 at, u32 size) {
  return {rig.memory.ram.begin() + at, rig.memory.ram.begin() + at + size};
}

}  // namespace umbra
