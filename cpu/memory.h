// The processor's memory accesses: the part that is inlined everywhere. Included by cpu.h.
//
// An aligned access cannot cross a page and cannot raise #AC, so one test of the low bits sends everything unusual
// to access.cpp.
#pragma once

namespace umbra {

template <class T>
T Cpu::read_linear(Linear a) {
  if ((a.value & (sizeof(T) - 1)) == 0) {
    if (const u64 addend = mmu.table()->load[page_of(a)]; addend != 0) {
      T value;
      std::memcpy(&value, reinterpret_cast<const void*>(addend + a.value), sizeof value);
      return value;
    }
  }
  return static_cast<T>(read_slow(a, sizeof(T), mmu.user()));
}

template <class T>
void Cpu::write_linear(Linear a, T value) {
  if ((a.value & (sizeof(T) - 1)) == 0) {
    if (const u64 addend = mmu.table()->store[page_of(a)]; addend != 0) {
      std::memcpy(reinterpret_cast<void*>(addend + a.value), &value, sizeof value);
      return;
    }
  }
  write_slow(a, value, sizeof(T), mmu.user());
}

template <class T>
T Cpu::read_system(Linear a) {
  if (!mmu.user()) return read_linear<T>(a);
  return static_cast<T>(read_slow(a, sizeof(T), false));
}

template <class T>
void Cpu::write_system(Linear a, T value) {
  if (!mmu.user()) return write_linear<T>(a, value);
  write_slow(a, value, sizeof(T), false);
}

template <class T>
T Cpu::read(SegReg seg, u32 offset) {
  const Segment& g = s.seg[seg];
  if ((g.access & Segment::kReadable) == 0 || !g.inside(offset, sizeof(T))) [[unlikely]]
    return static_cast<T>(read_outside(seg, offset, sizeof(T)));
  return read_linear<T>(Linear(g.base + offset));
}

template <class T>
void Cpu::write(SegReg seg, u32 offset, T value) {
  const Segment& g = s.seg[seg];
  if ((g.access & Segment::kWritable) == 0 || !g.inside(offset, sizeof(T))) [[unlikely]]
    return write_outside(seg, offset, value, sizeof(T));
  write_linear<T>(Linear(g.base + offset), value);
}

// Reads, applies `change` and writes back, with the rights of a write from the start: nothing faults after `change`.
template <class T, class Change>
void Cpu::modify(SegReg seg, u32 offset, Change change) {
  const Segment& g = s.seg[seg];
  constexpr u8 kBoth = Segment::kReadable | Segment::kWritable;
  if ((g.access & kBoth) == kBoth && g.inside(offset, sizeof(T))) [[likely]] {
    const Linear a(g.base + offset);
    if ((a.value & (sizeof(T) - 1)) == 0) {
      if (const u64 addend = mmu.table()->store[page_of(a)]; addend != 0) {
        T value;
        std::memcpy(&value, reinterpret_cast<const void*>(addend + a.value), sizeof value);
        value = change(value);
        std::memcpy(reinterpret_cast<void*>(addend + a.value), &value, sizeof value);
        return;
      }
    }
  }
  if constexpr (sizeof(T) <= 4) {
    const PhysicalMemory::Device d = device_at(seg, offset, sizeof(T), Access::kWrite);
    if (d.target != nullptr)
      return d.target->write(d.offset, change(static_cast<T>(d.target->read(d.offset, sizeof(T)))), sizeof(T));
  }
  check(seg, offset, sizeof(T), Access::kWrite);
  write<T>(seg, offset, change(read<T>(seg, offset)));
}

}  // namespace umbra
