// Engines by name, for tests that run on each of them. Programs that link the translator define UMBRA_TEST_JIT.
#pragma once

#include <memory>
#include <string>

#include "cpu/interp/interp.h"
#ifdef UMBRA_TEST_JIT
#include "translator/x64/backend.h"
#endif

namespace umbra {

// Null when there is no such engine in this build.
inline std::unique_ptr<Engine> make_engine(const std::string& name, PhysicalMemory& memory) {
  if (name == "interp") return std::make_unique<Interpreter>(memory);
#ifdef UMBRA_TEST_JIT
  if (name == "jit" || name == "windows") {  // the latter without waiting for code to be hot
    TranslatorOptions options;
    options.always_windows = name == "windows";
    auto engine = make_x64_engine(memory, options);
    if (engine) return std::move(*engine);
  }
#endif
  return nullptr;
}

}  // namespace umbra
