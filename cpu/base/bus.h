// What sits behind a port or an MMIO address. A target knows offsets inside its own range, never addresses; where a
// range lies is said by the board. Accesses are 1, 2 or 4 bytes and inside the range; the bus splits what is not.
#pragma once

#include <cstring>

#include "cpu/base/types.h"

namespace umbra {

class BusTarget {
 public:
  virtual ~BusTarget() = default;
  virtual u32 read(u32 offset, unsigned size) = 0;
  virtual void write(u32 offset, u32 value, unsigned size) = 0;

  // `count` accesses to one offset, as REP INS and REP OUTS make them; little-endian in memory. A device with a data
  // port overrides these to move whole sectors. Host memory only: the caller has checked its guest pages.
  virtual void read_block(u32 offset, u8* to, u32 count, unsigned size) {
    for (u32 i = 0; i < count; ++i) {
      const u32 value = read(offset, size);
      std::memcpy(to + std::size_t{i} * size, &value, size);
    }
  }
  virtual void write_block(u32 offset, const u8* from, u32 count, unsigned size) {
    for (u32 i = 0; i < count; ++i) {
      u32 value = 0;
      std::memcpy(&value, from + std::size_t{i} * size, size);
      write(offset, value, size);
    }
  }
};

// A target made of two member functions, for devices with several ranges:
//   Region<Fdc> control_{this, &Fdc::control_read, &Fdc::control_write};
template <class Owner>
class Region final : public BusTarget {
 public:
  using Read = u32 (Owner::*)(u32 offset, unsigned size);
  using Write = void (Owner::*)(u32 offset, u32 value, unsigned size);
  Region(Owner* owner, Read read, Write write) : owner_(owner), read_(read), write_(write) {}
  u32 read(u32 offset, unsigned size) override { return (owner_->*read_)(offset, size); }
  void write(u32 offset, u32 value, unsigned size) override { (owner_->*write_)(offset, value, size); }

 private:
  Owner* owner_;
  Read read_;
  Write write_;
};

// The processor's view of I/O ports. Reads of nothing are all ones.
class PortSpace {
 public:
  virtual ~PortSpace() = default;
  virtual u32 in(u16 port, unsigned size) = 0;
  virtual void out(u16 port, u32 value, unsigned size) = 0;
  virtual void in_block(u16 port, u8* to, u32 count, unsigned size) {  // REP INS: see BusTarget::read_block
    for (u32 i = 0; i < count; ++i) {
      const u32 value = in(port, size);
      std::memcpy(to + std::size_t{i} * size, &value, size);
    }
  }
  virtual void out_block(u16 port, const u8* from, u32 count, unsigned size) {
    for (u32 i = 0; i < count; ++i) {
      u32 value = 0;
      std::memcpy(&value, from + std::size_t{i} * size, size);
      out(port, value, size);
    }
  }
};

// Raw access to guest physical memory, for devices (DMA) and loaders. Never fails: holes read as ones, and what is
// written to a device range, ROM or hole through here is dropped (a bus master cannot reach device registers).
class GuestMemory {
 public:
  virtual ~GuestMemory() = default;
  virtual void read(Phys from, void* to, std::size_t size) = 0;
  virtual void write(Phys to, const void* from, std::size_t size) = 0;
};

}  // namespace umbra
