// Carries pictures from the processor's thread to a display's. The display asks when it wants one; the question is
// answered when the processor gets to it, and `ready` is called if there is something new. One question is under way
// at a time, so a busy or stopped processor is not flooded.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "devices/clock.h"

namespace umbra {

template <class Picture>
class PicturePump {
 public:
  using Fetch = std::function<bool(Picture&)>;  // processor's thread: bring up to date, say whether it changed

  // `ready(changed)` is called on the processor's thread after each answer.
  PicturePump(Clock& clock, Fetch fetch, std::function<void(bool changed)> ready)
      : clock_(clock), shared_(std::make_shared<Shared>()) {
    shared_->fetch = std::move(fetch);
    shared_->ready = std::move(ready);
  }
  ~PicturePump() {
    std::lock_guard lock(shared_->mutex);
    shared_->gone = true;  // a question under way finds nobody to answer
  }
  PicturePump(const PicturePump&) = delete;
  PicturePump& operator=(const PicturePump&) = delete;

  bool ask() {
    {
      std::lock_guard lock(shared_->mutex);
      if (std::exchange(shared_->asked, true)) return false;
    }
    clock_.post([shared = shared_] { shared->answer(); });
    return true;
  }
  // The newest picture, if it has not been taken yet.
  bool take(Picture& to) {
    std::lock_guard lock(shared_->mutex);
    if (!std::exchange(shared_->fresh, false)) return false;
    std::swap(to, shared_->latest);
    return true;
  }

 private:
  struct Shared {
    std::mutex mutex;
    Fetch fetch;
    std::function<void(bool)> ready;
    Picture own;     // the processor's side, kept so that only what changed is drawn again
    Picture latest;  // handed over
    bool asked = false, fresh = false, gone = false;

    void answer() {
      std::lock_guard lock(mutex);
      asked = false;
      if (gone) return;
      const bool changed = fetch(own);
      if (changed) {
        latest = own;
        fresh = true;
      }
      ready(changed);
    }
  };

  Clock& clock_;
  std::shared_ptr<Shared> shared_;
};

// How long to wait before asking again: 60 times a second while the picture moves, slower and slower when it rests,
// so that an idle guest costs nearly nothing. Input makes it quick again.
class Pace {
 public:
  using Milliseconds = std::chrono::milliseconds;
  Milliseconds wait() const { return wait_; }
  void changed() { wait_ = kQuickest; }
  void unchanged() { wait_ = std::min(wait_ * 3 / 2, kSlowest); }

 private:
  static constexpr Milliseconds kQuickest{16}, kSlowest{100};
  Milliseconds wait_ = kQuickest;
};

}  // namespace umbra
