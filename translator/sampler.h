// Finds hot code without counting: a timer interrupts the processor's thread about a thousand times a second while it
// runs guest code, and the interrupted block's page is noted. A kilohertz costs less than a counter per block would.
#pragma once

#include <csignal>
#include <ctime>

#include "cpu/base/types.h"

namespace umbra {

class Sampler {
 public:
  using Sample = void (*)(void* context, void* ucontext);
  // For the calling thread; `sample` runs in a signal handler.
  Sampler(Sample sample, void* context);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Orders a tick if none is ordered. The sample function calls it again while the guest runs.
  void start();
  // The guest halts: an idle one costs no ticks. What was left of the millisecond counts when it goes on, or code that
  // runs in short bursts would never be seen.
  void pause();
  void tick(void* ucontext);

 private:
  Sample sample_;
  void* context_;
  timer_t timer_{};
  bool made_ = false;
  volatile std::sig_atomic_t ordered_ = 0;
  volatile long next_;  // nanoseconds that the next tick is ordered for
};

}  // namespace umbra
