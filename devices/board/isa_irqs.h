// The sixteen ISA interrupt wires as they run on the board: to the 8259s and to the I/O APIC (where the timer's
// interrupt 0 arrives at pin 2, as the ACPI and MP tables tell). Several sources may share a wire.
#pragma once

#include "devices/chipset/ioapic.h"
#include "devices/chipset/pic.h"

namespace umbra {

enum class IrqSource : unsigned { kIsa, kIsaSecond, kPci, kSci, kHpet, kTest };

class IsaIrqs final : public LineSink {
 public:
  IsaIrqs(PicPair& pic, IoApic& ioapic) : pic_(pic), ioapic_(ioapic) {}

  Line line(unsigned irq, IrqSource source = IrqSource::kIsa) {
    return Line(*this, static_cast<unsigned>(source) * 16 + irq);
  }
  void set_line(unsigned input, bool level) override;
  // HPET legacy replacement: the RTC's wire is cut.
  void cut_rtc(bool cut);
  void reset() { rtc_cut_ = false; }
  void state(Archive& a) { a("sources", sources_)("rtc_cut", rtc_cut_); }
  u64 count(unsigned irq) const { return counts_[irq]; }  // how often the wire went up, for a person to look at

 private:
  void drive(unsigned irq);

  PicPair& pic_;
  IoApic& ioapic_;
  u8 sources_[16] = {};  // a bit for each source that asserts the wire
  u64 counts_[16] = {};
  u16 levels_ = 0;  // the wires, to see them go up
  bool rtc_cut_ = false;
};

}  // namespace umbra
