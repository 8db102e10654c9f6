// What runs guest code. The machine calls `run`; it returns when the machine has something to do.
#pragma once

#include <string>

#include "cpu/base/types.h"

namespace umbra {

class Cpu;

enum class Stop : u8 {
  kAttention,  // Attention::kExit was asked for (timers, posted work, pause)
  kHalted,     // HLT, and nothing is pending that would end it
  kShutdown,   // triple fault
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual const char* name() const = 0;  // "interp", "x64"
  virtual Stop run(Cpu& cpu) = 0;
  // Exactly one instruction (or one REP iteration bound), for debuggers and lock-step tests.
  virtual Stop step(Cpu& cpu) = 0;
  // Another thread or a device line wants run() to look at cpu.pending soon. Async-signal-safe.
  virtual void kick() = 0;
  // Forget everything derived from guest memory.
  virtual void flush() = 0;
  // `info jit`, `-d exits`: a few lines of text, or JSON.
  virtual std::string statistics(bool json) const = 0;
};

}  // namespace umbra
