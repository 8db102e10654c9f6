// A stream on host descriptors that may block or vanish: what the guest says waits for a slow reader, up to a bound,
// and what comes for the guest waits until its device has room. A write is taken whole or not at all, so that a device
// which heeds full() is never left with a rest when the program ends.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "devices/serial/chardev.h"
#include "frontend/io_loop.h"
#include "frontend/shared_output.h"

namespace umbra {

class StreamDev : public CharDev, public std::enable_shared_from_this<StreamDev> {
 public:
  StreamDev(IoLoop& loop, std::string what) : loop_(loop), what_(std::move(what)) {}
  ~StreamDev() override { close_all(); }

  void start(int in, int out);  // -1: not in that direction; 0 to 2 are shared with other programs
  std::size_t write(std::span<const u8> bytes) override;
  bool full() const override { return full_; }
  void room_available() override { deliver(); }
  // A peer whose coming is still to be told by opened() is not there yet: who asked now and was told then would greet
  // it twice.
  bool connected() const override { return open_ && !announcing; }
  std::atomic<bool> announcing = false;
  std::string describe() const override { return what_; }
  // Called on the I/O thread when the far end is gone.
  std::function<void()> on_close = [] {};
  std::size_t unwritten();

 private:
  void ready(short revents);
  void deliver();
  void flush();
  void flush_locked();
  void await_locked();
  void close_all();

  IoLoop& loop_;
  std::string what_;
  int in_ = -1, out_ = -1;
  std::atomic<bool> open_{false};
  std::optional<SharedOutput> shared_;  // out_ is its
  std::atomic<bool> full_{false};
  bool failed_ = false;  // to write, which is said once
  short awaited_ = 0;    // poll(2)'s events
  std::mutex mutex_;
  std::deque<u8> held_, output_;
};

// The I/O thread shares a StreamDev with its owner, who has this.
std::unique_ptr<CharDev> handle_of(std::shared_ptr<StreamDev> dev);
std::unique_ptr<CharDev> stream_on(IoLoop& loop, int in, int out, std::string what);

}  // namespace umbra
