#include "devices/storage/piix_ide.h"

namespace umbra {

void PiixIde::reset() {
  for (IdeChannel& channel : channels_) channel.reset();
}

void PiixIde::quiesce() {
  for (IdeChannel& channel : channels_) channel.quiesce();
}

void PiixIde::state(Archive& a) { a("primary", channels_[0])("secondary", channels_[1]); }

u32 PiixIde::bus_master_read(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= u32{channels_[(offset + i) / 8 % 2].bus_master().read((offset + i) % 8)} << (8 * i);
  return value;
}

void PiixIde::bus_master_write(u32 offset, u32 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i)
    channels_[(offset + i) / 8 % 2].bus_master().write((offset + i) % 8, static_cast<u8>(value >> (8 * i)));
}

}  // namespace umbra
