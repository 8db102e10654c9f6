// The timer that finds hot code, and what it may meet.
#include <catch2/catch.hpp>
#include <chrono>

#include "tests/translator/disturber.h"
#include "tests/translator/twin.h"
#include "translator/sampler.h"

using namespace umbra;
using namespace umbra::test;

namespace {

struct Ticks {
  Sampler::Told answer;
  volatile u32 count = 0;
  static Sampler::Told take(void* self, void*, u32) {
    auto& ticks = *static_cast<Ticks*>(self);
    ticks.count = ticks.count + 1;
    return ticks.answer;
  }
};

void spin(std::chrono::milliseconds time) {
  for (const auto end = std::chrono::steady_clock::now() + time; std::chrono::steady_clock::now() < end;) {
  }
}

}  // namespace

TEST_CASE("A sampler ticks until nobody runs guest code, and again when somebody does") {
  Ticks ticks{Sampler::Told::kNews};
  Sampler sampler(Ticks::take, &ticks);
  sampler.start();
  while (ticks.count < 3) {
  }
  ticks.answer = Sampler::Told::kNobody;
  const u32 before = ticks.count;
  while (ticks.count == before) {
  }
  spin(std::chrono::milliseconds(20));
  CHECK(ticks.count == before + 1);
  sampler.start();
  while (ticks.count == before + 1) {
  }
}

TEST_CASE("A tick that meets an engine between runs, or half gone, says that nobody runs guest code") {
  Twins t;  // without a sampler yet, as in its destructor
  CHECK(Disturber::tick_between_runs(*t.translator) == Sampler::Told::kNobody);
}
