// How a thread sleeps until a time or until another thread wakes it: one system call for each, and none to wake a
// thread that is not asleep. A condition variable takes two to sleep, which an idle guest pays at each of its ticks.
#pragma once

#include <atomic>
#include <chrono>

#include "cpu/base/types.h"

namespace umbra {

class Sleeper {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr TimePoint kNever = TimePoint::max();

  void sleep_until(TimePoint at);  // returns at once if woken since it last returned
  void wake();                     // any thread

 private:
  enum State : u32 { kAwake, kAsleep, kWoken };
  std::atomic<u32> state_{kAwake};
};

}  // namespace umbra
