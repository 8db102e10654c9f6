// What a PS/2 device has sent and the controller has not yet taken. Bounded: the keyboard's own buffer is 16 bytes,
// and what comes from a person beyond it is lost, but answers to commands always fit.
#pragma once

#include <array>

#include "cpu/base/archive.h"

namespace umbra {

class Ps2Queue {
 public:
  static constexpr unsigned kCapacity = 64;
  static constexpr unsigned kForUser = 32;  // the rest is kept for answers

  bool empty() const { return count_ == 0; }
  unsigned size() const { return count_; }
  bool room_for_user(unsigned n) const { return count_ + n <= kForUser; }
  void push(u8 byte) {
    if (count_ == kCapacity) return;
    data_[(head_ + count_) % kCapacity] = byte;
    ++count_;
  }
  u8 pop() {
    if (count_ == 0) return 0;
    const u8 byte = data_[head_];
    head_ = static_cast<u8>((head_ + 1) % kCapacity);
    --count_;
    return byte;
  }
  void clear() { head_ = count_ = 0; }
  void state(Archive& a) {
    a("data", data_)("head", head_)("count", count_);
    a.require(head_ < kCapacity && count_ <= kCapacity, "ps2 queue index");
    if (a.failed()) clear();
  }

 private:
  std::array<u8, kCapacity> data_{};
  u8 head_ = 0;
  u8 count_ = 0;
};

// The device end of a PS/2 cable, as the controller sees it.
class Ps2Port {
 public:
  virtual ~Ps2Port() = default;
  virtual void send(u8 byte) = 0;      // from the host to the device
  virtual bool available() const = 0;  // the device has a byte
  virtual u8 take() = 0;
};

}  // namespace umbra
