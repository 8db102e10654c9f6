// The PCI function around the VGA, as QEMU's "-device VGA": BAR 0 is the linear frame buffer, BAR 2 mirrors EDID,
// the VGA's ports and dispi for drivers that want no legacy ports, the ROM is the VGA BIOS.
#pragma once

#include "devices/pci/pci.h"
#include "devices/video/edid.h"
#include "devices/video/vga.h"

namespace umbra {

class PciVga final : public Device, public PciFunction {
 public:
  PciVga(Vga& vga, std::vector<u8> rom);

  const char* name() const override { return "vga-pci"; }
  void reset() override { pci_reset(); }
  void state(Archive& a) override { pci_state(a); }

 private:
  u32 frame_buffer_read(u32 offset, unsigned size);
  void frame_buffer_write(u32 offset, u32 value, unsigned size);
  u32 registers_read(u32 offset, unsigned size);
  void registers_write(u32 offset, u32 value, unsigned size);

  Vga& vga_;
  const std::array<u8, 128> edid_ = make_edid();
  Region<PciVga> frame_buffer_{this, &PciVga::frame_buffer_read, &PciVga::frame_buffer_write};
  Region<PciVga> registers_{this, &PciVga::registers_read, &PciVga::registers_write};
};

}  // namespace umbra
