#include "devices/chipset/debug_ports.h"

#include <cstring>

namespace umbra {

void DebugConsole::write(u32, u32 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) sink_(static_cast<u8>(value >> (i * 8)));
}

void TestDevice::reset() { r_ = Regs{}; }

void TestDevice::state(Archive& a) { a("data", r_.data)("memory", r_.memory); }

u32 TestDevice::io_read(u32 offset, unsigned) { return r_.data >> ((offset & 3) * 8); }

void TestDevice::io_write(u32 offset, u32 value, unsigned size) {
  const unsigned shift = (offset & 3) * 8;
  const u32 mask = (size == 4 ? ~0u : (1u << (size * 8)) - 1) << shift;
  r_.data = (r_.data & ~mask) | (value << shift & mask);
}

u32 TestDevice::flush_read(u32, unsigned) { return 0; }

void TestDevice::flush_write(u32 offset, u32 value, unsigned size) {
  if (offset == 0 && size == 4) forget_(Phys(value & ~kPageMask));
}

u32 TestDevice::irq_read(u32, unsigned) { return 0; }

void TestDevice::irq_write(u32 offset, u32 value, unsigned) { set_irq_(offset, value != 0); }

u32 TestDevice::memory_read(u32 offset, unsigned size) {
  u32 value = 0;
  if (offset + size <= kMemorySize) std::memcpy(&value, r_.memory.data() + offset, size);
  return value;
}

void TestDevice::memory_write(u32 offset, u32 value, unsigned size) {
  if (offset + size <= kMemorySize) std::memcpy(r_.memory.data() + offset, &value, size);
}

}  // namespace umbra
