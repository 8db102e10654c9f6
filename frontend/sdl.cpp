// A window on the guest's screen. Ctrl-Alt with: F full screen, G grab or release keyboard and mouse, = and - zoom,
// U size as the guest has it, S whole-number scaling or filling the window. A click in the window grabs, too.
#ifdef UMBRA_SDL
#include <SDL2/SDL.h>

#include <algorithm>
#include <atomic>
#include <bitset>
#include <cmath>

#include "frontend/display.h"
#include "frontend/picture_pump.h"
#include "frontend/sdl_keys.h"

namespace umbra {
namespace {

using SteadyClock = std::chrono::steady_clock;

class SdlWindow final : public Display {
 public:
  SdlWindow(DisplayLinks links, bool close_ends)
      : links_(std::move(links)), close_ends_(close_ends), full_screen_(links_.full_screen) {}
  ~SdlWindow() override;

  Status open();
  void run() override;
  void stop() override;

 private:
  void handle(const SDL_Event& event);
  void window_event(const SDL_WindowEvent& event);
  void key_event(const SDL_KeyboardEvent& event);
  bool hot_key(SDL_Scancode code);
  void button_event(const SDL_MouseButtonEvent& event);
  void send_key(Key key, bool down);
  void release_keys();
  void send_motion();
  void grab(bool on);
  void set_full_screen(bool on);
  void set_zoom(double zoom);
  void show(const Frame& frame);
  void present();
  SDL_Rect placement() const;
  void update_title();
  SDL_Event wake_event() const {
    SDL_Event event{};
    event.type = wake_;
    return event;
  }

  DisplayLinks links_;
  bool close_ends_;
  bool full_screen_;
  bool whole_scaling_ = false;
  bool grabbed_ = false;
  bool grabbed_in_window_ = false;  // before the full screen
  bool visible_ = true;
  bool dirty_ = false;  // the window's content is out of date
  double zoom_ = 1.0;
  u32 wake_ = 0;  // our event type
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> picture_ready_ = false, picture_rests_ = false;
  SDL_Window* window_ = nullptr;
  SDL_Renderer* renderer_ = nullptr;
  SDL_Texture* texture_ = nullptr;
  int texture_width_ = 0, texture_height_ = 0;
  Frame frame_;
  std::string title_;
  std::bitset<256> down_;       // keys the guest believes to be pressed
  std::bitset<256> swallowed_;  // keys whose press was a hot key of ours
  int dx_ = 0, dy_ = 0, dz_ = 0;
  u32 buttons_ = 0;
};

SdlWindow::~SdlWindow() {
  if (texture_ != nullptr) SDL_DestroyTexture(texture_);
  if (renderer_ != nullptr) SDL_DestroyRenderer(renderer_);
  if (window_ != nullptr) SDL_DestroyWindow(window_);
  SDL_QuitSubSystem(SDL_INIT_VIDEO);
}

Status SdlWindow::open() {
  SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");  // Ctrl-C in the terminal is not the window's to handle
  SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
  if (SDL_InitSubSystem(SDL_INIT_VIDEO) != 0)
    return Error{std::string("cannot open a window (") + SDL_GetError() + "): use -display none or curses"};
  SDL_EnableScreenSaver();
  wake_ = SDL_RegisterEvents(1);
  window_ = SDL_CreateWindow("Umbra", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 720, 400, SDL_WINDOW_RESIZABLE);
  if (window_ == nullptr) return Error{std::string("cannot open a window: ") + SDL_GetError()};
  renderer_ = SDL_CreateRenderer(window_, -1, 0);
  if (renderer_ == nullptr) renderer_ = SDL_CreateRenderer(window_, -1, SDL_RENDERER_SOFTWARE);
  if (renderer_ == nullptr) return Error{std::string("cannot draw in a window: ") + SDL_GetError()};
  SDL_SetWindowMinimumSize(window_, 160, 100);
  update_title();
  if (full_screen_) set_full_screen(true);
  return {};
}

void SdlWindow::stop() {
  stopped_ = true;
  SDL_Event event = wake_event();
  SDL_PushEvent(&event);
}

void SdlWindow::run() {
  const auto wake = [this](bool changed) {
    (changed ? picture_ready_ : picture_rests_) = true;
    if (!changed) return;
    SDL_Event event = wake_event();
    SDL_PushEvent(&event);
  };
  std::unique_ptr<PicturePump<Frame>> pump;
  if (links_.screen != nullptr)
    pump = std::make_unique<PicturePump<Frame>>(
        *links_.clock, [screen = links_.screen](Frame& frame) { return screen->render(frame); }, wake);
  Pace pace;
  auto next_ask = SteadyClock::now(), next_title = next_ask;
  present();
  while (!stopped_) {
    const auto now = SteadyClock::now();
    if (now >= next_title) {
      update_title();
      next_title = now + std::chrono::seconds(1);
    }
    if (picture_rests_.exchange(false)) pace.unchanged();
    if (now >= next_ask) {
      if (pump && visible_) pump->ask();
      next_ask = now + pace.wait();
    }
    const auto until = std::chrono::ceil<Pace::Milliseconds>(next_ask - SteadyClock::now()).count();
    SDL_Event event;
    if (SDL_WaitEventTimeout(&event, static_cast<int>(std::max<i64>(until, 1)))) {
      do {
        const bool input = event.type == SDL_KEYDOWN || event.type == SDL_MOUSEMOTION;
        if (input && pace.wait() > Pace().wait()) {
          pace.changed();
          next_ask = std::min(next_ask, SteadyClock::now() + pace.wait());
        }
        handle(event);
      } while (SDL_PollEvent(&event));
      send_motion();
    }
    if (picture_ready_.exchange(false) && pump && pump->take(frame_)) {
      pace.changed();
      next_ask = std::min(next_ask, SteadyClock::now() + pace.wait());
      show(frame_);
    }
    if (dirty_) present();
  }
  grab(false);
}

void SdlWindow::handle(const SDL_Event& event) {
  switch (event.type) {
    case SDL_QUIT:
      if (close_ends_ && links_.close) links_.close();
      break;
    case SDL_WINDOWEVENT:
      window_event(event.window);
      break;
    case SDL_KEYDOWN:
    case SDL_KEYUP:
      key_event(event.key);
      break;
    case SDL_MOUSEMOTION:
      if (!grabbed_) break;
      dx_ += event.motion.xrel;
      dy_ += event.motion.yrel;
      break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
      button_event(event.button);
      break;
    case SDL_MOUSEWHEEL:
      if (grabbed_) dz_ -= event.wheel.y;
      break;
    case SDL_RENDER_TARGETS_RESET:
    case SDL_RENDER_DEVICE_RESET:
      dirty_ = true;
      break;
  }
}

void SdlWindow::window_event(const SDL_WindowEvent& event) {
  switch (event.event) {
    case SDL_WINDOWEVENT_SIZE_CHANGED:
      if (!full_screen_ && texture_ != nullptr)
        zoom_ = std::min(double(event.data1) / texture_width_, double(event.data2) / texture_height_);
      dirty_ = true;
      break;
    case SDL_WINDOWEVENT_EXPOSED:
      dirty_ = true;
      break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
      release_keys();
      grab(false);
      break;
    case SDL_WINDOWEVENT_MINIMIZED:
    case SDL_WINDOWEVENT_HIDDEN:
      visible_ = false;
      break;
    case SDL_WINDOWEVENT_RESTORED:
    case SDL_WINDOWEVENT_SHOWN:
      visible_ = dirty_ = true;
      break;
  }
}

void SdlWindow::key_event(const SDL_KeyboardEvent& event) {
  const SDL_Scancode code = event.keysym.scancode;
  const bool down = event.state == SDL_PRESSED;
  constexpr u16 kCtrl = KMOD_LCTRL | KMOD_RCTRL;
  if (down && (event.keysym.mod & kCtrl) && (event.keysym.mod & KMOD_LALT)) {
    if (event.repeat == 0 && hot_key(code)) {
      release_keys();  // the guest has seen Ctrl and Alt go down
      if (const Key key = key_from_sdl(code)) swallowed_[key] = true;
      return;
    }
  }
  const Key key = key_from_sdl(code);
  if (key == kKeyNone) return;
  if (swallowed_[key]) {
    if (!down) swallowed_[key] = false;
    return;
  }
  if (down == down_[key]) return;  // the host's repeat, which the keyboard makes anew, or pressed elsewhere
  send_key(key, down);
}

bool SdlWindow::hot_key(SDL_Scancode code) {
  switch (code) {
    case SDL_SCANCODE_F:
      set_full_screen(!full_screen_);
      return true;
    case SDL_SCANCODE_G:
      grab(!grabbed_);
      return true;
    case SDL_SCANCODE_U:
      set_zoom(1.0);
      return true;
    case SDL_SCANCODE_EQUALS:
      set_zoom(zoom_ + 0.25);
      return true;
    case SDL_SCANCODE_MINUS:
      set_zoom(zoom_ - 0.25);
      return true;
    case SDL_SCANCODE_S:
      whole_scaling_ = !whole_scaling_;
      dirty_ = true;
      return true;
    default:
      return false;
  }
}

void SdlWindow::send_key(Key key, bool down) {
  down_[key] = down;
  if (links_.keys != nullptr) links_.clock->post([sink = links_.keys, key, down] { sink->key(key, down); });
}

void SdlWindow::release_keys() {
  for (unsigned key = 0; key < down_.size(); ++key)
    if (down_[key]) send_key(static_cast<Key>(key), false);
}

void SdlWindow::button_event(const SDL_MouseButtonEvent& event) {
  const bool down = event.state == SDL_PRESSED;
  if (!grabbed_) {
    if (down && event.button == SDL_BUTTON_LEFT && links_.pointer != nullptr) grab(true);
    return;
  }
  u32 mask = 0;
  switch (event.button) {
    case SDL_BUTTON_LEFT:
      mask = 1;
      break;
    case SDL_BUTTON_RIGHT:
      mask = 2;
      break;
    case SDL_BUTTON_MIDDLE:
      mask = 4;
      break;
  }
  send_motion();  // what came before the click stays before it
  const u32 buttons = down ? buttons_ | mask : buttons_ & ~mask;
  if (buttons == buttons_) return;
  buttons_ = buttons;
  if (links_.pointer != nullptr) links_.clock->post([sink = links_.pointer, buttons] { sink->buttons(buttons); });
}

void SdlWindow::send_motion() {
  if ((dx_ | dy_ | dz_) != 0 && links_.pointer != nullptr)
    links_.clock->post([sink = links_.pointer, dx = dx_, dy = dy_, dz = dz_] { sink->move(dx, dy, dz); });
  dx_ = dy_ = dz_ = 0;
}

void SdlWindow::grab(bool on) {
  if (on == grabbed_) return;
  grabbed_ = on;
  SDL_SetRelativeMouseMode(on ? SDL_TRUE : SDL_FALSE);
  SDL_SetWindowGrab(window_, on ? SDL_TRUE : SDL_FALSE);
  SDL_SetWindowKeyboardGrab(window_, on ? SDL_TRUE : SDL_FALSE);
  if (!on && buttons_ != 0) {
    buttons_ = 0;
    if (links_.pointer != nullptr) links_.clock->post([sink = links_.pointer] { sink->buttons(0); });
  }
  update_title();
}

// Nothing else can be reached on a full screen, so that it grabs.
void SdlWindow::set_full_screen(bool on) {
  full_screen_ = on;
  if (on) grabbed_in_window_ = grabbed_;
  SDL_SetWindowFullscreen(window_, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
  grab(on || grabbed_in_window_);
  if (!on) set_zoom(zoom_);
  dirty_ = true;
}

void SdlWindow::set_zoom(double zoom) {
  zoom_ = std::clamp(zoom, 0.25, 8.0);
  dirty_ = true;
  if (full_screen_ || texture_ == nullptr || (SDL_GetWindowFlags(window_) & SDL_WINDOW_MAXIMIZED)) return;
  SDL_SetWindowSize(window_, int(std::lround(texture_width_ * zoom_)), int(std::lround(texture_height_ * zoom_)));
}

void SdlWindow::show(const Frame& frame) {
  const int width = static_cast<int>(frame.width), height = static_cast<int>(frame.height);
  if (width == 0 || height == 0) return;
  if (texture_ == nullptr || width != texture_width_ || height != texture_height_) {
    if (texture_ != nullptr) SDL_DestroyTexture(texture_);
    texture_ = SDL_CreateTexture(renderer_, SDL_PIXELFORMAT_RGB888, SDL_TEXTUREACCESS_STREAMING, width, height);
    texture_width_ = width;
    texture_height_ = height;
    if (texture_ == nullptr) return;  // larger than the host can draw; the next size may fit
    set_zoom(zoom_);
  }
  SDL_UpdateTexture(texture_, nullptr, frame.pixels.data(), width * 4);
  dirty_ = true;
}

SDL_Rect SdlWindow::placement() const {
  int width = 0, height = 0;
  SDL_GetRendererOutputSize(renderer_, &width, &height);
  double scale = std::min(double(width) / texture_width_, double(height) / texture_height_);
  if (whole_scaling_ && scale >= 1) scale = std::floor(scale);
  const int w = int(std::lround(texture_width_ * scale)), h = int(std::lround(texture_height_ * scale));
  return {(width - w) / 2, (height - h) / 2, w, h};
}

void SdlWindow::present() {
  dirty_ = false;
  SDL_SetRenderDrawColor(renderer_, 0, 0, 0, 255);
  SDL_RenderClear(renderer_);
  if (texture_ != nullptr) {
    const SDL_Rect to = placement();
    const bool whole = to.w % texture_width_ == 0 && to.h % texture_height_ == 0;
    SDL_SetTextureScaleMode(texture_, whole ? SDL_ScaleModeNearest : SDL_ScaleModeLinear);
    SDL_RenderCopy(renderer_, texture_, nullptr, &to);
  }
  SDL_RenderPresent(renderer_);
}

void SdlWindow::update_title() {
  std::string title = links_.name.empty() ? "Umbra" : "Umbra (" + links_.name + ")";
  if (const std::string status = links_.status ? links_.status() : ""; !status.empty()) title += " - " + status;
  if (grabbed_) title += " - Press Ctrl-Alt-G to release grab";
  if (title == title_) return;
  title_ = std::move(title);
  SDL_SetWindowTitle(window_, title_.c_str());
}

}  // namespace

Result<std::unique_ptr<Display>> open_sdl(DisplayLinks links, bool close_ends) {
  auto window = std::make_unique<SdlWindow>(std::move(links), close_ends);
  if (Status s = window->open(); !s) return s.take_error();
  return std::unique_ptr<Display>(std::move(window));
}

}  // namespace umbra
#endif
