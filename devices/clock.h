// The machine's time and its one event queue. Time is in nanoseconds since power-on; where it comes from (the host's
// clock, or the count of retired instructions) is the machine's business. Timers fire on the processor's thread.
// `post` is the one call that other threads may make: it queues a closure for the processor's thread and kicks it.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "cpu/base/archive.h"
#include "cpu/base/types.h"

namespace umbra {

inline constexpr u64 kNanosPerSecond = 1'000'000'000;
inline constexpr u64 kNever = ~u64{0};

class TimeSource {
 public:
  virtual ~TimeSource() = default;
  virtual u64 now() const = 0;
};

class FakeTime final : public TimeSource {  // for tests
 public:
  u64 now() const override { return now_; }
  void set(u64 t) { now_ = t; }
  void advance(u64 dt) { now_ += dt; }

 private:
  u64 now_ = 0;
};

class Clock;

// A one-shot timer that belongs to a device; it is off when made and after it fires. Its deadline is device state.
class Timer {
 public:
  Timer(Clock& clock, std::function<void()> fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void at(u64 deadline);  // absolute; a past deadline fires at the next chance
  void after(u64 delay);
  void stop() { at(kNever); }
  bool armed() const { return deadline_ != kNever; }
  u64 deadline() const { return deadline_; }
  void state(Archive& a);

 private:
  friend class Clock;
  Clock& clock_;
  std::function<void()> fire_;
  u64 deadline_ = kNever;
  std::size_t place_;  // in the clock's lists
};

class Clock {
 public:
  explicit Clock(TimeSource& source) : source_(&source) {}

  u64 now() const { return source_->now(); }
  u64 next_deadline() const;  // kNever when nothing is armed
  void run_due();             // fires what is due, in order of deadline; bounded: each timer at most once a call
  void set_rearm(std::function<void()> f) {
    rearm_ = std::move(f);
  }  // called when the earliest deadline may have moved

  void post(std::function<void()> work);                            // any thread
  void run_posted();                                                // processor's thread
  void set_kick(std::function<void()> f) { kick_ = std::move(f); }  // called by post, on the poster's thread

 private:
  friend class Timer;
  TimeSource* source_;
  void add(Timer& timer);
  void remove(Timer& timer);
  void set(Timer& timer, u64 deadline);
  std::vector<Timer*> timers_;
  std::vector<u64> deadlines_;  // theirs, side by side: they are looked through at every turn of the machine's loop
  std::function<void()> rearm_;
  std::function<void()> kick_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
};

// How many ticks of `hz` have passed by `nanos`, and the first time at which `ticks` have; exact, without overflow.
u64 ticks_at(u64 nanos, u64 hz);
u64 time_of_tick(u64 ticks, u64 hz);

}  // namespace umbra
