#include "tests/oracle/guest_cpu.h"

#include <cstring>

#include "cpu/base/log.h"
#include "tests/cpu/engines.h"

namespace umbra::oracle {
namespace {

Segment segment(u16 selector, u16 rights, u32 base, u32 limit) {
  Segment s;
  s.selector = selector;
  s.rights = rights;
  s.base = base;
  s.limit = limit;
  s.derive(true);
  return s;
}

bool has_error(u32 vector) {
  return vector == kDoubleFault || (vector >= kInvalidTss && vector <= kPageFault) || vector == kAlignmentCheck;
}

}  // namespace

Result<std::unique_ptr<GuestCpu>> GuestCpu::create(const std::string& engine) {
  auto memory = PhysicalMemory::create(kRam);
  if (!memory) return memory.take_error();
  std::unique_ptr<GuestCpu> g(new GuestCpu);
  g->memory_ = std::move(*memory);
  g->memory_->map_ram(Phys(0), kRam, 0, true);
  g->memory_->set_a20(true);
  g->cpu_ = std::make_unique<Cpu>(*find_cpu_model(kDefaultCpuModel), *g->memory_, g->ports_, g->pic_, g->host_);
  g->engine_ = make_engine(engine, *g->memory_);
  if (g->engine_ == nullptr) return Error{"this build, or this host, has no engine " + engine};
  g->build_tables();
  g->build_state(false);
  g->build_state(true);
  return g;
}

void GuestCpu::put32(u32 at, u32 value) { std::memcpy(memory_->base() + at, &value, 4); }
u32 GuestCpu::get32(u32 at) const {
  u32 value;
  std::memcpy(&value, memory_->base() + at, 4);
  return value;
}

void GuestCpu::build_tables() {
  constexpr u32 kPresent = 1, kWritable = 2, kUser = 4;
  put32(kDirectory + (kRegion >> 22) * 4, kRegionTable | kPresent | kWritable | kUser);
  put32(kDirectory + (kSystem >> 22) * 4, kSystemTable | kPresent | kWritable);
  const auto map = [&](u32 at, u32 size, u32 rights) {
    for (u32 a = at; a < at + size; a += kPageSize) {
      put32(kRegionTable + (((kRegion + a) >> 12) & 0x3ff) * 4, (kRegionPhys + a) | kPresent | kUser | rights);
    }
  };
  map(kDataAt, kDataSize, kWritable);
  map(kStackAt, kStackSize, kWritable);
  map(kCodeAt, kCodeSize, 0);
  for (u32 page = 0; page < 16; ++page) put32(kSystemTable + page * 4, page << 12 | kPresent | kWritable);

  put32(kGdt + 8, 0x0000ffff);  // flat ring-0 code and data
  put32(kGdt + 12, 0x00cf9b00);
  put32(kGdt + 16, 0x0000ffff);
  put32(kGdt + 20, 0x00cf9300);
  for (u32 v = 0; v < 256; ++v) {
    put32(kIdt + v * 8, 8 << 16 | (kHandlers + v));
    put32(kIdt + v * 8 + 4, (kSystem & 0xffff0000) | 0xee00);
  }
  std::memset(memory_->base() + kHandlers, 0xf4, 256);
  put32(kTss + 4, kSystem + kStack0);
  put32(kTss + 8, 0x10);
}

void GuestCpu::build_state(bool wide) {
  cpu_->reset();
  cpu_->set_cr3(kDirectory);
  cpu_->set_cr4(cr4::kOsfxsr | cr4::kOsxmmexcpt);
  cpu_->set_cr0(cr0::kPe | cr0::kMp | cr0::kEt | cr0::kNe | cr0::kWp | cr0::kAm | cr0::kPg);
  CpuState& s = cpu_->s;
  s.gdtr = {kSystem + kGdt, 0x17};
  s.idtr = {kSystem + kIdt, 0x7ff};
  s.tr = segment(0x18, 0x008b, kSystem + kTss, 0x67);
  const Segment code = wide ? segment(kCode32, 0xc0fb, 0, ~0u) : segment(kCode16, 0x00fb, kRegion, 0xffff);
  const Segment data = wide ? segment(kData32, 0xc0f3, 0, ~0u) : segment(kData16, 0x00f3, kRegion, 0xffff);
  s.seg[kCs] = code;
  s.seg[kDs] = s.seg[kEs] = s.seg[kSs] = data;
  for (SegReg r : {kFs, kGs}) {
    s.seg[r] = Segment{};
    s.seg[r].derive(false);
  }
  s.ldtr = Segment{};
  s.ldtr.derive(false);
  s.cpl = 3;
  s.activity = Activity::kRunning;
  base_[wide] = s;
}

void GuestCpu::set_code(std::span<const u8> bytes) {
  u8 page[kCodeSize];
  std::memset(page, 0xcc, sizeof page);
  std::memcpy(page + (kEntry - kCodeAt), bytes.data(), bytes.size());
  memory_->write(Phys(kRegionPhys + kCodeAt), page, sizeof page);
}

Outcome GuestCpu::run(const Input& in) {
  CpuState& s = cpu_->s;
  s = base_[in.wide];
  cpu_->mmu.set_user(true);
  for (unsigned i = 0; i < 8; ++i) s.r32(i) = in.gpr[i];
  s.eip = offset_in(in.wide, kEntry);
  s.eflags = in.eflags | flag::kIf | flag::kFixed;
  s.fpu = in.fpu;
  const Stop stop = engine_->run(*cpu_);
  CHECK(stop == Stop::kHalted);

  Outcome out;
  out.vector = static_cast<u32>(s.eip) - (kSystem + kHandlers) - 1;
  for (unsigned i = 0; i < 8; ++i) out.gpr[i] = s.r32(i);
  u32 frame = kStack0 - 20;
  if (has_error(out.vector)) out.error = get32(frame - 4);
  out.eip = get32(frame);
  out.eflags = get32(frame + 8);
  out.gpr[kEsp] = get32(frame + 12);
  out.cr2 = s.cr2;
  out.fpu = s.fpu;
  return out;
}

}  // namespace umbra::oracle
