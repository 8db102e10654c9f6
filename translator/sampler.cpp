#include "translator/sampler.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace umbra {
namespace {

constexpr long kMillisecond = 1'000'000;
volatile std::sig_atomic_t g_installed = 0;

void on_tick(int, siginfo_t* info, void* ucontext) {
  auto* sampler = static_cast<Sampler*>(info->si_value.sival_ptr);
  if (info->si_code == SI_TIMER && sampler != nullptr) sampler->tick(ucontext);
}

void install() {
  if (g_installed != 0) return;
  g_installed = 1;
  struct sigaction action = {};
  action.sa_sigaction = on_tick;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigaction(SIGPROF, &action, nullptr);
}

}  // namespace

Sampler::Sampler(Sample sample, void* context) : sample_(sample), context_(context), left_(kMillisecond) {
  install();
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGPROF;
  event.sigev_value.sival_ptr = this;
  event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
  made_ = timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;  // without it nothing becomes hot, that is all
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPROF);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

Sampler::~Sampler() {
  running_ = 0;
  if (made_) timer_delete(timer_);
}

void Sampler::order(long first) {
  itimerspec when = {};
  when.it_value.tv_nsec = first;
  when.it_interval.tv_nsec = interval_ * kMillisecond;
  timer_settime(timer_, 0, &when, nullptr);
}

void Sampler::resume() {
  if (!made_) return;
  running_ = 1;
  order(left_);
}

void Sampler::pause() {
  if (running_ == 0) return;
  running_ = 0;
  const itimerspec never = {};
  itimerspec left = {};
  timer_settime(timer_, 0, &never, &left);
  left_ = left.it_value.tv_nsec != 0 ? left.it_value.tv_nsec : kMillisecond;
}

void Sampler::tick(void* ucontext) {
  if (running_ == 0) return;
  const u32 before = interval_;
  const Told told = sample_(context_, ucontext, before);
  if (told == Told::kNobody) return pause();
  if (told != Told::kNothing) interval_ = told == Told::kNews ? 1 : std::min(2 * before, kMost);
  if (interval_ != before && running_ != 0) order(interval_ * kMillisecond);
}

}  // namespace umbra
