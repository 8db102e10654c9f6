// The 82441FX host bridge (Intel 290549) as far as software can tell: PAM registers that shadow C0000–FFFFF, and
// SMRAM. DRAM timing and AGP-era registers hold what is written.
#pragma once

#include <array>
#include <functional>

#include "devices/device.h"
#include "devices/pci/pci.h"

namespace umbra {

class I440fx final : public Device, public PciFunction {
 public:
  I440fx();
  const char* name() const override { return "i440fx"; }
  void reset() override;
  void state(Archive& a) override;

  struct Pam {
    u32 base, size;
    bool read_ram, write_ram;
  };
  static constexpr unsigned kPams = 13;
  Pam pam(unsigned index) const;  // F0000 (64 KiB) first, then C0000–EFFFF in steps of 16 KiB
  bool smram_open() const;        // RAM and not the VGA shows at A0000–BFFFF
  void on_layout_changed(std::function<void()> f) { layout_changed_ = std::move(f); }

 protected:
  void config_written(u8 reg, unsigned size) override;

 private:
  std::function<void()> layout_changed_;
  u8 locked_smram_ = 0;
};

}  // namespace umbra
