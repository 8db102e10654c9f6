#include "cpu/list_insns.h"

#include <catch2/catch.hpp>
#include <set>

#include "cpu/insn.h"

namespace umbra {

TEST_CASE("every mnemonic has one row") {
  std::set<std::string> names;
  for (const InsnRow& row : list_insns()) {
    INFO(row.mnemonic);
    CHECK(names.insert(row.mnemonic).second);
  }
  CHECK(names.size() == kOpCount);
}

TEST_CASE("what needs privilege is never left to the host") {
  for (const InsnRow& row : list_insns()) {
    if (row.ring3) continue;
    INFO(row.mnemonic);
    CHECK(std::string(row.x64) != "copy");
  }
}

}  // namespace umbra
