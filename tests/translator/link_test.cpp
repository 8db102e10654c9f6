// Code that comes to lie elsewhere because the guest changes its page tables.
#include <catch2/catch.hpp>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kFunction = 0x50000, kDirectory = 0x10000, kTable = 0x11000, kOther = 0x12000;
constexpr u32 kEntry = kTable + (kFunction >> 12) * 4;

// Everything at its own address; the function's page can be one of two that return 1 and 2. A second directory says
// the same.
void map_all(Machine& m, u32 flags) {
  m.put32(kOther, kTable | 0x67);
  for (u32 i = 0; i < 2; ++i) m.put(kFunction + i * kPageSize, join({{0xb8}, le32(i + 1), {0xc3}}));
  m.cpu.set_cr4(m.cpu.s.cr4 | cr4::kPge);
  m.map_identically(kDirectory, kTable, flags);
}

}  // namespace

TEST_CASE("A supervisor that moves a page of code and says so runs what lies there now") {
  struct Case {
    const char* name;
    std::vector<u8> say;
    u32 flags;
  };
  for (const Case& c : {Case{"INVLPG", join({{0x0f, 0x01, 0x3d}, le32(kFunction)}), 0},
                        Case{"INVLPG of a global page", join({{0x0f, 0x01, 0x3d}, le32(kFunction)}), 0x100},
                        Case{"MOV CR3", {0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x90}, 0}}) {
    INFO(c.name);
    Twins t;
    // mov edi, 50; l: call function; add ebx, eax; rol ebx, 1; xor [entry], 1000h; say; dec edi; jnz l; hlt
    const auto code = join({{0xbf, 50, 0, 0, 0, 0xe8},
                            le32(kFunction - (kCode + 10)),
                            {0x01, 0xc3, 0xd1, 0xc3, 0x81, 0x35},
                            le32(kEntry),
                            {0x00, 0x10, 0x00, 0x00},
                            c.say,
                            {0x4f, 0x75, 0xe3, 0xf4}});
    t.both([&](Machine& m) {
      map_all(m, c.flags);
      m.put(kCode, code);
      m.start(kCode);
    });
    CHECK(t.run() == "");
    CHECK(t.translator->gather().translations < 20);  // both functions are kept
  }
}

TEST_CASE("A supervisor that moves the page that it runs in goes on in the other one behind INVLPG") {
  for (bool windows : {false, true}) {
    INFO((windows ? "window lane" : "table lane"));
    TranslatorOptions options;
    options.always_windows = windows;
    Twins t(options);
    t.both([](Machine& m) {
      map_all(m, 0);
      for (u32 i = 0; i < 2; ++i) {
        // xor [entry], 1000h; invlpg [function]; mov eax, i + 1; ret
        const auto function = join({{0x81, 0x35},
                                    le32(kEntry),
                                    {0x00, 0x10, 0x00, 0x00, 0x0f, 0x01, 0x3d},
                                    le32(kFunction),
                                    {0xb8},
                                    le32(i + 1),
                                    {0xc3}});
        m.put(kFunction + i * kPageSize, function);
      }
      // mov edi, 50; l: call function; add ebx, eax; rol ebx, 1; dec edi; jnz l; hlt
      m.put(kCode, join({{0xbf, 50, 0, 0, 0, 0xe8},
                         le32(kFunction - (kCode + 10)),
                         {0x01, 0xc3, 0xd1, 0xc3, 0x4f, 0x75, 0xf4, 0xf4}}));
      m.start(kCode);
    });
    CHECK(t.run() == "");
    CHECK(t.b.cpu.s.gpr[kEax] == 1);  // moved an even number of times
  }
}

TEST_CASE("A supervisor that invalidates another page goes on in its block") {
  TranslatorOptions options;
  options.windows = false;
  Twins t(options);
  t.both([](Machine& m) {
    map_all(m, 0);
    // mov edi, 100; l: invlpg [function]; add eax, [function]; dec edi; jnz l; hlt
    m.put(kCode, join({{0xbf, 100, 0, 0, 0, 0x0f, 0x01, 0x3d},
                       le32(kFunction),
                       {0x03, 0x05},
                       le32(kFunction),
                       {0x4f, 0x75, 0xf0, 0xf4}}));
    m.start(kCode);
  });
  CHECK(t.run() == "");
  CHECK(t.translator->gather().translations == 3);  // from the start, from the loop's, and the last one
}

TEST_CASE("A program's code follows its page tables across CR3 writes, INVLPG and changes made from outside") {
  struct Way {
    const char* name;
    u32 start;
    std::vector<u8> code;
  };
  const Way ways[] = {
      {"call", kCode, join({{0xe8}, le32(kFunction - (kCode + 5)), {0xf4}})},
      {"jump", kCode, join({{0x68}, le32(kCode + 10), {0xe9}, le32(kFunction - (kCode + 10)), {0xf4}})},
      {"branch", kCode,
       join({{0x68}, le32(kCode + 13), {0x39, 0xc0, 0x0f, 0x84}, le32(kFunction - (kCode + 13)), {0xf4}})},
      {"falling into it", kFunction - 6, join({{0x68}, le32(kCode), {0x90}})}};
  for (const Way& way : ways)
    for (bool windows : {false, true})
      for (bool alone : {false, true}) {
        INFO(way.name << (windows ? ", window lane" : ", table lane") << (alone ? "" : ", two address spaces"));
        TranslatorOptions options;
        options.always_windows = windows;
        Twins t(options);
        t.both([&](Machine& m) {
          map_all(m, 0);
          m.put(kCode, {0xf4});  // #GP
          m.put(way.start, way.code);
        });
        for (u32 round = 0; round < 60; ++round) {
          INFO("round " << round);
          const bool move = round % 3 != 0;
          t.both([&](Machine& m) {
            m.cpu.s.gpr[kEsp] = 0x8000;
            if (move) m.put32(kEntry, *reinterpret_cast<u32*>(m.ram() + kEntry) ^ 0x1000);
            if (round % 7 == 6) m.put32(kEntry, *reinterpret_cast<u32*>(m.ram() + kEntry) & ~0x20u);  // accessed
            switch (round % 4) {
              case 0:
                m.cpu.mmu.invalidate(Linear(kFunction));
                break;
              case 1:
                m.cpu.set_cr3(kDirectory);
                break;
              default:
                m.cpu.set_cr3(alone || round % 8 >= 4 ? kDirectory : kOther);
            }
            m.to_ring_3();
            m.start(way.start);
          });
          CHECK(t.run() == "");
          CHECK(t.b.cpu.s.gpr[kEax] == 1 + ((*reinterpret_cast<u32*>(t.b.ram() + kEntry) >> 12) & 1));
          CHECK((*reinterpret_cast<u32*>(t.b.ram() + kEntry) & 0x20) != 0);
        }
        CHECK(t.translator->gather().translations < 30);
      }
}

TEST_CASE("A change of the physical layout takes only the code that it hits") {
  Twins t;
  t.both([](Machine& m) {
    m.put(kCode, join({{0xe8}, le32(kFunction - (kCode + 5)), {0xf4}}));
    for (u32 i = 0; i < 2; ++i) m.put(kFunction + i * kPageSize, join({{0xb8}, le32(i + 1), {0xc3}}));
  });
  for (u32 round = 0; round < 6; ++round) {
    t.both([&](Machine& m) {
      m.memory->map_ram(Phys(kFunction), kPageSize, kFunction + round % 2 * kPageSize, true);
      m.start(kCode);
    });
    CHECK(t.run() == "");
    CHECK(t.b.cpu.s.gpr[kEax] == 1 + round % 2);
  }
  CHECK(t.translator->gather().flushes == 0);
  t.both([](Machine& m) {
    m.memory->set_a20(false);
    m.start(kCode);
  });
  CHECK(t.run() == "");
  CHECK(t.translator->gather().flushes == 1);
}

TEST_CASE("Page faults of single instructions come out as in the interpreter, error code, CR2 and frame") {
  const std::vector<std::vector<u8>> accesses = {
      join({{0xa1}, le32(0x90000)}),              // mov eax, [m]
      join({{0xa3}, le32(0x90ffe)}),              // mov [m], eax, across a page
      join({{0x8b, 0x0d}, le32(0x8fffe)}),        // mov ecx, [m], of which the second half is missing
      join({{0x01, 0x05}, le32(0x90010)}),        // add [m], eax
      join({{0x39, 0x05}, le32(0x90010)}),        // cmp [m], eax
      join({{0xc6, 0x05}, le32(0x90020), {7}}),   // mov byte [m], 7
      join({{0x0f, 0x94, 0x05}, le32(0x90020)}),  // setz [m]
      join({{0x0f, 0xb1, 0x0d}, le32(0x90020)}),  // cmpxchg [m], ecx
      join({{0xff, 0x35}, le32(0x90020)}),        // push [m]
      join({{0x01, 0x05}, le32(0x91000)}),        // add [m], eax: read-only
      join({{0x03, 0x05}, le32(0x91000), {0x03, 0x05}, le32(0x90000)})};
  for (bool user : {false, true}) {
    for (const auto& access : accesses) {
      INFO("user " << user << ", opcode " << std::hex << u32{access[0]} << ' ' << u32{access[1]});
      Twins t;
      t.both([&](Machine& m) {
        map_all(m, 0);
        m.put32(kTable + 0x90 * 4, 0);
        m.put32(kTable + 0x91 * 4, 0x91065);
        m.cpu.set_cr3(kDirectory);
        m.put(kCode, join({{0x31, 0xdb}, access, {0xf4}}));
        if (user) m.to_ring_3();
        m.start(kCode);
      });
      CHECK(t.run() == "");
      CHECK(t.b.cpu.s.eip == 0x1000 + 16 * kPageFault + 1);
    }
  }
}

TEST_CASE("Dispatch tables that are not used give their memory back") {
  Machine m;
  m.flat_32();
  Views views;
  DispatchTables tables{views};
  Walk walk;
  walk.ok = true;
  for (u32 program = 0; program < 200; ++program) {
    const DispatchKey key{0, program << 12, 0xffffffff, 0};
    DispatchTable& table = tables.select(key, CodeSize::k32, m.cpu.mmu);
    for (u32 page = 0; page < 100; ++page) {
      const u32 eip = page << 12 | 0x123;
      Block block;
      block.key = {eip + key.cs_base, eip + key.cs_base, eip, 0xffffffff, Mode()};
      views.add(block);
      views.enter(block, page + 1);
      CHECK(tables.set(table, m.cpu.mmu, eip, page + 1, block.view, Linear(eip + key.cs_base), walk));
    }
    CHECK(tables.resident_bytes() <= 33u << 20);
    CHECK(tables.select(key, CodeSize::k32, m.cpu.mmu).table()[5 << 12 | 0x123] == 6);
  }
  CHECK(tables.count() > 8);
  CHECK(tables.count() < 100);
}

TEST_CASE(
    "A dispatch table asked for one block of a page knows all that have been asked for, until the page is another") {
  Machine m;
  m.flat_32();
  Views views;
  DispatchTables tables{views};
  const DispatchKey key{0, 0, 0xffffffff, 0};
  Walk walk;
  walk.ok = true;
  walk.levels = 1;  // of a paging that is off: whatever looks finds it changed
  Block blocks[4];  // one of them is reached by links alone
  for (u32 i = 0; i < 4; ++i) {
    blocks[i].id = i;
    blocks[i].key = {0x5010 + i * 0x200, 0x5010 + i * 0x200, 0x5010 + i * 0x200, 0xffffffff, Mode()};
    views.add(blocks[i]);
    if (i != 3) views.enter(blocks[i], 100 + i);
  }
  views.kill(blocks[1]);
  DispatchTable& table = tables.select(key, CodeSize::k32, m.cpu.mmu);
  CHECK(tables.set(table, m.cpu.mmu, 0x5010, 100, blocks[0].view, Linear(0x5010), walk));
  CHECK(table.entry(0x5010) == 100);
  CHECK(table.entry(0x5210) == 0);
  CHECK(table.entry(0x5410) == 102);
  CHECK(table.entry(0x5610) == 0);
  tables.page_invalidated(Linear(0x5000));
  tables.select(key, CodeSize::k32, m.cpu.mmu);
  CHECK(tables.take_dropped() == std::vector<u32>{blocks[0].view});
  for (const Block& block : blocks) CHECK(table.table()[block.key.eip] == 0);
}

TEST_CASE("A program that runs its code at ever new addresses does not make its dispatch table grow") {
  Machine m;
  m.flat_32();
  Views views;
  DispatchTables tables{views};
  const DispatchKey key{0, 0, 0xffffffff, 0};
  Walk walk;
  walk.ok = true;
  walk.levels = 1;
  for (u32 page = 0; page < 20000; ++page) {
    const u32 eip = page << 12;
    Block block;
    block.key = {0x5000, eip, eip, 0xffffffff, Mode()};
    views.add(block);
    views.enter(block, 100);
    DispatchTable& table = tables.select(key, CodeSize::k32, m.cpu.mmu);
    CHECK(tables.set(table, m.cpu.mmu, eip, 100, block.view, Linear(eip), walk));
    CHECK(table.resident_bytes() < 16u << 20);
    tables.page_invalidated(Linear(eip));
  }
}

TEST_CASE("A code page's part of the dispatch table becomes resident at once") {
  Twins t;
  t.both([&](Machine& m) {
    map_all(m, 0);
    m.put(kCode, join({{0xe8}, le32(kFunction - (kCode + 5)), {0xf4}}));
    m.start(kCode);
  });
  CHECK(t.run() == "");
  CHECK(t.translator->gather().dispatch_bytes == 2 * 4 * kPageSize);
}
