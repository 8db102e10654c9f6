#include "frontend/mux.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

namespace umbra {

namespace {

constexpr const char* kMonitorFace = "monitor";
constexpr std::size_t kMaxQueued = 64 * 1024;  // bytes that wait for a guest which does not take them

}  // namespace

struct Mux::Shared {
  std::unique_ptr<CharDev> stream;
  std::function<void()> quit;
  std::vector<Face*> faces;
  std::size_t current = 0;
  bool escape = false;

  void say(const std::string& text) { stream->write({reinterpret_cast<const u8*>(text.data()), text.size()}); }
  void receive(u8 byte);
  void command(u8 byte);
  Face* face() const { return current < faces.size() ? faces[current] : nullptr; }
};

// Keys are held here when the guest's port is full, so that Ctrl-A works on a guest that has stopped listening.
struct Mux::Face final : CharDev {
  Face(std::shared_ptr<Shared> shared, std::string what) : shared_(std::move(shared)), what_(std::move(what)) {}
  ~Face() override { std::replace(shared_->faces.begin(), shared_->faces.end(), this, static_cast<Face*>(nullptr)); }
  std::size_t write(std::span<const u8> bytes) override { return shared_->stream->write(bytes); }
  bool full() const override { return shared_->stream->full(); }
  void room_available() override { deliver(); }
  std::string describe() const override { return shared_->stream->describe() + " (" + what_ + ")"; }
  // The monitor's greeting waits until somebody turns to it: a guest's text comes first, whole.
  bool connected() const override { return what_ != kMonitorFace || greeted_; }
  void turn_to() {
    if (what_ != kMonitorFace) return;
    if (!std::exchange(greeted_, true)) {
      shared_->say("\r\n");
      opened();
    } else {
      push(12);  // ^L: show the prompt
    }
  }
  void push(u8 byte) {
    if (held_.size() < kMaxQueued) held_.push_back(byte);
    deliver();
  }
  void deliver() {
    while (const std::size_t n = std::min(room(), held_.size())) {
      const std::vector<u8> bytes(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
      held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
      CharDev::receive(bytes);
    }
  }
  std::shared_ptr<Shared> shared_;
  std::string what_;
  std::deque<u8> held_;
  bool greeted_ = false;
};

void Mux::Shared::command(u8 byte) {
  switch (byte) {
    case 'c':
      if (!faces.empty()) current = (current + 1) % faces.size();
      if (face() != nullptr) face()->turn_to();
      break;
    case 'x':
      quit();
      break;
    case 'h':
    case '?':
      say("\r\nC-a h    this help\r\nC-a c    go to the monitor and back\r\nC-a x    end Umbra\r\nC-a C-a  send "
          "C-a\r\n");
      break;
    default:
      if (face() != nullptr) face()->push(byte);
      break;
  }
}

void Mux::Shared::receive(u8 byte) {
  constexpr u8 kCtrlA = 1;
  if (std::exchange(escape, false)) {
    command(byte);
  } else if (byte == kCtrlA) {
    escape = true;
  } else if (face() != nullptr) {
    face()->push(byte);
  }
}

Mux::Mux(std::unique_ptr<CharDev> stream, std::function<void()> quit) : shared_(std::make_shared<Shared>()) {
  shared_->stream = std::move(stream);
  shared_->quit = std::move(quit);
  Shared* s = shared_.get();  // lives as long as its stream, which holds these
  s->stream->room = [] { return std::size_t{256}; };
  s->stream->receive = [s](std::span<const u8> bytes) {
    for (const u8 b : bytes) s->receive(b);
  };
  s->stream->drained = [s] {
    for (Face* face : s->faces)
      if (face != nullptr) face->drained();
  };
}

std::unique_ptr<CharDev> Mux::face(const std::string& what) {
  auto face = std::make_unique<Face>(shared_, what);
  face->greeted_ = shared_->faces.empty();  // nobody has to turn to a monitor that is alone
  shared_->faces.push_back(face.get());
  return face;
}

}  // namespace umbra
