#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "frontend/display.h"
#include "frontend/picture_pump.h"
#ifdef UMBRA_SDL
#include <SDL2/SDL.h>

#include "frontend/sdl_keys.h"
#endif

using namespace umbra;
using namespace std::chrono_literals;

namespace {

struct FakeScreen final : Screen {
  std::atomic<int> renders = 0;
  std::atomic<u32> colour = 0x123456;
  u32 shown = 0;
  bool render(Frame& frame) override {
    ++renders;
    if (frame.width != 0 && shown == colour) return false;
    shown = colour;
    frame.width = 320;
    frame.height = 200;
    frame.pixels.assign(320 * 200, shown);
    return true;
  }
  TextScreen text() const override { return {}; }
};

struct FakeInput final : KeySink, PointerSink {
  std::vector<std::pair<Key, bool>> keys;
  int x = 0, y = 0, z = 0;
  u32 mask = 0;
  void key(Key key, bool down) override { keys.emplace_back(key, down); }
  void move(int dx, int dy, int dz) override {
    x += dx;
    y += dy;
    z += dz;
  }
  void buttons(u32 m) override { mask = m; }
};

// A processor that does nothing but answer posts.
struct FakeProcessor {
  FakeTime time;
  Clock clock{time};
  std::atomic<bool> quit = false;
  std::thread thread{[this] {
    while (!quit) {
      clock.run_posted();
      std::this_thread::sleep_for(1ms);
    }
    clock.run_posted();
  }};
  ~FakeProcessor() { join(); }
  void join() {
    quit = true;
    if (thread.joinable()) thread.join();
  }
};

}  // namespace

TEST_CASE("A picture pump hands over what changed and asks once at a time") {
  FakeTime time;
  Clock clock(time);
  int next = 1, fetched = 0, answers = 0;
  auto pump = std::make_unique<PicturePump<int>>(
      clock,
      [&](int& own) {
        ++fetched;
        return std::exchange(own, next) != next;
      },
      [&](bool) { ++answers; });
  int picture = 0;
  CHECK(pump->ask());
  CHECK(!pump->ask());
  CHECK(!pump->take(picture));
  clock.run_posted();
  CHECK(fetched == 1);
  CHECK(pump->take(picture));
  CHECK(picture == 1);
  CHECK(!pump->take(picture));
  pump->ask();
  clock.run_posted();
  CHECK(answers == 2);
  CHECK(!pump->take(picture));
  next = 2;
  pump->ask();
  pump.reset();  // a question under way outlives its pump
  clock.run_posted();
  CHECK(fetched == 2);
}

TEST_CASE("The pace slows down while the picture rests") {
  Pace pace;
  CHECK(pace.wait() == 16ms);
  for (int i = 0; i < 20; ++i) pace.unchanged();
  CHECK(pace.wait() == 100ms);
  pace.changed();
  CHECK(pace.wait() == 16ms);
}

TEST_CASE("The headless display runs until it is stopped") {
  auto display = open_display("none", {});
  REQUIRE(display);
  std::thread stopper([&] { (*display)->stop(); });
  (*display)->run();
  stopper.join();
}

TEST_CASE("A display that is not there is refused with what to use instead") {
  CHECK(open_display("gtk", {}).error() == "-display gtk is not available: use sdl for a window");
  CHECK(open_display("sdll", {}).error() == "-display sdll is not available: did you mean 'sdl'?");
  CHECK(open_display("vnc=:1", {}).error().find("not available") != std::string::npos);
  CHECK(open_display("sdl,gl=on", {}).error().find("does not know 'gl=on'") != std::string::npos);
}

#ifdef UMBRA_SDL
TEST_CASE("The window shows frames, passes keys by place and the mouse when grabbed, and asks to close") {
  ::setenv("SDL_VIDEODRIVER", "dummy", 1);
  ::setenv("SDL_RENDER_DRIVER", "software", 1);
  FakeScreen screen;
  FakeInput input;
  FakeProcessor processor;
  std::atomic<bool> closed = false;
  auto display = open_display("sdl", {.clock = &processor.clock,
                                      .screen = &screen,
                                      .keys = &input,
                                      .pointer = &input,
                                      .name = "test",
                                      .status = [] { return std::string("paused"); },
                                      .close = [&] { closed = true; }});
  REQUIRE(display);
  std::string title;
  int width = 0, height = 0;
  std::thread user([&] {
    const auto key = [](SDL_Scancode code, bool down, u16 mod, u8 repeat = 0) {
      SDL_Event e{};
      e.type = down ? SDL_KEYDOWN : SDL_KEYUP;
      e.key.state = down ? SDL_PRESSED : SDL_RELEASED;
      e.key.repeat = repeat;
      e.key.keysym.scancode = code;
      e.key.keysym.mod = mod;
      SDL_PushEvent(&e);
    };
    for (int i = 0; i < 500 && screen.renders < 3; ++i) std::this_thread::sleep_for(2ms);
    key(SDL_SCANCODE_A, true, 0);
    key(SDL_SCANCODE_A, true, 0, 1);
    key(SDL_SCANCODE_A, false, 0);
    SDL_Event motion{};
    motion.type = SDL_MOUSEMOTION;
    motion.motion.xrel = 100;
    SDL_PushEvent(&motion);  // not grabbed: the host's pointer is passing by
    key(SDL_SCANCODE_LCTRL, true, KMOD_LCTRL);
    key(SDL_SCANCODE_LALT, true, KMOD_LCTRL | KMOD_LALT);
    key(SDL_SCANCODE_G, true, KMOD_LCTRL | KMOD_LALT);
    key(SDL_SCANCODE_G, false, KMOD_LCTRL | KMOD_LALT);
    key(SDL_SCANCODE_LALT, false, KMOD_LCTRL);
    key(SDL_SCANCODE_LCTRL, false, 0);
    std::this_thread::sleep_for(100ms);  // SDL drops motion that is queued when the grab begins
    motion.motion.xrel = 3;
    motion.motion.yrel = -4;
    SDL_PushEvent(&motion);
    SDL_Event wheel{};
    wheel.type = SDL_MOUSEWHEEL;
    wheel.wheel.y = 1;
    SDL_PushEvent(&wheel);
    SDL_Event button{};
    button.type = SDL_MOUSEBUTTONDOWN;
    button.button.state = SDL_PRESSED;
    button.button.button = SDL_BUTTON_RIGHT;
    SDL_PushEvent(&button);
    screen.colour = 0xabcdef;
    SDL_Event quit{};
    quit.type = SDL_QUIT;
    SDL_PushEvent(&quit);
    for (int i = 0; i < 500 && !closed; ++i) std::this_thread::sleep_for(2ms);
    std::this_thread::sleep_for(50ms);
    SDL_Window* window = SDL_GetWindowFromID(1);
    for (u32 id = 2; window == nullptr && id < 10; ++id) window = SDL_GetWindowFromID(id);
    if (window != nullptr) {
      title = SDL_GetWindowTitle(window);
      SDL_GetWindowSize(window, &width, &height);
    }
    (*display)->stop();
  });
  (*display)->run();
  user.join();
  processor.join();
  CHECK(closed);
  const std::vector<std::pair<Key, bool>> keys = {{0x1e, true}, {0x1e, false}, {0x1d, true},
                                                  {0x38, true}, {0x1d, false}, {0x38, false}};
  CHECK(input.keys == keys);
  CHECK(input.x == 3);
  CHECK(input.y == -4);
  CHECK(input.z == -1);
  CHECK((input.mask & 2) == 0);  // the grab ended with the display and let go of the button
  CHECK(title.find("Umbra (test) - paused - Press Ctrl-Alt-G") == 0);
  CHECK(width == 320);
  CHECK(height == 200);
}

TEST_CASE("Every key of a 105-key keyboard has a place") {
  for (int code = SDL_SCANCODE_A; code <= SDL_SCANCODE_KP_PERIOD; ++code) CHECK(key_from_sdl(code) != kKeyNone);
  CHECK(key_from_sdl(SDL_SCANCODE_NONUSBACKSLASH) == 0x56);
  CHECK(key_from_sdl(SDL_SCANCODE_RCTRL) == 0x9d);
  CHECK(key_from_sdl(SDL_SCANCODE_PAUSE) == kKeyPause);
  CHECK(key_from_sdl(-1) == kKeyNone);
  CHECK(key_from_sdl(100000) == kKeyNone);
}
#endif
