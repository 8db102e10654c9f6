// Bytes as a script of port, window, frame buffer and register BAR traffic, with renders between.
#include "devices/video/pci_vga.h"
#include "tests/devices/vga_rig.h"
#include "tests/fuzz/targets.h"

namespace umbra {

void fuzz_vga(const u8* data, std::size_t size) {
  static VgaRig rig;  // 16 MiB are not to be cleared for each input
  static PciVga pci(rig.vga, {});
  rig.vga.reset();
  std::size_t at = 0;
  const auto take = [&](unsigned count) {
    u32 value = 0;
    for (unsigned i = 0; i < count; ++i) value |= (at < size ? u32{data[at++]} : 0u) << (8 * i);
    return value;
  };
  BusTarget* lfb = nullptr;
  BusTarget* registers = nullptr;
  pci.config_write(0x10, 0xfd000000, 4);
  pci.config_write(0x18, 0xfebf0000, 4);
  pci.config_write(4, 3, 2);
  for (const PciRange& r : pci.ranges()) (r.base == 0xfd000000 ? lfb : registers) = r.target;
  const auto access = [&](BusTarget& target, u32 offset, u32 limit, bool write, unsigned bytes) {
    offset %= limit - bytes + 1;
    if (write) {
      target.write(offset, take(bytes), bytes);
    } else {
      target.read(offset, bytes);
    }
  };
  constexpr unsigned kSizes[4] = {1, 2, 4, 1};
  const bool large = take(1) % 16 == 0;
  unsigned renders = 0;
  while (at < size) {
    const u32 op = take(1);
    const unsigned bytes = kSizes[op >> 4 & 3];
    const bool write = (op & 0x40) != 0;
    switch (op & 15) {
      case 0:
      case 1:
      case 2:
        access(rig.vga.ports(), take(1), 0x30, write, bytes);
        break;
      case 3:
        rig.seq(static_cast<u8>(take(1)), static_cast<u8>(take(1)));
        break;
      case 4:
        rig.gc(static_cast<u8>(take(1)), static_cast<u8>(take(1)));
        break;
      case 5:
        rig.crtc(static_cast<u8>(take(1)), static_cast<u8>(take(1)));
        break;
      case 6:
        rig.attr(static_cast<u8>(take(1)), static_cast<u8>(take(1)));
        break;
      case 7:
        // Mostly frames of a usual size: one of 16000 by 12000 takes as long as thousands of these.
        rig.dispi(static_cast<u16>(take(1) % 12), static_cast<u16>(take(2) & (large ? 0xffff : 0x03ff)));
        break;
      case 8:
      case 9:
        access(rig.vga.window(), take(3), 0x20000, write, bytes);
        break;
      case 10:
        access(*lfb, take(3), Vga::kDefaultMemory, write, bytes);
        break;
      case 11:
        access(*registers, take(2), 0x1000, write, bytes);
        break;
      case 12:
        rig.time.advance(take(3));
        break;
      case 13:
        rig.out(0x3c2, take(1));
        break;
      default:  // a frame may be 32 million pixels, so an input gets few of them
        if (renders++ < 4) {
          rig.render();
          rig.vga.text();
        }
    }
  }
  rig.render();
  if (rig.frame.pixels.size() != std::size_t{rig.frame.width} * rig.frame.height) __builtin_trap();
}

}  // namespace umbra
