#include <catch2/catch.hpp>

#include "cpu/base/archive.h"

using namespace umbra;

namespace {

struct Part {
  u16 word = 0x1234;
  bool flag = true;
  u8 table[3] = {1, 2, 3};
  std::vector<u32> queue = {7, 8};
  void state(Archive& a) { a("word", word)("flag", flag)("table", table).bounded("queue", queue, 4); }
};

std::vector<u8> save(Part& p) {
  Archive a = Archive::saver();
  p.state(a);
  return a.saved();
}

u64 hash(Part& p) {
  Archive a = Archive::hasher();
  p.state(a);
  return a.hash();
}

}  // namespace

TEST_CASE("a saved part is restored") {
  Part original, other;
  other.word = 1;
  other.flag = false;
  other.table[2] = 9;
  other.queue.clear();
  CHECK(hash(original) != hash(other));
  Archive in = Archive::loader(save(original));
  other.state(in);
  REQUIRE(in.finish());
  CHECK(hash(original) == hash(other));
  CHECK(other.queue == std::vector<u32>{7, 8});
}

TEST_CASE("a truncated, shifted or overlong saved state is refused") {
  Part part;
  std::vector<u8> good = save(part);
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    Archive in = Archive::loader({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(cut)});
    part.state(in);
    CHECK_FALSE(in.finish());
  }
  std::vector<u8> longer = good;
  longer.push_back(0);
  Archive in = Archive::loader(longer);
  part.state(in);
  CHECK_FALSE(in.finish());
  part.queue = {1, 2, 3, 4, 5};
  Archive too_long = Archive::loader(save(part));
  Part victim;
  victim.state(too_long);
  CHECK_FALSE(too_long.finish());
  CHECK(victim.queue.size() <= 4);
}

TEST_CASE("a listing names every field") {
  Part part;
  std::vector<std::string> names;
  Archive list = Archive::lister([&](const std::string& path, const void*, std::size_t) { names.push_back(path); });
  part.state(list);
  CHECK(names == std::vector<std::string>{"word", "flag", "table", "queue.count", "queue.data"});
}
