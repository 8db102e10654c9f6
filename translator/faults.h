// Host signals while generated code runs: SIGSEGV (poll page, guest memory, alignment), SIGFPE (guest division),
// on an alternate stack because RSP holds the guest's ESP. Signals that are not ours go where they went before.
#pragma once

namespace umbra {

class Translator;

// While it lives, this thread's faults are the engine's.
class FaultScope {
 public:
  explicit FaultScope(Translator& engine);
  ~FaultScope();
  FaultScope(const FaultScope&) = delete;
  FaultScope& operator=(const FaultScope&) = delete;

 private:
  Translator* outer_;
};

}  // namespace umbra
