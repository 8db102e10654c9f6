// A stream on host descriptors that may block or vanish: what the guest says waits for a slow reader, up to a bound,
// and what comes for the guest waits until its device has room.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "devices/serial/chardev.h"
#include "frontend/io_loop.h"

namespace umbra {

class StreamDev : public CharDev, public std::enable_shared_from_this<StreamDev> {
 public:
  StreamDev(IoLoop& loop, std::string what) : loop_(loop), what_(std::move(what)) {}
  ~StreamDev() override { close_all(); }

  void start(int in, int out);  // -1: not in that direction
  std::size_t write(std::span<const u8> bytes) override;
  void room_available() override { deliver(); }
  // A peer whose coming is still to be told by opened() is not there yet: who asked now and was told then would greet
  // it twice.
  bool connected() const override { return open_ && !announcing; }
  std::atomic<bool> announcing = false;
  std::string describe() const override { return what_; }
  // Called on the I/O thread when the far end is gone.
  std::function<void()> on_close = [] {};
  void drain();  // at the end of the program: a bounded wait for what the guest has already said

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
  short awaited_ = 0;  // poll(2)'s events
  std::mutex mutex_;
  std::deque<u8> held_, output_;
};

// The I/O thread shares a StreamDev with its owner, who has this.
std::unique_ptr<CharDev> handle_of(std::shared_ptr<StreamDev> dev);
std::unique_ptr<CharDev> stream_on(IoLoop& loop, int in, int out, std::string what);

}  // namespace umbra
