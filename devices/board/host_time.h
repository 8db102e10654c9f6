// The machine's time as it follows the host's: monotonic, and standing still while the machine is paused. And the
// alarm that makes a running engine look up when the earliest timer is due.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "devices/clock.h"

namespace umbra {

class HostTime final : public TimeSource {
 public:
  HostTime() : offset_(host()) {}
  u64 now() const override { return running_ ? host() - offset_ : paused_at_; }
  void pause() {
    paused_at_ = now();
    running_ = false;
  }
  void resume() { set(paused_at_), running_ = true; }
  void set(u64 now) {  // when a snapshot is loaded
    paused_at_ = now;
    offset_ = host() - now;
  }
  bool running() const { return running_; }
  // The host's clock at a machine time, while running.
  std::chrono::steady_clock::time_point host_time(u64 t) const {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(t + offset_));
  }

 private:
  static u64 host() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
  }
  u64 offset_;
  u64 paused_at_ = 0;
  bool running_ = false;
};

// A thread that calls `ring` at a time. Setting a later time than the one awaited costs nothing: the thread finds out
// when it wakes.
class Alarm {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  explicit Alarm(std::function<void()> ring);
  ~Alarm();
  void set(TimePoint at);  // TimePoint::max(): never

 private:
  void run();

  std::function<void()> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  TimePoint wanted_ = TimePoint::max();
  TimePoint awaited_ = TimePoint::max();
  bool quit_ = false;
  std::thread thread_;
};

}  // namespace umbra
