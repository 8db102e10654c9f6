// A standard VGA with Bochs' VBE extensions (QEMU's "std" card, without its PCI function: see pci_vga.h).
//
// Video memory is one array of 32-bit words, the byte n of a word being plane n, as QEMU has it. A plane's address is
// the index of the word. Chain-4 puts consecutive bytes into consecutive bytes of the array, which makes mode 13h and
// the VBE modes plain linear memory that the board may map as RAM (`direct_window`). A real VGA leaves gaps there and
// skips them with the CRTC's doubleword addressing; that addressing is therefore the identity here, and only a program
// that mixes the two (chain-4 writes shown without doubleword addressing) can tell.
//
// The memory belongs to the board, which saves it with the rest of RAM. What is shown is found by comparing memory
// with a copy of what was last rendered, so nobody has to track writes.
// Left out on purpose: light pen, interlace, the borders' overscan colour, the vertical interrupt's IRQ line.
#pragma once

#include <functional>
#include <optional>

#include "devices/device.h"
#include "devices/video/crt_timing.h"
#include "devices/video/look.h"
#include "devices/video/screen.h"
#include "devices/video/vga_regs.h"

namespace umbra {

class Vga final : public Device, public Screen {
 public:
  static constexpr u32 kDefaultMemory = 16u << 20;
  struct DirectWindow {
    u32 offset, size;  // in the window at A0000
    u8* host;          // the video memory that shows there, readable and writable
    bool operator==(const DirectWindow&) const = default;
  };

  // `size` is a power of two, at least 256 KiB.
  Vga(Clock& clock, u8* memory, u32 size);

  const char* name() const override { return "vga"; }
  void reset() override;
  void state(Archive& a) override;

  BusTarget& ports() { return ports_; }        // 3B0–3DF
  BusTarget& dispi_ports() { return dispi_; }  // 1CE–1D0: index, data, data
  BusTarget& window() { return window_; }      // A0000–BFFFF
  u8* memory() { return memory_; }             // what the linear frame buffer shows
  u32 memory_size() const { return memory_size_; }

  // The part of the window that is plain memory just now; `changed` is called when the answer may have changed.
  std::optional<DirectWindow> direct_window() const;
  void on_window_change(std::function<void()> changed) { window_changed_ = std::move(changed); }

  u16 dispi_read(u16 index) const;
  void dispi_write(u16 index, u16 value);

  bool render(Frame& frame) override;
  TextScreen text() const override;

 private:
  // How the processor reaches memory, worked out when a register changes and not at each access.
  struct Access {
    u32 first = 0, size = 0;  // the decoded part of the window; size 0: none
    bool chain4 = false;
    bool odd_even_address = false, odd_even_read = false, odd_even_write = false;
    u32 bank = 0;    // in words for planes, in bytes for chain-4
    u32 mask = 0;    // of word indices, or of bytes for chain-4
    u32 planes = 0;  // 0xff for each plane that may be written
    u32 set_reset = 0, set_reset_enable = 0, bit_mask = 0;
    u8 write_mode = 0, function = 0, rotate = 0;
    bool plain = false;  // what is written to a plane is the processor's byte, and nothing else matters
    bool pairs = false;  // so it is, and two bytes in a row go to two planes of one word
  };

  u32 ports_read(u32 offset, unsigned size);
  void ports_write(u32 offset, u32 value, unsigned size);
  u8 port_read(u32 offset);
  void port_write(u32 offset, u8 value);
  void crtc_write(u8 value);
  void attr_write(u8 value);
  u8 crtc_read() const;
  u8 dac_read();
  void dac_write(u8 value);
  u8 status0() const;
  u8 status1() const;
  u32 dispi_port_read(u32 offset, unsigned size);
  void dispi_port_write(u32 offset, u32 value, unsigned size);

  u32 window_read(u32 offset, unsigned size);
  void window_write(u32 offset, u32 value, unsigned size);
  u32 plane_index(u32 at) const;
  void store_planes(u32 index, u32 data, u32 planes);
  u8 planar_read(u32 at);
  void planar_write(u32 at, u8 value);
  void update_access();
  void update_writes();
  u32 load_word(u32 index) const;
  void store_word(u32 index, u32 word);

  Look look() const;
  bool memory_changed(const Look& look);
  bool render_vbe(const Look& look, Frame& frame, bool all);

  Clock& clock_;
  u8* const memory_;
  const u32 memory_size_;
  VgaRegs r_;
  VbeRegs vbe_;
  u64 interrupt_armed_frame_ = 0;  // CRTC 11 bit 4 was last raised in this frame
  Access access_;
  std::function<void()> window_changed_;
  std::optional<DirectWindow> last_window_;

  Look shown_;            // what the last rendered frame was made from: registers
  std::vector<u8> copy_;  // and memory
  u64 version_ = 0;       // of the last frame handed out

  Region<Vga> ports_{this, &Vga::ports_read, &Vga::ports_write};
  Region<Vga> dispi_{this, &Vga::dispi_port_read, &Vga::dispi_port_write};
  Region<Vga> window_{this, &Vga::window_read, &Vga::window_write};
};

}  // namespace umbra
