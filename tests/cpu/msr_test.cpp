// Model-specific registers: SDM vol. 4.
#include <catch2/catch.hpp>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

bool read_faults(Bench& b, u32 index) {
  try {
    b.cpu.read_msr(index);
    return false;
  } catch (const GuestFault& fault) {
    return fault.vector == 13;
  }
}

bool write_faults(Bench& b, u32 index, u64 value) {
  try {
    b.cpu.write_msr(index, value);
    return false;
  } catch (const GuestFault& fault) {
    return fault.vector == 13 && fault.error == 0;
  }
}

}  // namespace

TEST_CASE("MSRs keep what may be written and refuse the rest") {
  struct Case {
    const char* what;
    u32 index;
    u64 good, bad;
  };
  const Case cases[] = {
      {"PAT", 0x277, 0x0007040600070106, 0x0007040600070402},
      {"MTRR default type", 0x2ff, 0xc06, 0x1000},
      {"MTRR default type, type", 0x2ff, 0x800, 0x802},
      {"MTRR fixed 64K", 0x250, 0x0606060606060606, 0x0606060606060602},
      {"MTRR fixed 16K", 0x259, 0, 0x8},
      {"MTRR fixed 4K", 0x26f, 0x0505050505050505, 0xff},
      {"MTRR base", 0x200, 0xe0000006, 0x1000000000},
      {"MTRR base, type", 0x20e, 0x1, 0x2},
      {"MTRR mask", 0x201, 0xfe0000800, 0x400},
      {"EFER", 0xc0000080, efer::kNxe, efer::kNxe | 0x100},
      {"APIC base", 0x1b, 0xfec00900, 0x1000000900},
      {"MCG status", 0x17a, 0, 4},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    Bench b;
    b.protect();
    CHECK_FALSE(write_faults(b, c.index, c.good));
    CHECK(b.cpu.read_msr(c.index) == c.good);
    CHECK(write_faults(b, c.index, c.bad));
    CHECK(b.cpu.read_msr(c.index) == c.good);
  }
  Bench b;
  b.protect();
  for (u32 unknown : {0x5u, 0x12u, 0x4b564d00u, 0x40000000u, 0xc0000081u, 0xc0000100u}) {
    INFO(unknown);
    CHECK(read_faults(b, unknown));
    CHECK(write_faults(b, unknown, 0));
  }
  CHECK(write_faults(b, 0xfe, 0));  // read-only
  CHECK(b.host.apic_base == 0);
  b.cpu.write_msr(0x1b, 0xfec00900);
  CHECK(b.host.apic_base == 0xfec00900);
}

TEST_CASE("Models without a feature lack its MSRs") {
  Bench b("pentium");
  b.protect();
  CHECK_FALSE(read_faults(b, 0x10));
  CHECK(read_faults(b, 0x174));
  CHECK(read_faults(b, 0x277));
  CHECK(read_faults(b, 0x2ff));
  Bench p2("pentium2");
  p2.protect();
  CHECK_FALSE(read_faults(p2, 0x174));
  CHECK(read_faults(p2, 0xc0000080));
}

TEST_CASE("RDTSC follows the host's clock and what was written; CR4.TSD keeps it to ring 0") {
  Bench b;
  b.protect(3);
  b.host.time = 0x123456789;
  b.insn({0x0f, 0x31});
  REQUIRE_FALSE(b.attempt());
  CHECK(b.cpu.s.r32(kEax) == 0x23456789);
  CHECK(b.cpu.s.r32(kEdx) == 1);
  b.cpu.write_msr(0x10, 5);
  b.host.time += 10;
  CHECK(b.cpu.read_msr(0x10) == 15);
  b.cpu.set_cr4(cr4::kTsd);
  b.insn({0x0f, 0x31});
  CHECK(b.attempt()->vector == 13);
}

TEST_CASE("RDMSR, WRMSR and RDPMC are for ring 0") {
  for (const auto& bytes : {std::initializer_list<u8>{0x0f, 0x32}, {0x0f, 0x30}, {0x0f, 0x33}}) {
    Bench b;
    b.protect(3);
    b.cpu.s.r32(kEcx) = 0;
    b.insn(bytes);
    CHECK(b.attempt()->vector == 13);
    Bench c;
    c.protect();
    c.cpu.s.r32(kEcx) = *(bytes.begin() + 1) == 0x33 ? 0 : 0x174;
    c.insn(bytes);
    CHECK_FALSE(c.attempt());
  }
}
