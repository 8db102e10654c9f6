#include <catch2/catch.hpp>
#include <random>

#include "cpu/base/types.h"

namespace umbra {

void fuzz_insn(const u8* data, std::size_t size);

TEST_CASE("millions of steps of random programs") {
  std::mt19937_64 random(20);
  std::vector<u8> bytes(192);
  for (unsigned i = 0; i < 500'000; ++i) {
    for (u8& b : bytes) b = static_cast<u8>(random());
    if (i % 2 == 0)
      for (unsigned n = 0; n < 8; ++n) bytes[96 + random() % 96] = 0x0f;
    REQUIRE_NOTHROW(fuzz_insn(bytes.data(), bytes.size()));
  }
}

}  // namespace umbra
