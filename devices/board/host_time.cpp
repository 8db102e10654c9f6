#include "devices/board/host_time.h"

namespace umbra {

Alarm::Alarm(std::function<void()> ring) : ring_(std::move(ring)), thread_([this] { run(); }) {}

Alarm::~Alarm() {
  {
    std::lock_guard lock(mutex_);
    quit_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Alarm::set(TimePoint at) {
  bool earlier = false;
  {
    std::lock_guard lock(mutex_);
    wanted_ = at;
    earlier = at < awaited_;
  }
  if (earlier) changed_.notify_one();
}

void Alarm::run() {
  std::unique_lock lock(mutex_);
  while (!quit_) {
    awaited_ = wanted_;
    if (wanted_ == TimePoint::max()) {
      changed_.wait(lock);
    } else if (wanted_ > std::chrono::steady_clock::now()) {
      changed_.wait_until(lock, wanted_);
    } else {
      wanted_ = TimePoint::max();
      lock.unlock();
      ring_();
      lock.lock();
    }
  }
}

}  // namespace umbra
