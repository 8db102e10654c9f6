// What every PCI function is (PCI Local Bus 2.1, chapter 6): 256 bytes of configuration space with write masks, base
// address registers that size and move, an expansion ROM, one interrupt pin. A function says what lies behind its
// BARs; where they lie is the guest's choice, and the board maps whatever `ranges()` of all functions say.
//
//   class Vga : public Device, public PciFunction {
//     Vga() : PciFunction({.vendor = 0x1234, .device = 0x1111, .class_code = 0x030000}) {
//       add_memory_bar(0, vram_.size(), lfb_, {.ram = vram_.data(), .prefetchable = true});
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include "cpu/base/archive.h"
#include "cpu/base/bus.h"
#include "devices/irq.h"

namespace umbra {

struct PciIds {
  u16 vendor = 0;
  u16 device = 0;
  u32 class_code = 0;  // class, subclass, programming interface: 24 bits
  u8 revision = 0;
  u16 subsystem_vendor = 0;
  u16 subsystem = 0;
  u8 interrupt_pin = 0;  // 0 none, 1 INTA# … 4 INTD#
  bool multifunction = false;
  u16 status = 0;  // DEVSEL# timing and capabilities
};

enum class PciSpace : u8 { kIo, kMemory };

// A range the guest has placed and enabled.
struct PciRange {
  PciSpace space = PciSpace::kIo;
  u32 base = 0;
  u32 size = 0;
  BusTarget* target = nullptr;
  u8* ram = nullptr;      // set when the range is plain memory that may be mapped (a frame buffer, a ROM)
  bool rom = false;       // `ram` is not writable
  const char* name = "";  // for the monitor
};

// The usual values of the status register.
inline constexpr u16 kMediumDevsel = 0x0200, kFastBackToBack = 0x0080;

class PciFunction {
 public:
  static constexpr unsigned kBars = 6;
  static constexpr unsigned kRomBar = 6;

  explicit PciFunction(const PciIds& ids);
  virtual ~PciFunction() = default;
  PciFunction(const PciFunction&) = delete;
  PciFunction& operator=(const PciFunction&) = delete;

  u32 config_read(u8 reg, unsigned size);
  void config_write(u8 reg, u32 value, unsigned size);

  const std::vector<PciRange>& ranges() const { return ranges_; }
  struct BarView {
    PciSpace space;
    bool prefetchable;
    u32 base, size;
  };
  std::optional<BarView> bar(unsigned index) const;  // as the guest has set it, decoded or not
  u8 config_byte(u8 reg) const { return config_[reg]; }
  u16 vendor_id() const { return static_cast<u16>(get(0x00, 2)); }
  u16 device_id() const { return static_cast<u16>(get(0x02, 2)); }
  u16 class_id() const { return static_cast<u16>(get(0x0a, 2)); }
  bool bus_master_enabled() const { return (get(0x04, 2) & 4) != 0; }

  // The board's side: called whenever `ranges()` has changed; the wire of this function's interrupt pin.
  void on_ranges_changed(std::function<void()> f) { ranges_changed_ = std::move(f); }
  void connect_interrupt(Line intx) { intx_ = intx; }

 protected:
  struct BarOptions {
    u8* ram = nullptr;
    bool prefetchable = false;
    const char* name = "bar";
  };
  // `size` is a power of two: at least 16 for memory, 4 for I/O.
  void add_io_bar(unsigned index, u32 size, BusTarget& target, const char* name = "io bar");
  void add_memory_bar(unsigned index, u32 size, BusTarget& target, const BarOptions& options);
  void add_memory_bar(unsigned index, u32 size, BusTarget& target) {
    add_memory_bar(index, size, target, BarOptions());
  }
  void add_rom(std::vector<u8> image);  // padded to a power of two; empty: no ROM

  // Registers of the function's own: initial value and which bits the guest may write.
  void define(u8 reg, unsigned size, u32 value, u32 writable);
  // Bits that a write of one clears (as in the status register).
  void define_clear_on_one(u8 reg, unsigned size, u32 bits);
  u32 get(u8 reg, unsigned size) const;
  void set(u8 reg, unsigned size, u32 value);  // as the function itself, past the write mask

  // Ranges outside the BARs that the function decodes (PIIX4's PMBA): add to `ranges`, which holds the BARs already.
  virtual void add_ranges(std::vector<PciRange>& ranges) { (void)ranges; }
  // After a guest write; `reg` and `size` as given by the guest.
  virtual void config_written(u8 reg, unsigned size) { (void)reg, (void)size; }
  void update_ranges();

  void set_intx(bool level);  // the status bit and INTx#, unless disabled in the command register

  // A derived device calls these from its own reset() and state().
  void pci_reset();
  void pci_state(Archive& a);

 private:
  struct Bar {
    PciSpace space = PciSpace::kMemory;
    u32 size = 0;  // 0: there is none
    BusTarget* target = nullptr;
    u8* ram = nullptr;
    const char* name = "";
  };
  class RomTarget final : public BusTarget {
   public:
    std::vector<u8> image;
    u32 read(u32 offset, unsigned size) override;
    void write(u32, u32, unsigned) override {}
  };

  static unsigned bar_register(unsigned index) { return index == kRomBar ? 0x30 : 0x10 + index * 4; }

  std::array<u8, 256> config_{};
  std::array<u8, 256> initial_{};
  std::array<u8, 256> writable_{};
  std::array<u8, 256> clear_on_one_{};
  std::array<Bar, kBars + 1> bars_{};
  RomTarget rom_;
  std::vector<PciRange> ranges_;
  std::function<void()> ranges_changed_;
  Line intx_;
  bool intx_level_ = false;
};

}  // namespace umbra
