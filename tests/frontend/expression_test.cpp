#include "frontend/expression.h"

#include <catch2/catch.hpp>

using namespace umbra;

namespace {

const Names kNames = [](const std::string& n) { return n == "eax" ? std::optional<u64>(0x1000) : std::nullopt; };

u64 value(const std::string& text) {
  const auto v = evaluate(text, kNames);
  if (!v) FAIL(v.error());
  return *v;
}

}  // namespace

TEST_CASE("expressions follow C") {
  CHECK(value("1 + 2 * 3") == 7);
  CHECK(value("(1 + 2) * 3 - -4") == 13);
  CHECK(value("0x10 | 1 << 8 & 0xfff") == 0x110);
  CHECK(value("$eax + 4") == 0x1004);
  CHECK(value("~0 & 0xff") == 0xff);
  CHECK(value("7 % 4 == 3 && !0") == 1);
  CHECK(value("10 - 4 - 3") == 3);
}

TEST_CASE("what is no expression is refused in a sentence") {
  for (const char* text : {"", "1 +", "(1", "1 2", "$nothing", "4 / 0", "x", "1 % (2 - 2)"}) {
    INFO(text);
    CHECK_FALSE(evaluate(text, kNames));
  }
  CHECK_FALSE(evaluate(std::string(100'000, '('), kNames));
  CHECK_FALSE(evaluate(std::string(100'000, '-') + "1", kNames));
}

TEST_CASE("dump formats are QEMU's") {
  auto f = parse_dump_format("/10xb", {});
  REQUIRE(f);
  CHECK(f->count == 10);
  CHECK(f->size == 1);
  CHECK(format_number(0xfff, *f) == "0xff");
  CHECK(format_number(0xff, *parse_dump_format("/db", {})) == "255");
  CHECK(format_number(~u64{0}, *parse_dump_format("/dg", {})) == "-1");
  CHECK(format_number(0x1016, *parse_dump_format("/dw", {}), true) == "      4118");
  CHECK(format_number(8, *parse_dump_format("/ob", {}), true) == "010");
  CHECK(format_number('\'', *parse_dump_format("/c", {})) == "'\\''");
  CHECK(format_number('A', *parse_dump_format("/c", {})) == "'A'");
  CHECK_FALSE(parse_dump_format("/q", {}));
  CHECK_FALSE(parse_dump_format("/9999999999x", {}));
}
