// Bytes as an instruction stream and a processor state: the first bytes choose model, mode and registers, the rest is
// code. Whatever happens must be a guest fault, a halt or a shutdown.
#include <algorithm>

#include "tests/cpu/machine.h"

namespace umbra {
namespace {

constexpr u64 kSize = 1 << 20;
constexpr unsigned kSteps = 64;

class Bytes {
 public:
  Bytes(const u8* data, std::size_t size) : data_(data), size_(size) {}
  u32 take(unsigned n) {
    u32 v = 0;
    for (unsigned i = 0; i < n && at_ < size_; ++i) v |= u32{data_[at_++]} << (8 * i);
    return v;
  }
  std::span<const u8> rest() const { return {data_ + at_, size_ - at_}; }

 private:
  const u8* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

// A descriptor of any kind somewhere in low memory, more often usable than not.
void random_segment(Segment& g, Bytes& in) {
  g.selector = static_cast<u16>(in.take(2));
  g.rights = static_cast<u16>(0x80 | (in.take(1) & 0x7f) | (in.take(1) & 0xc0) << 8);
  g.base = in.take(2) << (in.take(1) & 15);
  g.limit = in.take(3);
  if ((g.rights & 0x8000) != 0) g.limit = g.limit << 12 | 0xfff;
  g.derive(g.present());
}

}  // namespace

void fuzz_insn(const u8* data, std::size_t size) {
  Bytes in(data, size);
  const auto models = cpu_models();
  static std::unique_ptr<TestMachine> machines[16];
  const unsigned which = in.take(1) % std::min<unsigned>(16, static_cast<unsigned>(models.size()));
  if (machines[which] == nullptr) machines[which] = std::make_unique<TestMachine>(models[which].name, kSize);
  TestMachine& m = *machines[which];
  Cpu& cpu = m.cpu;
  CpuState& s = cpu.s;
  cpu.reset();
  const u8 mode = static_cast<u8>(in.take(1));
  for (unsigned i = 0; i < 8; ++i) s.r32(i) = in.take(4) >> (in.take(1) & 31);
  const bool protected_capable = cpu.model.generation >= Generation::k386;
  s.eflags = (in.take(4) & cpu.model.flags_mask & ~flag::kVm) | flag::kFixed;
  s.cr4 = protected_capable ? in.take(2) & 0x7ff : 0;
  if ((mode & 1) != 0 && protected_capable) {
    s.cr0 |= cr0::kPe;
    for (Segment& g : s.seg) random_segment(g, in);
    s.cpl = in.take(1) & 3;
    if ((mode & 2) != 0) s.eflags |= flag::kVm;
    if ((mode & 4) != 0) s.cr0 |= cr0::kPg | (in.take(1) & 1 ? cr0::kWp : 0);
    s.cr3 = in.take(1) << 12;
    s.gdtr = {in.take(2), static_cast<u16>(in.take(2))};
    s.idtr = {in.take(2), static_cast<u16>(in.take(2))};
    if ((mode & 8) != 0) s.cr0 |= cr0::kAm | cr0::kTs;
  } else {
    for (unsigned i = 0; i < kSegCount; ++i) cpu.set_real_segment(static_cast<SegReg>(i), static_cast<u16>(in.take(2)));
  }
  if ((mode & 16) != 0) cpu.set_dr7(in.take(4));
  for (unsigned i = 0; i < 4; ++i) s.dr[i] = in.take(2);
  cpu.set_cpl(s.cpl);
  cpu.update_paging();
  s.eip = in.take(2);
  const u32 code_at = (s.seg[kCs].base + static_cast<u32>(s.eip)) % (kSize - 4096);
  m.poke(code_at, in.rest().subspan(0, std::min<std::size_t>(in.rest().size(), 4096)));
  for (unsigned i = 0; i < kSteps && s.activity == Activity::kRunning; ++i) {
    if ((mode & 32) != 0) {
      m.step();
      continue;
    }
    cpu.pending = in.take(1) % 16 == 0 ? attention::kInterrupt : 0;
    m.interp.run_block(cpu);
  }
}

}  // namespace umbra
