// The 16550A UART (National Semiconductor PC16550D). Bytes leave as fast as the host takes them; the divisor only
// times the receiver's "character timeout". The host end is a CharDev.
#pragma once

#include <array>

#include "devices/device.h"
#include "devices/serial/chardev.h"

namespace umbra {

class Uart16550 final : public Device, public BusTarget {
 public:
  static constexpr unsigned kFifoSize = 16;

  Uart16550(Clock& clock, Line irq, const char* name);
  void connect(CharDev* host);  // null: nothing plugged in

  const char* name() const override { return name_; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

  struct Fifo {
    std::array<u8, kFifoSize> data{};
    u8 head = 0, count = 0;
    bool push(u8 byte);
    u8 pop();
    void clear() { head = count = 0; }
    void state(Archive& a);
  };
  struct Regs {
    u8 ier = 0, fcr = 0, lcr = 0, mcr = 0, lsr = 0, msr = 0, scr = 0;
    u16 divisor = 12;
    u8 thr = 0;  // waits for the host
    u8 rbr = 0;
    bool thre_pending = false;  // THR empty since IIR was last read or THR written
    bool timed_out = false;     // bytes below the trigger level have waited long enough
    Fifo rx, tx;
  };
  const Regs& regs() const { return r_; }

 private:
  bool fifos() const { return (r_.fcr & 1) != 0; }
  bool loopback() const { return (r_.mcr & 0x10) != 0; }
  unsigned trigger_level() const;
  u64 character_time() const;
  std::size_t room() const;
  void receive(u8 byte);
  u8 read_rbr();
  void write_thr(u8 value);
  void transmit();
  void write_fcr(u8 value);
  void write_mcr(u8 value);
  u8 modem_inputs() const;
  void update_modem();
  u8 interrupt_id() const;
  u8 read_iir();
  void update_irq();

  const char* name_;
  Line irq_;
  CharDev* host_ = nullptr;
  Timer retry_;    // the host end took nothing
  Timer timeout_;  // of the receiver FIFO
  Regs r_;
};

}  // namespace umbra
