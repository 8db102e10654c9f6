#include "frontend/terminal.h"

#include <catch2/catch.hpp>

#include "frontend/display.h"

using namespace umbra;

namespace {

using Events = std::vector<TerminalKeys::Event>;

Events tap(Key key, std::vector<Key> modifiers = {}) {
  Events e;
  for (Key m : modifiers) e.push_back({m, true});
  e.push_back({key, true});
  e.push_back({key, false});
  for (Key m : modifiers) e.push_back({m, false});
  return e;
}

Events fed(std::string_view bytes) { return TerminalKeys().feed(bytes); }

TerminalPicture text_picture(const std::string& first_row) {
  TerminalPicture p;
  p.text.columns = 10;
  p.text.rows = 2;
  p.text.cells.resize(20);
  for (u32 i = 0; i < first_row.size(); ++i) p.text.cells[i].character = static_cast<u8>(first_row[i]);
  return p;
}

}  // namespace

TEST_CASE("A terminal's characters become keys with the modifiers they need") {
  CHECK(fed("a") == tap(0x1e));
  CHECK(fed("A") == tap(0x1e, {0x2a}));
  CHECK(fed("|") == tap(0x2b, {0x2a}));
  CHECK(fed("/") == tap(0x35));
  CHECK(fed("\r") == tap(0x1c));
  CHECK(fed("\x7f") == tap(0x0e));
  CHECK(fed("\x03") == tap(0x2e, {0x1d}));
  CHECK(fed("\xc3\xa9").empty());
  for (char c = ' '; c < 0x7f; ++c) CHECK(!fed(std::string(1, c)).empty());
}

TEST_CASE("Escape sequences become keys, however they are cut up") {
  CHECK(fed("\x1b[A") == tap(0xc8));
  CHECK(fed("\x1bOP") == tap(0x3b));
  CHECK(fed("\x1b[15~") == tap(0x3f));
  CHECK(fed("\x1b[24~") == tap(0x58));
  CHECK(fed("\x1b[3;5~") == tap(0xd3, {0x1d}));
  CHECK(fed("\x1b[1;2D") == tap(0xcb, {0x2a}));
  CHECK(fed("\x1b[Z") == tap(0x0f, {0x2a}));
  CHECK(fed("\x1b[[B") == tap(0x3c));
  CHECK(fed("\x1bx") == tap(0x2d, {0x38}));
  TerminalKeys keys;
  CHECK(keys.feed("\x1b").empty());
  CHECK(keys.feed("[").empty());
  CHECK(keys.feed("B") == tap(0xd0));
  CHECK(keys.feed("\x1b").empty());
  CHECK(keys.flush() == tap(0x01));
  CHECK(keys.flush().empty());
  CHECK(fed("\x1b[99999999999999999999999999999999").empty());
}

TEST_CASE("Ctrl-A is the way out of the terminal display") {
  TerminalKeys keys;
  CHECK(keys.feed("\x01").empty());
  CHECK(!keys.quit());
  CHECK(keys.feed("\x01") == tap(0x1e, {0x1d}));
  CHECK(keys.feed("\x01z").empty());
  CHECK(!keys.quit());
  CHECK(keys.feed("\x01x").empty());
  CHECK(keys.quit());
}

TEST_CASE("The terminal painter sends rows that changed, in colour and UTF-8") {
  TerminalPainter painter;
  painter.resize(20, 5);
  TerminalPicture p = text_picture("hi \xdb");
  p.text.cells[0].attribute = 0x1e;
  const std::string first = painter.paint(p);
  CHECK(first.find("\x1b[1;1H\x1b[0;93;44mh\x1b[0;37;40mi █") != std::string::npos);
  CHECK(first.find("\x1b[?25l") != std::string::npos);
  CHECK(painter.paint(p).empty());
  p.text.cells[10].character = 'x';
  const std::string second = painter.paint(p);
  CHECK(second.find("\x1b[2;1H") == 0);
  CHECK(second.find("hi") == std::string::npos);
  p.text.cursor_visible = true;
  p.text.cursor_column = 3;
  CHECK(painter.paint(p) == "\x1b[?25h\x1b[1;4H");
}

TEST_CASE("A guest screen larger than the terminal is cut, not wrapped") {
  TerminalPainter painter;
  painter.resize(4, 1);
  const std::string out = painter.paint(text_picture("abcdefghij"));
  CHECK(out.find("abcd") != std::string::npos);
  CHECK(out.find("e") == std::string::npos);
  CHECK(out.find("\x1b[K") == std::string::npos);
}

TEST_CASE("Graphics are painted with half blocks of averaged colours") {
  TerminalPainter painter;
  painter.resize(2, 1);
  TerminalPicture p;
  p.frame.width = 4;
  p.frame.height = 4;
  p.frame.pixels.assign(16, 0x000000);
  p.frame.pixels[0] = 0xff0000;  // a quarter of the upper left box
  const std::string out = painter.paint(p);
  CHECK(out.find("\x1b[38;2;63;0;0m\x1b[48;2;0;0;0m▀\x1b[38;2;0;0;0m▀") != std::string::npos);
  p.frame.width = 1;  // too small to average: blank, and no division by nothing
  p.frame.height = 1;
  p.frame.pixels.resize(1);
  CHECK(painter.paint(p).find("▀") == std::string::npos);
}

TEST_CASE("The terminal display wants a terminal") {
  const auto display = open_terminal({});  // and failing that, a screen
  REQUIRE(!display);
  CHECK(display.error().find("-display curses") == 0);
}

TEST_CASE("A paste reaches a keyboard one key at a time and loses none") {
  struct Sink final : KeySink {
    void key(Key key, bool down) override { seen.push_back({key, down}); }
    Events seen;
  } sink;
  FakeTime time;
  Clock clock(time);
  Typist typist(clock, sink);
  const Events line = fed("echo ~|{x} and more than a keyboard keeps\r");
  typist.type(line);
  CHECK(sink.seen.size() == 1);
  typist.type(tap(key_from_name("a")));
  for (unsigned i = 0; i < 2 * line.size(); ++i) {
    const std::size_t before = sink.seen.size();
    time.advance(10'000'000);
    clock.run_due();
    CHECK(sink.seen.size() <= before + 1);
  }
  Events all = line;
  for (const auto& e : tap(key_from_name("a"))) all.push_back(e);
  CHECK(sink.seen == all);
  CHECK(clock.next_deadline() == kNever);  // and no ticks when there is nothing to type
}
