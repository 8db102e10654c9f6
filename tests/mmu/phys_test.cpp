#include "mmu/phys.h"

#include <unistd.h>
#include <catch2/catch.hpp>
#include <cstdio>
#include <string>
#include <vector>

using namespace umbra;

namespace {

struct Access {
  bool write;
  u32 offset, value;
  unsigned size;
  bool operator==(const Access&) const = default;
};

struct Probe : BusTarget {
  std::vector<Access> seen;
  u32 read(u32 offset, unsigned size) override {
    seen.push_back({false, offset, 0, size});
    return 0xa0b0c0d0 + offset;
  }
  void write(u32 offset, u32 value, unsigned size) override { seen.push_back({true, offset, value, size}); }
};

struct Watcher : CodeWatcher, LayoutWatcher {
  struct Notice {
    u64 page;
    u32 offset, size;
    u8 before;
  };
  explicit Watcher(PhysicalMemory& m) : memory(m) {}
  void code_written(u64 page, u32 offset, u32 size) override {
    const u8* host = memory.host(Phys(page << kPageBits));
    notices.push_back({page, offset, size, host != nullptr ? host[offset] : u8{0}});
  }
  void layout_changed(Phys first, u64 size) override { changes.push_back({first, size}); }
  void code_marked(u64 page) override { marked.push_back(page); }
  PhysicalMemory& memory;
  std::vector<Notice> notices;
  std::vector<std::pair<Phys, u64>> changes;
  std::vector<u64> marked;
};

std::unique_ptr<PhysicalMemory> make(u64 bytes = 4 << 20) {
  auto made = PhysicalMemory::create(bytes);
  REQUIRE(made);
  return std::move(*made);
}

u64 resident_pages() {
  std::FILE* f = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0, resident = 0;
  REQUIRE(std::fscanf(f, "%lu %lu", &total, &resident) == 2);
  std::fclose(f);
  return resident;
}

}  // namespace

TEST_CASE("RAM keeps what is stored, in every size and at every alignment") {
  auto m = make();
  m->map_ram(Phys(0), 2 << 20, 0, true);
  for (unsigned size = 1; size <= 8; ++size) {
    for (u32 offset = 0; offset < 16; ++offset) {
      const u64 value = 0x1122334455667788u * (offset + 1), mask = size == 8 ? ~u64{0} : (u64{1} << (8 * size)) - 1;
      m->store(Phys(0x1000 + offset), ~u64{0}, 8);
      m->store(Phys(0x1000 + offset), value, size);
      REQUIRE(m->load(Phys(0x1000 + offset), size) == (value & mask));
      if (size < 8) REQUIRE(m->load(Phys(0x1000 + offset + size), 1) == 0xff);
    }
  }
}

TEST_CASE("holes read as ones and swallow stores") {
  auto m = make();
  m->map_ram(Phys(0), 1 << 20, 0, true);
  for (u64 a : {u64{0x100000}, u64{0xfffff000}, u64{0x100000000}, u64{0xfffffffff000}}) {
    m->store(Phys(a), 0, 8);
    REQUIRE(m->load(Phys(a), 1) == 0xff);
    REQUIRE(m->load(Phys(a), 4) == 0xffffffff);
    REQUIRE(m->load(Phys(a), 8) == ~u64{0});
    REQUIRE(m->kind(Phys(a)) == PhysicalMemory::Kind::kHole);
    REQUIRE(m->host(Phys(a)) == nullptr);
  }
}

TEST_CASE("ROM can be read and not written, by processor or DMA") {
  auto m = make();
  m->base()[0x5000] = 0x42;
  m->map_ram(Phys(0xf0000), 0x1000, 0x5000, false);
  REQUIRE(m->kind(Phys(0xf0000)) == PhysicalMemory::Kind::kRom);
  m->store(Phys(0xf0000), 0, 1);
  const u8 zero = 0;
  m->write(Phys(0xf0000), &zero, 1);
  REQUIRE(m->load(Phys(0xf0000), 1) == 0x42);
  REQUIRE(m->file_offset(Phys(0xf0123)) == 0x5123);
}

TEST_CASE("devices see offsets and at most four bytes at a time") {
  auto m = make();
  Probe d;
  m->map_device(Phys(0xfee00000), 0x2000, d, 0x3000);
  REQUIRE(m->load(Phys(0xfee01004), 8) == (u64{0xa0b0c0d0 + 0x4008} << 32 | (0xa0b0c0d0 + 0x4004)));
  m->store(Phys(0xfee00001), 0x1122334455667788, 7);
  REQUIRE(d.seen == std::vector<Access>{{false, 0x4004, 0, 4},
                                        {false, 0x4008, 0, 4},
                                        {true, 0x3001, 0x55667788, 4},
                                        {true, 0x3005, 0x3344, 2},
                                        {true, 0x3007, 0x22, 1}});
}

TEST_CASE("later layout wins and watchers hear of it") {
  auto m = make();
  Watcher w(*m);
  m->add_watcher(static_cast<LayoutWatcher&>(w));
  Probe d;
  m->map_ram(Phys(0), 1 << 20, 0, true);
  m->map_device(Phys(0xa0000), 0x20000, d);
  m->unmap(Phys(0xb0000), 0x10000);
  REQUIRE(m->kind(Phys(0x9f000)) == PhysicalMemory::Kind::kRam);
  REQUIRE(m->kind(Phys(0xa0000)) == PhysicalMemory::Kind::kDevice);
  REQUIRE(m->kind(Phys(0xb0000)) == PhysicalMemory::Kind::kHole);
  REQUIRE(m->kind(Phys(0xc0000)) == PhysicalMemory::Kind::kRam);
  REQUIRE(w.changes.size() == 3);
  REQUIRE(w.changes[1] == std::pair<Phys, u64>(Phys(0xa0000), 0x20000));
  m->map_ram(Phys(0xfffff000), 0x2000, 0, false);  // the part above 4 GiB is cut off
  REQUIRE(m->kind(Phys(0xfffff000)) == PhysicalMemory::Kind::kRom);
}

TEST_CASE("A20 masks one address line and tells the watchers") {
  auto m = make();
  Watcher w(*m);
  m->add_watcher(static_cast<LayoutWatcher&>(w));
  REQUIRE(m->a20());
  REQUIRE(m->wrap(Phys(0x100000)) == Phys(0x100000));
  m->set_a20(true);
  REQUIRE(w.changes.empty());
  m->set_a20(false);
  REQUIRE(w.changes.size() == 1);
  REQUIRE(m->wrap(Phys(0x100000)) == Phys(0));
  REQUIRE(m->wrap(Phys(0x345678)) == Phys(0x245678));
  REQUIRE_FALSE(m->a20());
}

TEST_CASE("DMA crosses pages of every kind and never reaches a device") {
  auto m = make();
  Probe d;
  m->map_ram(Phys(0), 0x2000, 0, true);
  m->map_device(Phys(0x2000), 0x1000, d);
  m->map_ram(Phys(0x3000), 0x1000, 0x8000, true);
  std::vector<u8> out(0x4000, 0x5a), in(0x4000);
  m->write(Phys(0x800), out.data(), out.size());
  m->read(Phys(0x800), in.data(), in.size());
  for (u32 i = 0; i < in.size(); ++i) {
    const u32 a = 0x800 + i;
    const bool ram = a < 0x2000 || (a >= 0x3000 && a < 0x4000);
    REQUIRE(in[i] == (ram ? 0x5a : 0xff));
  }
  REQUIRE(d.seen.empty());
  REQUIRE(m->base()[0x8000] == 0x5a);
  m->read(Phys(~u64{0} - 0x1fff), in.data(), 0x1000);  // far above everything
  REQUIRE(in[0] == 0xff);
}

TEST_CASE("a store to a code page is announced before the bytes change, by every road") {
  auto m = make();
  Watcher w(*m);
  m->add_watcher(static_cast<CodeWatcher&>(w));
  m->add_watcher(static_cast<LayoutWatcher&>(w));
  m->map_ram(Phys(0), 1 << 20, 0, true);
  m->store(Phys(0x1ffc), 0x11111111, 4);
  m->mark_code(1, true);
  m->mark_code(1, true);
  REQUIRE(w.marked == std::vector<u64>{1});
  m->store(Phys(0x1ffc), 0x22222222, 4);
  REQUIRE(w.notices.size() == 1);
  REQUIRE((w.notices[0].page == 1 && w.notices[0].offset == 0xffc && w.notices[0].size == 4));
  REQUIRE(w.notices[0].before == 0x11);
  const u8 block[0x20] = {};
  m->write(Phys(0x1ff0), block, sizeof block);
  REQUIRE(w.notices.size() == 2);
  REQUIRE((w.notices[1].offset == 0xff0 && w.notices[1].size == 0x10 && w.notices[1].before == 0));
  m->store(Phys(0x2000), 1, 1);
  REQUIRE(w.notices.size() == 2);
  m->unmap(Phys(0x1000), 0x1000);  // the code's bytes vanish
  REQUIRE(w.notices.size() == 3);
  REQUIRE(m->has_code(1));
  m->mark_code(1, false);
  m->map_ram(Phys(0x1000), 0x1000, 0x1000, true);
  m->store(Phys(0x1000), 1, 4);
  REQUIRE(w.notices.size() == 3);
}

TEST_CASE("memory that the guest has not touched costs the host nothing") {
  const u64 before = resident_pages();
  auto m = make(u64{3584} << 20);
  m->map_ram(Phys(0), 64 << 20, 0, true);
  m->store(Phys(0x123000), 1, 4);
  REQUIRE(m->load(Phys(0x123000), 4) == 1);
  REQUIRE(resident_pages() - before < 256);
}

TEST_CASE("a size that the host cannot give is refused with a sentence") {
  auto made = PhysicalMemory::create(u64{1} << 62);
  REQUIRE_FALSE(made);
  REQUIRE(made.error().find("-m") != std::string::npos);
}
