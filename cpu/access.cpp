// Memory accesses off the fast path: table misses, devices, code pages, page crossings, alignment checks, watched
// addresses, and accesses outside their segment.
#include <cstring>

#include "cpu/cpu.h"

namespace umbra {
namespace {

u32 in_first_page(Linear a, u32 size) { return std::min(size, kPageSize - page_offset(a)); }

u64 low_bytes(u32 n) { return n >= 8 ? ~u64{0} : (u64{1} << (n * 8)) - 1; }

}  // namespace

void Cpu::page_fault(Linear a, u32 error_code) {
  s.cr2 = a.value;
  fault(kPageFault, error_code);
}

void Cpu::segment_fault(SegReg seg) { fault(seg == kSs ? stack_fault_vector() : kGeneralProtection, 0); }

void Cpu::check_alignment(Linear a, unsigned size) {
  if ((a.value & (size - 1)) != 0 && checks_alignment()) fault(kAlignmentCheck, 0);
}

// The table's entry for the page of `a`, where it may be used: it grants what a walk would.
u64 Cpu::addend(Linear a, Access access, bool user) const {
  const ShadowTable& table = *mmu.table_of(user);
  return access == Access::kWrite ? table.store[page_of(a)] : table.load[page_of(a)];
}

Fill Cpu::fill_or_fault(Linear a, Access access, bool user) {
  const Fill f = mmu.fill(a, access, user);
  if (f.kind == Fill::Kind::kFault) page_fault(a, f.error_code);
  return f;
}

u64 Cpu::read_slow(Linear a, unsigned size, bool user) {
  if (user) check_alignment(a, size);
  if ((s.armed & debug_arm::kData) != 0) note_access(a, size, false);
  const u32 first = in_first_page(a, size);
  const u64 near = addend(a, Access::kRead, user), far = addend(a + (size - 1), Access::kRead, user);
  if (near != 0 && far != 0) {
    u64 value = 0;
    u8* const bytes = reinterpret_cast<u8*>(&value);
    std::memcpy(bytes, reinterpret_cast<const void*>(near + a.value), first);
    std::memcpy(bytes + first, reinterpret_cast<const void*>(far + (a + first).value), size - first);
    return value;
  }
  const Fill low = fill_or_fault(a, Access::kRead, user);
  if (first == size) return mmu.memory().load(low.address, size);
  const Fill high = fill_or_fault(a + first, Access::kRead, user);
  const u64 value = mmu.memory().load(low.address, first);
  return value | mmu.memory().load(high.address, size - first) << (first * 8);
}

void Cpu::write_slow(Linear a, u64 value, unsigned size, bool user) {
  if (user) check_alignment(a, size);
  if ((s.armed & debug_arm::kData) != 0) note_access(a, size, true);
  const u32 first = in_first_page(a, size);
  const u64 near = addend(a, Access::kWrite, user), far = addend(a + (size - 1), Access::kWrite, user);
  if (near != 0 && far != 0) {
    const u8* const bytes = reinterpret_cast<const u8*>(&value);
    std::memcpy(reinterpret_cast<void*>(near + a.value), bytes, first);
    std::memcpy(reinterpret_cast<void*>(far + (a + first).value), bytes + first, size - first);
    return;
  }
  const Fill low = fill_or_fault(a, Access::kWrite, user);
  if (first == size) return mmu.memory().store(low.address, value, size);
  const Fill high = fill_or_fault(a + first, Access::kWrite, user);
  mmu.memory().store(low.address, value & low_bytes(first), first);
  mmu.memory().store(high.address, value >> (first * 8), size - first);
}

void Cpu::probe(Linear a, u32 size, Access access) {
  const bool user = mmu.user();
  const auto page = [&](Linear at) {
    if (addend(at, access, user) == 0) fill_or_fault(at, access, user);
  };
  page(a);
  for (u32 done = in_first_page(a, size); done < size; done += kPageSize) page(a + done);
}

Linear Cpu::check(SegReg seg, u32 offset, u32 size, Access access) {
  const Segment& g = s.seg[seg];
  const u8 right = access == Access::kWrite ? Segment::kWritable : Segment::kReadable;
  const Linear a(g.base + offset);
  if ((g.access & right) == 0 || !g.inside(offset, size)) {
    if (!wraps_in_segment(seg)) segment_fault(seg);
    return a;
  }
  if (size <= 8 && (size & (size - 1)) == 0) check_alignment(a, size);
  probe(a, size, access);
  return a;
}

PhysicalMemory::Device Cpu::device_at(SegReg seg, u32 offset, u32 size, Access access) {
  const Segment& g = s.seg[seg];
  constexpr u8 kBoth = Segment::kReadable | Segment::kWritable;
  const u8 rights = access == Access::kWrite ? kBoth : u8{Segment::kReadable};
  const Linear a(g.base + offset);
  if ((g.access & rights) != rights || !g.inside(offset, size) || page_offset(a) > kPageSize - size) return {};
  if ((s.armed & debug_arm::kData) != 0 || ((a.value & (size - 1)) != 0 && checks_alignment())) return {};
  const std::optional<Phys> at = mmu.known_device(a, access, mmu.user());
  return at ? mmu.memory().device(*at) : PhysicalMemory::Device{};
}

// An 8086 has no limits: the second byte of a word at FFFFh lies at 0.
bool Cpu::wraps_in_segment(SegReg) const { return model.generation == Generation::k8086; }

u64 Cpu::read_outside(SegReg seg, u32 offset, unsigned size) {
  if (!wraps_in_segment(seg)) segment_fault(seg);
  u64 value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= u64{read_linear<u8>(Linear(s.seg[seg].base + ((offset + i) & 0xffff)))} << (i * 8);
  return value;
}

void Cpu::write_outside(SegReg seg, u32 offset, u64 value, unsigned size) {
  if (!wraps_in_segment(seg)) segment_fault(seg);
  for (unsigned i = 0; i < size; ++i)
    write_linear<u8>(Linear(s.seg[seg].base + ((offset + i) & 0xffff)), static_cast<u8>(value >> (i * 8)));
}

}  // namespace umbra
