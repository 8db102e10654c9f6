// The machine's time as it follows the host's: monotonic, and standing still while the machine is paused. And the
// alarm that makes a running engine look up when the earliest timer is due.
#pragma once

#include <chrono>
#include <csignal>
#include <ctime>

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

// Interrupts the thread that made it at a time: `ring` runs in a signal handler there, and nothing else of the process
// wakes up for it.
class Alarm {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Ring = void (*)(void* context);
  Alarm(Ring ring, void* context);
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set_by(TimePoint at);  // at that time or earlier: an earlier one stays, which costs nothing
  void cancel();
  static constexpr TimePoint kNever = TimePoint::max();

 private:
  static void handle(int, siginfo_t* info, void*);
  void order(TimePoint at);

  Ring ring_;
  void* context_;
  timer_t timer_{};
  TimePoint ordered_ = kNever;
};

}  // namespace umbra
