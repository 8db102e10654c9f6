// The 101/102-key PS/2 keyboard: scan code sets 1, 2 and 3, typematic repeat, LEDs, the whole command set (IBM PS/2
// Hardware Interface Technical Reference, 101/102-Key Keyboard). The host's own key repeat is dropped and made anew
// at the guest's rate, so a guest sees the delay it asked for.
#pragma once

#include <array>
#include <functional>

#include "devices/device.h"
#include "devices/input/input.h"
#include "devices/input/ps2_queue.h"

namespace umbra {

class Ps2Keyboard final : public Device, public Ps2Port, public KeySink {
 public:
  // `ready` tells the controller that there is something to take.
  Ps2Keyboard(Clock& clock, std::function<void()> ready);

  const char* name() const override { return "ps2kbd"; }
  void reset() override;
  void state(Archive& a) override;
  void send(u8 byte) override;
  bool available() const override { return !r_.queue.empty(); }
  u8 take() override;
  void key(Key key, bool down) override;

  u8 leds() const { return r_.leds; }  // bit 0 scroll lock, 1 num lock, 2 caps lock

  enum Set3Kind : u8 { kDefault, kTypematicOnly, kMakeBreak, kMakeOnly, kAll };
  struct Regs {
    Ps2Queue queue;
    bool enabled = true;
    u8 set = 2;
    u8 leds = 0;
    u8 typematic = 0x2b;  // 500 ms, 10.9 a second
    u8 expects = 0;       // the command whose parameter comes next
    u8 last_sent = 0;     // for RESEND
    Key repeating = kKeyNone;
    std::array<u8, 256> down{};       // 1: the key is held
    Set3Kind set3_all = kDefault;     // F7h–FAh
    std::array<u8, 256> set3_kind{};  // FBh–FDh, by scan code
  };
  const Regs& regs() const { return r_; }

 private:
  void answer(u8 byte);
  void defaults();
  void parameter(u8 command, u8 value);
  void emit(Key key, bool down);
  unsigned encode(Key key, bool down, u8* out) const;
  unsigned encode_set1(Key key, bool down, u8* out) const;
  unsigned encode_set2(Key key, bool down, u8* out) const;
  unsigned encode_set3(Key key, bool down, u8* out) const;
  bool typematic(Key key) const;
  bool held(Key key) const { return r_.down[key] != 0; }
  void repeat();

  std::function<void()> ready_;
  Timer repeat_;
  Regs r_;
};

}  // namespace umbra
