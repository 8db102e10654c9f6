#include "frontend/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "frontend/chardev.h"
#include "frontend/display.h"
#include "frontend/picture_pump.h"
#include "frontend/shared_output.h"

namespace umbra {
namespace {

constexpr int kPatienceMilliseconds = 1000;  // with a terminal that is stopped
constexpr int kEscapeMilliseconds = 50;      // longer than a terminal takes between the bytes of one key

// As much of `text` as the terminal takes now, which may be stopped; the rest stays.
void put(const SharedOutput& out, std::string& text) {
  while (!text.empty()) {
    const long n = out.write({reinterpret_cast<const u8*>(text.data()), text.size()});
    if (n >= 0) {
      text.erase(0, static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      return;
    } else if (errno != EINTR) {
      text.clear();
    }
  }
}

void send_patiently(std::string text) {
  const SharedOutput out(STDOUT_FILENO);
  pollfd room{out.fd(), POLLOUT, 0};
  do put(out, text);
  while (!text.empty() && ::poll(&room, 1, kPatienceMilliseconds) > 0);
}

std::atomic<bool> g_on_other_screen = false;

void leave_screen() {
  if (g_on_other_screen.exchange(false)) send_patiently("\x1b[0m\x1b[?25h\x1b[?1049l");
}

void enter_screen() {
  static const int registered = std::atexit(leave_screen);
  (void)registered;
  g_on_other_screen = true;
  send_patiently("\x1b[?1049h\x1b[0m\x1b[2J");
}

bool same(const TextScreen& a, const TextScreen& b) {
  return a.columns == b.columns && a.rows == b.rows && a.cells == b.cells && a.cursor_row == b.cursor_row &&
         a.cursor_column == b.cursor_column && a.cursor_visible == b.cursor_visible;
}

bool fetch(Screen& screen, TerminalPicture& picture) {
  TextScreen text = screen.text();
  if (text.columns == 0) {
    const bool first = picture.text.columns != 0;
    picture.text = std::move(text);
    return screen.render(picture.frame) || first;
  }
  if (same(text, picture.text)) return false;
  picture.text = std::move(text);
  return true;
}

class Terminal final : public Display {
 public:
  explicit Terminal(DisplayLinks links) : links_(std::move(links)) {
    if (links_.keys != nullptr) typist_ = std::make_unique<Typist>(*links_.clock, *links_.keys);
  }
  ~Terminal() override {
    for (const int fd : wake_)
      if (fd >= 0) ::close(fd);
  }
  Status open() {
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0)
      return Error{"-display curses draws in a terminal, and this is none: use -display none"};
    if (links_.screen == nullptr) return Error{"-display curses needs a video card: give -vga std"};
    if (::pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) return Error{"cannot make a pipe: too many open files"};
    return {};
  }
  void run() override;
  void stop() override {
    stopped_ = true;
    wake();
  }

 private:
  void wake() {
    if (::write(wake_[1], "", 1) < 0) return;  // full: the display is being woken already
  }
  void fit_to_window();
  void read_keys();
  void send(const std::vector<TerminalKeys::Event>& events);

  DisplayLinks links_;
  int wake_[2] = {-1, -1};
  std::atomic<bool> stopped_ = false, rests_ = false;
  TerminalPainter painter_;
  TerminalKeys keys_;
  std::unique_ptr<Typist> typist_;
  TerminalPicture picture_;
  u32 columns_ = 0, rows_ = 0;
  SharedOutput out_{STDOUT_FILENO};
  std::string unsent_;
};

void Terminal::run() {
  use_raw_terminal(false);
  enter_screen();
  PicturePump<TerminalPicture> pump(
      *links_.clock, [screen = links_.screen](TerminalPicture& p) { return fetch(*screen, p); },
      [this](bool changed) {
        if (!changed) rests_ = true;
        if (changed) wake();
      });
  Pace pace;
  bool key_bytes_pending = false, drawn = true;
  while (!stopped_) {
    pump.ask();
    const short room = unsent_.empty() ? 0 : POLLOUT;
    pollfd fds[3] = {{STDIN_FILENO, POLLIN, 0}, {wake_[0], POLLIN, 0}, {out_.fd(), room, 0}};
    const int wait = key_bytes_pending ? kEscapeMilliseconds : static_cast<int>(pace.wait().count());
    if (::poll(fds, 3, wait) == 0 && key_bytes_pending) send(keys_.flush());
    key_bytes_pending = false;
    if (fds[1].revents != 0) {
      char drain[64];
      while (::read(wake_[0], drain, sizeof drain) > 0) continue;
    }
    if (fds[0].revents & POLLIN) {
      read_keys();
      key_bytes_pending = true;
      pace.changed();
    } else if (fds[0].revents != 0) {
      break;  // the terminal is gone
    }
    if (rests_.exchange(false)) pace.unchanged();
    const bool fresh = pump.take(picture_);
    if (fresh) pace.changed();
    const u32 columns = columns_, rows = rows_;
    fit_to_window();
    if (fresh || columns != columns_ || rows != rows_) drawn = false;
    put(out_, unsent_);
    if (unsent_.empty() && !std::exchange(drawn, true)) {
      unsent_ = painter_.paint(picture_);
      put(out_, unsent_);
    }
    if (fresh) ::poll(nullptr, 0, 10);  // terminals are slow: let changes gather
  }
  leave_screen();
  restore_terminal();
  if (!stopped_ && links_.close) links_.close();
}

void Terminal::fit_to_window() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) size = {25, 80, 0, 0};
  if (size.ws_col == columns_ && size.ws_row == rows_) return;
  columns_ = size.ws_col;
  rows_ = size.ws_row;
  painter_.resize(columns_, rows_);
}

void Terminal::read_keys() {
  char bytes[256];
  const ssize_t n = ::read(STDIN_FILENO, bytes, sizeof bytes);
  if (n <= 0) return;
  send(keys_.feed({bytes, static_cast<std::size_t>(n)}));
  if (keys_.quit() && links_.close) links_.close();
}

void Terminal::send(const std::vector<TerminalKeys::Event>& events) {
  if (typist_ == nullptr || events.empty()) return;
  links_.clock->post([this, events] { typist_->type(events); });
}

}  // namespace

Result<std::unique_ptr<Display>> open_terminal(DisplayLinks links) {
  auto terminal = std::make_unique<Terminal>(std::move(links));
  if (Status s = terminal->open(); !s) return s.take_error();
  return std::unique_ptr<Display>(std::move(terminal));
}

}  // namespace umbra
