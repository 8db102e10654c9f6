#include "devices/pci/i440fx.h"

namespace umbra {
namespace {

constexpr u8 kPam0 = 0x59, kSmram = 0x72;
constexpr u8 kSmramOpen = 0x40, kSmramClosed = 0x20, kSmramLocked = 0x10;

}  // namespace

I440fx::I440fx()
    : PciFunction({.vendor = 0x8086,
                   .device = 0x1237,
                   .class_code = 0x060000,
                   .revision = 2,
                   .subsystem_vendor = 0x1af4,
                   .subsystem = 0x1100}) {
  define(0x50, 4, 0, 0xffffffff);  // PMCCFG, DETURBO, DBC
  define(0x54, 4, 0, 0xffffffff);  // AXC, DRT
  define(0x58, 1, 0, 0xff);        // DRAMC… timing
  for (u8 reg = kPam0; reg < kPam0 + 7; ++reg) define(reg, 1, 0, reg == kPam0 ? 0x30 : 0x33);
  for (u8 reg = 0x60; reg < 0x72; ++reg) define(reg, 1, 0, 0xff);  // row boundaries and types
  define(kSmram, 1, 0x02, 0x78);
}

void I440fx::reset() {
  locked_smram_ = 0;
  pci_reset();
  if (layout_changed_) layout_changed_();
}

void I440fx::state(Archive& a) {
  pci_state(a);
  a("locked_smram", locked_smram_);
  if (a.loading() && !a.failed() && layout_changed_) layout_changed_();
}

I440fx::Pam I440fx::pam(unsigned index) const {
  // PAM0 holds one range in its high nibble; the others two each, low nibble first.
  const u8 reg = static_cast<u8>(kPam0 + (index + 1) / 2);
  const u8 nibble = index % 2 == 0 ? config_byte(reg) >> 4 : config_byte(reg) & 15;
  const u32 base = index == 0 ? 0xf0000 : 0xc0000 + (index - 1) * 0x4000;
  return {base, index == 0 ? 0x10000u : 0x4000u, (nibble & 1) != 0, (nibble & 2) != 0};
}

bool I440fx::smram_open() const {
  const u8 smram = config_byte(kSmram);
  return (smram & kSmramOpen) != 0 && (smram & kSmramClosed) == 0;
}

void I440fx::config_written(u8 reg, unsigned size) {
  const auto touches = [&](u8 first, u8 last) { return reg <= last && reg + size > first; };
  if (touches(kSmram, kSmram)) {
    // D_LCK clears D_OPEN, and nothing but a reset changes the register again.
    if (locked_smram_ != 0)
      set(kSmram, 1, locked_smram_);
    else if ((config_byte(kSmram) & kSmramLocked) != 0)
      set(kSmram, 1, locked_smram_ = static_cast<u8>(config_byte(kSmram) & ~kSmramOpen));
  }
  if ((touches(kPam0, kPam0 + 6) || touches(kSmram, kSmram)) && layout_changed_) layout_changed_();
}

}  // namespace umbra
