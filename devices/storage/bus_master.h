// One channel of the PIIX bus master IDE function (Intel 82371FB/SB, "Bus Master IDE Function"; SFF-8038i): eight I/O
// registers and the walk through a table of physical region descriptors. Memory is reached through GuestMemory, so a
// descriptor that points at device registers moves nothing. The walk ends: every descriptor stands for at least two
// bytes, and the drive asks for a bounded number of them.
#pragma once

#include <functional>

#include "cpu/base/archive.h"
#include "cpu/base/bus.h"

namespace umbra {

class BusMaster {
 public:
  // `started`: the guest has set the start bit; a drive that waits may now move data.
  BusMaster(GuestMemory& memory, std::function<void()> started) : memory_(memory), started_(std::move(started)) {}

  u8 read(u32 offset) const;
  void write(u32 offset, u8 value);
  void reset();
  void state(Archive& a);

  // The function's right to the PCI bus, which its command register gives. A transfer without it waits.
  void set_granted(bool on);

  // The drive's side. Fewer bytes than asked for: the table has ended.
  bool active() const { return granted_ && (r_.status & kActive) != 0; }
  std::size_t to_memory(const u8* from, std::size_t size);
  std::size_t from_memory(u8* to, std::size_t size);
  void drive_done();   // the command is over; Active stays set if the table describes more than was moved
  void table_short();  // the table ended before the command
  void drive_failed() { r_.status |= kError; }
  void interrupt() { r_.status |= kInterrupt; }  // rising edge of the drive's INTRQ

  static constexpr u8 kStart = 0x01, kToMemory = 0x08;                   // command
  static constexpr u8 kActive = 0x01, kError = 0x02, kInterrupt = 0x04;  // status
  static constexpr u8 kDriveBits = 0x60;                                 // "drive n can do DMA", kept for the BIOS

 private:
  bool next_region();

  GuestMemory& memory_;
  std::function<void()> started_;
  bool granted_ = true;  // a copy of configuration space's bit
  struct Regs {
    u8 command = 0;
    u8 status = 0;
    u32 table = 0;
  } r_;
  struct Walk {
    u32 table = 0;  // the next descriptor
    u32 address = 0;
    u32 left = 0;  // bytes in the current region
    bool last = false;
  } walk_;
};

}  // namespace umbra
