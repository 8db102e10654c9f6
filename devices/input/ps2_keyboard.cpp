#include "devices/input/ps2_keyboard.h"

#include <algorithm>

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u8 kAck = 0xfa, kResend = 0xfe, kSelfTestPassed = 0xaa, kOverrunSet1 = 0xff, kOverrun = 0x00;
constexpr unsigned kLongestSequence = 8;

// Set 2 make code of each key, by its set 1 code; those above 80h are sent after E0.
constexpr u8 kSet2[0x80] = {
    0x00, 0x76, 0x16, 0x1e, 0x26, 0x25, 0x2e, 0x36, 0x3d, 0x3e, 0x46, 0x45, 0x4e, 0x55, 0x66, 0x0d,  // 00
    0x15, 0x1d, 0x24, 0x2d, 0x2c, 0x35, 0x3c, 0x43, 0x44, 0x4d, 0x54, 0x5b, 0x5a, 0x14, 0x1c, 0x1b,  // 10
    0x23, 0x2b, 0x34, 0x33, 0x3b, 0x42, 0x4b, 0x4c, 0x52, 0x0e, 0x12, 0x5d, 0x1a, 0x22, 0x21, 0x2a,  // 20
    0x32, 0x31, 0x3a, 0x41, 0x49, 0x4a, 0x59, 0x7c, 0x11, 0x29, 0x58, 0x05, 0x06, 0x04, 0x0c, 0x03,  // 30
    0x0b, 0x83, 0x0a, 0x01, 0x09, 0x77, 0x7e, 0x6c, 0x75, 0x7d, 0x7b, 0x6b, 0x73, 0x74, 0x79, 0x69,  // 40
    0x72, 0x7a, 0x70, 0x71, 0x84, 0x60, 0x61, 0x78, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f,  // 50
    0x47, 0x4f, 0x56, 0x5e, 0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38, 0x40, 0x48, 0x50, 0x57, 0x6f,  // 60
    0x13, 0x19, 0x39, 0x51, 0x53, 0x5c, 0x5f, 0x62, 0x63, 0x64, 0x65, 0x67, 0x68, 0x6a, 0x6d, 0x6e,  // 70
};

// Set 3 where it is not the set 2 code of the plain key.
struct Set3Code {
  Key key;
  u8 code;
};
constexpr Set3Code kSet3[] = {
    {0x01, 0x08}, {0x3b, 0x07},      {0x3c, 0x0f}, {0x3d, 0x17}, {0x3e, 0x1f}, {0x3f, 0x27}, {0x40, 0x2f},
    {0x41, 0x37}, {0x42, 0x3f},      {0x43, 0x47}, {0x44, 0x4f}, {0x57, 0x56}, {0x58, 0x5e}, {kKeyPrint, 0x57},
    {0x46, 0x5f}, {kKeyPause, 0x62}, {0x2b, 0x5c}, {0x1d, 0x11}, {0x3a, 0x14}, {0x38, 0x19}, {0xb8, 0x39},
    {0x9d, 0x58}, {0x56, 0x13},      {0xd2, 0x67}, {0xd3, 0x64}, {0xcb, 0x61}, {0xc7, 0x6e}, {0xcf, 0x65},
    {0xc8, 0x63}, {0xd0, 0x60},      {0xc9, 0x6f}, {0xd1, 0x6d}, {0xcd, 0x6a}, {0x45, 0x76}, {0xb5, 0x77},
    {0x37, 0x7e}, {0x4a, 0x84},      {0x9c, 0x79}, {0x4e, 0x7c}, {0xdb, 0x8b}, {0xdc, 0x8c}, {0xdd, 0x8d},
};

// Of set 3's own defaults: modifiers make and break, the right-hand and function keys make only, the rest repeat.
bool set3_default_breaks(u8 code) {
  constexpr u8 kCodes[] = {0x11, 0x12, 0x14, 0x19, 0x59};
  return std::ranges::find(kCodes, code) != std::end(kCodes);
}

// Keys that a shift or num lock wraps into fake shifts in sets 1 and 2.
bool is_grey(Key key) { return (key >= 0xc7 && key <= 0xd3) && key != 0xca && key != 0xcc && key != 0xce; }

u64 nanos(u64 ms) { return ms * 1'000'000; }

}  // namespace

Ps2Keyboard::Ps2Keyboard(Clock& clock, std::function<void()> ready)
    : ready_(std::move(ready)), repeat_(clock, [this] { repeat(); }) {}

void Ps2Keyboard::reset() {
  r_ = Regs{};
  repeat_.stop();
}

void Ps2Keyboard::state(Archive& a) {
  a("queue", r_.queue)("enabled", r_.enabled)("set", r_.set)("leds", r_.leds)("typematic", r_.typematic);
  a("expects", r_.expects)("last_sent", r_.last_sent)("repeating", r_.repeating)("down", r_.down);
  a("set3_all", r_.set3_all)("set3_kind", r_.set3_kind)("repeat", repeat_);
  a.require(r_.set >= 1 && r_.set <= 3, "keyboard scan code set");
  a.require(r_.set3_all <= kAll, "keyboard key type");
  if (a.failed()) r_.set = 2, r_.set3_all = kDefault;
}

u8 Ps2Keyboard::take() {
  const u8 byte = r_.queue.pop();
  if (byte != kResend) r_.last_sent = byte;
  return byte;
}

void Ps2Keyboard::answer(u8 byte) { r_.queue.push(byte); }

void Ps2Keyboard::defaults() {
  r_.queue.clear();
  r_.typematic = 0x2b;
  r_.set = 2;
  r_.set3_all = kDefault;
  r_.set3_kind = {};
  r_.repeating = kKeyNone;
  repeat_.stop();
}

void Ps2Keyboard::send(u8 byte) {
  if (r_.expects != 0) {
    const u8 command = r_.expects;
    if (byte < 0x80 || command >= 0xfb) {
      if (command < 0xfb) r_.expects = 0;  // FBh–FDh take scan codes until the next command
      if (byte < 0x80 || (byte < 0xed && command >= 0xfb)) {
        parameter(command, byte);
        return ready_();
      }
    }
    r_.expects = 0;  // a new command instead of the parameter
  }
  switch (byte) {
    case 0xed:
    case 0xf0:
    case 0xf3:
    case 0xfb:
    case 0xfc:
    case 0xfd:
      r_.expects = byte;
      answer(kAck);
      break;
    case 0xee:
      answer(0xee);
      break;
    case 0xf2:
      answer(kAck);
      answer(0xab);
      answer(0x83);
      break;
    case 0xf4:
      r_.queue.clear();
      r_.enabled = true;
      answer(kAck);
      break;
    case 0xf5:
      defaults();
      r_.enabled = false;
      answer(kAck);
      break;
    case 0xf6:
      defaults();
      r_.enabled = true;
      answer(kAck);
      break;
    case 0xf7:
    case 0xf8:
    case 0xf9:
    case 0xfa:
      r_.set3_all = static_cast<Set3Kind>(byte - 0xf7 + kTypematicOnly);
      r_.set3_kind = {};
      answer(kAck);
      break;
    case 0xfe:
      answer(r_.last_sent);
      break;
    case 0xff:
      defaults();
      r_.enabled = true;
      r_.leds = 0;
      answer(kAck);
      answer(kSelfTestPassed);
      break;
    default:
      answer(kResend);
  }
  ready_();
}

void Ps2Keyboard::parameter(u8 command, u8 value) {
  switch (command) {
    case 0xed:
      r_.leds = value & 7;
      answer(kAck);
      break;
    case 0xf0:
      if (value > 3) return answer(kResend);
      answer(kAck);
      if (value == 0)
        answer(r_.set);
      else
        r_.set = value;
      break;
    case 0xf3:
      r_.typematic = value & 0x7f;
      answer(kAck);
      break;
    default:
      r_.set3_kind[value] = static_cast<u8>(command - 0xfb + kTypematicOnly);
      answer(kAck);
  }
}

unsigned Ps2Keyboard::encode_set1(Key key, bool down, u8* out) const {
  const u8 release = down ? 0 : 0x80;
  const bool alt = held(0x38) || held(0xb8), ctrl = held(0x1d) || held(0x9d), shift = held(0x2a) || held(0x36);
  unsigned n = 0;
  if (key == kKeyPause) {
    if (!down) return 0;
    if (ctrl) return std::copy_n("\xe0\x46\xe0\xc6", 4, out), 4;
    return std::copy_n("\xe1\x1d\x45\xe1\x9d\xc5", 6, out), 6;
  }
  if (key == kKeyPrint) {
    if (alt) return out[0] = 0x54 | release, 1;
    if (!ctrl && !shift && down) out[n++] = 0xe0, out[n++] = 0x2a;
    out[n++] = 0xe0;
    out[n++] = 0x37 | release;
    if (!ctrl && !shift && !down) out[n++] = 0xe0, out[n++] = 0xaa;
    return n;
  }
  const bool fake = is_grey(key) && !shift && (r_.leds & 2) != 0;  // num lock on: the cursor keys look shifted
  if (fake && down) out[n++] = 0xe0, out[n++] = 0x2a;
  if (key >= 0x80) out[n++] = 0xe0;
  out[n++] = (key & 0x7f) | release;
  if (fake && !down) out[n++] = 0xe0, out[n++] = 0xaa;
  return n;
}

unsigned Ps2Keyboard::encode_set2(Key key, bool down, u8* out) const {
  const bool alt = held(0x38) || held(0xb8), ctrl = held(0x1d) || held(0x9d), shift = held(0x2a) || held(0x36);
  unsigned n = 0;
  const auto put = [&](bool extended, u8 code, bool make) {
    if (extended) out[n++] = 0xe0;
    if (!make) out[n++] = 0xf0;
    out[n++] = code;
  };
  if (key == kKeyPause) {
    if (!down) return 0;
    if (ctrl) return std::copy_n("\xe0\x7e\xe0\xf0\x7e", 5, out), 5;
    return std::copy_n("\xe1\x14\x77\xe1\xf0\x14\xf0\x77", 8, out), 8;
  }
  if (key == kKeyPrint) {
    if (alt) return put(false, 0x84, down), n;
    const bool wrap = !ctrl && !shift;
    if (wrap && down) put(true, 0x12, true);
    put(true, 0x7c, down);
    if (wrap && !down) put(true, 0x12, false);
    return n;
  }
  const u8 code = kSet2[key & 0x7f];
  if (code == 0) return 0;
  const bool fake = is_grey(key) && !shift && (r_.leds & 2) != 0;
  if (fake && down) put(true, 0x12, true);
  put(key >= 0x80, code, down);
  if (fake && !down) put(true, 0x12, false);
  return n;
}

unsigned Ps2Keyboard::encode_set3(Key key, bool down, u8* out) const {
  const auto* odd = std::ranges::find(kSet3, key, &Set3Code::key);
  u8 code = odd != std::end(kSet3) ? odd->code : (key < 0x80 ? kSet2[key] : u8{0});
  if (code == 0) return 0;
  Set3Kind kind = r_.set3_kind[code] != 0 ? static_cast<Set3Kind>(r_.set3_kind[code]) : r_.set3_all;
  const bool breaks = kind == kMakeBreak || kind == kAll || (kind == kDefault && set3_default_breaks(code));
  if (!down && !breaks) return 0;
  unsigned n = 0;
  if (!down) out[n++] = 0xf0;
  out[n++] = code;
  return n;
}

unsigned Ps2Keyboard::encode(Key key, bool down, u8* out) const {
  switch (r_.set) {
    case 1:
      return encode_set1(key, down, out);
    case 3:
      return encode_set3(key, down, out);
    default:
      return encode_set2(key, down, out);
  }
}

void Ps2Keyboard::emit(Key key, bool down) {
  u8 sequence[kLongestSequence + 8];
  const unsigned n = encode(key, down, sequence);
  if (n == 0) return;
  if (r_.queue.room_for_user(n + 1)) {
    for (unsigned i = 0; i < n; ++i) r_.queue.push(sequence[i]);
  } else if (r_.queue.room_for_user(1)) {
    r_.queue.push(r_.set == 1 ? kOverrunSet1 : kOverrun);
  }
  ready_();
}

bool Ps2Keyboard::typematic(Key key) const {
  if (key == kKeyPause) return false;
  if (r_.set != 3) return true;
  u8 code[kLongestSequence + 8];
  if (encode_set3(key, true, code) == 0) return false;
  const Set3Kind kind = r_.set3_kind[code[0]] != 0 ? static_cast<Set3Kind>(r_.set3_kind[code[0]]) : r_.set3_all;
  return kind == kTypematicOnly || kind == kAll || (kind == kDefault && !set3_default_breaks(code[0]));
}

void Ps2Keyboard::key(Key key, bool down) {
  if (key == kKeyNone) return;
  const bool was = held(key);
  if (down == was) return;  // the host's repeat, or a release of what was never pressed
  r_.down[key] = down ? 1 : 0;
  if (!r_.enabled) return;
  emit(key, down);
  if (down && typematic(key)) {
    r_.repeating = key;
    repeat_.after(nanos(250 * (1 + (r_.typematic >> 5 & 3))));
  } else if (key == r_.repeating) {
    r_.repeating = kKeyNone;
    repeat_.stop();
  }
}

// The rate: (8 + A) × 2^B × 4.17 ms, A and B from the typematic byte.
void Ps2Keyboard::repeat() {
  if (r_.repeating == kKeyNone || !r_.enabled) return;
  // Repeats do not pile up behind a guest that does not read.
  if (r_.queue.empty()) emit(r_.repeating, true);
  const u64 period = (8u + (r_.typematic & 7)) << (r_.typematic >> 3 & 3);
  repeat_.after(period * 4'170'000);
}

}  // namespace umbra
