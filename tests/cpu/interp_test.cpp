#include <catch2/catch.hpp>

#include "tests/cpu/machine.h"

namespace umbra {
namespace {

constexpr u8 kHlt = 0xf4;

}  // namespace

TEST_CASE("a loop adds up") {
  TestMachine m;
  m.flat32();
  // mov ecx,1000; xor eax,eax; again: add eax,ecx; dec ecx; jnz again; hlt
  m.poke(0x1000, {0xb9, 0xe8, 0x03, 0, 0, 0x31, 0xc0, 0x01, 0xc8, 0x49, 0x75, 0xfb, kHlt});
  m.cpu.s.eip = 0x1000;
  CHECK(m.run() == Stop::kHalted);
  CHECK(m.cpu.s.r32(kEax) == 500500);
  CHECK(m.interp.retired() == 2 + 3 * 1000 + 1);
}

TEST_CASE("a block that patches itself ahead of itself runs the new bytes") {
  TestMachine m;
  m.flat32();
  // mov byte [0x100a],0x42; nop ×3; inc eax (becomes inc edx); hlt
  m.poke(0x1000, {0xc6, 0x05, 0x0a, 0x10, 0, 0, 0x42, 0x90, 0x90, 0x90, 0x40, kHlt});
  for (unsigned round = 0; round < 3; ++round) {
    m.poke(0x100a, {0x40});
    m.cpu.s.activity = Activity::kRunning;
    m.cpu.s.r32(kEax) = m.cpu.s.r32(kEdx) = 7;
    m.cpu.s.eip = 0x1000;
    m.run();
    CHECK(m.cpu.s.r32(kEax) == 7);
    CHECK(m.cpu.s.r32(kEdx) == 8);
  }
}

TEST_CASE("a REP MOVS that overwrites the code behind it runs the new code") {
  TestMachine m;
  m.flat32();
  // mov esi,0x2000; mov edi,0x1011; mov ecx,2; rep movsb; inc eax; inc eax; hlt
  m.poke(0x1000, {0xbe, 0, 0x20, 0, 0, 0xbf, 0x11, 0x10, 0, 0, 0xb9, 2, 0, 0, 0, 0xf3, 0xa4, 0x40, 0x40, kHlt});
  m.poke(0x2000, {0x42, 0x42});
  m.cpu.s.r32(kEax) = m.cpu.s.r32(kEdx) = 0;
  m.cpu.s.eip = 0x1000;
  m.run();
  CHECK(m.cpu.s.r32(kEax) == 0);
  CHECK(m.cpu.s.r32(kEdx) == 2);
}

TEST_CASE("a repeated string instruction ends behind one iteration when the processor is to stop") {
  TestMachine m;
  m.flat32();
  for (const u8 opcode : {0xa4, 0xaa, 0xa6, 0xae}) {  // MOVS, STOS, CMPS, SCAS
    m.poke(0x1000, {0xf3, opcode, kHlt});
    m.poke(0x2000, {5, 5, 5, 5, 5, 5});
    m.cpu.s.r32(kEax) = 5;
    m.cpu.s.r32(kEsi) = m.cpu.s.r32(kEdi) = 0x2000;
    m.cpu.s.r32(kEcx) = 6;
    m.cpu.s.eip = 0x1000;
    m.cpu.pending.fetch_or(attention::kExit);
    m.interp.step(m.cpu);
    m.cpu.pending.fetch_and(~attention::kExit);
    CHECK(m.cpu.s.r32(kEcx) == 5);
    CHECK(m.cpu.s.eip == 0x1000);
  }
}

TEST_CASE("an instruction across two pages follows a change of either") {
  TestMachine m;
  m.flat32();
  m.poke(0x1ffe, {0xb8, 0x11, 0x22, 0x33, 0x44, kHlt});  // mov eax,0x44332211
  const auto go = [&] {
    m.cpu.s.activity = Activity::kRunning;
    m.cpu.s.eip = 0x1ffe;
    m.run();
    return m.cpu.s.r32(kEax);
  };
  CHECK(go() == 0x44332211);
  m.poke(0x2002, {0x55});
  m.poke(0x2001, {0x66});
  CHECK(go() == 0x55662211);
  m.poke(0x1fff, {0x99});
  CHECK(go() == 0x55662299);
}

TEST_CASE("DMA into code is noticed") {
  TestMachine m;
  m.flat32();
  m.poke(0x3000, {0xb0, 1, kHlt});
  m.cpu.s.eip = 0x3000;
  m.run();
  CHECK(m.cpu.s.r8(kEax) == 1);
  m.poke(0x3001, {2});
  m.cpu.s.activity = Activity::kRunning;
  m.cpu.s.eip = 0x3000;
  m.run();
  CHECK(m.cpu.s.r8(kEax) == 2);
}

TEST_CASE("a page of data that once held code is fast again when its code is gone") {
  TestMachine m;
  m.flat32();
  m.poke(0x5000, {0x40, kHlt});
  m.cpu.s.eip = 0x5000;
  m.run();
  CHECK(m.memory->has_code(5));
  m.poke(0x5000, {0x90, 0x90});
  CHECK_FALSE(m.memory->has_code(5));
}

TEST_CASE("interrupts are taken inside a repeated string instruction, which then goes on") {
  TestMachine m;
  // Vector 0x20 at 0000:0080 -> 0000:0600: inc dx; iret
  m.poke(0x80, {0, 0x06, 0, 0});
  m.poke(0x600, {0x42, 0xcf});
  // rep lodsb (60000 bytes); hlt
  m.poke(0x700, {0xf3, 0xac, kHlt});
  m.go(0, 0x700);
  m.cpu.s.r16(kEcx) = 60000;
  m.cpu.s.r16(kEdx) = 0;
  m.cpu.s.r16(kEsp) = 0x500;
  m.cpu.s.eflags |= flag::kIf;
  m.cpu.pending = attention::kInterrupt;
  m.interp.step(m.cpu);  // the interrupt comes first
  CHECK(m.cpu.s.eip == 0x601);
  m.cpu.pending = 0;
  m.run();
  CHECK(m.cpu.s.r16(kEdx) == 1);
  CHECK(m.cpu.s.r16(kEcx) == 0);
}

TEST_CASE("a single step sees one iteration of a repeated instruction") {
  TestMachine m;
  m.flat32();
  m.poke(0x1000, {0xf3, 0xaa, kHlt});
  m.cpu.s.eip = 0x1000;
  m.cpu.s.r32(kEcx) = 5;
  m.cpu.s.r32(kEdi) = 0x8000;
  m.cpu.s.eflags |= flag::kRf;  // what a debugger's resume sets: an odd mode, like TF
  m.step();
  CHECK(m.cpu.s.r32(kEcx) < 5);
}

TEST_CASE("a fault in a repeated instruction leaves the registers of the iteration that faulted") {
  TestMachine m;
  m.flat32();
  m.poke(0x1000, {0xf3, 0xa5, kHlt});
  m.cpu.s.eip = 0x1000;
  m.cpu.s.r32(kEsi) = 0x2000;
  m.cpu.s.r32(kEdi) = 0x8ff8;
  m.cpu.s.r32(kEcx) = 10;
  m.cpu.s.seg[kEs].limit = 0x8fff;
  m.cpu.s.seg[kEs].derive(true);
  // #GP through an empty IDT escalates to a shutdown; what was committed stays.
  m.cpu.s.idtr = {};
  CHECK(m.run() == Stop::kShutdown);
  CHECK(m.cpu.s.r32(kEcx) == 8);
  CHECK(m.cpu.s.r32(kEsi) == 0x2008);
  CHECK(m.cpu.s.r32(kEdi) == 0x9000);
}

TEST_CASE("overlapping REP MOVS upwards repeats its pattern, at every width") {
  for (const u8 opcode : {0xa4, 0xa5}) {
    TestMachine m;
    m.flat32();
    const unsigned width = opcode == 0xa4 ? 1 : 4;
    m.poke(0x1000, {0xf3, opcode, kHlt});
    m.poke(0x4000, {1, 2, 3, 4, 5, 6, 7, 8});
    for (unsigned distance = 1; distance <= 8; ++distance) {
      std::vector<u8> want(64 + 64);
      for (unsigned i = 0; i < want.size(); ++i) want[i] = static_cast<u8>(i * 7 + 1);
      m.poke(0x4000, want);
      const unsigned count = 64 / width;
      for (unsigned i = 0; i < count; ++i) {  // what the manual's loop does
        u8 element[4];
        std::memcpy(element, &want[i * width], width);
        std::memcpy(&want[i * width + distance], element, width);
      }
      m.cpu.s.activity = Activity::kRunning;
      m.cpu.s.r32(kEsi) = 0x4000;
      m.cpu.s.r32(kEdi) = 0x4000 + distance;
      m.cpu.s.r32(kEcx) = count;
      m.cpu.s.eip = 0x1000;
      m.run();
      std::vector<u8> got(want.size());
      m.memory->read(Phys(0x4000), got.data(), got.size());
      INFO("width " << width << " distance " << distance);
      CHECK(got == want);
    }
  }
}

TEST_CASE("PUSH SP and shift counts are those of the model") {
  for (const char* model : {"8086", "286", "386"}) {
    TestMachine m(model);
    m.poke(0x7000, {0x54, 0xd3, 0xe0, kHlt});  // push sp; shl ax,cl
    m.go(0, 0x7000);
    m.cpu.s.r16(kEsp) = 0x6000;
    m.cpu.s.r16(kEax) = 1;
    m.cpu.s.r8(kEcx) = 33;
    m.run();
    const bool old = std::string(model) == "8086";
    CHECK(m.peek<u16>(0x5ffe) == (old ? 0x5ffe : 0x6000));
    CHECK(m.cpu.s.r16(kEax) == (old ? 0 : 2));
  }
}

TEST_CASE("bit tests with a register offset reach memory on both sides") {
  TestMachine m;
  m.flat32();
  m.poke(0x1000, {0x0f, 0xab, 0x05, 0, 0x40, 0, 0, kHlt});  // bts [0x4000],eax
  for (const i32 offset : {0, 31, 32, 100, -1, -32, -33}) {
    m.poke(0x3ff0, std::vector<u8>(64, 0));
    m.cpu.s.activity = Activity::kRunning;
    m.cpu.s.r32(kEax) = static_cast<u32>(offset);
    m.cpu.s.eip = 0x1000;
    m.run();
    const u32 at = 0x4000 * 8 + static_cast<u32>(offset);
    CHECK(m.peek<u8>(at / 8) == 1 << (at % 8));
  }
}

TEST_CASE("POP to memory computes its address with the incremented ESP") {
  TestMachine m;
  m.flat32();
  m.poke(0x1000, {0x8f, 0x04, 0x24, kHlt});  // pop dword [esp]
  m.poke(0x6000, {1, 2, 3, 4, 0, 0, 0, 0});
  m.cpu.s.r32(kEsp) = 0x6000;
  m.cpu.s.eip = 0x1000;
  m.run();
  CHECK(m.cpu.s.r32(kEsp) == 0x6004);
  CHECK(m.peek<u32>(0x6004) == 0x04030201);
}

TEST_CASE("decoded blocks are bounded and survive being emptied") {
  TestMachine m;
  m.flat32();
  // 600 pages of: inc eax ×63, jmp to the next page; far more instructions than the arena over several rounds.
  std::vector<u8> page(kPageSize, 0x40);
  for (u32 i = 0; i < 600; ++i) {
    const u32 next = 0x100000 + (i + 1) * kPageSize;
    const u32 at = 0x100000 + i * kPageSize;
    std::vector<u8> code(3000, 0x40);
    code.push_back(0xe9);
    const u32 rel = next - (at + 3005);
    for (unsigned b = 0; b < 4; ++b) code.push_back(static_cast<u8>(rel >> (8 * b)));
    m.poke(at, code);
  }
  m.poke(0x100000 + 600 * kPageSize, {kHlt});
  m.cpu.s.r32(kEax) = 0;
  m.cpu.s.eip = 0x100000;
  m.run();
  CHECK(m.cpu.s.r32(kEax) == 600 * 3000);
}

TEST_CASE("an 8086 traps divide errors behind the instruction, turns REP IDIV round and has SETMO") {
  TestMachine m("8086");
  m.poke(0, {0, 0x06, 0, 0});  // vector 0 -> 0000:0600
  m.poke(0x600, {kHlt});
  m.poke(0x700, {0xd4, 0x00});  // aam 0
  m.go(0, 0x700);
  m.cpu.s.r16(kEsp) = 0x500;
  m.run();
  CHECK(m.peek<u16>(0x4fa) == 0x702);
  m.poke(0x710, {0xf3, 0xf6, 0xfb, 0xd0, 0xf2, kHlt});  // rep idiv bl; setmo dl
  m.cpu.s.activity = Activity::kRunning;
  m.go(0, 0x710);
  m.cpu.s.r16(kEax) = 100;
  m.cpu.s.r8(kEbx) = 7;
  m.run();
  CHECK(m.cpu.s.r8(kEax) == static_cast<u8>(-14));
  CHECK(m.cpu.s.r8(kEdx) == 0xff);
}

TEST_CASE("REP MOVS checks alignment like single moves") {
  TestMachine m;
  m.flat32();
  m.cpu.s.cr0 |= cr0::kAm;
  m.cpu.s.eflags |= flag::kAc;
  m.cpu.s.idtr = {};
  m.poke(0x1000, {0xf3, 0xa5, kHlt});
  m.cpu.s.eip = 0x1000;
  m.cpu.s.r32(kEsi) = 0x2001;
  m.cpu.s.r32(kEdi) = 0x3000;
  m.cpu.s.r32(kEcx) = 8;
  m.run();  // ring 0 does not care
  CHECK(m.cpu.s.r32(kEcx) == 0);
  m.cpu.s.activity = Activity::kRunning;
  m.cpu.set_cpl(3);
  m.cpu.s.eip = 0x1000;
  m.cpu.s.r32(kEsi) = 0x2001;
  m.cpu.s.r32(kEcx) = 8;
  CHECK(m.run() == Stop::kShutdown);  // #AC, and no IDT to take it
  CHECK(m.cpu.s.r32(kEcx) == 8);
}

TEST_CASE("an alignment fault whose frame is misaligned shuts down instead of looping for ever") {
  TestMachine m;
  m.flat32();
  m.poke(0x800, {0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0xfb, 0xcf, 0});  // code, DPL 3
  m.poke(0x900 + 17 * 8, {0, 0x50, 0x0b, 0, 0, 0xee, 0, 0});
  m.poke(0x1000, {0xa1, 0x01, 0x20, 0, 0, kHlt});  // mov eax,[0x2001]
  CpuState& s = m.cpu.s;
  s.gdtr = {0x800, 15};
  s.idtr = {0x900, 18 * 8 - 1};
  s.seg[kCs].selector = 0x0b;
  s.seg[kCs].rights = 0xc0fb;
  s.cr0 |= cr0::kAm;
  s.eflags |= flag::kAc;
  m.cpu.set_cpl(3);
  s.r32(kEsp) = 0x7002;
  s.eip = 0x1000;
  CHECK(m.run() == Stop::kShutdown);
}

}  // namespace umbra
