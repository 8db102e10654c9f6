#include "devices/board/sleeper.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "devices/clock.h"

namespace umbra {

void Sleeper::sleep_until(TimePoint at) {
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  const timespec when = {static_cast<time_t>(nanos / static_cast<i64>(kNanosPerSecond)),
                         static_cast<long>(nanos % static_cast<i64>(kNanosPerSecond))};
  u32 state = kAwake;
  if (state_.compare_exchange_strong(state, kAsleep)) {
    while (state_.load() == kAsleep) {
      const long slept = ::syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET_PRIVATE, kAsleep,
                                   at == kNever ? nullptr : &when, nullptr, FUTEX_BITSET_MATCH_ANY);
      if (slept != 0 && errno == ETIMEDOUT) break;
    }
  }
  state_ = kAwake;
}

void Sleeper::wake() {
  if (state_.exchange(kWoken) == kAsleep) ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace umbra
