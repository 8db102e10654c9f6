// The PC's parallel port in its standard (Centronics) mode: a byte goes to the host end with each strobe; the printer
// is always ready, and answers with ACK# at once. EPP and ECP modes are left out.
#pragma once

#include "devices/device.h"
#include "devices/serial/chardev.h"

namespace umbra {

class Parallel final : public Device, public BusTarget {
 public:
  Parallel(Line irq, const char* name) : name_(name), irq_(irq) {}
  void connect(CharDev* host) { host_ = host; }

  const char* name() const override { return name_; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

 private:
  struct Regs {
    u8 data = 0;
    u8 control = 0x0c;
    bool busy = false;  // the host end refused the last byte
  };
  void strobe();

  const char* name_;
  Line irq_;
  CharDev* host_ = nullptr;
  Regs r_;
};

}  // namespace umbra
