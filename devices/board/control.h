// What a monitor, a display or a signal handler may ask of a running machine. Every call is safe from any thread: it
// is posted to the processor's, and returns at once. On the processor's own thread stop and cont take effect at once.
#pragma once

#include <functional>

#include "cpu/base/types.h"

namespace umbra {

enum class MachineEvent : u8 { kStop, kResume, kReset, kShutdown, kPowerdown, kSuspend, kWakeup };

class Control {
 public:
  virtual ~Control() = default;
  virtual void stop() = 0;
  virtual void cont() = 0;
  virtual void reset() = 0;
  virtual void powerdown() = 0;  // the power button
  virtual void wakeup() = 0;     // out of S3
  virtual void nmi() = 0;
  virtual void quit(int exit_code) = 0;
  virtual bool running() const = 0;        // not paused
  virtual const char* status() const = 0;  // as `info status` spells it: "running", "paused (prelaunch)"
  // Runs on the processor's thread, between instructions, also while the machine is paused.
  virtual void post(std::function<void()> work) = 0;
};

}  // namespace umbra
