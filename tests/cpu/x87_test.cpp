// What the hardware oracle cannot show of the x87: #MF and FERR#, #NM, images in the modes that a Linux process never
// is in, faults in the middle of an image, and models without the unit.
#include <catch2/catch.hpp>
#include <cstring>

#include "cpu/interp/x87.h"
#include "tests/cpu/bench.h"

using namespace umbra;
using namespace umbra::test;

namespace {

class FerrHost final : public CpuHost {
 public:
  u64 tsc() override { return 0; }
  void ferr(bool level) override { levels.push_back(level); }
  std::vector<bool> levels;
};

// A processor with an empty memory, to call handlers on.
struct Machine {
  explicit Machine(const char* model = kDefaultCpuModel) : bench(model) {
    bench.protect(0);
    bench.cpu.s.cr0 |= cr0::kNe;
  }
  Cpu& cpu() { return bench.cpu; }
  FpuState& fpu() { return bench.cpu.s.fpu; }
  std::optional<GuestFault> run(std::initializer_list<u8> code) {
    bench.insn(code);
    return bench.attempt();
  }
  int vector(std::initializer_list<u8> code) {
    const auto fault = run(code);
    return fault ? fault->vector : -1;
  }
  Bench bench;
};

}  // namespace

TEST_CASE("an unmasked exception is #MF at the next waiting instruction, not before", "[x87]") {
  Machine m;
  REQUIRE(m.vector({0xdb, 0xe3}) == -1);  // FNINIT
  m.fpu().fcw = 0x37b;                    // ZM clear
  REQUIRE(m.vector({0xd9, 0xe8}) == -1);  // FLD1
  REQUIRE(m.vector({0xd9, 0xee}) == -1);  // FLDZ
  const u32 divide = static_cast<u32>(m.cpu().s.eip);
  REQUIRE(m.vector({0xde, 0xf9}) == -1);  // FDIVP
  CHECK((m.fpu().fsw & (fsw::kZe | fsw::kEs | fsw::kBusy)) == (fsw::kZe | fsw::kEs | fsw::kBusy));
  CHECK(x87_top(m.fpu()) == 6);  // nothing popped, nothing stored
  CHECK(m.fpu().fip == divide);
  CHECK(m.vector({0xdf, 0xe0}) == -1);  // FNSTSW AX does not wait
  CHECK(m.cpu().s.r16(kEax) == m.fpu().fsw);
  CHECK(m.vector({0xd9, 0xe8}) == kMathFault);  // FLD1 does
  CHECK(m.vector({0x9b}) == kMathFault);        // FWAIT
  CHECK(m.vector({0x0f, 0x77}) == kMathFault);  // EMMS
  CHECK(m.vector({0xdb, 0xe2}) == -1);          // FNCLEX
  CHECK((m.fpu().fsw & (fsw::kEs | fsw::kBusy)) == 0);
  CHECK(m.vector({0xd9, 0xe8}) == -1);
}

TEST_CASE("without CR0.NE an exception raises FERR# and clearing it lowers it", "[x87]") {
  auto memory = PhysicalMemory::create(kRam);
  REQUIRE(memory);
  (*memory)->map_ram(Phys(0), kRam, 0, true);
  FakePorts ports;
  FakePic pic;
  FerrHost host;
  Cpu cpu(*find_cpu_model(kDefaultCpuModel), **memory, ports, pic, host);
  cpu.s.cr0 &= ~(cr0::kNe | cr0::kEm | cr0::kTs);
  const auto run = [&](std::initializer_list<u8> code) {
    std::vector<u8> bytes(code);
    bytes.resize(kMaxInsnLength, 0x90);
    Insn insn = decode(bytes, CodeSize::k32, cpu.model).insn;
    bind(insn)(cpu, insn);
  };
  run({0xdb, 0xe3});
  cpu.s.fpu.fcw = 0x37e;  // IM clear
  run({0xd9, 0xfa});      // FSQRT of an empty register
  CHECK(host.levels == std::vector<bool>{true});
  run({0xd9, 0xe8});  // goes on as if IGNNE# were low, and says it again
  CHECK(host.levels == std::vector<bool>{true, true});
  run({0xdb, 0xe2});  // FNCLEX
  CHECK(host.levels == std::vector<bool>{true, true, false});
}

TEST_CASE("CR0.EM and TS make x87 instructions #NM, and FWAIT only with MP", "[x87]") {
  Machine m;
  const u32 plain = m.cpu().s.cr0;
  m.cpu().s.cr0 = plain | cr0::kEm;
  CHECK(m.vector({0xd9, 0xe8}) == kDeviceNotAvailable);
  CHECK(m.vector({0xdb, 0xe3}) == kDeviceNotAvailable);
  CHECK(m.vector({0x9b}) == -1);
  CHECK(m.vector({0x0f, 0x77}) == kInvalidOpcode);                               // MMX: EM is #UD
  CHECK(m.vector({0x0f, 0xae, 0x05, 0x00, 0xc0, 0, 0}) == kDeviceNotAvailable);  // FXSAVE
  m.cpu().s.cr0 = (plain | cr0::kTs) & ~cr0::kMp;
  CHECK(m.vector({0xd9, 0xe8}) == kDeviceNotAvailable);
  CHECK(m.vector({0x9b}) == -1);
  CHECK(m.vector({0x0f, 0x77}) == kDeviceNotAvailable);
  m.cpu().s.cr0 = plain | cr0::kTs | cr0::kMp;
  CHECK(m.vector({0x9b}) == kDeviceNotAvailable);
}

TEST_CASE("a model without an x87 ignores its instructions, so that software finds none", "[x87]") {
  Machine m("386");
  m.bench.put(kData, 0x5a5a, 2);
  CHECK(m.vector({0xdb, 0xe3}) == -1);
  CHECK(m.vector({0xdd, 0x3d, 0x00, 0xc0, 0, 0}) == -1);  // FNSTSW [kData]
  CHECK(m.bench.get(kData, 2) == 0x5a5a);
}

TEST_CASE("models without FCMOV, FCOMI and FISTTP raise #UD", "[x87]") {
  Machine pentium("pentium"), pentium3("pentium3");
  CHECK(pentium.vector({0xda, 0xc1}) == kInvalidOpcode);
  CHECK(pentium.vector({0xdb, 0xf1}) == kInvalidOpcode);
  CHECK(pentium3.vector({0xda, 0xc1}) == -1);
  CHECK(pentium3.vector({0xdb, 0x0d, 0x00, 0xc0, 0, 0}) == kInvalidOpcode);  // FISTTP
}

TEST_CASE("FNSTENV writes each of its four layouts", "[x87]") {
  Machine m;
  FpuState& f = m.fpu();
  f.fcw = 0x37f;
  f.fsw = 3 << 11;
  f.ftw = 0x08;  // physical 3, which is ST(0)
  x87_set(f, 0, {kIntegerBit, 0x3fff});
  f.fop = 0x5a5;
  f.fip = 0x12345;
  f.fcs = 0x1000;
  f.fdp = 0x6789a;
  f.fds = 0x2000;
  const auto cell = [&](u32 i, u32 size) { return m.bench.get(kData + i * size, size); };

  REQUIRE(m.vector({0xd9, 0x35, 0x00, 0xc0, 0, 0}) == -1);  // 32-bit protected
  CHECK(cell(0, 4) == 0xffff037f);
  CHECK(cell(1, 4) == 0xffff1800);
  CHECK(cell(2, 4) == 0xffffff3f);
  CHECK(cell(3, 4) == 0x12345);
  CHECK(cell(4, 4) == 0x05a51000);
  CHECK(cell(5, 4) == 0x6789a);
  CHECK(cell(6, 4) == 0xffff2000);

  REQUIRE(m.vector({0x66, 0xd9, 0x35, 0x00, 0xc0, 0, 0}) == -1);  // 16-bit protected
  CHECK(cell(2, 2) == 0xff3f);
  CHECK(cell(3, 2) == 0x2345);
  CHECK(cell(4, 2) == 0x1000);
  CHECK(cell(5, 2) == 0x789a);
  CHECK(cell(6, 2) == 0x2000);

  m.bench.v86(3);                                     // linear addresses; DS:0 is kData
  REQUIRE(m.vector({0xd9, 0x36, 0x00, 0x00}) == -1);  // 16-bit real
  CHECK(cell(3, 2) == 0x2345);
  CHECK(cell(4, 2) == 0x25a5);
  CHECK(cell(5, 2) == 0x789a);
  CHECK(cell(6, 2) == 0x8000);

  REQUIRE(m.vector({0x66, 0xd9, 0x36, 0x00, 0x00}) == -1);  // 32-bit real
  CHECK((cell(3, 4) & 0xffff) == 0x2345);
  CHECK(cell(4, 4) == 0x000025a5);
  CHECK((cell(5, 4) & 0xffff) == 0x789a);
  CHECK(cell(6, 4) == 0x00008000);
}

TEST_CASE("FNSAVE and FRSTOR keep the whole state in every layout", "[x87]") {
  for (const bool wide : {false, true}) {
    for (const bool v86 : {false, true}) {
      Machine m;
      if (v86) m.bench.v86(3);
      FpuState& f = m.fpu();
      f.fcw = 0x27f;
      f.fsw = 5 << 11 | fsw::kC1;
      f.ftw = 0xb1;
      for (unsigned i = 0; i < 8; ++i) {
        const Float80 v{kIntegerBit | i, static_cast<u16>(0x3fff + i)};
        std::memcpy(f.st[i], &v.mantissa, 8);
        std::memcpy(f.st[i] + 8, &v.sign_exponent, 2);
      }
      const FpuState before = f;
      const bool prefixed = wide == v86;
      const auto code = [&](u8 modrm) -> std::vector<u8> {
        std::vector<u8> c;
        if (prefixed) c.push_back(0x66);
        c.insert(c.end(), {0xdd, modrm});
        if (!v86) c[c.size() - 1] -= 1;  // disp32 is rm 5, disp16 is rm 6
        c.insert(c.end(), v86 ? std::initializer_list<u8>{0, 0} : std::initializer_list<u8>{0x00, 0xc0, 0, 0});
        return c;
      };
      const auto run = [&](const std::vector<u8>& c) {
        u32 at = m.cpu().s.seg[kCs].base + static_cast<u32>(m.cpu().s.eip);
        for (u8 b : c) m.bench.put(at++, b, 1);
        return m.bench.attempt();
      };
      REQUIRE(!run(code(0x36)));  // FNSAVE
      CHECK(f.fcw == 0x37f);
      CHECK(f.ftw == 0);
      CHECK(x87_top(f) == 0);
      REQUIRE(!run(code(0x26)));  // FRSTOR
      CHECK(f.fcw == before.fcw);
      CHECK(f.fsw == before.fsw);
      CHECK(f.ftw == before.ftw);
      CHECK(std::memcmp(f.st, before.st, sizeof f.st) == 0);
    }
  }
}

TEST_CASE("an image that runs into a missing page changes neither memory nor state", "[x87]") {
  for (const u8 reg : {u8{0x35}, u8{0x25}}) {  // FNSAVE, FRSTOR with a disp32
    Machine m;
    m.bench.paging();
    m.bench.page(kData + kPageSize, 0);
    const u32 at = kData + kPageSize - 100;
    for (u32 i = 0; i < 100; i += 4) m.bench.put(at + i, 0x11111111);
    x87_push(m.fpu(), {kIntegerBit, 0x3fff});
    const FpuState before = m.fpu();
    CHECK(m.vector({0xdd, reg, static_cast<u8>(at), static_cast<u8>(at >> 8), 0, 0}) == kPageFault);
    CHECK(m.cpu().s.cr2 == kData + kPageSize);
    CHECK(m.bench.get(at) == 0x11111111);
    CHECK(std::memcmp(&before, &m.fpu(), sizeof before) == 0);
  }
  Machine m;
  m.bench.paging();
  m.bench.page(kData + kPageSize, 0);
  const u32 at = kData + kPageSize - 256;
  m.bench.put(at, 0x22222222);
  CHECK(m.vector({0x0f, 0xae, 0x05, static_cast<u8>(at), static_cast<u8>(at >> 8), 0, 0}) == kPageFault);  // FXSAVE
  CHECK(m.bench.get(at) == 0x22222222);
}

TEST_CASE("the 8087's and 287's control instructions do nothing", "[x87]") {
  Machine m;
  x87_push(m.fpu(), {kIntegerBit, 0x3fff});
  const FpuState before = m.fpu();
  for (const u8 code : {u8{0xe0}, u8{0xe1}, u8{0xe4}}) CHECK(m.vector({0xdb, code}) == -1);
  CHECK(std::memcmp(&before, &m.fpu(), sizeof before) == 0);
}
