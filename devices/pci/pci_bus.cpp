#include "devices/pci/pci_bus.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u32 kEnable = 1u << 31;

u32 ones(unsigned size) { return size >= 4 ? 0xffffffffu : (1u << (size * 8)) - 1; }

}  // namespace

void PciBus::reset() {
  r_ = Regs{};
  if (mechanism2_changed_) mechanism2_changed_();
}

void PciBus::state(Archive& a) { a("address", r_.address)("enable2", r_.enable2)("forward2", r_.forward2); }

void PciBus::add(unsigned device, unsigned function, PciFunction& f) {
  CHECK(device < 32 && function < 8 && functions_[device][function] == nullptr);
  functions_[device][function] = &f;
  f.on_ranges_changed([this] {
    if (ranges_changed_) ranges_changed_();
  });
}

PciFunction* PciBus::selected() const {
  const u32 a = r_.address;
  if ((a & kEnable) == 0 || (a >> 16 & 0xff) != 0) return nullptr;
  return at(a >> 11 & 31, a >> 8 & 7);
}

// Port Cdrr: device d (0–15), register rr, function and bus from the enable registers.
PciFunction* PciBus::selected2(u32 offset) const {
  if ((r_.enable2 & 0xf0) == 0 || r_.forward2 != 0) return nullptr;
  return at(offset >> 8 & 15, r_.enable2 >> 1 & 7);
}

u32 PciBus::config_read(u32 offset, unsigned size) {
  if (offset >= 4) {
    PciFunction* f = selected();
    return f == nullptr ? ones(size) : f->config_read(static_cast<u8>((r_.address & 0xfc) + offset - 4), size);
  }
  if (offset == 0 && size == 4) return r_.address;
  if (size != 1) return ones(size);
  switch (offset) {
    case 0:
      return r_.enable2;
    case 1:
      return cf9_ != nullptr ? cf9_->read(0, 1) : 0xff;
    case 2:
      return r_.forward2;
    default:
      return 0xff;
  }
}

void PciBus::config_write(u32 offset, u32 value, unsigned size) {
  if (offset >= 4) {
    PciFunction* f = selected();
    if (f != nullptr) f->config_write(static_cast<u8>((r_.address & 0xfc) + offset - 4), value, size);
    return;
  }
  if (offset == 0 && size == 4) {  // only dwords reach mechanism 1's address
    r_.address = value & 0x80fffffc;
  } else if (size == 1) {
    if (offset == 0) {
      const bool was = mechanism2_enabled();
      r_.enable2 = static_cast<u8>(value);
      if (was != mechanism2_enabled() && mechanism2_changed_) mechanism2_changed_();
    }
    if (offset == 1 && cf9_ != nullptr) cf9_->write(0, value, 1);
    if (offset == 2) r_.forward2 = static_cast<u8>(value);
  }
}

u32 PciBus::mechanism2_read(u32 offset, unsigned size) {
  PciFunction* f = selected2(offset);
  return f == nullptr ? ones(size) : f->config_read(static_cast<u8>(offset), size);
}

void PciBus::mechanism2_write(u32 offset, u32 value, unsigned size) {
  PciFunction* f = selected2(offset);
  if (f != nullptr) f->config_write(static_cast<u8>(offset), value, size);
}

}  // namespace umbra
