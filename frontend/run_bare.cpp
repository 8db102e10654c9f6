// The bare board: its output is this program's standard output.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include "cpu/base/log.h"
#include "cpu/show.h"
#include "devices/board/bare.h"
#include "frontend/program.h"
#include "frontend/stream_dev.h"
#include "roms/firmware.h"

namespace umbra {
namespace {

BareBoard* g_board = nullptr;
std::atomic<bool> g_interrupted = false;

constexpr u64 kMinRom = 64 * 1024, kMaxRom = 256 * 1024;

}  // namespace

// A ROM alone, and nothing that only a PC has; its output goes to stdio here, so that any other stream is a PC's.
bool wants_bare_board(const Options& o) {
  if (o.bare) return true;
  const auto elsewhere = [](const std::string& stream) { return stream != "stdio"; };
  const bool pc = !o.machine.drives.empty() || !o.machine.kernel.empty() || !o.machine.option_roms.empty() ||
                  !o.machine_named.empty() || o.machine.testdev || o.machine.pci_testdev || o.machine.boot_menu ||
                  !o.monitors.empty() || !o.machine.fw_cfg_files.empty() ||
                  o.machine.debugcon_port != MachineConfig{}.debugcon_port || !o.parallel.empty() ||
                  (!o.debugcon.empty() && elsewhere(o.debugcon)) || std::ranges::any_of(o.serial, elsewhere) ||
                  (!o.display.empty() && o.display != "none") || o.nographic;
  return !o.machine.bios.empty() && !pc;
}

int run_bare(const Options& o) {
  const auto fail = [](const std::string& message) {
    std::fprintf(stderr, "umbra: %s\n", message.c_str());
    return 1;
  };
  if (o.machine.bios.empty()) return fail("the bare board runs a ROM: give it with -bios FILE");
  auto path = find_firmware(o.machine.bios, o.machine.firmware_dirs);
  if (!path) return fail(path.error());
  auto rom = read_rom(*path, "ROM", kMinRom, kMaxRom);
  if (!rom) return fail(rom.error());
  IoLoop loop;
  const std::unique_ptr<CharDev> out = stream_on(loop, -1, STDOUT_FILENO, "stdio");
  const auto write = [&out](u8 byte) {
    out->write({&byte, 1});
    while (out->full() && !g_interrupted) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  auto board = BareBoard::create(*o.machine.cpu, o.machine.ram_bytes, *rom,
                                 o.machine.debug_exit.value_or(DebugExitConfig{}), write);
  if (!board) return fail(board.error());
  auto engine = make_engine(o, (*board)->memory());
  if (!engine) return fail(engine.error());

  g_board = board->get();
  std::signal(SIGPIPE, SIG_IGN);
  for (const int s : {SIGINT, SIGTERM}) {
    std::signal(s, [](int) {
      g_interrupted = true;
      g_board->stop();
    });
  }
  const auto show_state = [](void* context, std::FILE* out) {
    const auto* b = static_cast<BareBoard*>(context);
    std::fputs(show_registers(b->cpu().s, b->memory().a20()).c_str(), out);
  };
  set_crash_report(show_state, g_board);

  const BareBoard::End end = g_board->run(**engine, o.machine.no_reboot);
  loop.drain([] { return g_interrupted.load(); });
  set_crash_report(nullptr, nullptr);
  if (log_on(Log::kExits)) log(Log::kExits, "%s", (*engine)->statistics(false).c_str());
  switch (end) {
    case BareBoard::End::kExit:
      return g_board->exit_code();
    case BareBoard::End::kStopped:
      return 130;
    case BareBoard::End::kHalted:
      std::fprintf(stderr, "umbra: the guest has halted, and nothing on this board can wake it\n");
      return 0;
    case BareBoard::End::kTripleFault:
      std::fprintf(stderr, "umbra: triple fault\n");
      show_state(g_board, stderr);
      return 0;
  }
  return 0;
}

}  // namespace umbra
