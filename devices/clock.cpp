#include "devices/clock.h"

#include <algorithm>

namespace umbra {

Timer::Timer(Clock& clock, std::function<void()> fire) : clock_(clock), fire_(std::move(fire)) { clock_.add(*this); }

Timer::~Timer() { clock_.remove(*this); }

void Timer::at(u64 deadline) {
  if (deadline == deadline_) return;
  clock_.set(*this, deadline);
  if (clock_.rearm_) clock_.rearm_();
}

void Timer::after(u64 delay) { at(clock_.now() + delay); }

void Timer::state(Archive& a) {
  a("deadline", deadline_);
  if (!a.loading()) return;
  clock_.set(*this, deadline_);
  if (clock_.rearm_) clock_.rearm_();
}

void Clock::add(Timer& timer) {
  timer.place_ = timers_.size();
  timers_.push_back(&timer);
  deadlines_.push_back(kNever);
}

void Clock::remove(Timer& timer) {
  timers_.erase(timers_.begin() + static_cast<std::ptrdiff_t>(timer.place_));
  deadlines_.erase(deadlines_.begin() + static_cast<std::ptrdiff_t>(timer.place_));
  for (std::size_t i = timer.place_; i < timers_.size(); ++i) timers_[i]->place_ = i;
}

void Clock::set(Timer& timer, u64 deadline) {
  timer.deadline_ = deadline;
  deadlines_[timer.place_] = deadline;
}

u64 Clock::next_deadline() const {
  const auto next = std::min_element(deadlines_.begin(), deadlines_.end());
  return next == deadlines_.end() ? kNever : *next;
}

void Clock::run_due() {
  const u64 now = source_->now();
  for (std::size_t round = timers_.size(); round > 0; --round) {
    const auto next = std::min_element(deadlines_.begin(), deadlines_.end());
    if (next == deadlines_.end() || *next > now) return;
    Timer& due = *timers_[static_cast<std::size_t>(next - deadlines_.begin())];
    set(due, kNever);
    due.fire_();
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
