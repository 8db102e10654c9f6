#include "devices/pci/piix3.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u8 kPirqRoute = 0x60;
constexpr u8 kRouteOff = 0x80;
constexpr u16 kRoutable = 0xdef8;  // 3–7, 9–12, 14, 15

}  // namespace

Piix3::Piix3(LineSink& isa_irqs, Line reset)
    : PciFunction({.vendor = 0x8086,
                   .device = 0x7000,
                   .class_code = 0x060100,
                   .subsystem_vendor = 0x1af4,
                   .subsystem = 0x1100,
                   .multifunction = true,
                   .status = kMediumDevsel}),
      isa_(isa_irqs),
      reset_(reset) {
  define(0x4c, 1, 0x4d, 0xff);      // ISA recovery
  define(0x4e, 2, 0x0003, 0xffff);  // X-bus chip select
  for (u8 i = 0; i < 4; ++i) define(kPirqRoute + i, 1, kRouteOff, 0x8f);
  define(0x69, 1, 0x02, 0xfe);
  define(0x70, 1, kRouteOff, 0xcf);
  define(0x76, 2, 0x0c0c, 0x8f8f);
  define(0x78, 4, 0x00000002, 0xffffffff);  // programmable chip select
  define(0x80, 1, 0, 0x7f);
  define(0x82, 1, 0, 0x0f);
  define(0xa0, 4, 0x00000008, 0xffffffff);
  define(0xa4, 4, 0, 0xffffffff);
  define(0xa8, 4, 0x0000000f, 0xffffffff);
  define(0xac, 4, 0, 0xffffffff);
}

void Piix3::reset() {
  rcr_ = 0;
  pci_reset();
  update();
}

void Piix3::state(Archive& a) {
  pci_state(a);
  a("wires", wires_)("routed", routed_)("rcr", rcr_);
}

void Piix3::set_line(unsigned input, bool level) {
  const unsigned pirq = input & 3, wire = input >> 2;
  if (wire >= kWires) return;
  wires_[pirq] = with_bit(wires_[pirq], wire, level);
  update();
}

void Piix3::update() {
  u16 now = 0;
  for (u8 pirq = 0; pirq < 4; ++pirq) {
    const u8 route = config_byte(static_cast<u8>(kPirqRoute + pirq));
    if (wires_[pirq] != 0 && (route & kRouteOff) == 0) now = with_bit<u16>(now, route & 15, true);
  }
  now &= kRoutable;
  const u16 changed = now ^ routed_;
  routed_ = now;
  for (unsigned irq = 0; irq < 16; ++irq)
    if (bit(changed, irq)) isa_.set_line(irq, bit(now, irq));
}

void Piix3::config_written(u8 reg, unsigned size) {
  if (reg < kPirqRoute + 4 && reg + size > kPirqRoute) update();
}

u32 Piix3::reset_read(u32, unsigned) { return rcr_; }

void Piix3::reset_write(u32, u32 value, unsigned) {
  const bool go = bit(value, 2) && !bit(rcr_, 2);
  rcr_ = value & 2;  // bit 1 (hard or soft) stays, bit 2 starts the reset
  if (go) reset_.pulse();
}

}  // namespace umbra
