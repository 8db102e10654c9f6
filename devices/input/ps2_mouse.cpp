#include "devices/input/ps2_mouse.h"

#include <algorithm>
#include <cstdlib>

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u8 kAck = 0xfa, kNack = 0xfe;
constexpr i32 kMovementLimit = 1 << 20;  // what may wait for a guest that does not listen

// Scaling 2:1 stretches fast movements only.
i32 scale(i32 d) {
  constexpr i32 kSmall[6] = {0, 1, 1, 3, 6, 9};
  const i32 magnitude = std::abs(d);
  const i32 scaled = magnitude < 6 ? kSmall[magnitude] : 2 * magnitude;
  return d < 0 ? -scaled : scaled;
}

}  // namespace

void Ps2Mouse::reset() { r_ = Regs{}; }

void Ps2Mouse::state(Archive& a) {
  a("queue", r_.queue)("enabled", r_.enabled)("remote", r_.remote)("wrap", r_.wrap)("scale21", r_.scale21);
  a("resolution", r_.resolution)("sample_rate", r_.sample_rate)("id", r_.id)("knock", r_.knock);
  a("expects", r_.expects)("dx", r_.dx)("dy", r_.dy)("dz", r_.dz)("buttons", r_.buttons);
  a("reported_buttons", r_.reported_buttons)("last_sent", r_.last_sent);
  const auto sane = [](i32 d) { return d >= -kMovementLimit && d <= kMovementLimit; };
  a.require(sane(r_.dx) && sane(r_.dy) && sane(r_.dz), "mouse movement");
  a.require(r_.id == 0 || r_.id == 3 || r_.id == 4, "mouse type");
  if (a.failed()) r_.dx = r_.dy = r_.dz = 0;
}

u8 Ps2Mouse::take() {
  const u8 byte = r_.queue.pop();
  r_.last_sent = byte;
  if (r_.queue.empty()) stream();  // what moved in the meantime follows as one report
  return byte;
}

void Ps2Mouse::defaults() {
  r_.queue.clear();
  r_.enabled = r_.remote = r_.scale21 = false;
  r_.resolution = 2;
  r_.sample_rate = 100;
  r_.dx = r_.dy = r_.dz = 0;
}

void Ps2Mouse::send(u8 byte) {
  if (r_.wrap && byte != 0xec && byte != 0xff) {
    r_.queue.push(byte);
    return ready_();
  }
  if (r_.expects != 0) {
    const u8 command = r_.expects;
    r_.expects = 0;
    parameter(command, byte);
    return ready_();
  }
  // A command stops whatever report was on its way.
  r_.queue.clear();
  r_.queue.push(kAck);
  switch (byte) {
    case 0xe6:
      r_.scale21 = false;
      break;
    case 0xe7:
      r_.scale21 = true;
      break;
    case 0xe8:
    case 0xf3:
      r_.expects = byte;
      break;
    case 0xe9: {
      const u8 b = r_.buttons;
      r_.queue.push(static_cast<u8>((r_.remote ? 0x40 : 0) | (r_.enabled ? 0x20 : 0) | (r_.scale21 ? 0x10 : 0) |
                                    (bit(b, 0) ? 4 : 0) | (bit(b, 2) ? 2 : 0) | (bit(b, 1) ? 1 : 0)));
      r_.queue.push(r_.resolution);
      r_.queue.push(r_.sample_rate);
      break;
    }
    case 0xea:
      r_.remote = false;
      break;
    case 0xeb:
      report(false);
      break;  // read data: never scaled
    case 0xec:
      r_.wrap = false;
      break;
    case 0xee:
      r_.wrap = true;
      break;
    case 0xf0:
      r_.remote = true;
      break;
    case 0xf2:
      r_.queue.push(r_.id);
      break;
    case 0xf4:
      r_.enabled = true;
      break;
    case 0xf5:
      r_.enabled = false;
      break;
    case 0xf6: {
      defaults();
      r_.queue.push(kAck);
      break;
    }
    case 0xfe:
      r_.queue.clear();
      r_.queue.push(r_.last_sent);
      break;
    case 0xff:
      defaults();
      r_.wrap = false;
      r_.id = r_.knock = 0;
      r_.queue.push(kAck);
      r_.queue.push(0xaa);
      r_.queue.push(r_.id);
      break;
    default:
      r_.queue.clear();
      r_.queue.push(kNack);
  }
  ready_();
}

void Ps2Mouse::parameter(u8 command, u8 value) {
  r_.queue.push(kAck);
  if (command == 0xe8) {
    r_.resolution = value & 3;
    return;
  }
  r_.sample_rate = value == 0 ? 100 : value;
  knock(value);
}

void Ps2Mouse::knock(u8 rate) {
  // Bit 2 of the step marks the five-button sequence.
  switch (r_.knock & 3) {
    case 0:
      r_.knock = rate == 200 ? 1 : 0;
      break;
    case 1:
      r_.knock = rate == 100 ? 2 : rate == 200 ? 6 : 0;
      break;
    default:
      if (rate == 80) {
        if ((r_.knock & 4) == 0)
          r_.id = 3;
        else if (r_.id != 0)
          r_.id = 4;
      }
      r_.knock = rate == 200 ? 1 : 0;
  }
}

// One packet of three or four bytes; movement that does not fit stays for the next.
void Ps2Mouse::report(bool scaled) {
  const i32 dx = std::clamp(r_.dx, -255, 255), dy = std::clamp(r_.dy, -255, 255);
  const i32 dz = std::clamp(r_.dz, -8, 7);
  r_.dx -= dx;
  r_.dy -= dy;
  r_.dz -= dz;
  r_.reported_buttons = r_.buttons;
  i32 x = dx, y = dy;
  if (scaled && r_.scale21) x = std::clamp(scale(dx), -255, 255), y = std::clamp(scale(dy), -255, 255);
  r_.queue.push(static_cast<u8>(0x08 | (r_.buttons & 7) | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0)));
  r_.queue.push(static_cast<u8>(x));
  r_.queue.push(static_cast<u8>(y));
  if (r_.id == 3) r_.queue.push(static_cast<u8>(dz));
  if (r_.id == 4) r_.queue.push(static_cast<u8>((dz & 15) | (r_.buttons & 0x18) << 1));
  if (r_.id == 0) r_.dz = 0;
}

void Ps2Mouse::stream() {
  if (!streaming() || !moved() || !r_.queue.room_for_user(4)) return;
  report(true);
}

void Ps2Mouse::move(int dx, int dy, int dz) {
  if (!r_.enabled && !r_.remote) return;  // what moves before a driver listens is not its business
  const auto add = [](i32& sum, int d) {
    sum = static_cast<i32>(std::clamp<i64>(i64{sum} + d, -kMovementLimit, kMovementLimit));
  };
  add(r_.dx, dx);
  add(r_.dy, -std::clamp(dy, -kMovementLimit, kMovementLimit));
  add(r_.dz, dz);
  if (!r_.queue.empty()) return;  // merged until the guest has taken the last report
  stream();
  if (!r_.queue.empty()) ready_();
}

void Ps2Mouse::buttons(u32 mask) {
  r_.buttons = mask & 0x1f;
  stream();  // presses are never merged away while there is room
  if (!r_.queue.empty()) ready_();
}

}  // namespace umbra
