// One stream, several faces: the guest's port and the monitor. Ctrl-A c goes from one to the next, Ctrl-A x ends Umbra,
// Ctrl-A Ctrl-A sends a Ctrl-A, Ctrl-A h lists these.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "devices/serial/chardev.h"

namespace umbra {

class Mux {
 public:
  Mux(std::unique_ptr<CharDev> stream, std::function<void()> quit);
  std::unique_ptr<CharDev> face(const std::string& what);  // the first one made has the keys at the start

 private:
  struct Shared;
  struct Face;
  std::shared_ptr<Shared> shared_;
};

}  // namespace umbra
