// The two 8259A interrupt controllers of the AT, cascaded on IR2, with the EISA edge/level registers (ELCR) of the
// PIIX. Intel 8259A datasheet, 231468. The 8080 mode (ICW4 bit 0 clear) exists only in that ICW4's other bits read
// as zero then: no PC runs it. Buffered mode has no effect on software.
#pragma once

#include "devices/device.h"

namespace umbra {

// One 8259A.
class Pic {
 public:
  static constexpr unsigned kCascadeInput = 2;

  Pic(bool master, u8 elcr_mask) : master_(master), elcr_mask_(elcr_mask) {}

  void reset();
  void state(Archive& a);

  u8 read(u32 offset);
  void write(u32 offset, u8 value);
  void set_input(unsigned ir, bool level);
  u8 elcr() const { return r_.elcr; }
  void write_elcr(u8 value);

  int pending() const;  // the request INT is asserted for, or -1
  u8 acknowledge();     // INTA: the input taken; 7 when there is none any more (spurious)
  u8 vector(u8 ir) const { return static_cast<u8>(r_.icw2 | ir); }

  struct Regs {
    u8 irr = 0, imr = 0, isr = 0;
    u8 lines = 0;  // the inputs as they are now
    u8 elcr = 0;   // a set bit: level triggered
    u8 icw1 = 0, icw2 = 0, icw3 = 0, icw4 = 0;
    u8 lowest = 7;        // the input with the lowest priority
    u8 expected_icw = 0;  // 2, 3 or 4 while the initialisation sequence runs
    bool read_isr = false;
    bool poll = false;
    bool special_mask = false;
    bool rotate_on_auto_eoi = false;
  };
  const Regs& regs() const { return r_; }

 private:
  bool auto_eoi() const { return (r_.icw4 & 2) != 0; }
  bool special_fully_nested() const { return (r_.icw4 & 0x10) != 0; }
  bool level_triggered(unsigned ir) const { return (r_.elcr >> ir & 1) != 0 || (r_.icw1 & 8) != 0; }
  int highest(u8 requests) const;  // in priority order, -1 for none
  void take(unsigned ir);
  void write_icw1(u8 value);
  void write_ocw2(u8 value);
  void write_ocw3(u8 value);

  Regs r_;
  bool master_;
  u8 elcr_mask_;
};

// Both, as the board sees them: sixteen inputs, one INT wire, one acknowledge.
class PicPair final : public Device, public LineSink {
 public:
  explicit PicPair(Line intr) : intr_(intr) {}

  const char* name() const override { return "pic"; }
  void reset() override;
  void state(Archive& a) override;
  void set_line(unsigned irq, bool level) override;

  bool intr() const { return master_.pending() >= 0; }
  u8 acknowledge();  // runs the INTA cycles and returns the vector

  BusTarget& master_ports() { return master_ports_; }
  BusTarget& slave_ports() { return slave_ports_; }
  BusTarget& elcr_ports() { return elcr_ports_; }
  const Pic& master() const { return master_; }
  const Pic& slave() const { return slave_; }

 private:
  u32 master_read(u32 offset, unsigned size);
  void master_write(u32 offset, u32 value, unsigned size);
  u32 slave_read(u32 offset, unsigned size);
  void slave_write(u32 offset, u32 value, unsigned size);
  u32 elcr_read(u32 offset, unsigned size);
  void elcr_write(u32 offset, u32 value, unsigned size);
  void update();

  Line intr_;
  Pic master_{true, 0xf8};
  Pic slave_{false, 0xde};
  Region<PicPair> master_ports_{this, &PicPair::master_read, &PicPair::master_write};
  Region<PicPair> slave_ports_{this, &PicPair::slave_read, &PicPair::slave_write};
  Region<PicPair> elcr_ports_{this, &PicPair::elcr_read, &PicPair::elcr_write};
};

}  // namespace umbra
