// Debug registers, single steps and their shadows: SDM vol. 3 chapter 17.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr u32 kExecute = 0, kWrite = 1, kIo = 2, kAccess = 3;

// Local breakpoint n; length code 0, 1, 3 = 1, 2, 4 bytes.
u32 enable(unsigned n, u32 kind, u32 length) { return 1u << (n * 2) | (kind | length << 2) << (16 + n * 4); }

void arm(Bench& b, unsigned n, u32 address, u32 kind, u32 length) {
  b.cpu.set_debug_register(n, address);
  b.cpu.set_debug_register(7, b.cpu.s.dr[7] | enable(n, kind, length));
}

}  // namespace

TEST_CASE("TF traps after each instruction, with BS in DR6") {
  Bench b;
  b.protect();
  b.bytes(kCode, {0x40, 0x40});
  b.cpu.s.eflags |= flag::kTf;
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode + 1);
  CHECK((a.eflags & flag::kTf) != 0);
  CHECK((a.eflags & flag::kRf) == 0);
  CHECK(b.cpu.s.dr[6] == (dr6::kFixed | dr6::kBs));
  CHECK((b.cpu.s.eflags & flag::kTf) == 0);
}

TEST_CASE("POPF that sets TF traps one instruction later; one that clears it traps still") {
  Bench b;
  b.protect();
  b.cpu.s.r32(kEsp) -= 4;
  b.put(kStack0 - 4, flag::kTf | 2);
  b.bytes(kCode, {0x9d, 0x90, 0x90});
  CHECK(b.step_to_handler().vector == -1);
  CHECK(b.step_to_handler().eip == kCode + 2);
  Bench c;
  c.protect();
  c.cpu.s.eflags |= flag::kTf;
  c.cpu.s.r32(kEsp) -= 4;
  c.put(kStack0 - 4, 2);
  c.bytes(kCode, {0x9d, 0x90});
  const Arrival a = c.step_to_handler();
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode + 1);
}

TEST_CASE("INT n under TF enters its handler without a trap") {
  Bench b;
  b.protect();
  b.cpu.s.eflags |= flag::kTf;
  const Arrival a = b.run_insn({0xcd, 0x21});
  CHECK(a.vector == 0x21);
  CHECK((a.eflags & flag::kTf) != 0);
  b.bytes(Bench::handler(0x21), {0x90});
  b.step();
  CHECK(b.cpu.s.eip == Bench::handler(0x21) + 1);
}

TEST_CASE("MOV SS holds back the trap until after the next instruction") {
  Bench b;
  b.protect();
  b.cpu.s.eflags |= flag::kTf;
  b.cpu.s.r32(kEax) = kData0;
  b.bytes(kCode, {0x8e, 0xd0, 0x90, 0x90});
  CHECK(b.step_to_handler().vector == -1);
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode + 3);
}

TEST_CASE("A repeated string instruction traps after each iteration") {
  Bench b;
  b.protect();
  b.cpu.s.eflags |= flag::kTf;
  b.cpu.s.r32(kEcx) = 2;
  b.cpu.s.r32(kEdi) = kData;
  b.insn({0xf3, 0xaa});
  Arrival a = b.step_to_handler();
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode);
  CHECK(b.cpu.s.r32(kEcx) == 1);
}

TEST_CASE("A code breakpoint is a fault before its instruction, which RF lets pass once") {
  Bench b;
  b.protect();
  b.bytes(kCode, {0x90, 0x40, 0x90});
  arm(b, 1, kCode + 1, kExecute, 0);
  CHECK(b.step_to_handler().vector == -1);
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode + 1);
  CHECK((a.eflags & flag::kRf) == 0);
  CHECK(b.cpu.s.dr[6] == (dr6::kFixed | 2));
  CHECK(b.cpu.s.r32(kEax) == 0);
  b.put(b.cpu.s.r32(kEsp) + 8, 2 | flag::kRf);  // as a handler does
  b.bytes(Bench::handler(1), {0xcf});
  b.step();
  CHECK(b.cpu.s.eip == kCode + 1);
  b.step();
  CHECK(b.cpu.s.r32(kEax) == 1);
  CHECK(b.cpu.s.eip == kCode + 2);
  CHECK((b.cpu.s.eflags & flag::kRf) == 0);
  b.cpu.s.eip = kCode + 1;
  CHECK(b.step_to_handler().vector == 1);
}

TEST_CASE("Data breakpoints trap after the access that touches them") {
  struct Case {
    const char* what;
    u32 address, kind, length;
    std::initializer_list<u8> insn;
    bool traps;
  };
  // EBX = kData + 4
  const Case cases[] = {
      {"write to a write breakpoint", kData + 4, kWrite, 3, {0x89, 0x03}, true},
      {"read of a write breakpoint", kData + 4, kWrite, 3, {0x8b, 0x03}, false},
      {"read of an access breakpoint", kData + 4, kAccess, 3, {0x8b, 0x03}, true},
      {"byte beyond", kData + 5, kAccess, 0, {0x8a, 0x03}, false},
      {"last byte of a dword", kData + 7, kAccess, 0, {0x8b, 0x03}, true},
      {"byte inside a watched dword", kData + 4, kAccess, 3, {0x8a, 0x43, 0x03}, true},
      {"dword just below", kData + 8, kAccess, 1, {0x8b, 0x03}, false},
      {"unaligned address is rounded down", kData + 6, kWrite, 3, {0xc6, 0x03, 0x01}, true},
      {"read-modify-write", kData + 4, kWrite, 0, {0xff, 0x03}, true},
      {"PUSH", kStack0 - 4, kWrite, 3, {0x50}, true},
      {"MOVSB", kData + 0x20, kWrite, 0, {0xa4}, true},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect();
    b.cpu.s.r32(kEbx) = kData + 4;
    b.cpu.s.r32(kEsi) = kData + 0x10;
    b.cpu.s.r32(kEdi) = kData + 0x20;
    b.cpu.read<u32>(kDs, kData);  // the page has its shadow entry, which arming must take away
    b.cpu.write<u32>(kDs, kData, 0);
    b.cpu.write<u32>(kSs, kStack0 - 4, 0);
    arm(b, 2, c.address, c.kind, c.length);
    b.insn(c.insn);
    const Arrival a = b.step_to_handler();
    CHECK((a.vector == 1) == c.traps);
    if (c.traps) {
      CHECK(a.eip == kCode + c.insn.size());
      CHECK(b.cpu.s.dr[6] == (dr6::kFixed | 4));
    } else {
      CHECK(b.cpu.s.dr[6] == dr6::kFixed);
    }
  }
}

TEST_CASE("DR6 shows disabled breakpoints that match along with an enabled one") {
  Bench b;
  b.protect();
  b.cpu.s.r32(kEbx) = kData;
  b.cpu.set_debug_register(0, kData);
  arm(b, 3, kData, kWrite, 0);
  b.cpu.set_debug_register(7, b.cpu.s.dr[7] | kWrite << 16);  // DR0: same kind, not enabled
  b.insn({0x88, 0x03});
  CHECK(b.step_to_handler().vector == 1);
  CHECK(b.cpu.s.dr[6] == (dr6::kFixed | 9));
}

TEST_CASE("A data breakpoint met by MOV SS waits for the next instruction") {
  Bench b;
  b.protect();
  b.put(kData, kData0);
  b.cpu.s.r32(kEbx) = kData;
  arm(b, 0, kData, kAccess, 0);
  b.bytes(kCode, {0x8e, 0x13, 0x90, 0x90});
  CHECK(b.step_to_handler().vector == -1);
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode + 3);
  CHECK((b.cpu.s.dr[6] & 1) != 0);
}

TEST_CASE("B0 to B3 show the last debug exception only, the other bits of DR6 stay") {
  Bench b;
  b.protect();
  b.cpu.s.r32(kEbx) = kData;
  b.cpu.set_debug_register(6, dr6::kBs | dr6::kBd | 2);
  arm(b, 2, kData, kWrite, 0);
  b.insn({0x88, 0x03});
  CHECK(b.step_to_handler().vector == 1);
  CHECK(b.cpu.s.dr[6] == (dr6::kFixed | dr6::kBs | dr6::kBd | 4));
}

TEST_CASE("INT1 takes along the data breakpoint that MOV SS held back") {
  Bench b;
  b.protect();
  b.put(kData, kData0);
  b.cpu.s.r32(kEbx) = kData;
  arm(b, 0, kData, kAccess, 0);
  b.bytes(kCode, {0x8e, 0x13, 0xf1, 0x90});
  CHECK(b.step_to_handler().vector == -1);
  const Arrival a = b.step_to_handler();
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode + 3);
  CHECK(b.cpu.s.dr[6] == (dr6::kFixed | 1));
  CHECK(b.cpu.s.pending_debug == 0);
}

TEST_CASE("I/O breakpoints need CR4.DE") {
  for (const bool de : {false, true}) {
    Bench b;
    b.protect();
    if (de) b.cpu.set_cr4(cr4::kDe);
    arm(b, 0, 0x60, kIo, 0);
    const Arrival a = b.run_insn({0xe4, 0x60});
    CHECK((a.vector == 1) == de);
    if (de) CHECK(a.eip == kCode + 2);
  }
}

TEST_CASE("DR7.GD guards the debug registers") {
  Bench b;
  b.protect();
  b.cpu.set_debug_register(7, umbra::dr7::kGd);
  const Arrival a = b.run_insn({0x0f, 0x21, 0xc0});  // MOV EAX, DR0
  CHECK(a.vector == 1);
  CHECK(a.eip == kCode);
  CHECK((b.cpu.s.dr[6] & dr6::kBd) != 0);
  CHECK((b.cpu.s.dr[7] & umbra::dr7::kGd) == 0);
}

TEST_CASE("MOV DR is for ring 0; DR4 and DR5 are DR6 and DR7 until CR4.DE") {
  Bench b;
  b.protect(3);
  CHECK(b.run_insn({0x0f, 0x21, 0xc0}).vector == 13);
  Bench c;
  c.protect();
  c.cpu.s.r32(kEax) = 0xffffffff;
  c.insn({0x0f, 0x23, 0xe0});  // MOV DR4, EAX
  c.step();
  CHECK(c.cpu.s.dr[6] == 0xffffefff);
  c.insn({0x0f, 0x21, 0xe9});  // MOV ECX, DR5
  c.step();
  CHECK(c.cpu.s.r32(kEcx) == 0x400);
  c.cpu.set_cr4(cr4::kDe);
  CHECK(c.run_insn({0x0f, 0x21, 0xe9}).vector == 6);
}

TEST_CASE("A fault discards the trap of its instruction") {
  Bench b;
  b.protect();
  b.cpu.s.eflags |= flag::kTf;
  const Arrival a = b.run_insn({0x0f, 0x0b});
  CHECK(a.vector == 6);
  CHECK((b.cpu.s.dr[6] & dr6::kBs) == 0);
}
