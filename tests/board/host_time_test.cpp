#include "devices/board/host_time.h"

#include <catch2/catch.hpp>

#include <thread>

using namespace umbra;

namespace {

u64 steady() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

}  // namespace

TEST_CASE("The machine's time follows the host's clock and never goes back") {
  HostTime time;
  time.resume();
  const u64 host = steady(), from = time.now();
  u64 last = from;
  bool back = false;
  for (int i = 0; i < 5; ++i) {  // past the first steering
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
    while (std::chrono::steady_clock::now() < until) {
      time.steer();
      const u64 now = time.now();
      back |= now < last;
      last = now;
    }
  }
  const u64 passed = time.now() - from, real = steady() - host;
  CHECK(!back);
  CHECK(std::abs(static_cast<double>(passed) / static_cast<double>(real) - 1) < 1e-3);
}

TEST_CASE("The machine's time stands still while it is paused and goes on from there") {
  HostTime time;
  CHECK(time.now() == 0);
  time.set(1'000'000'000'000);
  time.resume();
  CHECK(time.now() >= 1'000'000'000'000);
  time.pause();
  const u64 at = time.now();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(time.now() == at);
  CHECK(time.scale().multiplier == 0);
  time.resume();
  CHECK(time.now() >= at);
  CHECK(time.now() < at + 1'000'000'000);
}

TEST_CASE("What generated code computes from the host's counter is the machine's time") {
  HostTime time;
  time.resume();
  if (time.scale().multiplier == 0) return;  // a host whose counter cannot be relied on
#if defined(__x86_64__)
  const u64 before = time.now();
  const u64 scaled = time.scale().at(__builtin_ia32_rdtsc());
  CHECK(scaled >= before);
  CHECK(scaled <= time.now());
#endif
}

TEST_CASE("A deadline in the machine's time is one in the host's") {
  HostTime time;
  time.resume();
  const auto at = time.host_time(time.now() + 50'000'000) - std::chrono::steady_clock::now();
  CHECK(at > std::chrono::milliseconds(40));
  CHECK(at <= std::chrono::milliseconds(51));
}
