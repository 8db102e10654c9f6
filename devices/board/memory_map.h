// What lies where in physical memory: RAM under the PCI hole, the VGA window, shadow RAM by the host bridge's PAM
// registers, firmware at both tops, the APICs, and memory BARs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "devices/chipset/hpet.h"
#include "devices/chipset/ioapic.h"
#include "devices/chipset/lapic.h"
#include "devices/pci/i440fx.h"
#include "devices/pci/pci_bus.h"
#include "devices/video/vga.h"
#include "mmu/phys.h"

namespace umbra {

class MemoryMap {
 public:
  // File offsets in `memory`: RAM first, then video memory, then the firmware's image.
  MemoryMap(PhysicalMemory& memory, u64 ram, u64 vga_offset, u64 bios_offset, u64 bios_size);

  void set_vga(Vga* vga) { vga_ = vga; }
  void add_fixed(u32 at, u32 size, BusTarget& target, const char* name);
  void lay(const I440fx& bridge);            // everything, at power-on and when restored
  void update_shadow(const I440fx& bridge);  // PAM or SMRAM changed
  void update_vga(const I440fx& bridge);     // the card's plain window changed
  void update_bars(const PciBus& bus);
  void move_local_apic(std::optional<u32> at, BusTarget& lapic);

  std::string describe() const;

 private:
  // Reads show the firmware's ROM, writes go to the RAM below: how firmware copies itself.
  class ShadowWriter final : public BusTarget {
   public:
    ShadowWriter(PhysicalMemory& memory, u64 rom, u64 rom_end) : memory_(memory), rom_(rom), rom_end_(rom_end) {}
    u32 read(u32 offset, unsigned size) override;
    void write(u32 offset, u32 value, unsigned size) override;

   private:
    PhysicalMemory& memory_;
    u64 rom_, rom_end_;  // file offsets of what shows at the end of the first megabyte
  };
  struct Fixed {
    u32 at, size;
    BusTarget* target;
    const char* name;
  };
  void lay_fixed();
  void lay_segment(const I440fx::Pam& pam);

  PhysicalMemory& memory_;
  u64 ram_, vga_offset_, bios_offset_, bios_size_;
  u64 low_bios_offset_;
  ShadowWriter shadow_writer_;
  Vga* vga_ = nullptr;
  std::vector<Fixed> fixed_;
  std::vector<PciRange> bars_;
  std::optional<u32> lapic_at_;
  BusTarget* lapic_ = nullptr;
  // What is laid now, so that nothing is laid twice: each change throws derived code away.
  std::optional<I440fx::Pam> laid_[I440fx::kPams];
  std::optional<Vga::DirectWindow> laid_window_;
  bool laid_smram_ = false;
  bool vga_laid_ = false;
};

}  // namespace umbra
