// Where the guest's screen is shown and the user's keys come from: one interface for all of them.
//
//   auto display = open_display("sdl", links);      -display sdl | none | curses
//   display->run();                                 on the main thread, until `stop`
//
// The card and the keyboard live on the processor's thread; a display reaches them through Clock::post only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cpu/base/result.h"
#include "devices/clock.h"
#include "devices/input/input.h"
#include "devices/video/screen.h"

namespace umbra {

// What a display is connected to. The devices and the clock outlive it; a null one is not there.
struct DisplayLinks {
  Clock* clock = nullptr;
  Screen* screen = nullptr;
  KeySink* keys = nullptr;
  PointerSink* pointer = nullptr;
  std::string name;                     // of the machine, for the title
  std::function<std::string()> status;  // "paused", "12 % busy"; called on the display's thread about once a second
  std::function<void()> close;          // the user closed the window: ask the machine to quit
  bool full_screen = false;
};

class Display {
 public:
  virtual ~Display() = default;
  virtual void run() = 0;   // main thread; returns after stop
  virtual void stop() = 0;  // any thread
};

// `spec` as after -display; "" is a window where there is one to be had, else none. An unknown one is refused with
// a sentence.
Result<std::unique_ptr<Display>> open_display(const std::string& spec, DisplayLinks links);

bool have_window_system();  // SDL is compiled in and X or Wayland is there

// One for each kind; open_display chooses among them.
std::unique_ptr<Display> open_headless();
Result<std::unique_ptr<Display>> open_sdl(DisplayLinks links, bool close_ends);
Result<std::unique_ptr<Display>> open_terminal(DisplayLinks links);

}  // namespace umbra
