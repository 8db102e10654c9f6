// The fuzz entry points on inputs from fixed seeds; a sanitizer build makes these memory tests.
#include <catch2/catch.hpp>
#include <random>

#include "tests/fuzz/fdc_fuzz.cpp"
#include "tests/fuzz/ide_fuzz.cpp"

using namespace umbra;

namespace {

void run_random(void (*target)(const u8*, std::size_t), u32 seed, int rounds) {
  std::mt19937 random(seed);
  std::vector<u8> input(3000);
  for (int round = 0; round < rounds; ++round) {
    for (u8& byte : input) byte = static_cast<u8>(random());
    target(input.data(), input.size());
  }
}

}  // namespace

TEST_CASE("random traffic does IDE no harm") {
  CHECK_NOTHROW(run_random(fuzz_ide, 20260102, 60));
}

TEST_CASE("random traffic does the floppy controller no harm") {
  CHECK_NOTHROW(run_random(fuzz_fdc, 20260103, 200));
}
