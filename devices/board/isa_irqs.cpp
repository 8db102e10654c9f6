#include "devices/board/isa_irqs.h"

#include "cpu/base/bits.h"

namespace umbra {
namespace {

constexpr unsigned kRtcIrq = 8, kTimerIrq = 0, kTimerPin = 2;

}  // namespace

void IsaIrqs::set_line(unsigned input, bool level) {
  const unsigned irq = input % 16, source = input / 16;
  if (source >= 8) return;
  sources_[irq] = with_bit<u8>(sources_[irq], source, level);
  drive(irq);
}

void IsaIrqs::cut_rtc(bool cut) {
  rtc_cut_ = cut;
  drive(kRtcIrq);
}

void IsaIrqs::drive(unsigned irq) {
  u8 sources = sources_[irq];
  if (irq == kRtcIrq && rtc_cut_) sources = with_bit<u8>(sources, static_cast<unsigned>(IrqSource::kIsa), false);
  const auto bit = static_cast<u16>(1u << irq);
  if (sources == 0) {
    levels_ = static_cast<u16>(levels_ & ~bit);
  } else if ((levels_ & bit) == 0) {
    levels_ |= bit;
    ++counts_[irq];
  }
  pic_.set_line(irq, sources != 0);
  ioapic_.set_line(irq == kTimerIrq ? kTimerPin : irq, sources != 0);
}

}  // namespace umbra
