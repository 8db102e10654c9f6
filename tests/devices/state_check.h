// What every device's `state` must do, whatever the device: save, poke (the saved state must differ), restore (it must
// be equal), refuse a file that is cut short, and survive one that is damaged. REQUIREs, so call it from a TEST_CASE.
#pragma once

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "cpu/base/archive.h"

namespace umbra {

template <class Part>
std::vector<u8> saved_state(Part& part) {
  Archive a = Archive::saver();
  part.state(a);
  return a.saved();
}

template <class Part>
u64 state_hash(Part& part) {
  Archive a = Archive::hasher();
  part.state(a);
  return a.hash();
}

template <class Part>
Status load_state(Part& part, std::vector<u8> bytes) {
  Archive a = Archive::loader(std::move(bytes));
  part.state(a);
  return a.finish();
}

// `poke` drives the device into another state; `use` drives it a little after damaged states, so that a bad index that
// was let in is found by the sanitizers.
template <class Part, class Poke, class Use>
void check_state(Part& part, Poke poke, Use use) {
  const std::vector<u8> before = saved_state(part);
  const u64 hash = state_hash(part);
  poke();
  REQUIRE(saved_state(part) != before);
  REQUIRE(state_hash(part) != hash);
  const std::vector<u8> after = saved_state(part);
  Status restored = load_state(part, before);
  INFO(restored.error());
  REQUIRE(restored);
  REQUIRE(state_hash(part) == hash);
  REQUIRE(saved_state(part) == before);
  REQUIRE(load_state(part, after));
  REQUIRE(saved_state(part) == after);

  std::mt19937 random(7);
  for (std::size_t cut = 0; cut < after.size(); cut += 1 + after.size() / 97)
    REQUIRE_FALSE(load_state(part, {after.begin(), after.begin() + static_cast<std::ptrdiff_t>(cut)}));
  for (int round = 0; round < 400; ++round) {
    std::vector<u8> damaged = round % 2 == 0 ? after : before;
    const std::size_t reach = std::min<std::size_t>(damaged.size(), round % 4 < 2 ? 400 : damaged.size());
    for (int n = 0; n < 3; ++n) damaged[random() % reach] = static_cast<u8>(random() % 3 == 0 ? 0xff : random());
    (void)load_state(part, damaged).error();
    use();
  }
  REQUIRE(load_state(part, before));
  REQUIRE(state_hash(part) == hash);
}

template <class Part, class Poke>
void check_state(Part& part, Poke poke) {
  check_state(part, poke, [] {});
}

}  // namespace umbra
