#include "tests/translator/boundary.h"

#include <catch2/catch.hpp>

#include <sys/time.h>

#include <csignal>

#include "cpu/effects.h"

namespace umbra::test {
namespace {

constexpr u32 kCode = 0x40000, kCodePages = 64, kFirstPage = 0x10, kPages = 0x100;
constexpr u32 kTss = 0x600, kKernelStack = 0x7000, kDirectory = 0xa000, kTable = 0xb000;
constexpr u32 kCounter = 0xf000;  // of iterations, in a page of the user's that is always there
constexpr u32 kDevice = 0x200000, kBase = 0x3000;
constexpr u32 kInterruptVector = 0x20;
constexpr u32 kMostEvents = 60, kMostCapacity = 8;
constexpr u32 kFarthest = 20000;  // steps from one event, or the iteration of one, to the next

bool is_device(u32 page) { return page % 8 == 5 && (page < kCode >> 12 || page >= (kCode >> 12) + kCodePages); }

// A supervisor's stack stays, for a fault needs it.
bool is_stack(u32 page) { return page >= 0x1f && page <= 0x24; }

// ESP moves by a push or a pop at most.
bool keeps_stack(const Insn& insn) {
  if (insn.op == Op::kEnter || insn.op == Op::kLeave) return false;
  if (insn.op == Op::kPop && insn.operands[0].kind == OperandKind::kReg) return insn.operands[0].reg != kEsp;
  const bool moves = insn.op == Op::kPush || insn.op == Op::kPop || insn.op == Op::kPusha || insn.op == Op::kPushad ||
                     insn.op == Op::kPopa || insn.op == Op::kPopad;
  return moves || (effects(insn, CodeSize::k32).writes & 1 << kEsp) == 0;
}

// A signal may come at any moment in generated code, like the kick of another thread.
Cpu* g_interrupted = nullptr;
Translator* g_kicked = nullptr;

void on_alarm(int) {
  g_interrupted->pending.fetch_or(attention::kInterrupt);
  g_kicked->kick();
}

void alarm_in(u32 microseconds, Cpu& cpu, Translator& translator) {
  g_interrupted = &cpu;
  g_kicked = &translator;
  struct sigaction action = {};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_ONSTACK | SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval once{{0, 0}, {0, static_cast<suseconds_t>(microseconds)}};
  setitimer(ITIMER_REAL, &once, nullptr);
}

}  // namespace

Boundaries::Boundaries(const BoundaryRun& run) : run_(run), t_(run.options), s_(run.seed) {
  s_.fpu = run.fpu;
  s_.size = run.space == BoundaryRun::kV86 ? CodeSize::k16 : CodeSize::k32;
  t_.a.memory->map_device(Phys(kDevice), kPages * kPageSize, device_a_);
  t_.b.memory->map_device(Phys(kDevice), kPages * kPageSize, device_b_);
  device_b_.asks = &t_.b.cpu;
  t_.both([&](Machine& m) {
    std::mt19937 fill(run.seed);
    for (u32 i = kFirstPage * kPageSize; i < kRam; i += 4) m.put32(i, fill());
  });
}

// A supervisor also opens and closes itself to interrupts, in every way.
std::vector<u8> Boundaries::insn() {
  if (supervisor() && s_.chance(25)) {
    static const std::vector<u8> kForms[] = {{0xfa},
                                             {0xfb},
                                             {0x9c},
                                             {0x9d},
                                             {0xfc},
                                             {0xfb, 0xfa},
                                             {0x9c, 0xfa, 0x9d},
                                             {0x68, 0x46, 0x02, 0, 0, 0x9d},
                                             {0x68, 0x93, 0, 0, 0, 0x9d},
                                             {0x68, 0xc3, 0x0a, 0, 0, 0x66, 0x9d}};
    return kForms[s_.pick(std::size(kForms))];
  }
  for (;;) {
    std::vector<u8> bytes = s_.insn(t_.a.cpu.model);
    if (!supervisor() || keeps_stack(decode(bytes, s_.size, t_.a.cpu.model).insn)) return bytes;
  }
}

std::vector<u8> Boundaries::make(u32 start) {
  std::vector<u8> code;
  if (run_.from_outside) {
    for (u8 r = 0; r < 8; ++r) {
      code.push_back(0xb8 | r);
      code.resize(code.size() + 4);
      std::memcpy(code.data() + code.size() - 4, &registers_[r], 4);
    }
    if (supervisor()) code.push_back(0xfb);  // STI
    const u32 offset = kCounter - (run_.space == BoundaryRun::kBased ? kBase : 0);
    code.insert(code.end(), {0xff, 0x05, static_cast<u8>(offset), static_cast<u8>(offset >> 8), 0, 0});
  }
  const u32 prologue = static_cast<u32>(code.size());
  if (run_.branches) {
    const std::vector<u8> body = branching(s_, start + prologue, [this] { return insn(); });
    code.insert(code.end(), body.begin(), body.end());
  } else {
    const u32 length = 3 + s_.pick(10);
    for (u32 i = 0; i < length; ++i) {
      s_.allow_repeats = i == 0;
      const std::vector<u8> bytes = insn();
      code.insert(code.end(), bytes.begin(), bytes.end());
    }
  }
  s_.allow_repeats = false;
  if (run_.from_outside) {
    code.push_back(0xe9);
    const u32 back = 0u - static_cast<u32>(code.size() + 4);
    code.resize(code.size() + 4);
    std::memcpy(code.data() + code.size() - 4, &back, 4);
  }
  code.push_back(0xf4);  // #GP
  return code;
}

void Boundaries::set_segments(Machine& m, u32 start) const {
  constexpr u32 kAll = 0xffffffff;
  CpuState& s = m.cpu.s;
  for (unsigned i = 0; i < kSegCount; ++i) s.seg[i] = Machine::flat(i == kCs, true, supervisor() ? 0 : 3);
  switch (run_.space) {
    case BoundaryRun::kBased:
      for (SegReg seg : {kDs, kEs, kGs}) set_segment(m, seg, 0x13, 0xc0f3, kBase, kAll);
      set_segment(m, kSs, 0x13, 0xc0f3, 0x1000, kAll);
      break;
    case BoundaryRun::kLimited:
      for (SegReg seg : {kDs, kEs, kFs}) set_segment(m, seg, 0x13, 0xc0f3, 0, 0xc0fff);
      set_segment(m, kSs, 0x13, 0xc0f7, 0, 0xffff);  // expands down
      break;
    case BoundaryRun::kSmallStack:
      set_segment(m, kSs, 0x13, 0xf3, 0x18000, 0xffff);
      break;
    case BoundaryRun::kV86: {
      constexpr u16 kSelectors[kSegCount] = {0x3000, 0, 0x9000, 0x2000, 0x2800, 0xa000};
      for (unsigned i = 0; i < kSegCount; ++i) {
        const u16 selector = i == kCs ? static_cast<u16>((start & ~kPageMask) >> 4) : kSelectors[i];
        set_segment(m, static_cast<SegReg>(i), selector, 0xf3, selector << 4, 0xffff);
      }
      break;
    }
    default:
      break;
  }
}

void Boundaries::enter(Machine& m, const std::vector<u8>& code, u32 start) const {
  m.flat_32();
  m.put32(kDirectory, kTable | 7);
  for (u32 page = 0; page < kPages; ++page) {
    const bool there = page < kFirstPage || run_.from_outside || (supervisor() && is_stack(page));
    const u32 user = page < kFirstPage && page != kCounter / kPageSize ? 3 : 7;
    // Accessed and dirty from the start: what waits for an interrupt may be translated before it comes.
    m.put32(kTable + 4 * page, there ? page << kPageBits | user | 0x60 : 0);
  }
  m.cpu.set_cr3(kDirectory);
  m.cpu.set_cr0(m.cpu.s.cr0 | cr0::kPg | cr0::kWp);
  if (!supervisor()) m.to_ring_3();
  m.put32(kTss + 4, kKernelStack);
  m.put32(kTss + 0x64, 0x680000);  // no I/O permission map
  m.put(start, code);
  CpuState& s = m.cpu.s;
  for (unsigned r = 0; r < 8; ++r) s.gpr[r] = registers_[r];
  s.eflags = eflags_ | (run_.space == BoundaryRun::kV86 ? flag::kVm : 0);
  s.fpu = FpuState{};
  s.cr2 = 0;
  set_segments(m, start);
  m.cpu.set_cpl(supervisor() ? 0 : 3);
  m.start(start - s.seg[kCs].base);
}

void Boundaries::set_page(u32 page, u32 rights) {
  const u32 at = is_device(page) ? kDevice + (page << kPageBits) : page << kPageBits;
  t_.both([&](Machine& m) {
    m.put32(kTable + 4 * page, rights == 0 ? 0 : at | rights);
    m.cpu.mmu.invalidate(Linear(page << kPageBits));
  });
}

// Gives the page that a fault asks for, mostly no more of it than it takes, and takes another one away.
bool Boundaries::fix_page() {
  CpuState& s = t_.a.cpu.s;
  const u32 page = s.cr2 >> kPageBits, eip = frame().eip;
  if (page < kFirstPage || page >= kPages || (supervisor() && is_stack(page))) return false;
  tries_ = eip == last_eip_ ? tries_ + 1 : 0;
  last_eip_ = eip;
  if (tries_ > 2 && capacity_ < kMostCapacity) ++capacity_;
  const bool written = (t_.a.get32(s.r32(kEsp)) & 2) != 0;
  std::erase(resident_, page);
  resident_.push_back(page);
  set_page(page, written || s_.chance(50) ? 7 : 5);
  while (resident_.size() > capacity_) {
    const u32 kind = s_.pick(10);
    set_page(resident_.front(), kind < 6 ? 0 : kind < 8 ? 3 : 5);  // gone, the supervisor's, or read-only
    resident_.pop_front();
  }
  return true;
}

// Of the handler that B halts in.
u32 Boundaries::vector() const { return (static_cast<u32>(t_.b.cpu.s.eip) - 0x1001) / 16; }

u32 Boundaries::frame_at() const {
  const u32 v = vector();
  const bool has_error = v == 8 || (v >= 10 && v <= 14) || v == 17;
  return static_cast<u32>(t_.b.cpu.s.gpr[kEsp]) + (has_error ? 4 : 0);
}

Boundaries::Frame Boundaries::frame() const {
  Frame f{};
  if (frame_at() <= kRam - sizeof f) std::memcpy(&f, t_.b.memory->base() + frame_at(), sizeof f);
  return f;
}

// Behind some instructions flags are undefined, up to the comparison that follows.
u32 Boundaries::blurred(u32 eip) const { return blurred_.contains(eip) ? flag::kArithmetic : 0; }

void Boundaries::find_blurred(const std::vector<u8>& code, u32 start) {
  blurred_.clear();
  for (u32 at = 0; at < code.size();) {
    const Insn insn = decode({code.data() + at, code.size() - at}, s_.size, t_.a.cpu.model).insn;
    at += insn.length;
    if (Streams::leaves_flags_undefined(insn.op)) blurred_.insert(start + at);
  }
}

void Boundaries::resume(Machine& m, const Frame& f, u32 above) const {
  CpuState& s = m.cpu.s;
  set_segments(m, f.cs << 4);  // for V86 mode
  s.gpr[kEsp] = supervisor() ? above : f.esp;
  s.eflags = f.eflags;
  m.cpu.set_cpl(supervisor() ? 0 : 3);
  m.start(f.eip);
}

// Takes A where B was interrupted.
bool Boundaries::follow() {
  const Frame f = frame();
  const u32 esp = supervisor() ? frame_at() + 12 : f.esp;
  CpuState& s = t_.a.cpu.s;
  const CpuState& b = t_.b.cpu.s;
  const auto count = [](Machine& m) { return m.get32(kCounter); };
  const auto handling = [&] { return s.seg[kCs].selector == 8 && s.eip >= 0x1000 && s.eip < 0x1400; };
  const auto there = [&] {
    if (s.eip != f.eip || ((s.eflags ^ f.eflags) & ~blurred(f.eip)) != 0 || s.r32(kEsp) != esp ||
        count(t_.a) != count(t_.b))
      return false;
    for (unsigned r = 0; r < 8; ++r)
      if (r != kEsp && s.gpr[r] != b.gpr[r]) return false;
    return true;
  };
  while (run_.from_outside && !handling() && count(t_.a) + 1 < count(t_.b)) t_.interpreter.run_block(t_.a.cpu);
  for (u32 n = 0; !there(); ++n) {
    if (n == kFarthest || handling()) return false;
    t_.a.cpu.pending = attention::kExit;  // which step() does not look at, but strings stop after each element
    t_.interpreter.step(t_.a.cpu);
  }
  t_.a.cpu.pending = attention::kInterrupt;
  t_.run_a();
  t_.a.cpu.pending = 0;
  return true;
}

Stop Boundaries::run_b() {
  if (run_.from_outside) alarm_in(5 + s_.pick(30), t_.b.cpu, *t_.translator);
  const Stop stop = t_.run_b();
  if (run_.from_outside) alarm_in(0, t_.b.cpu, *t_.translator);  // never again
  return stop;
}

std::string Boundaries::events() {
  for (u32 n = 0; n < kMostEvents; ++n) {
    const Stop sb = run_b();
    t_.b.cpu.pending = 0;
    const u32 what = vector();
    if (supervisor() && !is_stack(frame_at() >> kPageBits)) {  // that far it may have gone: nothing can be told
      t_.a.memory->write(Phys(0), t_.b.ram(), kRam);
      device_a_.last = device_b_.last;
      break;
    }
    if (sb == Stop::kHalted && what == kInterruptVector) {
      ++interrupts;
      if (!follow())
        return format("the interpreter is never where the interrupt came: eip %x, flags %x\n", frame().eip,
                      frame().eflags);
    } else if (t_.run_a() != sb) {
      return "stops differ\n" + t_.difference();
    }
    if (blurred(frame().eip) != 0)
      t_.both([&](Machine& m) {
        m.cpu.s.eflags &= ~flag::kArithmetic;
        m.put32(frame_at() + 8, m.get32(frame_at() + 8) & ~flag::kArithmetic);
      });
    const std::string difference = t_.difference(~0u, run_.fpu);
    if (!difference.empty()) return format("event %u, vector %x at %x\n", n, what, frame().eip) + difference;
    if (device_a_.last != device_b_.last) return "the device was told different things\n";
    if (sb != Stop::kHalted) break;
    if (what == kPageFault) ++faults;
    if (what != kInterruptVector && (what != kPageFault || !fix_page())) break;
    const Frame f = frame();
    const u32 above = frame_at() + 12;
    t_.both([&](Machine& m) { resume(m, f, above); });
    if (run_.from_outside && n == 4) break;
  }
  return {};
}

std::string Boundaries::stream(u32 number) {
  const u32 start = kCode + number % kCodePages * kPageSize + s_.pick(kPageSize);
  for (u32& v : registers_) v = run_.space == BoundaryRun::kV86 && s_.chance(80) ? s_.random() & 0xffff : s_.value();
  registers_[kEcx] = s_.pick(80);
  if (s_.chance(90)) registers_[kEsp] = (run_.space == BoundaryRun::kV86 ? 0x2000 : 0x20000) + s_.pick(0x1000) * 4;
  eflags_ = flag::kFixed | flag::kIf | (s_.random() & flag::kArithmetic);
  const std::vector<u8> code = make(start);
  find_blurred(code, run_.space == BoundaryRun::kV86 ? start & kPageMask : start);
  resident_.clear();
  capacity_ = 1 + s_.pick(3);
  t_.both([&](Machine& m) { enter(m, code, start); });
  const std::string offence = events();
  if (offence.empty()) return offence;
  return format("seed %u, stream %u, space %u, flags %x\n", run_.seed, number, run_.space, eflags_) +
         listing(code, start, s_.size, t_.a.cpu.model) + offence;
}

BoundaryRun boundary_run(u32 seed) {
  BoundaryRun run;
  run.seed = seed;
  run.options.always_windows = seed % 2 == 0;
  run.space = seed / 2 % BoundaryRun::kSpaces;
  run.branches = run.space != BoundaryRun::kV86 && seed % 3 != 0;
  if (seed % 5 == 1) run.options.max_block_insns = 1;
  if (seed % 5 == 2) run.options.chain = false;
  if (seed % 7 == 3) run.options.code_bytes = 32768;  // always full
  run.fpu = seed % 6 == 5;
  return run;
}

u32 check_boundaries(const BoundaryRun& run) {
  Boundaries boundaries(run);
  for (u32 n = 0; n < run.streams; ++n)
    if (const std::string offence = boundaries.stream(n); !offence.empty()) FAIL(offence);
  INFO("seed " << run.seed);
  if (!run.from_outside) CHECK(boundaries.faults > run.streams);
  return boundaries.interrupts;
}

}  // namespace umbra::test
