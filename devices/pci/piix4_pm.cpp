#include "devices/pci/piix4_pm.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr u8 kPmba = 0x40, kDevActB = 0x58, kPmRegMisc = 0x80, kSmbBase = 0x90, kSmbHostConfig = 0xd2;
constexpr u32 kPmSize = 64, kSmbSize = 16;

constexpr u16 kTimerSts = 1 << 0, kPowerButton = 1 << 8, kRtc = 1 << 10, kWake = 1 << 15;
constexpr u16 kStatusBits = 0x8531, kEnableBits = 0x0521;
constexpr u16 kSciEnable = 1 << 0, kSleepEnable = 1 << 13;
constexpr u8 kAcpiEnable = 0xf1, kAcpiDisable = 0xf0;  // as SeaBIOS' FADT tells systems to write to SMI_CMD

constexpr unsigned kTimerSign = 23;  // the status bit follows each change of the counter's top bit

}  // namespace

Piix4Pm::Piix4Pm(Clock& clock, Line sci, std::function<void(Sleep)> sleep)
    : PciFunction({.vendor = 0x8086,
                   .device = 0x7113,
                   .class_code = 0x068000,
                   .revision = 3,
                   .subsystem_vendor = 0x1af4,
                   .subsystem = 0x1100,
                   .interrupt_pin = 1,
                   .status = kMediumDevsel | kFastBackToBack}),
      clock_(clock),
      sci_(sci),
      sleep_(std::move(sleep)),
      overflow_(clock, [this] { update(); }) {
  define(kPmba, 4, 1, 0xffc0);
  define(kDevActB, 4, 0x02000000, 0xfdffffff);  // APMC_EN: "the SMI is set up already"
  define(kPmRegMisc, 1, 0, 1);
  define(kSmbBase, 4, 1, 0xfff0);
  define(kSmbHostConfig, 1, 0x09, 0x0f);
  set_ports({});
}

// DEVRESB, DEVRESE and their neighbours, where firmware's DSDT looks which ports there are.
void Piix4Pm::set_ports(const Ports& ports) {
  define(0x5f, 1, ports.parallel ? 0x90 : 0x10, 0xff);
  define(0x63, 1, 0x60, 0xff);
  define(0x67, 1, (ports.serial_a ? 0x08u : 0u) | (ports.serial_b ? 0x90u : 0u), 0xff);
}

void Piix4Pm::reset() {
  const u64 mark = ticks();
  r_ = Regs{};
  r_.timer_mark = mark;
  pci_reset();
  update();
}

void Piix4Pm::state(Archive& a) {
  pci_state(a);
  a("pm1_sts", r_.pm1_sts)("pm1_en", r_.pm1_en)("pm1_cnt", r_.pm1_cnt)("gpe_sts", r_.gpe_sts)("gpe_en", r_.gpe_en);
  a("apmc", r_.apmc)("apms", r_.apms)("timer_mark", r_.timer_mark)("smbus", r_.smbus)("overflow", overflow_);
}

void Piix4Pm::add_ranges(std::vector<PciRange>& ranges) {
  if ((get(kPmRegMisc, 1) & 1) != 0 && (get(kPmba, 4) & 0xffc0) != 0)
    ranges.push_back({PciSpace::kIo, get(kPmba, 4) & 0xffc0, kPmSize, &pm_, nullptr, false, "piix4-pm"});
  if ((get(kSmbHostConfig, 1) & 1) != 0 && (get(kSmbBase, 4) & 0xfff0) != 0)
    ranges.push_back({PciSpace::kIo, get(kSmbBase, 4) & 0xfff0, kSmbSize, &smbus_, nullptr, false, "piix4-smbus"});
}

void Piix4Pm::config_written(u8, unsigned) { update_ranges(); }

void Piix4Pm::update() {
  const u64 now = ticks();
  if ((now >> kTimerSign) != (r_.timer_mark >> kTimerSign)) r_.pm1_sts |= kTimerSts;
  r_.timer_mark = now;
  const bool fixed = (r_.pm1_sts & r_.pm1_en & kEnableBits) != 0;
  const bool general = (r_.gpe_sts[0] & r_.gpe_en[0]) != 0 || (r_.gpe_sts[1] & r_.gpe_en[1]) != 0;
  sci_.set((fixed || general) && (r_.pm1_cnt & kSciEnable) != 0);
  if ((r_.pm1_en & kTimerSts) != 0 && (r_.pm1_sts & kTimerSts) == 0)
    overflow_.at(time_of_tick(((now >> kTimerSign) + 1) << kTimerSign, kTimerHz));
  else
    overflow_.stop();
}

void Piix4Pm::power_button() {
  r_.pm1_sts |= kPowerButton;
  update();
}

void Piix4Pm::rtc_interrupt() {
  r_.pm1_sts |= kRtc;
  update();
}

bool Piix4Pm::rtc_wakes() const { return (r_.pm1_sts & r_.pm1_en & kRtc) != 0; }

void Piix4Pm::wake(u16 pm1_sts) {
  const bool by_rtc = (pm1_sts & kRtc) != 0;
  r_.pm1_sts = static_cast<u16>(r_.pm1_sts | kWake | (by_rtc ? kRtc : kPowerButton));
  update();
}

void Piix4Pm::write_control(u16 value) {
  r_.pm1_cnt = static_cast<u16>(value & ~kSleepEnable);
  update();
  if ((value & kSleepEnable) == 0) return;
  switch (value >> 10 & 7) {  // the sleep types of SeaBIOS' DSDT
    case 0:
    case 2:
      return sleep_(Sleep::kOff);  // S5; S4 is the system's own business
    case 1:
      return sleep_(Sleep::kSuspend);
    default:
      break;
  }
}

u8 Piix4Pm::pm_byte(u32 offset) {
  const unsigned shift = (offset & 1) * 8;
  switch (offset & ~1u) {
    case 0x00:
      update();
      return static_cast<u8>(r_.pm1_sts >> shift);
    case 0x02:
      return static_cast<u8>(r_.pm1_en >> shift);
    case 0x04:
      return static_cast<u8>(r_.pm1_cnt >> shift);
    default:
      return 0;
  }
}

u32 Piix4Pm::pm_read(u32 offset, unsigned size) {
  if (offset >= 8 && offset < 12) return static_cast<u32>(ticks() & 0xffffff) >> ((offset & 3) * 8);
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) value |= static_cast<u32>(pm_byte(offset + i)) << (i * 8);
  return value;
}

void Piix4Pm::pm_write(u32 offset, u32 value, unsigned size) {
  // Registers are words; a byte access touches its half, a dword two of them.
  for (unsigned i = 0; i < size;) {
    const u32 at = offset + i;
    const unsigned n = (at & 1) == 0 && size - i >= 2 ? 2 : 1;
    const unsigned shift = (at & 1) * 8;
    const u16 mask = static_cast<u16>(n == 2 ? 0xffff : 0xff << shift);
    const u16 data = static_cast<u16>((value >> (i * 8)) << shift) & mask;
    switch (at & ~1u) {
      case 0x00:
        update();
        r_.pm1_sts = static_cast<u16>(r_.pm1_sts & ~(data & kStatusBits));
        update();
        break;
      case 0x02:
        r_.pm1_en = static_cast<u16>(((r_.pm1_en & ~mask) | data) & kEnableBits);
        update();
        break;
      case 0x04:
        write_control(static_cast<u16>((r_.pm1_cnt & ~mask) | data));
        break;
      default:
        break;
    }
    i += n;
  }
}

u32 Piix4Pm::apm_read(u32 offset, unsigned) { return offset == 0 ? r_.apmc : r_.apms; }

void Piix4Pm::apm_write(u32 offset, u32 value, unsigned) {
  if (offset != 0) {
    r_.apms = static_cast<u8>(value);
    return;
  }
  r_.apmc = static_cast<u8>(value);
  if (r_.apmc == kAcpiEnable) r_.pm1_cnt |= kSciEnable;
  if (r_.apmc == kAcpiDisable) r_.pm1_cnt = static_cast<u16>(r_.pm1_cnt & ~kSciEnable);
  update();
}

u32 Piix4Pm::gpe_read(u32 offset, unsigned size) {
  const u8 bytes[4] = {r_.gpe_sts[0], r_.gpe_sts[1], r_.gpe_en[0], r_.gpe_en[1]};
  u32 value = 0;
  for (unsigned i = 0; i < size && offset + i < 4; ++i) value |= static_cast<u32>(bytes[offset + i]) << (i * 8);
  return value;
}

void Piix4Pm::gpe_write(u32 offset, u32 value, unsigned size) {
  for (unsigned i = 0; i < size && offset + i < 4; ++i) {
    const u8 byte = static_cast<u8>(value >> (i * 8));
    const u32 at = offset + i;
    if (at < 2)
      r_.gpe_sts[at] = static_cast<u8>(r_.gpe_sts[at] & ~byte);
    else
      r_.gpe_en[at - 2] = byte;
  }
  update();
}

u32 Piix4Pm::smbus_read(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size && offset + i < kSmbSize; ++i)
    value |= static_cast<u32>(r_.smbus[offset + i]) << (i * 8);
  return value;
}

void Piix4Pm::smbus_write(u32 offset, u32 value, unsigned size) {
  for (unsigned i = 0; i < size && offset + i < kSmbSize; ++i) {
    const u8 byte = static_cast<u8>(value >> (i * 8));
    const u32 at = offset + i;
    if (at == 0)
      r_.smbus[0] = static_cast<u8>(r_.smbus[0] & ~byte);  // status: write one to clear
    else
      r_.smbus[at] = byte;
    if (at == 2 && bit(byte, 6)) r_.smbus[0] |= 0x04;  // START: device error, nobody acknowledged
  }
}

}  // namespace umbra
