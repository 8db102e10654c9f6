// Two 8237A DMA controllers (Intel 231466) with the AT's page registers: channels 0–3 move bytes within 64 KiB,
// 5–7 words within 128 KiB, 4 is the cascade. Memory-to-memory transfers do not work on a PC (channel 0 is taken)
// and are left out. How devices take part is said in devices/dma.h.
#pragma once

#include <array>

#include "devices/device.h"
#include "devices/dma.h"

namespace umbra {

class Dma final : public Device {
 public:
  explicit Dma(GuestMemory& memory);

  const char* name() const override { return "dma"; }
  void reset() override;
  void state(Archive& a) override;

  void connect(unsigned channel, DmaRequester& device) { devices_[channel] = &device; }
  DmaLine& line(unsigned channel) { return lines_[channel]; }

  BusTarget& low_ports() { return low_ports_; }    // 00h–0Fh
  BusTarget& high_ports() { return high_ports_; }  // C0h–DFh
  BusTarget& page_ports() { return page_ports_; }  // 80h–8Fh without 80h itself, which the POST code port also hears

  struct Channel {
    u16 base_address = 0, address = 0;
    u16 base_count = 0, count = 0;
    u8 mode = 0;
    u8 page = 0;
  };
  struct Controller {
    u8 command = 0, mask = 15, request = 0, terminal_count = 0, dreq = 0;
    bool flip_flop = false;
    std::array<Channel, 4> channel;
  };
  struct Regs {
    Controller controller[2];
    std::array<u8, 16> page_latch{};  // all sixteen page registers hold what is written
  };
  const Regs& regs() const { return r_; }

 private:
  class Wire final : public DmaLine {
   public:
    void set_dreq(bool level) override { owner->set_dreq(channel, level); }
    Dma* owner = nullptr;
    unsigned channel = 0;
  };

  u32 low_read(u32 offset, unsigned size);
  void low_write(u32 offset, u32 value, unsigned size);
  u32 high_read(u32 offset, unsigned size);
  void high_write(u32 offset, u32 value, unsigned size);
  u32 page_read(u32 offset, unsigned size);
  void page_write(u32 offset, u32 value, unsigned size);
  u8 read_register(Controller& c, u32 reg);
  void write_register(Controller& c, u32 reg, u8 value);
  void master_clear(Controller& c);
  void set_dreq(unsigned channel, bool level);
  bool enabled(unsigned channel) const;
  void run(unsigned channel);
  void run_round(unsigned channel);
  bool move(unsigned channel);
  void all_run(unsigned controller);

  GuestMemory& memory_;
  std::array<Wire, 8> lines_;
  std::array<DmaRequester*, 8> devices_{};
  bool running_ = false;  // inside a device's dma_transfer: requests are noted in `again_`
  u8 again_ = 0;
  Regs r_;
  Region<Dma> low_ports_{this, &Dma::low_read, &Dma::low_write};
  Region<Dma> high_ports_{this, &Dma::high_read, &Dma::high_write};
  Region<Dma> page_ports_{this, &Dma::page_read, &Dma::page_write};
};

}  // namespace umbra
