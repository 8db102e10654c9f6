// Types what comes faster than a keyboard can send: a paste, or a terminal's whole line at once. A PS/2 keyboard keeps
// some ten keys for a guest that has not read them yet and loses the rest.
#pragma once

#include <deque>
#include <vector>

#include "devices/clock.h"
#include "devices/input/input.h"

namespace umbra {

struct KeyEvent {
  Key key;
  bool down;
  bool operator==(const KeyEvent&) const = default;
};

class Typist {
 public:
  Typist(Clock& clock, KeySink& sink) : sink_(sink), next_(clock, [this] { press(); }) {}

  // Processor's thread. What is more than anybody pastes is dropped.
  void type(const std::vector<KeyEvent>& events) {
    if (waiting_.size() + events.size() > kMost) return;
    waiting_.insert(waiting_.end(), events.begin(), events.end());
    if (!next_.armed()) press();
  }

 private:
  static constexpr u64 kBetween = 8'000'000;  // ns; a fast hand is ten times slower
  static constexpr std::size_t kMost = 1u << 20;

  void press() {
    if (waiting_.empty()) return;
    const KeyEvent e = waiting_.front();
    waiting_.pop_front();
    sink_.key(e.key, e.down);
    next_.after(kBetween);
  }

  KeySink& sink_;
  std::deque<KeyEvent> waiting_;
  Timer next_;
};

}  // namespace umbra
