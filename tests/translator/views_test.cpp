// Programs that run the same code at the same addresses, as after a fork: what they link, whose it is, and what comes
// of it when a page moves, changes, or a program ends. The address spaces have PAE tables, of which there is room for
// hundreds: CR3 points to 32 bytes.
#include <catch2/catch.hpp>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kLater = kCode + 0x100, kFunction = 0x50000, kElsewhere = 0x60000;
constexpr u32 kPointers = 0x18000, kDirectories = 0x10000, kTables = 0x14000;  // two of each of the latter
constexpr u32 kOne = 3, kTwo = 4;  // what the functions at kFunction and behind it return

std::vector<u8> call(u32 from, u32 to) { return join({{0xe8}, le32(to - (from + 5))}); }

void map(Machine& m, u32 table, u32 linear, u32 phys) {
  m.put32(kTables + table * kPageSize + (linear >> kPageBits) * 8, phys | 0x67);
}

struct Programs : Twins {
  explicit Programs(TranslatorOptions options) : Twins(options) {
    both([](Machine& m) {
      for (u32 table = 0; table < 2; ++table) {
        for (u32 page = 0; page < kRam; page += kPageSize) map(m, table, page, page);
        m.put32(kDirectories + table * kPageSize, (kTables + table * kPageSize) | 0x67);
      }
      m.cpu.set_cr4(m.cpu.s.cr4 | cr4::kPae | cr4::kPge);
      // mov ecx, 20; l: call function; add ebx, eax; dec ecx; jnz l; hlt, which is #GP in ring 3
      for (u32 at : {kCode, kLater})
        m.put(at, join({{0xb9, 20, 0, 0, 0}, call(at + 5, kFunction), {0x01, 0xc3, 0x49, 0x75, 0xf6, 0xf4}}));
      m.put(kFunction, join({{0xb8}, le32(kOne), {0xc3}}));
      m.put(kFunction + kPageSize, join({{0xb8}, le32(kTwo), {0xc3}}));
      m.put(kElsewhere, {0xf4});
    });
  }
  // Program `number`, which sees memory through table 0 or 1. Returns what its function returned twenty times.
  u32 run(u32 number, u32 table, u32 start = kCode, bool user = true) {
    both([&](Machine& m) {
      const u32 pointers = kPointers + number * 32;
      m.put32(pointers, (kDirectories + table * kPageSize) | 1);
      m.cpu.set_cpl(0);
      m.cpu.set_cr3(pointers);
      m.cpu.set_cr0(m.cpu.s.cr0 | cr0::kPg | cr0::kWp);
      if (user) m.to_ring_3();
      m.cpu.s.gpr[kEsp] = 0x8000;
      m.cpu.s.gpr[kEbx] = 0;
      m.start(start);
    });
    CHECK(Twins::run() == "");
    return b.cpu.s.r32(kEbx) / 20;
  }
  Statistics stats() const { return translator->gather(); }
};

TranslatorOptions windows() {
  TranslatorOptions options;
  options.always_windows = true;
  return options;
}

TranslatorOptions tables() {
  TranslatorOptions options;
  options.windows = false;
  return options;
}

}  // namespace

TEST_CASE("Programs at the same address that run for long have their code to themselves, short ones share it") {
  for (bool window : {true, false}) {
    Programs p(window ? windows() : tables());
    for (u32 round = 0; round < 2; ++round) CHECK(p.run(0, 0) == kOne);
    const u64 links = p.stats().far_links;
    CHECK(links == 2);
    for (u32 round = 0; round < 5; ++round)
      for (u32 number = 0; number < 3; ++number) CHECK(p.run(number, 0) == kOne);
    CHECK(p.stats().far_links == (window ? 3 * links : links));
    CHECK(p.stats().views_copied == (window ? 4 : 0));
    CHECK(p.stats().views_shared == (window ? 0 : 2));
    CHECK(p.stats().copies == (window ? 6 : 0));
  }
}

TEST_CASE("A page that is another one in one program is not called by the others") {
  for (bool window : {true, false}) {
    INFO((window ? "window lane" : "table lane"));
    Programs p(window ? windows() : tables());
    p.both([](Machine& m) { map(m, 1, kFunction, kFunction + kPageSize); });
    for (u32 round = 0; round < 4; ++round)
      for (u32 number = 0; number < 4; ++number) CHECK(p.run(number, number % 2) == (number % 2 == 0 ? kOne : kTwo));
    if (window) CHECK(p.stats().far_links == 4 * 2);
    for (u32 number = 0; number < 4; ++number)
      CHECK(p.run(number, number % 2, kLater) == (number % 2 == 0 ? kOne : kTwo));
    // Each changes its mind while the other is away.
    for (u32 round = 0; round < 8; ++round) {
      const u32 table = round % 2, moved = round / 2 % 2;
      p.both([&](Machine& m) { map(m, table, kFunction, kFunction + moved * kPageSize); });
      for (u32 number = 0; number < 4; ++number) {
        const u32 entry = p.b.get32(kTables + number % 2 * kPageSize + (kFunction >> kPageBits) * 8);
        CHECK(p.run(number, number % 2) == ((entry & kPageSize) == 0 ? kOne : kTwo));
      }
    }
  }
}

TEST_CASE("A page that is gone in one program is gone, and there in the others") {
  Programs p(windows());
  for (u32 number = 0; number < 3; ++number) CHECK(p.run(number, number == 1) == kOne);
  p.both([](Machine& m) { map(m, 1, kFunction, 0), m.put32(kTables + kPageSize + (kFunction >> kPageBits) * 8, 0); });
  for (u32 number = 0; number < 3; ++number) {
    CHECK(p.run(number, number == 1) == (number == 1 ? 0 : kOne));
    CHECK(p.b.cpu.s.eip == 0x1000 + 16 * (number == 1 ? kPageFault : kGeneralProtection) + 1);
  }
}

TEST_CASE("Code that is written to changes in every program") {
  for (bool window : {true, false}) {
    Programs p(window ? windows() : tables());
    for (u32 round = 0; round < 6; ++round) {
      p.both([&](Machine& m) { m.put(kFunction + 1, {static_cast<u8>(round + 1)}); });
      for (u32 number = 0; number < 3; ++number) CHECK(p.run(number, 0) == round + 1);
      p.both([&](Machine& m) { m.put(kCode + 10, {0x29}); });  // sub ebx, eax
      for (u32 number = 0; number < 3; ++number) CHECK(p.run(number, 0) == (0 - 20 * (round + 1)) / 20);
      p.both([&](Machine& m) { m.put(kCode + 10, {0x01}); });
    }
  }
}

TEST_CASE("Code that its program has given up is the next one's, without what it linked") {
  Programs p(windows());
  CHECK(p.run(0, 0) == kOne);
  p.both([](Machine& m) {
    map(m, 0, kCode, kElsewhere);
    map(m, 1, kFunction, kFunction + kPageSize);
  });
  p.run(0, 0);
  CHECK(p.run(1, 1) == kTwo);
  CHECK(p.stats().views_copied == 0);
  CHECK(p.stats().views_shared == 0);
  // The first one comes back to what the second one has.
  p.both([](Machine& m) { map(m, 0, kCode, kCode); });
  for (u32 round = 0; round < 3; ++round) {
    CHECK(p.run(0, 0) == kOne);
    CHECK(p.run(1, 1) == kTwo);
  }
  CHECK(p.stats().views_copied == 1);
}

TEST_CASE("Of programs that came and went only the last need code of their own") {
  Programs p(windows());
  p.both([](Machine& m) { map(m, 1, kFunction, kFunction + kPageSize); });
  CHECK(p.run(0, 0) == kOne);
  for (u32 number = 1; number < 300; ++number) p.run(number, 0, kElsewhere);
  const u64 copied = p.stats().views_copied;
  CHECK(p.run(300, 1) == kTwo);
  CHECK(p.run(0, 0) == kOne);
  CHECK(p.stats().views_copied == copied + 1);
}

TEST_CASE("The dispatch table of a program that has ended is the next one's, empty") {
  Programs p(tables());
  for (u32 number = 0; number < 60; ++number) {
    const u32 table = number % 2, function = number / 2 % 2;
    p.both([&](Machine& m) {
      map(m, table, kCode, kCode);
      map(m, table, kFunction, kFunction + function * kPageSize);
      for (u32 page : {kCode, kFunction}) m.put32(kTables + (1 - table) * kPageSize + (page >> kPageBits) * 8, 0);
    });
    CHECK(p.run(number, table) == (function == 0 ? kOne : kTwo));
    CHECK(p.stats().dispatch_bytes <= 8 * 4 * kPageSize);  // not 60 programs'
  }
}

TEST_CASE("A supervisor has one code for all address spaces, and keeps its links") {
  Programs p(windows());
  for (u32 round = 0; round < 4; ++round)
    for (u32 number = 0; number < 3; ++number) {
      if (round == 2) p.both([](Machine& m) { map(m, 0, kFunction, kFunction + kPageSize); });
      CHECK(p.run(number, 0, kCode, false) == (round < 2 ? kOne : kTwo));
    }
  CHECK(p.stats().copies == 0);
  CHECK(p.stats().views_copied == 0);
  CHECK(p.stats().views_shared == 0);
}

TEST_CASE("Programs without end do not fill the code cache with copies") {
  TranslatorOptions options = windows();
  options.code_bytes = 256u << 10;
  Programs p(options);
  constexpr u32 kFunctions = 100;  // in as many pages, each calling the next
  p.both([](Machine& m) {
    for (u32 i = 0; i < kFunctions; ++i) {
      const u32 at = kElsewhere + i * kPageSize;
      m.put(at, i + 1 < kFunctions ? join({call(at, at + kPageSize), {0x83, 0xc3, 20, 0xc3}}) : std::vector<u8>{0xc3});
    }
    m.put(kCode, join({call(kCode, kElsewhere), {0xf4}}));
  });
  for (u32 number = 0; number < 100; ++number) CHECK(p.run(number, 0) == kFunctions - 1);
  CHECK(p.stats().flushes == 0);
  CHECK(p.stats().views_copied > 3 * kFunctions);
  CHECK(p.stats().views_shared > 0);
}
