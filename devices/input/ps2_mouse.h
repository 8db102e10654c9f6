// The PS/2 mouse: stream, remote and wrap modes, scaling and resolution, and the Microsoft extensions that a driver
// unlocks with its knock of sample rates (200, 100, 80: wheel; then 200, 200, 80: five buttons).
#pragma once

#include <array>
#include <functional>

#include "devices/device.h"
#include "devices/input/input.h"
#include "devices/input/ps2_queue.h"

namespace umbra {

class Ps2Mouse final : public Device, public Ps2Port, public PointerSink {
 public:
  explicit Ps2Mouse(std::function<void()> ready) : ready_(std::move(ready)) {}

  const char* name() const override { return "ps2mouse"; }
  void reset() override;
  void state(Archive& a) override;
  void send(u8 byte) override;
  bool available() const override { return !r_.queue.empty(); }
  u8 take() override;
  void move(int dx, int dy, int dz) override;
  void buttons(u32 mask) override;

  bool streaming() const { return r_.enabled && !r_.remote && !r_.wrap; }

  struct Regs {
    Ps2Queue queue;
    bool enabled = false, remote = false, wrap = false, scale21 = false;
    u8 resolution = 2;
    u8 sample_rate = 100;
    u8 id = 0;     // 0 plain, 3 wheel, 4 five buttons
    u8 knock = 0;  // how far the driver is in its sequence
    u8 expects = 0;
    i32 dx = 0, dy = 0, dz = 0;  // not yet reported; dy upwards
    u8 buttons = 0, reported_buttons = 0;
    u8 last_sent = 0;
  };
  const Regs& regs() const { return r_; }

 private:
  void defaults();
  void parameter(u8 command, u8 value);
  void knock(u8 rate);
  void report(bool scaled);
  void stream();
  bool moved() const { return r_.dx != 0 || r_.dy != 0 || r_.dz != 0 || r_.buttons != r_.reported_buttons; }

  std::function<void()> ready_;
  Regs r_;
};

}  // namespace umbra
