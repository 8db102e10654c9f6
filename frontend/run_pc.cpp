// The PC: its streams, display and monitor around a machine that runs on a thread of its own.
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>
#include <utility>

#include "cpu/base/log.h"
#include "cpu/show.h"
#include "devices/board/machine.h"
#include "frontend/display.h"
#include "frontend/machine_info.h"
#include "frontend/monitor.h"
#include "frontend/program.h"
#include "frontend/streams.h"

namespace umbra {
namespace {

void apply_defaults(Options& o) {
  if (o.nographic) {
    o.machine.graphics = false;
    if (o.display.empty()) o.display = "none";
    const bool stdio_given = std::ranges::count(o.monitors, "stdio") != 0 || o.debugcon == "stdio" ||
                             std::ranges::count(o.streams, "stdio", &NamedStream::stream) != 0;
    if (o.serial.empty() && !o.no_defaults)
      o.serial.emplace_back(stdio_given ? "null" : o.monitors.empty() ? "mon:stdio" : "stdio");
  }
  o.machine.floppy_drive = !o.no_defaults;
  o.machine.vga = o.machine.vga && (o.vga_given || !o.no_defaults);
  if (!o.no_defaults) {
    if (o.serial.empty()) o.serial.emplace_back("null");
    if (o.parallel.empty()) o.parallel.emplace_back("null");
    bool cd = false, second_master = false;
    for (const DriveConfig& d : o.machine.drives) {
      cd = cd || d.kind == DriveConfig::Kind::kCdrom;
      second_master = second_master || (d.kind != DriveConfig::Kind::kFloppy && d.index == 2);
    }
    if (!cd && !second_master) o.machine.drives.push_back({DriveConfig::Kind::kCdrom, 2, "", true});
  }
}

MonitorLinks links_for(Machine& m, Engine& engine, const std::string& streams) {
  MonitorLinks links;
  links.control = &m;
  links.cpu = &m.cpu();
  links.engine = &engine;
  links.clock = &m.clock();
  links.screen = m.screen();
  links.keys = &m.keys();
  links.pointer = &m.pointer();
  links.ports = &m.ports();
  links.name = m.config().name;
  links.uuid = show_uuid(m.config().uuid);
  links.streams = streams;
  links.ram_bytes = m.ram_bytes();
  links.devices = m.devices();
  links.memory_tree = [&m] { return show_address_spaces(m); };
  links.pci_tree = [&m] { return show_pci(m); };
  links.irq_counts = [&m] { return show_irq_counts(m); };
  links.interrupt_controllers = [&m] { return show_interrupt_controllers(m); };
  links.local_apic = [&m] { return show_local_apic(m); };
  links.roms = [&m] { return show_roms(m); };
  links.set_boot_order = [&m](const std::string& order) { m.set_boot_order(order); };
  links.block_list = [&m](const std::string& only) { return show_drives(m, only); };
  links.change = [&m](const std::string& drive, const MediumChange& change) { return m.change_medium(drive, change); };
  return links;
}

// How much of the time since it was last asked the guest's processor has not been halted.
class Load {
 public:
  unsigned percent(u64 halted) {
    const auto now = std::chrono::steady_clock::now();
    const double passed = std::chrono::duration<double, std::nano>(now - asked_).count();
    const double idle = static_cast<double>(halted - std::exchange(halted_, halted)) / std::max(passed, 1.0);
    asked_ = now;
    return static_cast<unsigned>(100 * (1 - std::clamp(idle, 0.0, 1.0)) + 0.5);
  }

 private:
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  u64 halted_ = 0;
};

// SIGINT, SIGTERM and SIGHUP end the machine in order, whatever thread they hit.
class Signals {
 public:
  static void block() {
    sigset_t set = ours();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
  Signals(IoLoop& loop, std::function<void()> quit) : loop_(loop) {
    const sigset_t set = ours();
    fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    loop_.watch(fd_, 1 /* POLLIN */, [this, quit](short) {
      signalfd_siginfo info;
      if (::read(fd_, &info, sizeof info) != sizeof info) return;
      came_ = true;
      quit();
    });
  }
  bool came() const { return came_; }
  ~Signals() {
    loop_.forget(fd_);
    ::close(fd_);
  }

 private:
  static sigset_t ours() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int s : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, s);
    return set;
  }
  IoLoop& loop_;
  int fd_;
  std::atomic<bool> came_{false};
};

int fail(const std::string& message) {
  std::fprintf(stderr, "umbra: %s\n", message.c_str());
  return 1;
}

}  // namespace

int run_pc(Options& given) {
  Signals::block();
  std::signal(SIGPIPE, SIG_IGN);
  IoLoop loop;
  Options o = std::move(given);  // its streams shall not outlive their loop
  apply_defaults(o);
  Streams streams(loop);
  if (Status s = streams.open(o); !s) return fail(s.error());

  const std::string name = o.machine.name;
  auto created = Machine::create(std::move(o.machine));
  if (!created) return fail(created.error());
  Machine& m = **created;
  auto engine = make_engine(o, m.memory());
  if (!engine) return fail(engine.error());
  streams.quit = [&m] { m.quit(0); };
  set_crash_report(
      [](void* context, std::FILE* out) {
        auto* machine = static_cast<Machine*>(context);
        std::fputs(show_registers(machine->cpu().s, machine->memory().a20()).c_str(), out);
      },
      &m);

  DisplayLinks links;
  links.clock = &m.clock();
  links.screen = m.screen();
  links.keys = &m.keys();
  links.pointer = &m.pointer();
  links.name = name;
  links.status = [&m, load = Load()]() mutable {
    return m.running() ? format("%u %% busy", load.percent(m.halted_nanos())) : std::string("paused");
  };
  links.close = [&m] { m.quit(0); };
  links.full_screen = o.full_screen;
  auto display = open_display(o.display, std::move(links));
  if (!display) return fail(display.error());

  Signals signals(loop, [&m] { m.quit(0); });
  std::vector<std::unique_ptr<Monitor>> monitors;
  for (auto& stream : streams.monitors)
    monitors.push_back(std::make_unique<Monitor>(std::move(stream), links_for(m, **engine, streams.list())));
  loop.attach([&m](IoLoop::Work work) { m.post(std::move(work)); });

  int code = 0;
  std::thread processor([&] {
    code = m.run(**engine);
    (*display)->stop();
  });
  (*display)->run();
  m.quit(0);  // the display may have ended by itself
  processor.join();
  loop.detach();
  loop.drain([&] { return m.told_to_quit() || signals.came(); });
  if (log_on(Log::kExits)) log(Log::kExits, "%s", (*engine)->statistics(false).c_str());
  set_crash_report(nullptr, nullptr);
  return code;
}

}  // namespace umbra
