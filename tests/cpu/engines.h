// Engines by name, for tests that run on each of them.
#pragma once

#include <memory>
#include <string>

#include "cpu/interp/interp.h"

namespace umbra {

// Null when there is no such engine in this build.
inline std::unique_ptr<Engine> make_engine(const std::string& name, PhysicalMemory& memory) {
  if (name == "interp") return std::make_unique<Interpreter>(memory);
  return nullptr;
}

}  // namespace umbra
