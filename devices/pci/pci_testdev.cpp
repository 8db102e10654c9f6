#include "devices/pci/pci_testdev.h"

#include <string>

namespace umbra {
namespace {

constexpr u32 kMemorySize = 4096, kPortCount = 256;
constexpr u32 kWriteAt[] = {kMemorySize / 2, kPortCount / 2};  // a byte for each test, by the number among all
constexpr const char* kSpaces[] = {"mmio", "portio"};
constexpr struct {
  const char* name;
  u8 data;
  bool any_data;
} kKinds[] = {{"no-eventfd", 0xfa, false}, {"wildcard-eventfd", 0xce, true}, {"datamatch-eventfd", 0xfa, false}};

// The header that every BAR begins with.
enum Offset : u32 { kTest = 0, kWidth = 1, kWhere = 4, kData = 8, kCount = 12, kName = 16 };

}  // namespace

PciTestDevice::PciTestDevice()
    : PciFunction({.vendor = 0x1b36,
                   .device = 0x0005,
                   .class_code = 0x00ff00,
                   .subsystem_vendor = 0x1af4,
                   .subsystem = 0x1100}) {
  add_memory_bar(0, kMemorySize, memory_, {.name = "pci-testdev memory"});
  add_io_bar(1, kPortCount, ports_, "pci-testdev ports");
}

void PciTestDevice::reset() {
  r_ = Regs{};
  pci_reset();
}

void PciTestDevice::state(Archive& a) {
  a("current", r_.current)("count", r_.count);
  a.require(r_.current < 2 * kTests || r_.current == 0xff, "pci-testdev test");
  pci_state(a);
}

u8 PciTestDevice::byte_at(u32 offset) const {
  if (r_.current >= 2 * kTests) return 0;
  const unsigned space = r_.current / kTests, kind = r_.current % kTests;
  const auto byte = [&](u32 value, u32 first) { return static_cast<u8>(value >> ((offset - first) * 8)); };
  if (offset == kTest) return r_.current;
  if (offset == kWidth) return 1;
  if (offset < kWhere) return 0;
  if (offset < kData) return byte(kWriteAt[space] + r_.current, kWhere);
  if (offset < kCount) return byte(kKinds[kind].data, kData);
  if (offset < kName) return byte(r_.count, kCount);
  const std::string name = std::string(kSpaces[space]) + "-" + kKinds[kind].name;
  return offset - kName < name.size() ? static_cast<u8>(name[offset - kName]) : 0;
}

u32 PciTestDevice::read(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) value |= static_cast<u32>(byte_at(offset + i)) << (i * 8);
  return value;
}

void PciTestDevice::write(unsigned bar, u32 offset, u32 value) {
  if (offset == kTest) {
    const u32 test = value & 0xff;
    r_ = Regs{};
    if (test < kTests) r_.current = static_cast<u8>(bar * kTests + test);
    return;
  }
  if (r_.current >= 2 * kTests || r_.current / kTests != bar || offset != kWriteAt[bar] + r_.current) return;
  const auto& kind = kKinds[r_.current % kTests];
  if (kind.any_data || (value & 0xff) == kind.data) ++r_.count;
}

}  // namespace umbra
