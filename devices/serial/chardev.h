// The host end of a character stream (terminal, file, pty, socket): what -serial, -monitor, -debugcon and -parallel
// connect to. Guest devices call `write`; the back end calls the receiver on the processor's thread.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "cpu/base/types.h"

namespace umbra {

class CharDev {
 public:
  using Receiver = std::function<void(std::span<const u8> bytes)>;

  virtual ~CharDev() = default;
  // Queues bytes for the outside; returns how many were taken (fewer than given when the far end is slow). Never
  // blocks.
  virtual std::size_t write(std::span<const u8> bytes) = 0;
  // Much waits for the far end already: time to stop before it takes no more. When that is over the back end calls
  // `drained` on the processor's thread.
  virtual bool full() const { return false; }
  std::function<void()> drained = [] {};
  // How many bytes the device can take now; the back end asks before it delivers and holds the rest.
  std::function<std::size_t()> room = [] { return std::size_t{0}; };
  Receiver receive = [](std::span<const u8>) {};
  // The far end has come (a socket's peer); called on the processor's thread.
  std::function<void()> opened = [] {};
  // The device calls this when it has room again.
  virtual void room_available() {}
  virtual bool connected() const { return true; }
  virtual std::string describe() const = 0;  // "file:out.txt", "pty:/dev/pts/3"
};

}  // namespace umbra
