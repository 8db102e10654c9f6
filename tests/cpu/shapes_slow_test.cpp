#include <catch2/catch.hpp>

#include "cpu/model.h"
#include "tests/cpu/shapes.h"

namespace umbra {

TEST_CASE("tens of millions of random instructions decode alike with remembered shapes") { compare_noise(7, 400'000); }

TEST_CASE("every opcode under every pair of prefixes decodes alike with remembered shapes") {
  constexpr u8 kPrefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64};
  for (u8 first : kPrefixes)
    for (u8 second : kPrefixes) {
      const u8 both[] = {first, second};
      compare_opcodes(first, both, *find_cpu_model("max"), CodeSize::k32);
    }
}

}  // namespace umbra
