#include "frontend/line_editor.h"

#include <catch2/catch.hpp>

using namespace umbra;

namespace {

struct Typed {
  std::string screen;
  std::vector<std::string> lines;
  LineEditor editor{"> ", [this](const std::string& s) { screen += s; },
                    [this](const std::string& s) { lines.push_back(s); }};
  void type(const std::string& keys) { editor.input({reinterpret_cast<const u8*>(keys.data()), keys.size()}); }
};

}  // namespace

TEST_CASE("a typed line arrives once, whatever ends it") {
  Typed t;
  t.type("info pic\rstop\ncont\r\n");
  CHECK(t.lines == std::vector<std::string>{"info pic", "stop", "cont"});
}

TEST_CASE("a line can be edited anywhere") {
  Typed t;
  t.type("inf\x7f\x7fnfo\x01X\x04\x1b[D\x1b[3~i\x05 tlbb\x08\r");
  CHECK(t.lines.back() == "info tlb");
  t.type("one two three\x17\x17go\r");
  CHECK(t.lines.back() == "one go");
  t.type("abc\x1b[D\x1b[D\x0b\r");
  CHECK(t.lines.back() == "a");
  t.type("abc\x15xyz\r");
  CHECK(t.lines.back() == "xyz");
}

TEST_CASE("earlier lines come back") {
  Typed t;
  t.type("first\rsecond\r\x1b[A\x1b[A\r");
  CHECK(t.lines.back() == "first");
  t.type("\x10\x0e typed\r");
  CHECK(t.lines.back() == " typed");
}

TEST_CASE("tab completes as far as it is sure") {
  Typed t;
  t.editor.set_completion([](const std::string& line) {
    std::vector<std::string> out;
    for (const char* c : {"system_reset", "system_powerdown", "stop"})
      if (std::string(c).rfind(line, 0) == 0) out.emplace_back(c);
    return out;
  });
  t.type("sy\tr\t\r");
  CHECK(t.lines.back() == "system_reset ");
}

TEST_CASE("any bytes at all leave the editor bounded") {
  Typed t;
  std::string noise;
  for (unsigned i = 0, x = 1; i < 200'000; ++i) {
    x = x * 1103515245 + 12345;
    noise += static_cast<char>(x >> 16 == '\r' ? 'a' : x >> 16);
  }
  t.type(noise);
  for (const auto& line : t.lines) CHECK(line.size() <= 1024);
}
