// The machine's time as it follows the host's: monotonic, and standing still while the machine is paused. And the
// alarm that makes a running engine look up when the earliest timer is due.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "cpu/base/tsc_scale.h"
#include "devices/clock.h"

namespace umbra {

// Where the host's TSC counts evenly and is what its own clock goes by, time is that counter scaled to nanoseconds: one
// multiplication instead of a call, and generated code can do the same (scale()). steer() keeps it with the host's
// clock: about once a second it measures the rate anew and lets what has been missed flow in, never backwards.
class HostTime final : public TimeSource {
 public:
  HostTime();
  u64 now() const override;
  void pause();
  void resume();
  void set(u64 now);  // when a snapshot is loaded
  bool running() const { return running_; }
  // To be called from time to time while running, on the processor's thread.
  void steer();
  // What turns the host's TSC into now(), until steer(), set() or pause(). Multiplier 0: there is no such thing.
  const TscScale& scale() const { return scale_; }
  // The host's clock at a machine time, while running.
  std::chrono::steady_clock::time_point host_time(u64 t) const;

 private:
  struct Reading {
    u64 tsc, nanos;
  };
  static bool usable_counter();
  static u64 host();
  static Reading read();
  u64 machine_time(u64 host) const { return host - offset_; }
  void calibrate();
  u64 rate() const;
  void give_up(u64 at_least);

  u64 offset_;  // the host's clock at machine time 0
  u64 paused_at_ = 0;
  bool running_ = false;
  bool counter_ = false;
  Reading first_{}, last_{};
  u64 shown_ = 0;  // machine time at last_
  TscScale scale_;
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
