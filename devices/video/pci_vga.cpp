#include "devices/video/pci_vga.h"

#include <cstring>

namespace umbra {
namespace {

constexpr u32 kRegistersSize = 0x1000;
constexpr u32 kPorts = 0x400, kPortsSize = 0x20;  // 3C0–3DF
constexpr u32 kDispi = 0x500, kDispiSize = 0x16;  // registers 0–A, 16 bits each
constexpr u32 kExtension = 0x600;                 // its own size, then the frame buffer's byte order
constexpr u32 kExtensionSize = 8, kLittleEndian = 0x1e1e1e1e;

u32 low_bytes(u64 value, unsigned size) { return static_cast<u32>(value & ((u64{1} << (size * 8)) - 1)); }

}  // namespace

PciVga::PciVga(Vga& vga, std::vector<u8> rom)
    : PciFunction({.vendor = 0x1234,
                   .device = 0x1111,
                   .class_code = 0x030000,
                   .revision = 2,
                   .subsystem_vendor = 0x1af4,
                   .subsystem = 0x1100}),
      vga_(vga) {
  add_memory_bar(0, vga.memory_size(), frame_buffer_, {.ram = vga.memory(), .prefetchable = true, .name = "vga lfb"});
  add_memory_bar(2, kRegistersSize, registers_, {.name = "vga registers"});
  add_rom(std::move(rom));
}

u32 PciVga::frame_buffer_read(u32 offset, unsigned size) {
  u32 value = 0;
  std::memcpy(&value, vga_.memory() + offset, size);
  return value;
}

void PciVga::frame_buffer_write(u32 offset, u32 value, unsigned size) {
  std::memcpy(vga_.memory() + offset, &value, size);
}

u32 PciVga::registers_read(u32 offset, unsigned size) {
  if (offset + size <= edid_.size()) {
    u32 value = 0;
    std::memcpy(&value, &edid_[offset], size);
    return value;
  }
  if (offset >= kPorts && offset + size <= kPorts + kPortsSize) return vga_.ports().read(offset - kPorts + 0x10, size);
  if (offset >= kDispi && offset + size <= kDispi + kDispiSize) {
    const auto index = static_cast<u16>((offset - kDispi) / 2);
    const u32 pair = vga_.dispi_read(index) | u32{vga_.dispi_read(index + 1)} << 16;
    return low_bytes(pair >> (offset % 2 * 8), size);
  }
  if (offset >= kExtension && offset + size <= kExtension + kExtensionSize) {
    const u64 both = u64{kLittleEndian} << 32 | kExtensionSize;
    return low_bytes(both >> ((offset - kExtension) * 8), size);
  }
  return low_bytes(offset < kPorts ? 0 : ~u64{0}, size);  // the rest of the EDID area is blank
}

void PciVga::registers_write(u32 offset, u32 value, unsigned size) {
  if (offset >= kPorts && offset + size <= kPorts + kPortsSize) {
    vga_.ports().write(offset - kPorts + 0x10, value, size);
  } else if (offset >= kDispi && offset + size <= kDispi + kDispiSize && size >= 2 && offset % 2 == 0) {
    const auto index = static_cast<u16>((offset - kDispi) / 2);
    vga_.dispi_write(index, static_cast<u16>(value));
    if (size == 4) vga_.dispi_write(index + 1, static_cast<u16>(value >> 16));
  }
}

}  // namespace umbra
