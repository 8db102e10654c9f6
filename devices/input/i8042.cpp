#include "devices/input/i8042.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

// Status register.
constexpr u8 kObf = 0x01, kSystem = 0x04, kCommandData = 0x08, kUnlocked = 0x10, kAuxObf = 0x20;
// Command byte.
constexpr u8 kIntKeyboard = 0x01, kIntMouse = 0x02, kSystemFlag = 0x04, kKeyboardOff = 0x10, kMouseOff = 0x20,
             kTranslate = 0x40;
// Output port.
constexpr u8 kResetHigh = 0x01, kA20 = 0x02, kIrq12 = 0x20, kIrq1 = 0x10;

// Between two bytes of a device: the line takes about a millisecond for each; software copes with less, but old
// handlers that enable interrupts early must not meet the next byte within the same interrupt.
constexpr u64 kBytePause = 100'000;

constexpr u8 kSet2ToSet1[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,  // 00
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,  // 10
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,  // 20
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,  // 30
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,  // 40
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,  // 50
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,  // 60
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,  // 70
    0x80, 0x81, 0x82, 0x41, 0x54,                                                                    // 80
};

}  // namespace

u8 translate_set2(u8 code) { return code < sizeof kSet2ToSet1 ? kSet2ToSet1[code] : code; }

I8042::I8042(Clock& clock, const Wires& wires)
    : irq1_(wires.irq1), irq12_(wires.irq12), a20_(wires.a20), reset_(wires.reset), pause_(clock, [this] { fill(); }) {
  r_.output_port = kResetHigh | kA20 | 0xcc;
}

void I8042::reset() {
  r_ = Regs{};
  r_.command_byte = kIntKeyboard | kIntMouse | kTranslate;
  r_.status = kUnlocked;
  pause_.stop();
  write_output_port(kResetHigh | kA20 | 0xcc);
  update_irq();
}

void I8042::state(Archive& a) {
  a("status", r_.status)("command_byte", r_.command_byte)("output_port", r_.output_port)("output", r_.output);
  a("output_source", r_.output_source)("expects", r_.expects)("answers", r_.answers);
  a("answers_as_mouse", r_.answers_as_mouse)("ram", r_.ram)("break_prefix", r_.break_prefix)("pause", pause_);
  a.require(r_.output_source <= kMouse, "i8042 output source");
  if (a.failed())
    r_.output_source = kNone;
  else if (a.loading())
    a20_.set(bit(r_.output_port, 1));
}

u8 I8042::status() const {
  u8 s = r_.status;
  if (r_.output_source != kNone) s |= kObf;
  if (r_.output_source == kMouse) s |= kAuxObf;
  return s;
}

void I8042::update_irq() {
  const bool mouse = r_.output_source == kMouse;
  const bool keyboard = r_.output_source == kKeyboard || r_.output_source == kController;
  irq1_.set(keyboard && (r_.command_byte & kIntKeyboard) != 0);
  irq12_.set(mouse && (r_.command_byte & kIntMouse) != 0);
}

// A byte from the keyboard on its way through the translator; false when nothing comes out (the F0 prefix).
bool I8042::next_keyboard_byte(u8& byte) {
  byte = keyboard_->take();
  if ((r_.command_byte & kTranslate) == 0) return true;
  if (byte == 0xf0) {
    r_.break_prefix = true;
    return false;
  }
  const u8 translated = translate_set2(byte);
  byte = r_.break_prefix ? translated | 0x80 : translated;
  r_.break_prefix = false;
  return true;
}

// Refills the output buffer: the controller's own answers first, then the keyboard, then the mouse.
void I8042::fill() {
  if (r_.output_source != kNone) return;
  if (!r_.answers.empty()) {
    const bool mouse = r_.answers_as_mouse != 0;
    r_.output = r_.answers.pop();
    r_.output_source = mouse ? kMouse : kController;
    if (r_.answers.empty()) r_.answers_as_mouse = 0;
    return update_irq();
  }
  if (pause_.armed()) return;
  while ((r_.command_byte & kKeyboardOff) == 0 && keyboard_ != nullptr && keyboard_->available()) {
    u8 byte = 0;
    if (!next_keyboard_byte(byte)) continue;
    r_.output = byte;
    r_.output_source = kKeyboard;
    return update_irq();
  }
  if ((r_.command_byte & kMouseOff) == 0 && mouse_ != nullptr && mouse_->available()) {
    r_.output = mouse_->take();
    r_.output_source = kMouse;
    update_irq();
  }
}

void I8042::answer(u8 byte, bool as_mouse) {
  r_.answers.push(byte);
  r_.answers_as_mouse = as_mouse ? 1 : 0;
  fill();
}

u8 I8042::output_port() const {
  u8 value = static_cast<u8>(r_.output_port & ~(kIrq1 | kIrq12));
  if (r_.output_source == kMouse)
    value |= kIrq12;
  else if (r_.output_source != kNone)
    value |= kIrq1;
  return value;
}

void I8042::write_output_port(u8 value) {
  r_.output_port = value;
  a20_.set(bit(value, 1));
  if (!bit(value, 0)) reset_.pulse();
}

u32 I8042::data_read(u32, unsigned) {
  const u8 value = r_.output;  // an empty buffer shows the last byte again
  if (r_.output_source == kNone) return value;
  const bool from_device = r_.output_source != kController;
  r_.output_source = kNone;
  update_irq();
  // Commands' answers follow at once; keys and movements with the cable's pace.
  if (from_device) pause_.after(kBytePause);
  fill();
  return value;
}

u32 I8042::status_read(u32, unsigned) {
  if (r_.output_source == kNone) {
    // Software that polls need not wait for the pause: it is there for interrupt handlers only.
    pause_.stop();
    fill();
  }
  return status();
}

void I8042::data_write(u32, u32 value, unsigned) {
  const u8 byte = static_cast<u8>(value);
  r_.status = static_cast<u8>(r_.status & ~kCommandData);
  if (r_.expects != 0) {
    const u8 command = r_.expects;
    r_.expects = 0;
    return parameter(command, byte);
  }
  r_.command_byte = static_cast<u8>(r_.command_byte & ~kKeyboardOff);  // talking to the keyboard enables its clock
  if (keyboard_ != nullptr) keyboard_->send(byte);
  pause_.stop();
  fill();
}

void I8042::command_write(u32, u32 value, unsigned) {
  r_.status |= kCommandData;
  r_.expects = 0;
  command(static_cast<u8>(value));
}

void I8042::command(u8 value) {
  if (value >= 0xf0) {  // pulse output lines low: only RESET# (bit 0) matters
    if (!bit(value, 0)) reset_.pulse();
    return;
  }
  if (value >= 0x20 && value <= 0x3f) return answer(value == 0x20 ? r_.command_byte : r_.ram[value & 31]);
  if (value >= 0x60 && value <= 0x7f) {
    r_.expects = value;
    return;
  }
  switch (value) {
    case 0xa7:
      r_.command_byte |= kMouseOff;
      break;
    case 0xa8:
      r_.command_byte = static_cast<u8>(r_.command_byte & ~kMouseOff);
      fill();
      break;
    case 0xa9:
      answer(0x00);
      break;    // mouse interface test: no error
    case 0xaa:  // self-test
      r_.status |= kSystem;
      answer(0x55);
      break;
    case 0xab:
      answer(0x00);
      break;  // keyboard interface test
    case 0xad:
      r_.command_byte |= kKeyboardOff;
      break;
    case 0xae:
      r_.command_byte = static_cast<u8>(r_.command_byte & ~kKeyboardOff);
      fill();
      break;
    case 0xc0:
      answer(0x80);
      break;  // input port: keyboard not locked
    case 0xd0:
      answer(output_port());
      break;
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xd4:
      r_.expects = value;
      break;
    case 0xdd:
      write_output_port(static_cast<u8>(r_.output_port & ~kA20));
      break;
    case 0xdf:
      write_output_port(r_.output_port | kA20);
      break;
    default:
      if (log_on(Log::kGuestErrors)) guest_oddity("i8042: command %02x does nothing", value);
  }
}

void I8042::parameter(u8 command, u8 value) {
  if (command >= 0x60 && command <= 0x7f) {
    r_.ram[command & 31] = value;
    if (command != 0x60) return;
    r_.command_byte = value;
    r_.status |= value & kSystemFlag;  // stays once the self-test has passed, whatever firmware writes here
    update_irq();
    return fill();
  }
  switch (command) {
    case 0xd1:
      write_output_port(value);
      break;
    case 0xd2:
      answer(value);
      break;  // as if from the keyboard
    case 0xd3:
      answer(value, true);
      break;  // as if from the mouse
    default:  // D4h
      r_.command_byte = static_cast<u8>(r_.command_byte & ~kMouseOff);
      if (mouse_ != nullptr) mouse_->send(value);
      pause_.stop();
      fill();
  }
}

}  // namespace umbra
