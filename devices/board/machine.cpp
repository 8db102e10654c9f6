// The run loop, reset, and what reaches the processor by a wire. Construction is in machine_wiring.cpp, what firmware
// is told in machine_firmware.cpp, drives and media in machine_media.cpp.
#include "devices/board/machine.h"

#include "devices/board/layout.h"

namespace umbra {

using namespace board;

static_assert(kTscHz == kNanosPerSecond);

constexpr u8 kShutdownStatus = 0x0f;  // in CMOS: what firmware is to do after a reset

u64 Machine::board_tsc_hz() { return kTscHz; }

// --- the loop --------------------------------------------------------------------------------------------------------

int Machine::run(Engine& engine) {
  Alarm alarm([](void* machine) { static_cast<Machine*>(machine)->ring(); }, this);
  engine_ = &engine;
  thread_ = std::this_thread::get_id();
  exit_code_.reset();
  told_to_quit_ = false;
  if (!config_.start_paused) resume();
  while (!exit_code_) {
    clock_.run_posted();
    if (std::exchange(processor_reset_requested_, false) && !reset_processor()) reset_requested_ = true;
    if (reset_requested_) perform_reset();
    if (exit_code_) break;
    if (!running_ || powered_off_) {
      sleeper_.sleep_until(Sleeper::kNever);
      continue;
    }
    clock_.run_due();
    if (reset_requested_ || processor_reset_requested_ || exit_code_) continue;
    if (suspended_ || output_full()) {  // the devices' clocks go on: the RTC's alarm may end a sleep
      sleep_while_halted();
      continue;
    }
    time_.steer();
    cpu_.tsc_scale = time_.scale();  // the TSC counts nanoseconds
    switch (run_engine(alarm)) {
      case Stop::kAttention:
        break;
      case Stop::kHalted:
        alarm.cancel();  // this thread sleeps until the next timer by itself
        sleep_while_halted();
        break;
      case Stop::kShutdown:  // a PC's chipset answers the shutdown cycle with a reset of the processor
        if (log_on(Log::kReset)) log(Log::kReset, "triple fault");
        processor_reset_requested_ = true;
        break;
    }
  }
  std::lock_guard lock(engine_mutex_);  // nobody is about to kick an engine that its owner destroys now
  engine_ = nullptr;
  return *exit_code_;
}

Stop Machine::run_engine(Alarm& alarm) {
  alarm.set_by(next_wakeup());
  alarm_ = &alarm;
  const Stop why = engine_.load()->run(cpu_);
  alarm_ = nullptr;
  return why;
}

void Machine::sleep_while_halted() {
  const u64 from = clock_.now();
  sleeper_.sleep_until(next_wakeup());
  halted_nanos_ = halted_nanos_ + (clock_.now() - from);
}

// In a signal handler on the processor's thread.
void Machine::ring() {
  cpu_.pending.fetch_or(attention::kExit);
  if (Engine* engine = engine_) engine->kick();
}

Alarm::TimePoint Machine::next_wakeup() const {
  const u64 deadline = clock_.next_deadline();
  return deadline == kNever ? Alarm::kNever : time_.host_time(deadline);
}

// Any thread. The engine leaves its loop, or the loop its sleep.
void Machine::kick() {
  cpu_.pending.fetch_or(attention::kExit);
  {
    std::lock_guard lock(engine_mutex_);
    if (Engine* engine = engine_) engine->kick();
  }
  sleeper_.wake();
}

// --- control ---------------------------------------------------------------------------------------------------------

void Machine::tell(MachineEvent event) {
  if (event_) event_(event);
}

void Machine::pause(MachineEvent why) {
  if (!running_) return;
  time_.pause();
  paused_since_ = std::chrono::steady_clock::now();
  running_ = false;
  tell(why);
}

void Machine::resume() {
  if (running_ || powered_off_) return;
  // The clock on the wall has gone on, unless the guest's is to follow the guest (-rtc clock=vm).
  if (paused_since_ && !config_.rtc_follows_guest)
    rtc_.skip(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - *paused_since_));
  time_.resume();
  running_ = ever_ran_ = true;
  tell(MachineEvent::kResume);
}

const char* Machine::status() const {
  if (suspended_) return "paused (suspended)";
  if (running_) return "running";
  if (powered_off_) return "paused (shutdown)";
  return ever_ran_ ? "paused" : "paused (prelaunch)";
}

// Who asks on the processor's thread sees it done: a script sends `cont` and `info status` in one piece.
void Machine::now(std::function<void()> work) {
  if (std::this_thread::get_id() == thread_.load())
    work();
  else
    post(std::move(work));
}

void Machine::stop() {
  now([this] { pause(MachineEvent::kStop); });
}

void Machine::cont() {
  now([this] { resume(); });
}

void Machine::reset() {
  post([this] { reset_requested_ = true; });
}

void Machine::powerdown() {
  post([this] {
    tell(MachineEvent::kPowerdown);
    if (suspended_)
      sleep_state_end();
    else
      pm_.power_button();
  });
}

void Machine::wakeup() {
  post([this] {
    if (suspended_) sleep_state_end();
  });
}

void Machine::nmi() {
  post([this] { lapic_.set_lint1(true), lapic_.set_lint1(false); });
}

void Machine::quit(int exit_code) {
  post([this, exit_code] {
    if (exit_code_) return;
    exit_code_ = exit_code;
    told_to_quit_ = true;
  });
}

// --- reset and power -------------------------------------------------------------------------------------------------

void Machine::reset_devices(Power power) {
  isa_.reset();
  for (Device* device : devices_)
    if (power == Power::kOn || device != &bridge_) device->reset();
  map_.update_shadow(bridge_);
  move_bars();
  memory_->set_a20(true);
  cpu_.reset();
  set_apic_base(cpu_.s.apic_base);
}

// The keyboard controller, port 92h and a triple fault reset the processor and nothing else; that is how software of
// the 286's time leaves protected mode. It tells firmware by a code in CMOS to go on in its midst, and then every
// device must be as it was. Any other code means a new start: that resets all, as on QEMU's board, where firmware
// counts on it.
bool Machine::reset_processor() {
  constexpr u8 kEndOfInterruptAndJump = 0x05, kBlockMove = 0x09, kJump = 0x0a;
  const u8 code = rtc_.cmos(kShutdownStatus);
  if (code != kEndOfInterruptAndJump && code != kBlockMove && code != kJump) return false;
  cpu_.reset();
  set_apic_base(cpu_.s.apic_base);
  return true;
}

void Machine::perform_reset() {
  reset_requested_ = false;
  if (config_.no_reboot && !suspended_) return shut_down();
  suspended_ = false;
  powered_off_ = false;
  if (!config_.boot_once.empty()) {
    config_.boot_once.clear();
    set_cmos();
  }
  reset_devices();
  tell(MachineEvent::kReset);
}

void Machine::shut_down() {
  tell(MachineEvent::kShutdown);
  if (!config_.no_shutdown) {
    exit_code_ = 0;
  } else {
    pause(MachineEvent::kStop);
    powered_off_ = true;
  }
  kick();
}

void Machine::sleep_state(Piix4Pm::Sleep sleep) {
  if (sleep == Piix4Pm::Sleep::kOff) return shut_down();
  suspended_ = true;
  tell(MachineEvent::kSuspend);
  kick();
}

// Out of S3 by way of the firmware, which CMOS tells that memory is still good. The bridge has kept it so, and its
// own registers too: firmware finds its shadow in place and with it what it has to go on with.
void Machine::sleep_state_end() {
  constexpr u8 kResumeFromS3 = 0xfe;
  const u16 events = pm_.regs().pm1_sts;
  suspended_ = false;
  reset_devices(Power::kResume);
  rtc_.set_cmos(kShutdownStatus, kResumeFromS3);
  pm_.wake(events);
  tell(MachineEvent::kWakeup);
}

// IRQ8 goes to the power management function too, whatever the HPET has taken from the interrupt controllers.
void Machine::rtc_interrupt(bool level) {
  isa_.line(irq::kRtc).set(level);
  if (!level) return;
  pm_.rtc_interrupt();
  if (suspended_ && pm_.rtc_wakes()) wakeup();
}

// --- wires that end at the processor ---------------------------------------------------------------------------------

void Machine::set_line(unsigned input, bool level) {
  switch (input) {
    case kIntr:
      if (!level) {
        const bool raised = (cpu_.pending.load(std::memory_order_relaxed) & attention::kInterrupt) != 0;
        if (raised) cpu_.pending.fetch_and(~attention::kInterrupt);
        return;
      }
      cpu_.pending.fetch_or(attention::kInterrupt);
      break;
    case kNmi:
      if (!level) return;
      cpu_.pending.fetch_or(attention::kNmi);
      break;
    case kInit:
      if (!level) return;
      cpu_.pending.fetch_or(attention::kInit);
      break;
    case kReset:
      if (!level) return;
      reset_requested_ = true;
      cpu_.pending.fetch_or(attention::kExit);
      break;
    case kProcessorReset:
      if (!level) return;
      processor_reset_requested_ = true;
      cpu_.pending.fetch_or(attention::kExit);
      break;
    case kA20:
      memory_->set_a20(level);
      return;
    default:
      return;
  }
  if (Engine* engine = engine_) engine->kick();
}

// INTA: the local APIC's own interrupts first, then what LINT0 brings from the 8259s.
u8 Machine::acknowledge() {
  if (lapic_.has_vector() || !lapic_.wants_extint()) return lapic_.acknowledge();
  return pic_.acknowledge();
}

// The port cannot tell the guest to wait: the processor stands still instead, like QEMU's, until the far end has taken
// some of it.
void Machine::debug_output(u8 byte) {
  config_.debugcon->write({&byte, 1});
  if (!output_full()) return;
  cpu_.pending.fetch_or(attention::kExit);
  if (Engine* engine = engine_) engine->kick();
}

void Machine::ferr(bool level) { isa_.line(irq::kFerr).set(level); }

// A write to F0h takes the coprocessor's interrupt back.
void Machine::ferr_write(u32, u32, unsigned) { isa_.line(irq::kFerr).lower(); }

void Machine::set_apic_base(u64 msr) {
  constexpr u64 kEnable = 1u << 11;
  const bool present = (cpu_.model.features_edx & cpuid::kApic) != 0;
  const bool enabled = present && (msr & kEnable) != 0;
  lapic_.set_enabled(enabled);
  const u32 at = static_cast<u32>(msr) & ~kPageMask;
  map_.move_local_apic(enabled ? std::optional<u32>(at) : std::nullopt, lapic_);
}

void Machine::key(Key key, bool down) {
  if (suspended_) {
    if (down) sleep_state_end();
    return;
  }
  keyboard_.key(key, down);
}

// --- state -----------------------------------------------------------------------------------------------------------

void Machine::state(Archive& a) {
  for (Device* device : devices_) device->quiesce();
  u64 now = clock_.now();
  u64 ram = ram_;
  a("now", now)("ram", ram);
  a.require(ram == ram_, "size of memory");
  if (a.failed()) return;
  if (a.loading()) {
    const bool was_running = time_.running();
    time_.pause();
    time_.set(now);
    if (was_running) time_.resume();
  }
  for (Device* device : devices_) a(device->name(), *device);
  a("isa", isa_);
  a("cpu", cpu_);
  a.bytes("memory", memory_->base(), memory_->size());
  if (!a.loading() || a.failed()) return;
  map_.lay(bridge_);
  move_bars();
  set_apic_base(cpu_.s.apic_base);
  if (Engine* engine = engine_) engine->flush();
}

}  // namespace umbra
