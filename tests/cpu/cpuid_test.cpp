// Named models and CPUID.
#include <catch2/catch.hpp>

#include <string>

#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

TEST_CASE("Every named model is found, and the default has everything") {
  for (const char* name : {"8086", "286", "386", "486", "pentium", "pentium2", "pentium3", "pentium4", "max"}) {
    REQUIRE(find_cpu_model(name) != nullptr);
    CHECK(std::string(find_cpu_model(name)->name) == name);
  }
  CHECK(find_cpu_model("z80") == nullptr);
  u32 edx = 0, ecx = 0;
  for (const CpuModel& m : cpu_models()) edx |= m.features_edx, ecx |= m.features_ecx;
  CHECK(find_cpu_model(kDefaultCpuModel)->features_edx == edx);
  CHECK(find_cpu_model(kDefaultCpuModel)->features_ecx == ecx);
}

TEST_CASE("CPUID of the default model") {
  Bench b;
  b.protect(3);
  const auto cpuid = [&](u32 leaf, u32 subleaf = 0) { return b.cpu.cpuid(leaf, subleaf); };
  CHECK(cpuid(0).ebx == 0x756e6547);  // Genu ineI ntel
  CHECK(cpuid(0).edx == 0x49656e69);
  CHECK(cpuid(0).ecx == 0x6c65746e);
  CHECK(cpuid(1).eax == 0x000106ca);
  CHECK((cpuid(1).ecx & cpuid::kHypervisor) == 0);
  CHECK((cpuid(1).edx & cpuid::kApic) != 0);
  CHECK((cpuid(1).ebx >> 8 & 0xff) == 8);
  CHECK(cpuid(0x80000000).eax == 0x80000008);
  CHECK(cpuid(0x80000001).edx == cpuid::kNx);
  CHECK(cpuid(0x80000008).eax == 0x2024);
  std::string brand;
  for (u32 leaf = 0x80000002; leaf <= 0x80000004; ++leaf) {
    const auto r = cpuid(leaf);
    for (u32 word : {r.eax, r.ebx, r.ecx, r.edx}) brand.append(reinterpret_cast<const char*>(&word), 4);
  }
  CHECK(std::string(brand.c_str()) == "Umbra Virtual CPU");
  CHECK((cpuid(4, 0).eax & 0x1f) == 1);
  CHECK((cpuid(4, 1).eax & 0x1f) == 2);
  CHECK((cpuid(4, 2).eax & 0x1f) == 3);
  CHECK((cpuid(4, 3).eax & 0x1f) == 0);
  CHECK(cpuid(0x40000000).eax == cpuid(4).eax);  // beyond the last leaf: as the last
  b.cpu.write_msr(0x1b, 0xfee00000);             // disabling the local APIC hides it
  CHECK((cpuid(1).edx & cpuid::kApic) == 0);
  b.cpu.s.r32(kEax) = 0;
  b.insn({0x0f, 0xa2});
  b.step();
  CHECK(b.cpu.s.r32(kEax) == 4);
  CHECK(b.cpu.s.r32(kEbx) == 0x756e6547);
}

TEST_CASE("EFLAGS.ID tells whether there is CPUID, AC tells a 386 from a 486") {
  struct Case {
    const char* model;
    bool id, ac;
  };
  for (const Case& c : {Case{"386", false, false}, Case{"486", true, true}, Case{"max", true, true}}) {
    INFO(c.model);
    Bench b(c.model);
    b.protect();
    b.cpu.s.r32(kEsp) -= 4;
    b.put(kStack0 - 4, flag::kId | flag::kAc | 2);
    b.insn({0x9d});
    REQUIRE_FALSE(b.attempt());
    CHECK(((b.cpu.s.eflags & flag::kId) != 0) == c.id);
    CHECK(((b.cpu.s.eflags & flag::kAc) != 0) == c.ac);
    b.insn({0x0f, 0xa2});
    CHECK(b.attempt().has_value() == !c.id);
  }
}

TEST_CASE("A 286 sets IOPL and NT in protected mode only, and nothing above") {
  Bench b("286");
  b.real(0x800, 0);
  b.cpu.set_flags(0xffff, 0xffff);
  CHECK(b.cpu.s.eflags == 0x0fd7);
  b.protect();
  b.cpu.set_flags(0xffff, 0xffff);
  CHECK(b.cpu.s.eflags == 0x7fd7);
}
