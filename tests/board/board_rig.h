// A machine under test: runs on this thread under the interpreter until a condition holds or time is up.
#pragma once

#include <chrono>
#include <string>

#include "cpu/interp/interp.h"
#include "devices/board/machine.h"

namespace umbra {

class StringDev final : public CharDev {  // a stream that keeps what is written
 public:
  explicit StringDev(std::string& to) : to_(to) {}
  std::size_t write(std::span<const u8> bytes) override {
    to_.append(bytes.begin(), bytes.end());
    return bytes.size();
  }
  std::string describe() const override { return "test"; }

 private:
  std::string& to_;
};

class BoardRig {
 public:
  std::string debug;   // port 402h
  std::string serial;  // COM1
  std::string error;   // why there is no machine
  std::unique_ptr<Machine> machine;

  static MachineConfig config() {
    MachineConfig c;
    c.cpu = find_cpu_model(kDefaultCpuModel);
    c.ram_bytes = 64u << 20;
    return c;
  }
  explicit BoardRig(MachineConfig c = config()) {
    c.debugcon = std::make_unique<StringDev>(debug);
    c.debugcon_port = 0x402;
    c.serial.push_back(std::make_unique<StringDev>(serial));
    auto made = Machine::create(std::move(c));
    if (made)
      machine = std::move(*made);
    else
      error = made.error();
    if (machine) engine = std::make_unique<Interpreter>(machine->memory());
  }

  static constexpr int kSeen = 100, kTimeUp = 101;
  // kSeen when `seen` held (asked every 50 ms of machine time), kTimeUp after so many seconds, or the exit code.
  int run_until(std::function<bool()> seen, double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    Timer poll(machine->clock(), [&] {
      if (seen()) return machine->quit(kSeen);
      if (std::chrono::steady_clock::now() > end) return machine->quit(kTimeUp);
      poll.after(50'000'000);
    });
    poll.after(0);
    return machine->run(*engine);
  }
  int run_until_screen(const std::string& text, double seconds) {
    return run_until([&] { return screen().find(text) != std::string::npos; }, seconds);
  }
  std::string screen() { return machine->screen() == nullptr ? "" : to_utf8(machine->screen()->text()); }
  void type(Key key) {
    machine->keys().key(key, true);
    machine->keys().key(key, false);
  }

  std::unique_ptr<Engine> engine;
};

}  // namespace umbra
