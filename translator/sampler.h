// Finds hot code without counting: a timer interrupts the processor's thread up to a thousand times a second while it
// runs guest code, and the interrupted block's page is noted. A kilohertz costs less than a counter per block would;
// and as long as samples tell nothing new, they come further and further apart.
#pragma once

#include <csignal>
#include <ctime>

#include "cpu/base/types.h"

namespace umbra {

class Sampler {
 public:
  enum class Told { kNews, kNothingNew, kNothing, kNobody };  // the last: no guest code is run, so it pauses
  // `weight`: how many milliseconds the sample stands for.
  using Sample = Told (*)(void* context, void* ucontext, u32 weight);
  // For the calling thread; `sample` runs in a signal handler.
  Sampler(Sample sample, void* context);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Ticks come until pause(). The guest halts: an idle one costs no ticks. What was left of the interval counts when it
  // goes on, or code that runs in short bursts would never be seen.
  void start() {
    if (running_ == 0) resume();
  }
  void pause();
  void tick(void* ucontext);

 private:
  static constexpr u32 kMost = 8;  // milliseconds
  void resume();
  void order(long first);

  Sample sample_;
  void* context_;
  timer_t timer_{};
  bool made_ = false;
  volatile std::sig_atomic_t running_ = 0;
  volatile u32 interval_ = 1;  // milliseconds
  long left_;                  // nanoseconds to the next tick when it paused
};

}  // namespace umbra
