// Calls of functions that load their return address, which callers take for granted while they are linked.
#include <catch2/catch.hpp>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kCode = 0x40000, kNear = kCode + 0x100, kFar = 0x50010, kDirectory = 0x10000, kTable = 0x11000;

const std::vector<u8> kLocator = {0x8b, 0x1c, 0x24, 0xc3};  // mov ebx, [esp]; ret

// mov edi, 40; l: push esi; call function; pop esi; add esi, ebx; rol esi, 3; add esi, ecx; xor byte [function + 1],
// change; dec edi; jnz l; hlt
std::vector<u8> caller(u32 function, u8 change) {
  std::vector<u8> code = {0xbf, 40, 0,    0,    0,    0x56, 0xe8, 0, 0, 0, 0,      0x5e, 0x01, 0xde, 0xc1,
                          0xc6, 3,  0x01, 0xce, 0x80, 0x35, 0,    0, 0, 0, change, 0x4f, 0x75, 0xe8, 0xf4};
  const u32 distance = function - (kCode + 11), at = function + 1;
  std::memcpy(&code[7], &distance, 4);
  std::memcpy(&code[21], &at, 4);
  return code;
}

}  // namespace

TEST_CASE("A locator is left out while it is one, and called when its bytes have changed") {
  for (bool windows : {false, true})
    for (u32 function : {kNear, kFar})
      for (u8 change : {0x00, 0x10, 0x40}) {  // to itself; to ECX and back; to another form of address and back
        INFO((windows ? "window" : "table") << " lane, " << (function == kNear ? "near" : "far") << ", " << +change);
        TranslatorOptions options;
        options.always_windows = windows;
        Twins t(options);
        t.both([&](Machine& m) {
          m.map_identically(kDirectory, kTable);
          m.put(kCode, caller(function, change));
          m.put(function, kLocator);
          m.put(function + 4, {0, 0, 0, 0, 0xc3});
          m.start(kCode);
        });
        CHECK(t.run() == "");
      }
}

TEST_CASE("A locator's page that becomes another is noticed by its callers") {
  const std::vector<u8> functions[] = {kLocator,
                                       {0x8b, 0x0c, 0x24, 0xc3},              // mov ecx, [esp]; ret
                                       {0xbb, 0x78, 0x56, 0x34, 0x12, 0xc3},  // mov ebx, 0x12345678; ret
                                       {0x8b, 0x1c, 0x24, 0x43, 0xc3}};       // mov ebx, [esp]; inc ebx; ret
  for (bool windows : {false, true}) {
    TranslatorOptions options;
    options.always_windows = windows;
    Twins t(options);
    t.both([&](Machine& m) {
      m.map_identically(kDirectory, kTable);
      for (u32 i = 0; i < 4; ++i) m.put(kFar + i * kPageSize, functions[i]);
      std::vector<u8> code = caller(kFar, 0);
      std::fill_n(code.begin() + 19, 7, u8{0x90});  // writes nothing
      m.put(kCode, code);
    });
    u32 results[4] = {};
    for (u32 round = 0; round < 24; ++round) {
      INFO("round " << round << (windows ? ", window lane" : ", table lane"));
      const u32 page = round * 7 / 3 % 4;
      t.both([&](Machine& m) {
        m.put32(kTable + (kFar >> 12) * 4, ((kFar & ~kPageMask) + page * kPageSize) | 0x67);
        m.cpu.set_cr3(kDirectory);
        m.cpu.s.gpr[kEsp] = 0x8000;
        m.cpu.s.gpr[kEcx] = m.cpu.s.gpr[kEbx] = m.cpu.s.gpr[kEsi] = 0;
        m.to_ring_3();
        m.start(kCode);
      });
      CHECK(t.run() == "");
      results[page] = static_cast<u32>(t.b.cpu.s.gpr[kEsi]);
    }
    for (u32 i = 0; i < 4; ++i)
      for (u32 j = 0; j < i; ++j) CHECK(results[i] != results[j]);
  }
}
