// The PCI bus and the two ways into configuration space: mechanism 1 (CF8h/CFCh) and, for old software, mechanism 2
// (CF8h/CFAh with C000h–CFFFh). One bus without bridges; a function that does not exist reads as ones.
#pragma once

#include <functional>
#include <vector>

#include "devices/device.h"
#include "devices/pci/pci.h"

namespace umbra {

class PciBus final : public Device {
 public:
  PciBus() = default;

  const char* name() const override { return "pci"; }
  void reset() override;
  void state(Archive& a) override;

  void add(unsigned device, unsigned function, PciFunction& f);
  PciFunction* at(unsigned device, unsigned function) const { return functions_[device & 31][function & 7]; }
  template <class Visit>  // visit(device, function, PciFunction&)
  void each(Visit visit) const {
    for (unsigned d = 0; d < 32; ++d)
      for (unsigned f = 0; f < 8; ++f)
        if (functions_[d][f] != nullptr) visit(d, f, *functions_[d][f]);
  }
  // Called when any function's ranges changed.
  void on_ranges_changed(std::function<void()> f) { ranges_changed_ = std::move(f); }
  // Mechanism 2 decodes its ports only while its key is set: elsewhere they are free for BARs.
  void on_mechanism2_changed(std::function<void()> f) { mechanism2_changed_ = std::move(f); }
  bool mechanism2_enabled() const { return (r_.enable2 & 0xf0) != 0; }
  // CF9h lies inside the address register's dword and belongs to the PIIX.
  void connect_reset_control(BusTarget& cf9) { cf9_ = &cf9; }

  BusTarget& config_ports() { return config_ports_; }    // CF8h–CFFh
  BusTarget& mechanism2_ports() { return mechanism2_; }  // C000h–CFFFh

 private:
  u32 config_read(u32 offset, unsigned size);
  void config_write(u32 offset, u32 value, unsigned size);
  u32 mechanism2_read(u32 offset, unsigned size);
  void mechanism2_write(u32 offset, u32 value, unsigned size);
  PciFunction* selected() const;
  PciFunction* selected2(u32 offset) const;

  struct Regs {
    u32 address = 0;
    u8 enable2 = 0;   // CF8h as a byte: mechanism 2's key and function
    u8 forward2 = 0;  // CFAh: its bus
  };
  PciFunction* functions_[32][8] = {};
  BusTarget* cf9_ = nullptr;
  std::function<void()> ranges_changed_;
  std::function<void()> mechanism2_changed_;
  Regs r_;
  Region<PciBus> config_ports_{this, &PciBus::config_read, &PciBus::config_write};
  Region<PciBus> mechanism2_{this, &PciBus::mechanism2_read, &PciBus::mechanism2_write};
};

}  // namespace umbra
