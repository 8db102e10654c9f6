// Bits of the floppy controller's registers and status bytes, by their names in the 82077AA/82078 datasheets.
#pragma once

#include "cpu/base/types.h"

namespace umbra::fdc {

inline constexpr u8 kNotReset = 0x04, kDmaGate = 0x08;                                   // digital output
inline constexpr u8 kRqm = 0x80, kDio = 0x40, kNonDma = 0x20, kBusy = 0x10;              // main status
inline constexpr u8 kAbnormal = 0x40, kInvalid = 0x80, kReadyChanged = 0xc0;             // ST0: interrupt code
inline constexpr u8 kSeekEnd = 0x20, kEquipmentCheck = 0x10, kNotReady = 0x08;           // ST0
inline constexpr u8 kEndOfCylinder = 0x80, kDataError = 0x20, kNoData = 0x04;            // ST1
inline constexpr u8 kNotWritable = 0x02, kMissingMark = 0x01;                            // ST1
inline constexpr u8 kControlMark = 0x40, kDataFieldError = 0x20, kWrongCylinder = 0x10;  // ST2
inline constexpr u8 kScanEqual = 0x08, kScanNotSatisfied = 0x04;                         // ST2
inline constexpr u8 kMultiTrack = 0x80, kSkip = 0x20;                                    // in an opcode
inline constexpr u8 kImpliedSeek = 0x40, kNoPolling = 0x10, kFifoOff = 0x20;             // CONFIGURE
inline constexpr u8 kSectorSizeCode = 2;                                                 // N: 128 << 2 bytes

// Far quicker than a drive, and long enough for a driver that has written the last byte to get ready for the answer.
inline constexpr u64 kResetDelay = 20'000;  // ns
inline constexpr u64 kSeekDelay = 50'000;
inline constexpr u64 kStepDelay = 5'000;
inline constexpr u64 kStartDelay = 30'000;

}  // namespace umbra::fdc
