#include "devices/storage/bus_master.h"

#include <algorithm>
#include <utility>

namespace umbra {

u8 BusMaster::read(u32 offset) const {
  switch (offset) {
    case 0:
      return r_.command;
    case 2:
      return r_.status;
    case 4 ... 7:
      return static_cast<u8>(r_.table >> (8 * (offset - 4)));
    default:
      return 0xff;
  }
}

void BusMaster::write(u32 offset, u8 value) {
  switch (offset) {
    case 0: {
      const bool was_on = (r_.command & kStart) != 0;
      r_.command = value & (kStart | kToMemory);
      const bool on = (value & kStart) != 0;
      if (on && !was_on) {
        walk_ = {.table = r_.table};
        r_.status |= kActive;
        started_();
      } else if (!on) {
        r_.status &= ~kActive;
      }
      break;
    }
    case 2:  // interrupt and error are cleared by writing ones
      r_.status =
          static_cast<u8>((value & kDriveBits) | (r_.status & kActive) | (r_.status & ~value & (kError | kInterrupt)));
      break;
    case 4 ... 7: {
      const u32 shift = 8 * (offset - 4);
      r_.table = ((r_.table & ~(0xffu << shift)) | u32{value} << shift) & ~3u;
      break;
    }
    default:
      break;
  }
}

void BusMaster::reset() {
  r_ = {};
  walk_ = {};
}

void BusMaster::set_granted(bool on) {
  const bool was = std::exchange(granted_, on);
  if (on && !was && active()) started_();
}

bool BusMaster::next_region() {
  if (walk_.last) return false;
  u32 descriptor[2];
  memory_.read(Phys(walk_.table), descriptor, sizeof descriptor);
  walk_.table += sizeof descriptor;
  walk_.address = descriptor[0] & ~1u;
  walk_.left = descriptor[1] & 0xfffe;
  if (walk_.left == 0) walk_.left = 0x10000;
  walk_.last = (descriptor[1] >> 31) != 0;
  return true;
}

std::size_t BusMaster::to_memory(const u8* from, std::size_t size) {
  std::size_t moved = 0;
  while (moved < size && (walk_.left > 0 || next_region())) {
    const auto n = static_cast<u32>(std::min<std::size_t>(size - moved, walk_.left));
    memory_.write(Phys(walk_.address), from + moved, n);
    walk_.address += n;
    walk_.left -= n;
    moved += n;
  }
  return moved;
}

std::size_t BusMaster::from_memory(u8* to, std::size_t size) {
  std::size_t moved = 0;
  while (moved < size && (walk_.left > 0 || next_region())) {
    const auto n = static_cast<u32>(std::min<std::size_t>(size - moved, walk_.left));
    memory_.read(Phys(walk_.address), to + moved, n);
    walk_.address += n;
    walk_.left -= n;
    moved += n;
  }
  return moved;
}

void BusMaster::drive_done() {
  if (walk_.last && walk_.left == 0) r_.status &= ~kActive;
}

void BusMaster::table_short() { r_.status &= ~kActive; }

void BusMaster::state(Archive& a) {
  a("command", r_.command)("status", r_.status)("table", r_.table);
  a("walk_table", walk_.table)("walk_address", walk_.address)("walk_left", walk_.left)("walk_last", walk_.last);
}

}  // namespace umbra
