#include "devices/board/host_time.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string>

#include "cpu/base/log.h"

namespace umbra {

namespace {

constexpr u64 kCalibration = 2'000'000;  // 2 ms: two readings that far apart give the rate to some 20 ppm
constexpr u64 kSteering = kNanosPerSecond;
constexpr i64 kTrusted = 100'000'000;  // a counter that has lost more since the last look has been stopped or reset

u64 counter() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return 0;
#endif
}

}  // namespace

HostTime::HostTime() : offset_(host()), counter_(usable_counter()) {
  if (counter_) first_ = read();
}

// Invariant, says the processor; trustworthy across processors, says the kernel.
bool HostTime::usable_counter() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(0x80000007, &a, &b, &c, &d) == 0 || (d & 1u << 8) == 0) return false;
  std::string source;
  std::ifstream("/sys/devices/system/clocksource/clocksource0/current_clocksource") >> source;
  return source.empty() || source == "tsc";
#else
  return false;
#endif
}

u64 HostTime::host() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

// The clock between two readings of the counter that lie close together.
HostTime::Reading HostTime::read() {
  Reading best{};
  u64 width = ~u64{0};
  for (int i = 0; i < 5; ++i) {
    const u64 before = counter();
    const u64 nanos = host();
    const u64 after = counter();
    if (after - before >= width) continue;
    width = after - before;
    best = {before + width / 2, nanos};
  }
  return best;
}

u64 HostTime::now() const {
  if (!running_) return paused_at_;
  return scale_.multiplier != 0 ? scale_.at(counter()) : machine_time(host());
}

void HostTime::pause() {
  paused_at_ = now();
  running_ = false;
  scale_ = {};
}

void HostTime::resume() {
  set(paused_at_);
  running_ = true;
  if (counter_) calibrate();
}

void HostTime::set(u64 now) {
  paused_at_ = now;
  offset_ = host() - now;
}

// The rate is that of all the time that there has been.
u64 HostTime::rate() const {
  const u64 nanos = last_.nanos - first_.nanos, ticks = last_.tsc - first_.tsc;
  if (last_.tsc <= first_.tsc || nanos >= ticks) return 0;  // below 1 GHz the multiplier has no room
  return static_cast<u64>((static_cast<unsigned __int128>(nanos) << 64) / ticks);
}

void HostTime::calibrate() {
  do {
    last_ = read();
  } while (last_.nanos - first_.nanos < kCalibration);
  scale_ = {rate(), 0};
  if (scale_.multiplier == 0) return give_up(0);
  scale_.base = machine_time(last_.nanos) - scale_.at(last_.tsc);
  shown_ = scale_.at(last_.tsc);
}

// From here on the host's clock it is.
void HostTime::give_up(u64 at_least) {
  counter_ = false;
  scale_ = {};
  const u64 now = host();
  if (machine_time(now) < at_least) offset_ = now - at_least;
}

void HostTime::steer() {
  if (!running_ || scale_.multiplier == 0) return;
  if (scale_.at(counter()) - shown_ < kSteering) return;
  last_ = read();
  const u64 before = shown_;
  shown_ = scale_.at(last_.tsc);
  const i64 missed = static_cast<i64>(machine_time(last_.nanos) - shown_);
  const u64 multiplier = rate();
  if (multiplier == 0 || shown_ < before || std::abs(missed) > kTrusted) return give_up(std::max(before, shown_));
  // What was missed comes in over the next second.
  const i64 second = static_cast<i64>(kNanosPerSecond);
  scale_ = {static_cast<u64>(static_cast<unsigned __int128>(multiplier) * static_cast<u64>(second + missed) /
                             kNanosPerSecond),
            0};
  scale_.base = shown_ - scale_.at(last_.tsc);
}

std::chrono::steady_clock::time_point HostTime::host_time(u64 t) const {
  return std::chrono::steady_clock::now() + std::chrono::nanoseconds(static_cast<i64>(t - now()));
}

Alarm::Alarm(Ring ring, void* context) : ring_(ring), context_(context) {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  CHECK(::sigaction(SIGALRM, &action, nullptr) == 0);
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGALRM;
  event.sigev_value.sival_ptr = this;
  event._sigev_un._tid = static_cast<pid_t>(::syscall(SYS_gettid));
  CHECK(::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGALRM);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

// No signal is on its way after this: one that timer_delete has not stopped has been delivered when it returns.
Alarm::~Alarm() { ::timer_delete(timer_); }

void Alarm::handle(int, siginfo_t* info, void*) {
  auto* alarm = static_cast<Alarm*>(info->si_value.sival_ptr);
  if (info->si_code != SI_TIMER || alarm == nullptr) return;
  const int saved = errno;
  alarm->ring_(alarm->context_);
  errno = saved;
}

void Alarm::order(TimePoint at) {
  ordered_ = at;
  itimerspec when = {};
  if (at != kNever) {
    // Zero would switch the timer off.
    const auto since = std::max(at.time_since_epoch(), TimePoint::duration{1});
    const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
    when.it_value.tv_sec = nanos / static_cast<i64>(kNanosPerSecond);
    when.it_value.tv_nsec = nanos % static_cast<i64>(kNanosPerSecond);
  }
  ::timer_settime(timer_, TIMER_ABSTIME, &when, nullptr);
}

void Alarm::set_by(TimePoint at) {
  if (at == kNever || (at >= ordered_ && ordered_ > std::chrono::steady_clock::now())) return;
  order(at);
}

void Alarm::cancel() {
  if (ordered_ != kNever && ordered_ > std::chrono::steady_clock::now()) order(kNever);
}

}  // namespace umbra
