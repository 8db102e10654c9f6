#include "devices/board/bare.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u16 kCom1 = 0x3f8, kDebugPort = 0xe9, kPostPort = 0x190;
constexpr u16 kLineControl = kCom1 + 3, kLineStatus = kCom1 + 5;
constexpr u8 kDivisorLatch = 0x80;

}  // namespace

Result<std::unique_ptr<BareBoard>> BareBoard::create(const CpuModel& model, u64 ram_bytes, const std::vector<u8>& rom,
                                                     DebugExitConfig debug_exit, Output output) {
  const u64 ram = align_up<u64>(ram_bytes, kPageSize), rom_size = align_up<u64>(rom.size(), kPageSize);
  auto memory = PhysicalMemory::create(ram + rom_size);
  if (!memory) return memory.take_error();
  PhysicalMemory& m = **memory;
  std::copy(rom.begin(), rom.end(), m.base() + ram + (rom_size - rom.size()));
  m.map_ram(Phys(0), ram, 0, true);
  m.map_ram(Phys(0x100000 - rom_size), rom_size, ram, false);
  m.map_ram(Phys(0x100000000 - rom_size), rom_size, ram, false);
  return std::unique_ptr<BareBoard>(new BareBoard(model, std::move(*memory), debug_exit, std::move(output)));
}

BareBoard::BareBoard(const CpuModel& model, std::unique_ptr<PhysicalMemory> memory, DebugExitConfig debug_exit,
                     Output output)
    : memory_(std::move(memory)),
      debug_exit_(debug_exit),
      output_(std::move(output)),
      cpu_(std::make_unique<Cpu>(model, *memory_, *this, *this, *this)) {
  cpu_->reset();
}

BareBoard::End BareBoard::run(Engine& engine, bool no_reboot) {
  engine_ = &engine;
  if (!time_.running()) time_.resume();
  for (;;) {
    if (stop_) return End::kStopped;
    time_.steer();
    cpu_->tsc_scale = time_.scale();
    const Stop stop = engine.run(*cpu_);
    cpu_->pending.fetch_and(~attention::kExit);
    if (exit_code_) return End::kExit;
    if (stop == Stop::kHalted) return End::kHalted;
    if (stop != Stop::kShutdown) continue;
    if (no_reboot) return End::kTripleFault;
    cpu_->reset();
  }
}

void BareBoard::stop() {
  stop_ = true;
  cpu_->pending.fetch_or(attention::kExit);
  if (engine_ != nullptr) engine_->kick();
}

u32 BareBoard::in(u16 port, unsigned size) {
  constexpr u32 kTransmitterEmpty = 0x60;
  if (port == kLineStatus && size == 1) return kTransmitterEmpty;
  if (port >= kCom1 && port < kCom1 + 8) return 0;
  return size == 4 ? ~0u : (1u << (size * 8)) - 1;
}

void BareBoard::out(u16 port, u32 value, unsigned /*size*/) {
  if (port >= debug_exit_.port && port < debug_exit_.port + debug_exit_.size) {
    exit_code_ = static_cast<int>(value << 1 | 1);
    stop();
  } else if (port == kLineControl) {
    line_control_ = static_cast<u8>(value);
  } else if (port == kDebugPort || port == kPostPort || (port == kCom1 && (line_control_ & kDivisorLatch) == 0)) {
    output_(static_cast<u8>(value));
  }
}

}  // namespace umbra
