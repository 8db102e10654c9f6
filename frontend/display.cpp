#include "frontend/display.h"

#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "frontend/options.h"

namespace umbra {
namespace {

class Headless final : public Display {
 public:
  void run() override {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopped_; });
  }
  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
};

Error unknown_display(const std::string& kind) {
  const std::string near = nearest(kind, {"sdl", "none", "curses"});
  std::string hint = near.empty() ? "use sdl, curses or none" : "did you mean '" + near + "'?";
  if (kind == "gtk" || kind == "cocoa") hint = "use sdl for a window";
  if (kind == "vnc" || kind.starts_with("vnc=")) hint = "use sdl, or screendump in the monitor";
  return Error{"-display " + kind + " is not available: " + hint};
}

Result<std::unique_ptr<Display>> open_sdl_with(const std::vector<KeyValue>& settings, DisplayLinks links) {
  bool close_ends = true;
  for (std::size_t i = 1; i < settings.size(); ++i) {
    const auto& [key, value] = settings[i];
    if (key == "window-close" && (value == "on" || value == "off")) {
      close_ends = value == "on";
    } else if (key == "full-screen" && (value == "on" || value == "off")) {
      links.full_screen = value == "on";
    } else {
      return Error{"-display sdl does not know '" + key + (value.empty() ? "" : "=" + value) +
                   "': it takes window-close=on|off and full-screen=on|off"};
    }
  }
  return open_sdl(std::move(links), close_ends);
}

bool given(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != 0;
}

}  // namespace

std::unique_ptr<Display> open_headless() { return std::make_unique<Headless>(); }

bool have_window_system() {
#ifdef UMBRA_SDL
  return given("DISPLAY") || given("WAYLAND_DISPLAY") || given("SDL_VIDEODRIVER");
#else
  return false;
#endif
}

Result<std::unique_ptr<Display>> open_display(const std::string& spec, DisplayLinks links) {
  if (spec.empty()) {
    if (!have_window_system() || links.screen == nullptr) return open_headless();
    return open_sdl(std::move(links), true);
  }
  const std::vector<KeyValue> settings = parse_key_values(spec);
  const std::string kind = settings.empty() ? spec : settings[0].key;
  if (kind == "none") return open_headless();
  if (kind == "curses" || kind == "terminal") return open_terminal(std::move(links));
  if (kind == "sdl") return open_sdl_with(settings, std::move(links));
  return unknown_display(kind);
}

#ifndef UMBRA_SDL
Result<std::unique_ptr<Display>> open_sdl(DisplayLinks, bool) {
  return Error{
      "-display sdl is not in this build, which found no SDL2: install libsdl2-dev and build again, or use "
      "-display curses or none"};
}
#endif

}  // namespace umbra
