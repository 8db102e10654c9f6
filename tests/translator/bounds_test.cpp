// What a guest does all day long may not make the host process grow.
#include <catch2/catch.hpp>
#include <cstdio>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kTable = 0x10000, kOtherTable = 0x11000, kFirstDirectory = 0x60000;
constexpr u32 kDirectories = 120;

#if defined(__SANITIZE_ADDRESS__)
constexpr u64 kSlackKib = 400 << 10;  // what was freed waits in quarantine
#else
constexpr u64 kSlackKib = 8 << 10;
#endif

u32 lines_of_maps() {
  u32 lines = 0;
  std::FILE* f = std::fopen("/proc/self/maps", "r");
  for (int c = std::fgetc(f); c != EOF; c = std::fgetc(f)) lines += c == '\n' ? 1 : 0;
  std::fclose(f);
  return lines;
}

u64 kib_of(const char* what) {
  u64 kib = 0;
  char line[256];
  std::FILE* f = std::fopen("/proc/self/smaps_rollup", "r");
  while (std::fgets(line, sizeof line, f) != nullptr)
    if (std::strncmp(line, what, std::strlen(what)) == 0) kib = std::strtoull(line + std::strlen(what), nullptr, 10);
  std::fclose(f);
  return kib;
}

// Each directory shows the megabyte twice: as it is at 0, its lower pages scattered at 4 MiB.
void map_twice(Machine& m) {
  for (u32 page = 0; page < 256; ++page) {
    m.put32(kTable + page * 4, page << 12 | 7);
    m.put32(kOtherTable + page * 4, (page < 0xe0 ? page * 37 % 0xe0 : page) << 12 | 7);
  }
  for (u32 d = 0; d < kDirectories; ++d) {
    m.put32(kFirstDirectory + d * kPageSize, kTable | 7);
    m.put32(kFirstDirectory + d * kPageSize + 4, kOtherTable | 7);
  }
  m.cpu.set_cr3(kFirstDirectory);
  m.cpu.set_cr0(m.cpu.s.cr0 | cr0::kPg | cr0::kWp);
}

// Reads every second page there and stores to the last ones:
// mov edi, 401000h; l: add ebx, [edi]; add edi, 2000h; cmp edi, 500000h; jb l;
// mov edi, 4E8000h; m: inc dword [edi]; add edi, 3000h; cmp edi, 500000h; jb m; int 20h
const std::vector<u8> kTouchAll = {0xbf, 0,    0x10, 0x40, 0,    0x03, 0x1f, 0x81, 0xc7, 0,    0x20,
                                   0,    0,    0x81, 0xff, 0,    0,    0x50, 0,    0x72, 0xf0, 0xbf,
                                   0,    0x80, 0x4e, 0,    0xff, 0x07, 0x81, 0xc7, 0,    0x30, 0,
                                   0,    0x81, 0xff, 0,    0,    0x50, 0,    0x72, 0xf0, 0xcd, 0x20};

}  // namespace

TEST_CASE("Address spaces by the hundred stay within the budgets of mappings, tables and dispatch entries") {
  TranslatorOptions options;
  options.always_windows = true;
  Twins t(options);
  t.b.cpu.mmu.set_mapping_limit(2000);
  t.both([](Machine& m) {
    map_twice(m);
    m.put(kCode, kTouchAll);
  });
  const u32 maps = lines_of_maps();
  u64 settled = 0;
  for (u32 round = 0; round < 3; ++round) {
    for (u32 d = 0; d < kDirectories; ++d) {
      t.both([&](Machine& m) {
        m.cpu.set_cpl(0);
        m.cpu.set_cr3(kFirstDirectory + d * kPageSize);
        m.cpu.s.gpr[kEsp] = 0x8000;
        m.to_ring_3();
        m.start(kCode);
      });
      REQUIRE(t.run_a() == t.run_b());
      REQUIRE(t.b.cpu.mmu.mappings() <= 2000);
    }
    REQUIRE(t.difference() == "");
    if (round == 0) settled = kib_of("Anonymous:");
  }
  const Statistics s = t.translator->gather();
  CHECK(s.window_fixes > 1000);
  CHECK(t.b.cpu.mmu.stats().window_evictions > 0);
  CHECK(s.dispatch_bytes <= 40u << 20);
  CHECK(lines_of_maps() < maps + 2000 + 500);
  CHECK(kib_of("Anonymous:") < settled + kSlackKib);
}

TEST_CASE("A guest that writes new code for ever gets a code cache that is used again, not a larger process") {
  TranslatorOptions options;
  options.code_bytes = 1 << 18;
  Twins t(options);
  u64 settled = 0;
  for (u32 round = 0; round < 1200; ++round) {
    // One page after the other gets other functions, mov eax, imm; add ebx, eax; ret, and a caller of each.
    const u32 page = 0x50000 + round % 128 * kPageSize, caller = page + 0x800;
    t.both([&](Machine& m) {
      for (u32 i = 0; i < 32; ++i) {
        const u32 at = page + i * 16, value = round * 64 + i, call = caller + i * 5;
        m.put(at, {0xb8, static_cast<u8>(value), static_cast<u8>(value >> 8), static_cast<u8>(value >> 16), 0, 0x01,
                   0xc3, 0xc3});
        m.put(call, {0xe8});
        m.put32(call + 1, at - (call + 5));
      }
      m.put(caller + 32 * 5, {0xf4});
      m.cpu.s.gpr[kEsp] = 0x8000;
      m.start(caller);
    });
    t.run_b();
    t.run_a();
    REQUIRE(t.a.cpu.s.r32(kEbx) == t.b.cpu.s.r32(kEbx));
    if (round == 500) settled = kib_of("Anonymous:");
  }
  const Statistics s = t.translator->gather();
  CHECK(s.translations > 30000);
  CHECK(s.flushes > 3);
  CHECK(s.code_bytes <= options.code_bytes);
  CHECK(kib_of("Anonymous:") < settled + kSlackKib);
}
