// Interrupt and other signal lines. A sink has numbered inputs; a Line is one wire to one input.
#pragma once

#include "cpu/base/types.h"

namespace umbra {

class LineSink {
 public:
  virtual ~LineSink() = default;
  virtual void set_line(unsigned input, bool level) = 0;
};

class Line {
 public:
  Line() = default;  // not connected
  Line(LineSink& sink, unsigned input) : sink_(&sink), input_(input) {}
  void set(bool level) const {
    if (sink_ != nullptr) sink_->set_line(input_, level);
  }
  void raise() const { set(true); }
  void lower() const { set(false); }
  void pulse() const {
    set(true);
    set(false);
  }

 private:
  LineSink* sink_ = nullptr;
  unsigned input_ = 0;
};

}  // namespace umbra
