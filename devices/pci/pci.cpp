#include "devices/pci/pci.h"

#include <algorithm>
#include <bit>

#include "cpu/base/log.h"

namespace umbra {
namespace {

constexpr u8 kCommand = 0x04;
constexpr u8 kStatus = 0x06;
constexpr u8 kInterruptLine = 0x3c;
constexpr u8 kInterruptPin = 0x3d;

constexpr u32 kCommandIo = 1u << 0;
constexpr u32 kCommandMemory = 1u << 1;
constexpr u32 kCommandIntxDisable = 1u << 10;
constexpr u32 kCommandWritable = 0x0547;  // I/O, memory, master, parity, SERR, INTx disable
constexpr u32 kStatusInterrupt = 1u << 3;
constexpr u32 kStatusClearOnOne = 0xf900;

u32 size_mask(unsigned size) { return size >= 4 ? 0xffffffffu : (1u << (size * 8)) - 1; }

}  // namespace

PciFunction::PciFunction(const PciIds& ids) {
  define(0x00, 2, ids.vendor, 0);
  define(0x02, 2, ids.device, 0);
  define(kCommand, 2, 0, kCommandWritable);
  define(kStatus, 2, ids.status, 0);
  define_clear_on_one(kStatus, 2, kStatusClearOnOne);
  define(0x08, 4, ids.class_code << 8 | ids.revision, 0);
  define(0x0c, 1, 0, 0xff);  // cache line size
  define(0x0e, 1, ids.multifunction ? 0x80 : 0x00, 0);
  define(0x2c, 2, ids.subsystem_vendor, 0);
  define(0x2e, 2, ids.subsystem, 0);
  define(kInterruptLine, 1, 0, 0xff);
  define(kInterruptPin, 1, ids.interrupt_pin, 0);
}

void PciFunction::define(u8 reg, unsigned size, u32 value, u32 writable) {
  for (unsigned i = 0; i < size; ++i) {
    initial_[reg + i] = config_[reg + i] = static_cast<u8>(value >> (i * 8));
    writable_[reg + i] = static_cast<u8>(writable >> (i * 8));
  }
}

void PciFunction::define_clear_on_one(u8 reg, unsigned size, u32 bits) {
  for (unsigned i = 0; i < size; ++i) clear_on_one_[reg + i] = static_cast<u8>(bits >> (i * 8));
}

std::optional<PciFunction::BarView> PciFunction::bar(unsigned index) const {
  const Bar& b = bars_[index];
  if (b.size == 0) return {};
  const u32 value = get(static_cast<u8>(bar_register(index)), 4);
  const bool memory = b.space == PciSpace::kMemory && index != kRomBar;
  return BarView{b.space, memory && (value & 8) != 0, value & ~(b.size - 1), b.size};
}

u32 PciFunction::get(u8 reg, unsigned size) const {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) value |= static_cast<u32>(config_[(reg + i) & 0xff]) << (i * 8);
  return value;
}

void PciFunction::set(u8 reg, unsigned size, u32 value) {
  for (unsigned i = 0; i < size; ++i) config_[(reg + i) & 0xff] = static_cast<u8>(value >> (i * 8));
}

void PciFunction::add_io_bar(unsigned index, u32 size, BusTarget& target, const char* name) {
  CHECK(index < kBars && std::has_single_bit(size) && size >= 4);
  bars_[index] = {PciSpace::kIo, size, &target, nullptr, name};
  define(static_cast<u8>(bar_register(index)), 4, 1, ~(size - 1) & ~3u);
}

void PciFunction::add_memory_bar(unsigned index, u32 size, BusTarget& target, const BarOptions& options) {
  CHECK(index < kBars && std::has_single_bit(size) && size >= 16);
  bars_[index] = {PciSpace::kMemory, size, &target, options.ram, options.name};
  define(static_cast<u8>(bar_register(index)), 4, options.prefetchable ? 8 : 0, ~(size - 1) & ~0xfu);
}

void PciFunction::add_rom(std::vector<u8> image) {
  if (image.empty()) return;
  const u32 size = std::bit_ceil(std::max<u32>(static_cast<u32>(image.size()), 2048));
  image.resize(size, 0xff);
  rom_.image = std::move(image);
  bars_[kRomBar] = {PciSpace::kMemory, size, &rom_, rom_.image.data(), "option rom"};
  define(static_cast<u8>(bar_register(kRomBar)), 4, 0, (~(size - 1) & ~0x7ffu) | 1);
}

u32 PciFunction::RomTarget::read(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i)
    value |= static_cast<u32>(offset + i < image.size() ? image[offset + i] : 0xff) << (i * 8);
  return value;
}

u32 PciFunction::config_read(u8 reg, unsigned size) { return get(reg, size); }

void PciFunction::config_write(u8 reg, u32 value, unsigned size) {
  value &= size_mask(size);
  for (unsigned i = 0; i < size && reg + i < 256; ++i) {
    const u8 byte = static_cast<u8>(value >> (i * 8));
    u8& old = config_[reg + i];
    old = static_cast<u8>((old & ~writable_[reg + i]) | (byte & writable_[reg + i]));
    old = static_cast<u8>(old & ~(byte & clear_on_one_[reg + i]));
  }
  const bool touches_command = reg < kCommand + 2 && reg + size > kCommand;
  const bool touches_bars = reg < 0x34 && reg + size > 0x10;
  config_written(reg, size);
  if (touches_command) intx_.set(intx_level_ && (get(kCommand, 2) & kCommandIntxDisable) == 0);
  if (touches_command || touches_bars) update_ranges();
}

void PciFunction::update_ranges() {
  std::vector<PciRange> now;
  const u32 command = get(kCommand, 2);
  for (unsigned i = 0; i <= kRomBar; ++i) {
    const Bar& bar = bars_[i];
    if (bar.size == 0) continue;
    const bool io = bar.space == PciSpace::kIo;
    if ((command & (io ? kCommandIo : kCommandMemory)) == 0) continue;
    const u32 raw = get(static_cast<u8>(bar_register(i)), 4);
    if (i == kRomBar && (raw & 1) == 0) continue;
    const u32 base = raw & ~(bar.size - 1);
    // All ones is a BAR being sized, zero one never placed; neither is a place to be. I/O decodes 16 bits only.
    if (base == 0 || base + (bar.size - 1) == 0xffffffff || (io && base + bar.size > 0x10000)) continue;
    now.push_back({bar.space, base, bar.size, bar.target, bar.ram, i == kRomBar, bar.name});
  }
  add_ranges(now);
  const auto same = [](const PciRange& a, const PciRange& b) {
    return a.space == b.space && a.base == b.base && a.size == b.size && a.target == b.target;
  };
  if (now.size() == ranges_.size() && std::equal(now.begin(), now.end(), ranges_.begin(), same)) return;
  ranges_ = std::move(now);
  if (ranges_changed_) ranges_changed_();
}

void PciFunction::set_intx(bool level) {
  intx_level_ = level;
  set(kStatus, 1, (get(kStatus, 1) & ~kStatusInterrupt) | (level ? kStatusInterrupt : 0));
  intx_.set(level && (get(kCommand, 2) & kCommandIntxDisable) == 0);
}

void PciFunction::pci_reset() {
  config_ = initial_;
  set_intx(false);
  update_ranges();
}

void PciFunction::pci_state(Archive& a) {
  std::array<u8, 256> config = config_;
  a("config", config)("intx", intx_level_);
  if (!a.loading() || a.failed()) return;
  // A file may not change what hardware fixes: identity, masks and the kind of a BAR.
  for (unsigned i = 0; i < 256; ++i) {
    const bool fixed = i < 4 || (i >= 8 && i < 12) || i == 0x0e || i == kInterruptPin;
    if (fixed) a.require(config[i] == initial_[i], "pci config");
    if (i >= 0x10 && i < 0x34) config[i] = static_cast<u8>((config[i] & writable_[i]) | (initial_[i] & ~writable_[i]));
  }
  if (a.failed()) return;
  config_ = config;
  update_ranges();
}

}  // namespace umbra
