// MOVS CMPS SCAS LODS STOS INS OUTS, alone and repeated.
//
// A repeated instruction does a bounded number of iterations and, if it is not done, leaves EIP on itself: interrupts
// are taken there, as on hardware, with ESI, EDI and ECX of the next iteration. A fault leaves the same state. All but
// LODS go through plain RAM a run at a time where both ends have table entries; downwards only MOVS does.
#include <cstring>

#include "cpu/alu.h"
#include "cpu/interp/operands.h"

namespace umbra::interp {
namespace {

constexpr u32 kIterations = 4096;  // of one call of a repeated handler

// The index registers and the count, at the address size.
struct Registers {
  CpuState& s;
  u32 mask;
  Registers(CpuState& state, const Insn& insn) : s(state), mask(insn.address_mask) {}
  u32 si() const { return s.r32(kEsi) & mask; }
  u32 di() const { return s.r32(kEdi) & mask; }
  u32 count() const { return s.r32(kEcx) & mask; }
  void set(unsigned r, u32 value) { set_reg<u32>(s, r, (s.r32(r) & ~mask) | (value & mask)); }
  void advance(unsigned r, u32 by) { set(r, s.r32(r) + by); }
  void consume(u32 n) { set(kEcx, s.r32(kEcx) - n); }
  template <class T>
  u32 step() const {
    return (s.eflags & flag::kDf) != 0 ? static_cast<u32>(-static_cast<i32>(sizeof(T))) : u32{sizeof(T)};
  }
};

// Not the C library's: these run in callouts, and its copies go through vector registers that hold the guest's.
void copy_bytes(u8* to, const u8* from, std::size_t n) {
#if defined(__x86_64__)
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
#else
  std::memmove(to, from, n);
#endif
}

// The same from the last byte to the first, the ends given.
void copy_bytes_down(u8* to, const u8* from, std::size_t n) {
#if defined(__x86_64__)
  asm volatile("std\n\trep movsb\n\tcld" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
#else
  for (; n != 0; --n) *to-- = *from--;
#endif
}

template <class T>
void fill_elements(u8* to, T value, std::size_t n) {
#if defined(__x86_64__)
  if constexpr (sizeof(T) == 1) asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
  if constexpr (sizeof(T) == 2) asm volatile("rep stosw" : "+D"(to), "+c"(n) : "a"(value) : "memory");
  if constexpr (sizeof(T) == 4) asm volatile("rep stosl" : "+D"(to), "+c"(n) : "a"(value) : "memory");
#else
  for (std::size_t i = 0; i < n; ++i) std::memcpy(to + i * sizeof(T), &value, sizeof(T));
#endif
}

template <class T>
u32 run_upwards(const Segment& g, Linear a, u32 offset, u32 mask) {
  const u64 in_segment = u64{g.high} - offset + 1;
  const u64 to_wrap = u64{mask} - offset + 1;
  const u64 in_page = kPageSize - page_offset(a);
  return static_cast<u32>(std::min({in_segment, to_wrap, in_page}) / sizeof(T));
}

// How many elements from `offset` upwards (or downwards) lie in the segment, in one page and this side of the wrap of
// the address size, if that page can be reached directly; then `host` is where the first one is.
template <class T>
u32 direct_run(Cpu& cpu, const Segment& g, u32 offset, u32 mask, bool store, u8*& host, bool down = false) {
  const u8 right = store ? Segment::kWritable : Segment::kReadable;
  if ((g.access & right) == 0 || !g.inside(offset, sizeof(T))) return 0;
  const Linear a(g.base + offset);
  if ((a.value & (sizeof(T) - 1)) != 0 && cpu.checks_alignment()) return 0;
  const ShadowTable& table = *cpu.mmu.table();
  const u64 addend = store ? table.store[page_of(a)] : table.load[page_of(a)];
  if (addend == 0) return 0;
  host = reinterpret_cast<u8*>(addend + a.value);
  if (down) {
    if (page_offset(a) > kPageSize - sizeof(T)) return 0;
    return std::min(page_offset(a), offset - g.low) / sizeof(T) + 1;
  }
  return run_upwards<T>(g, a, offset, mask);
}

// One side of a run that lies in one page of RAM or of a device.
struct Side {
  u8* host = nullptr;
  PhysicalMemory::Device device;

  template <class T>
  T read(u32 i) const {
    if (device.target != nullptr) return static_cast<T>(device.target->read(device.offset + i * sizeof(T), sizeof(T)));
    T value;
    std::memcpy(&value, host + std::size_t{i} * sizeof(T), sizeof(T));
    return value;
  }
  template <class T>
  void write(u32 i, T value) const {
    if (device.target != nullptr) return device.target->write(device.offset + i * sizeof(T), value, sizeof(T));
    std::memcpy(host + std::size_t{i} * sizeof(T), &value, sizeof(T));
  }
};

// As direct_run, upwards, for a page that may be a device's. Zero where an access is anything but ordinary.
template <class T>
u32 device_run(Cpu& cpu, const Segment& g, u32 offset, u32 mask, bool store, Side& side) {
  if (const u32 n = direct_run<T>(cpu, g, offset, mask, store, side.host)) return n;
  const u8 right = store ? Segment::kWritable : Segment::kReadable;
  if ((g.access & right) == 0 || !g.inside(offset, sizeof(T)) || cpu.trap_check_needed()) return 0;
  const Linear a(g.base + offset);
  if ((a.value & (sizeof(T) - 1)) != 0 && cpu.checks_alignment()) return 0;
  const Fill fill = cpu.mmu.fill(a, store ? Access::kWrite : Access::kRead, cpu.mmu.user());
  if (fill.kind != Fill::Kind::kDevice) return 0;
  side.device = cpu.mmu.memory().device(fill.address);
  return side.device.target == nullptr ? 0 : run_upwards<T>(g, a, offset, mask);
}

// Element by element, until the device has caused something that must be seen to.
template <class Step>
u32 in_steps(Cpu& cpu, u32 n, Step step) {
  const u64 epoch = cpu.mmu.epoch();
  u32 i = 0;
  do {
    step(i++);
  } while (i < n && cpu.pending.load(std::memory_order_relaxed) == 0 && cpu.mmu.epoch() == epoch);
  return i;
}

template <class T>
T element(const u8* at, u32 i) {
  T value;
  std::memcpy(&value, at + std::size_t{i} * sizeof(T), sizeof(T));
  return value;
}

// Whether a repeated comparison goes on after one that found its elements equal, or not.
bool goes_on(const Insn& insn, bool equal) { return equal == insn.has(prefix::kRep); }

// Compares up to `n` elements of both sides, leaves the flags of the last one, and returns how many it took.
template <class T, class Left>
u32 compare_run(Cpu& cpu, const Insn& insn, u32 n, Left left, const u8* right) {
  u32 i = 0;
  while (i + 1 < n && goes_on(insn, left(i) == element<T>(right, i))) ++i;
  alu::sub(left(i), element<T>(right, i), cpu.s.eflags);
  return i + 1;
}

void check_port(Cpu& cpu, unsigned size) { cpu.check_port(cpu.s.r16(kEdx), size); }

// What a 286 has already changed when an iteration faults, as hardware shows it (SingleStepTests 80286, A4-AF and 6C-6F
// at offset FFFFh): the index of each access begun, and a count that has run ahead of a store.
struct Overrun {
  Cpu& cpu;
  const Insn& insn;
  Registers& r;
  u32 step;
  void moved(unsigned index) { r.advance(index, step); }
  void counted(u32 n) {
    if (insn.has(prefix::kRep | prefix::kRepne)) r.consume(n);
  }
};

// --- one iteration of each
// ------------------------------------------------------------------------------------------------

struct Movs {
  static constexpr bool kCompares = false;
  template <class T>
  static void once(Cpu& cpu, const Insn& insn, Registers& r) {
    cpu.write<T>(kEs, r.di(), cpu.read<T>(segment(insn), r.si()));
    const u32 step = r.step<T>();
    r.advance(kEsi, step);
    r.advance(kEdi, step);
  }
  template <class T>
  static u32 run(Cpu& cpu, const Insn& insn, Registers& r, u32 limit) {
    u8 *from = nullptr, *to = nullptr;
    const bool down = (cpu.s.eflags & flag::kDf) != 0;
    u32 n = std::min(limit, direct_run<T>(cpu, cpu.s.seg[insn.segment], r.si(), r.mask, false, from, down));
    n = std::min(n, direct_run<T>(cpu, cpu.s.seg[kEs], r.di(), r.mask, true, to, down));
    if (n == 0 && !down) return across<T>(cpu, insn, r, limit);
    if (n < 2) return 0;
    const u32 bytes = n * sizeof(T);
    // Bytes in order are what elements in order do, except where an element overlaps its own destination.
    const std::ptrdiff_t ahead = down ? from - to : to - from;
    if (ahead > 0 && ahead < static_cast<std::ptrdiff_t>(sizeof(T))) return 0;
    if (!down) {
      copy_bytes(to, from, bytes);
    } else if (ahead >= bytes || -ahead >= bytes) {
      copy_bytes(to + sizeof(T) - bytes, from + sizeof(T) - bytes, bytes);
    } else {
      copy_bytes_down(to + sizeof(T) - 1, from + sizeof(T) - 1, bytes);
    }
    const u32 by = down ? 0 - bytes : bytes;
    r.advance(kEsi, by);
    r.advance(kEdi, by);
    return n;
  }
  // With a device at one end or both.
  template <class T>
  static u32 across(Cpu& cpu, const Insn& insn, Registers& r, u32 limit) {
    Side from, to;
    u32 n = std::min(limit, device_run<T>(cpu, cpu.s.seg[insn.segment], r.si(), r.mask, false, from));
    if (n != 0) n = std::min(n, device_run<T>(cpu, cpu.s.seg[kEs], r.di(), r.mask, true, to));
    if (n == 0) return 0;
    n = in_steps(cpu, n, [&](u32 i) { to.write<T>(i, from.read<T>(i)); });
    r.advance(kEsi, n * sizeof(T));
    r.advance(kEdi, n * sizeof(T));
    return n;
  }
  template <class T>
  static void overrun(Overrun o) {
    const bool source = !o.cpu.s.seg[o.insn.segment].inside(o.r.si(), sizeof(T));
    o.moved(kEsi);
    if (!source) o.moved(kEdi);
    o.counted(source ? 1 : 2);
  }
};

struct Stos {
  static constexpr bool kCompares = false;
  template <class T>
  static void once(Cpu& cpu, const Insn&, Registers& r) {
    cpu.write<T>(kEs, r.di(), reg<T>(cpu.s, kEax));
    r.advance(kEdi, r.step<T>());
  }
  template <class T>
  static u32 run(Cpu& cpu, const Insn&, Registers& r, u32 limit) {
    if ((cpu.s.eflags & flag::kDf) != 0) return 0;
    Side to;
    u32 n = std::min(limit, device_run<T>(cpu, cpu.s.seg[kEs], r.di(), r.mask, true, to));
    if (n == 0) return 0;
    const T value = reg<T>(cpu.s, kEax);
    if (to.device.target == nullptr) {
      fill_elements<T>(to.host, value, n);
    } else {
      n = in_steps(cpu, n, [&](u32 i) { to.write<T>(i, value); });
    }
    r.advance(kEdi, n * sizeof(T));
    return n;
  }
  template <class T>
  static void overrun(Overrun o) {
    o.moved(kEdi);
    o.counted(2);
  }
};

struct Lods {
  static constexpr bool kCompares = false;
  template <class T>
  static void once(Cpu& cpu, const Insn& insn, Registers& r) {
    reg<T>(cpu.s, kEax) = cpu.read<T>(segment(insn), r.si());
    r.advance(kEsi, r.step<T>());
  }
  template <class T>
  static u32 run(Cpu&, const Insn&, Registers&, u32) {
    return 0;
  }
  template <class T>
  static void overrun(Overrun o) {
    o.moved(kEsi);
    o.counted(1);
  }
};

struct Cmps {
  static constexpr bool kCompares = true;
  template <class T>
  static void once(Cpu& cpu, const Insn& insn, Registers& r) {
    const T source = cpu.read<T>(segment(insn), r.si());
    alu::sub(source, cpu.read<T>(kEs, r.di()), cpu.s.eflags);
    const u32 step = r.step<T>();
    r.advance(kEsi, step);
    r.advance(kEdi, step);
  }
  template <class T>
  static u32 run(Cpu& cpu, const Insn& insn, Registers& r, u32 limit) {
    u8 *source = nullptr, *destination = nullptr;
    if ((cpu.s.eflags & flag::kDf) != 0) return 0;
    u32 n = std::min(limit, direct_run<T>(cpu, cpu.s.seg[insn.segment], r.si(), r.mask, false, source));
    n = std::min(n, direct_run<T>(cpu, cpu.s.seg[kEs], r.di(), r.mask, false, destination));
    if (n < 2) return 0;
    n = compare_run<T>(
        cpu, insn, n, [&](u32 i) { return element<T>(source, i); }, destination);
    r.advance(kEsi, n * sizeof(T));
    r.advance(kEdi, n * sizeof(T));
    return n;
  }
  template <class T>
  static void overrun(Overrun o) {  // ES:DI is read first there
    const bool destination = !o.cpu.s.seg[kEs].inside(o.r.di(), sizeof(T));
    o.moved(kEdi);
    if (!destination) o.moved(kEsi);
  }
};

struct Scas {
  static constexpr bool kCompares = true;
  template <class T>
  static void once(Cpu& cpu, const Insn&, Registers& r) {
    alu::sub(reg<T>(cpu.s, kEax), cpu.read<T>(kEs, r.di()), cpu.s.eflags);
    r.advance(kEdi, r.step<T>());
  }
  template <class T>
  static u32 run(Cpu& cpu, const Insn& insn, Registers& r, u32 limit) {
    u8* destination = nullptr;
    if ((cpu.s.eflags & flag::kDf) != 0) return 0;
    u32 n = std::min(limit, direct_run<T>(cpu, cpu.s.seg[kEs], r.di(), r.mask, false, destination));
    if (n < 2) return 0;
    const T value = reg<T>(cpu.s, kEax);
    n = compare_run<T>(
        cpu, insn, n, [&](u32) { return value; }, destination);
    r.advance(kEdi, n * sizeof(T));
    return n;
  }
  template <class T>
  static void overrun(Overrun o) {
    o.moved(kEdi);
    o.counted(1);
  }
};

struct Ins {
  static constexpr bool kCompares = false;
  template <class T>
  static void once(Cpu& cpu, const Insn&, Registers& r) {
    check_port(cpu, sizeof(T));
    // The destination is checked before the device is read: what it gave must not be lost.
    cpu.check(kEs, r.di(), sizeof(T), Access::kWrite);
    cpu.write<T>(kEs, r.di(), static_cast<T>(cpu.ports.in(cpu.s.r16(kEdx), sizeof(T))));
    r.advance(kEdi, r.step<T>());
  }
  template <class T>
  static u32 run(Cpu& cpu, const Insn&, Registers& r, u32 limit) {
    u8* to = nullptr;
    if ((cpu.s.eflags & flag::kDf) != 0) return 0;
    const u32 n = std::min(limit, direct_run<T>(cpu, cpu.s.seg[kEs], r.di(), r.mask, true, to));
    if (n < 2) return 0;
    check_port(cpu, sizeof(T));
    cpu.ports.in_block(cpu.s.r16(kEdx), to, n, sizeof(T));
    r.advance(kEdi, n * sizeof(T));
    return n;
  }
  template <class T>
  static void overrun(Overrun o) {
    o.moved(kEdi);
    o.counted(2);
  }
};

struct Outs {
  static constexpr bool kCompares = false;
  template <class T>
  static void once(Cpu& cpu, const Insn& insn, Registers& r) {
    check_port(cpu, sizeof(T));
    cpu.ports.out(cpu.s.r16(kEdx), cpu.read<T>(segment(insn), r.si()), sizeof(T));
    r.advance(kEsi, r.step<T>());
  }
  template <class T>
  static u32 run(Cpu& cpu, const Insn& insn, Registers& r, u32 limit) {
    u8* from = nullptr;
    if ((cpu.s.eflags & flag::kDf) != 0) return 0;
    const u32 n = std::min(limit, direct_run<T>(cpu, cpu.s.seg[insn.segment], r.si(), r.mask, false, from));
    if (n < 2) return 0;
    check_port(cpu, sizeof(T));
    cpu.ports.out_block(cpu.s.r16(kEdx), from, n, sizeof(T));
    r.advance(kEsi, n * sizeof(T));
    return n;
  }
  template <class T>
  static void overrun(Overrun o) {
    o.moved(kEsi);
    o.counted(1);
  }
};

// --- repetition
// -------------------------------------------------------------------------------------------------------------

template <class What, class T>
void iterate(Cpu& cpu, const Insn& insn, Registers& r) {
  try {
    What::template once<T>(cpu, insn, r);
  } catch (const GuestFault&) {
    if (cpu.model.generation == Generation::k286) What::template overrun<T>({cpu, insn, r, r.step<T>()});
    throw;
  }
}

template <class What, class T>
void single(Cpu& cpu, const Insn& insn) {
  Registers r(cpu.s, insn);
  iterate<What, T>(cpu, insn, r);
}

// Goes on later when there is more to do: single steps see every iteration.
void leave_or_resume(Cpu& cpu, bool done) {
  if (!done) cpu.s.eip = cpu.s.insn_eip;
}

// Who waits for the processor to stop sees it behind the next one.
u32 most_iterations(const Cpu& cpu) {
  const bool leaves = (cpu.pending.load(std::memory_order_relaxed) & attention::kExit) != 0;
  return leaves || cpu.trap_check_needed() ? 1 : kIterations;
}

template <class What, class T>
void repeated(Cpu& cpu, const Insn& insn) {
  Registers r(cpu.s, insn);
  u32 left = most_iterations(cpu);
  while (left != 0 && r.count() != 0) {
    const u32 n = What::template run<T>(cpu, insn, r, std::min(left, r.count()));
    if (n == 0) iterate<What, T>(cpu, insn, r);
    const u32 done = n == 0 ? 1 : n;
    r.consume(done);
    left -= done;
    if (cpu.pending.load(std::memory_order_relaxed) != 0) break;
  }
  leave_or_resume(cpu, r.count() == 0);
}

template <class What, class T>
void repeated_compare(Cpu& cpu, const Insn& insn) {
  Registers r(cpu.s, insn);
  bool ended = r.count() == 0;
  u32 left = most_iterations(cpu);
  while (left != 0 && !ended) {
    const u32 n = What::template run<T>(cpu, insn, r, std::min(left, r.count()));
    if (n == 0) iterate<What, T>(cpu, insn, r);
    const u32 done = n == 0 ? 1 : n;
    r.consume(done);
    left -= done;
    ended = r.count() == 0 || !goes_on(insn, (cpu.s.eflags & flag::kZf) != 0);
  }
  leave_or_resume(cpu, ended);
}

template <class What, class T>
Handler string_insn(const Insn& insn) {
  if (!insn.has(prefix::kRep | prefix::kRepne)) return single<What, T>;
  if constexpr (What::kCompares) {
    return repeated_compare<What, T>;
  } else {
    return repeated<What, T>;
  }
}

}  // namespace

Handler movsb(const Insn& insn) { return string_insn<Movs, u8>(insn); }
Handler movsw(const Insn& insn) { return string_insn<Movs, u16>(insn); }
Handler movsd(const Insn& insn) { return string_insn<Movs, u32>(insn); }
Handler cmpsb(const Insn& insn) { return string_insn<Cmps, u8>(insn); }
Handler cmpsw(const Insn& insn) { return string_insn<Cmps, u16>(insn); }
Handler cmpsd(const Insn& insn) { return string_insn<Cmps, u32>(insn); }
Handler scasb(const Insn& insn) { return string_insn<Scas, u8>(insn); }
Handler scasw(const Insn& insn) { return string_insn<Scas, u16>(insn); }
Handler scasd(const Insn& insn) { return string_insn<Scas, u32>(insn); }
Handler lodsb(const Insn& insn) { return string_insn<Lods, u8>(insn); }
Handler lodsw(const Insn& insn) { return string_insn<Lods, u16>(insn); }
Handler lodsd(const Insn& insn) { return string_insn<Lods, u32>(insn); }
Handler stosb(const Insn& insn) { return string_insn<Stos, u8>(insn); }
Handler stosw(const Insn& insn) { return string_insn<Stos, u16>(insn); }
Handler stosd(const Insn& insn) { return string_insn<Stos, u32>(insn); }
Handler insb(const Insn& insn) { return string_insn<Ins, u8>(insn); }
Handler insw(const Insn& insn) { return string_insn<Ins, u16>(insn); }
Handler insd(const Insn& insn) { return string_insn<Ins, u32>(insn); }
Handler outsb(const Insn& insn) { return string_insn<Outs, u8>(insn); }
Handler outsw(const Insn& insn) { return string_insn<Outs, u16>(insn); }
Handler outsd(const Insn& insn) { return string_insn<Outs, u32>(insn); }

}  // namespace umbra::interp
