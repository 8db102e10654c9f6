// The 8042 keyboard controller of a PS/2-class PC: two serial ports, command byte, output port with A20 and RESET#,
// translation of scan code set 2 to set 1. (IBM PS/2 Hardware Interface Technical Reference, Keyboard and Auxiliary
// Device Controller.) Devices are polled for bytes whenever the output buffer is free, so no byte is ever overwritten.
#pragma once

#include "devices/device.h"
#include "devices/input/ps2_queue.h"

namespace umbra {

class I8042 final : public Device {
 public:
  struct Wires {
    Line irq1, irq12, a20, reset;
  };
  I8042(Clock& clock, const Wires& wires);
  void connect(Ps2Port& keyboard, Ps2Port& mouse) { keyboard_ = &keyboard, mouse_ = &mouse; }

  const char* name() const override { return "i8042"; }
  void reset() override;
  void state(Archive& a) override;
  BusTarget& data_port() { return data_port_; }        // 60h
  BusTarget& command_port() { return command_port_; }  // 64h

  // A device has (perhaps) something to send.
  void device_ready() { fill(); }

  enum Source : u8 { kNone, kController, kKeyboard, kMouse };
  struct Regs {
    u8 status = 0;  // bits 2, 3 and 4; the others follow from the buffers
    u8 command_byte = 0;
    u8 output_port = 0;
    u8 output = 0;  // the output buffer
    Source output_source = kNone;
    u8 expects = 0;    // the command whose parameter comes next, 0 for none
    Ps2Queue answers;  // of the controller itself, or looped back (D2h, D3h)
    u8 answers_as_mouse = 0;
    std::array<u8, 32> ram{};
    bool break_prefix = false;  // translation: F0 seen
  };
  const Regs& regs() const { return r_; }

 private:
  u32 data_read(u32 offset, unsigned size);
  void data_write(u32 offset, u32 value, unsigned size);
  u32 status_read(u32 offset, unsigned size);
  void command_write(u32 offset, u32 value, unsigned size);
  void command(u8 value);
  void parameter(u8 command, u8 value);
  void answer(u8 byte, bool as_mouse = false);
  void write_output_port(u8 value);
  u8 output_port() const;
  void fill();
  bool next_keyboard_byte(u8& byte);
  void update_irq();
  u8 status() const;

  Line irq1_, irq12_, a20_, reset_;
  Ps2Port* keyboard_ = nullptr;
  Ps2Port* mouse_ = nullptr;
  Timer pause_;
  Regs r_;
  Region<I8042> data_port_{this, &I8042::data_read, &I8042::data_write};
  Region<I8042> command_port_{this, &I8042::status_read, &I8042::command_write};
};

// Scan code set 2 to set 1, as the controller translates single bytes.
u8 translate_set2(u8 code);

}  // namespace umbra
