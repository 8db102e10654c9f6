// Where everything is: QEMU 7.2's `pc`. Ports, physical ranges, interrupt wires, DMA channels and PCI slots are said
// here and nowhere else.
#pragma once

#include "cpu/base/types.h"

namespace umbra::board {

namespace port {
inline constexpr u16 kDmaLow = 0x00, kPicMaster = 0x20, kPit = 0x40, kKeyboardData = 0x60, kSystemB = 0x61,
                     kKeyboardCommand = 0x64, kRtc = 0x70, kDmaPages = 0x80, kPost = 0x80, kSystemA = 0x92,
                     kPicSlave = 0xa0, kApm = 0xb2, kDmaHigh = 0xc0, kTestIo = 0xe0, kTestFlush = 0xe4,
                     kTestBytes = 0xe8, kFerr = 0xf0, kIde[2] = {0x1f0, 0x170}, kIdeControl[2] = {0x3f6, 0x376},
                     kDispi = 0x1ce, kVga = 0x3b0, kFloppy = 0x3f0, kFloppyDigital = 0x3f7, kElcr = 0x4d0,
                     kFwCfg = 0x510, kFwCfgDma = 0x514, kPciConfig = 0xcf8, kTestIrqs = 0x2000, kPciHotPlug = 0xae00,
                     kGpe = 0xafe0, kPciMechanism2 = 0xc000;
inline constexpr u16 kSerial[4] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
inline constexpr u16 kParallel[3] = {0x378, 0x278, 0x3bc};
}  // namespace port

namespace irq {
inline constexpr unsigned kPit = 0, kKeyboard = 1, kFloppy = 6, kRtc = 8, kSci = 9, kMouse = 12, kFerr = 13;
inline constexpr unsigned kIde[2] = {14, 15};
inline constexpr unsigned kSerial[4] = {4, 3, 4, 3};
inline constexpr unsigned kParallel[3] = {7, 5, 5};
}  // namespace irq

namespace dma {
inline constexpr unsigned kFloppy = 2;
}

namespace mem {
inline constexpr u32 kVgaWindow = 0xa0000, kVgaWindowSize = 0x20000;
inline constexpr u32 kShadow = 0xc0000, kBiosLow = 0xe0000, kMegabyte = 0x100000;  // what PAM divides begins at C0000
inline constexpr u32 kMostRam = 0xe0000000;  // the PCI hole begins here at the latest
inline constexpr u32 kIoApic = 0xfec00000, kHpet = 0xfed00000, kLocalApic = 0xfee00000, kTestMemory = 0xff000000;
}  // namespace mem

namespace slot {  // device, function
struct Slot {
  unsigned device, function;
};
inline constexpr Slot kHostBridge{0, 0}, kIsaBridge{1, 0}, kIde{1, 1}, kPower{1, 3}, kVga{2, 0};
// What -device adds: behind the VGA, or in its place.
inline constexpr Slot kAdded{3, 0};
}  // namespace slot

inline constexpr u64 kTscHz = 1'000'000'000;

}  // namespace umbra::board
