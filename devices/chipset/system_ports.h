// The small ports of an AT board: 61h (speaker, timer 2 gate, NMI status), 92h (fast A20 and reset), 80h (POST code).
#pragma once

#include "devices/chipset/pit.h"
#include "devices/device.h"

namespace umbra {

// Port 61h. Bit 4 toggles with every refresh request, 15 µs apart: old software measures time by it.
class SystemControlB final : public Device, public BusTarget {
 public:
  SystemControlB(Clock& clock, Pit& pit) : clock_(clock), pit_(pit) {}
  const char* name() const override { return "port61"; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

  // What the speaker does: a tone of so many Hz, or 0. An audio back end may ask at any time.
  u32 speaker_hz() const;

 private:
  struct Regs {
    u8 control = 0;  // bits 0–3
  };
  Clock& clock_;
  Pit& pit_;
  Regs r_;
};

// Port 92h. A rising bit 0 resets the processor; bit 1 is one of the two sources of A20.
class SystemControlA final : public Device, public BusTarget {
 public:
  SystemControlA(Line a20, Line reset) : a20_(a20), reset_(reset) {}
  const char* name() const override { return "port92"; }
  void reset() override;
  void state(Archive& a) override;
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;

 private:
  struct Regs {
    u8 control = 0;
  };
  Line a20_, reset_;
  Regs r_;
};

// Port 80h: the last POST code, which also serves as a delay and reads back like the DMA page register it overlays.
class PostCode final : public Device, public BusTarget {
 public:
  const char* name() const override { return "post"; }
  void reset() override { code_ = 0; }
  void state(Archive& a) override { a("code", code_); }
  u32 read(u32 offset, unsigned size) override;
  void write(u32 offset, u32 value, unsigned size) override;
  u8 code() const { return code_; }

 private:
  u8 code_ = 0;
};

}  // namespace umbra
