#include "devices/clock.h"

#include <algorithm>

namespace umbra {

Timer::Timer(Clock& clock, std::function<void()> fire) : clock_(clock), fire_(std::move(fire)) {
  clock_.timers_.push_back(this);
}

Timer::~Timer() { std::erase(clock_.timers_, this); }

void Timer::at(u64 deadline) {
  if (deadline == deadline_) return;
  deadline_ = deadline;
  if (clock_.rearm_) clock_.rearm_();
}

void Timer::after(u64 delay) { at(clock_.now() + delay); }

void Timer::state(Archive& a) {
  a("deadline", deadline_);
  if (a.loading() && clock_.rearm_) clock_.rearm_();
}

u64 Clock::next_deadline() const {
  u64 next = kNever;
  for (const Timer* t : timers_) next = std::min(next, t->deadline_);
  return next;
}

void Clock::run_due() {
  const u64 now = source_->now();
  for (std::size_t round = timers_.size(); round > 0; --round) {
    Timer* due = nullptr;
    for (Timer* t : timers_)
      if (t->deadline_ <= now && (due == nullptr || t->deadline_ < due->deadline_)) due = t;
    if (due == nullptr) return;
    due->deadline_ = kNever;
    due->fire_();
  }
}

void Clock::post(std::function<void()> work) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  if (kick_) kick_();
}

void Clock::run_posted() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard lock(mutex_);
    work.swap(posted_);
  }
  for (auto& w : work) w();
}

u64 ticks_at(u64 nanos, u64 hz) {
  return static_cast<u64>(static_cast<unsigned __int128>(nanos) * hz / kNanosPerSecond);
}

u64 time_of_tick(u64 ticks, u64 hz) {
  const auto scaled = static_cast<unsigned __int128>(ticks) * kNanosPerSecond;
  return static_cast<u64>((scaled + hz - 1) / hz);
}

}  // namespace umbra
