#include "devices/chipset/pic.h"

#include <bit>

#include "cpu/base/bits.h"

namespace umbra {

void Pic::reset() {
  const u8 lines = r_.lines;
  r_ = Regs{};
  r_.lines = lines;  // the wires are somebody else's
  r_.imr = 0xff;     // the chip does nothing of its own accord before ICW1, which clears this
}

void Pic::state(Archive& a) {
  a("irr", r_.irr)("imr", r_.imr)("isr", r_.isr)("lines", r_.lines)("elcr", r_.elcr);
  a("icw1", r_.icw1)("icw2", r_.icw2)("icw3", r_.icw3)("icw4", r_.icw4)("lowest", r_.lowest);
  a("expected_icw", r_.expected_icw)("read_isr", r_.read_isr)("poll", r_.poll);
  a("special_mask", r_.special_mask)("rotate_on_auto_eoi", r_.rotate_on_auto_eoi);
  a.require(r_.lowest < 8, "pic priority");
  a.require(r_.expected_icw == 0 || (r_.expected_icw >= 2 && r_.expected_icw <= 4), "pic initialisation step");
  if (a.failed()) r_.lowest &= 7;
}

int Pic::highest(u8 requests) const {
  if (requests == 0) return -1;
  const int first = r_.lowest + 1;
  return (first + std::countr_zero(std::rotr(requests, first))) & 7;
}

int Pic::pending() const {
  const int request = highest(static_cast<u8>(r_.irr & ~r_.imr));
  if (request < 0) return -1;
  u8 in_service = r_.isr;
  // In special mask mode only unmasked levels in service hold others back; in special fully nested mode the slave
  // may interrupt again while the master still serves it.
  if (r_.special_mask) in_service = static_cast<u8>(in_service & ~r_.imr);
  if (master_ && special_fully_nested()) in_service = with_bit<u8>(in_service, kCascadeInput, false);
  const int serving = highest(in_service);
  if (serving < 0) return request;
  if (r_.special_mask) return bit(in_service, static_cast<unsigned>(request)) ? -1 : request;
  const auto rank = [this](int ir) { return (static_cast<unsigned>(ir) + 7 - r_.lowest) & 7; };
  return rank(request) < rank(serving) ? request : -1;
}

void Pic::take(unsigned ir) {
  if (auto_eoi()) {
    if (r_.rotate_on_auto_eoi) r_.lowest = static_cast<u8>(ir);
  } else {
    r_.isr = with_bit<u8>(r_.isr, ir, true);
  }
  // A level stays requested for as long as its wire is up.
  if (!level_triggered(ir)) r_.irr = with_bit<u8>(r_.irr, ir, false);
}

u8 Pic::acknowledge() {
  const int ir = pending();
  if (ir < 0) return 7;  // spurious: no ISR bit
  take(static_cast<unsigned>(ir));
  return static_cast<u8>(ir);
}

void Pic::set_input(unsigned ir, bool level) {
  const bool was = bit(r_.lines, ir);
  r_.lines = with_bit<u8>(r_.lines, ir, level);
  if (level_triggered(ir)) {
    r_.irr = with_bit<u8>(r_.irr, ir, level);
  } else if (level && !was) {
    // The edge stays latched when the wire falls before INTA. The chip would answer with a spurious IR7 instead,
    // which on real boards is a race that nobody relies on, while lost ticks of a short pulse would be felt.
    r_.irr = with_bit<u8>(r_.irr, ir, true);
  }
}

void Pic::write_elcr(u8 value) {
  r_.elcr = value & elcr_mask_;
  for (unsigned ir = 0; ir < 8; ++ir)
    if (bit(r_.elcr, ir)) r_.irr = with_bit<u8>(r_.irr, ir, bit(r_.lines, ir));
}

u8 Pic::read(u32 offset) {
  if (r_.poll) {  // the next read is the INTA, on either port
    r_.poll = false;
    const int ir = pending();
    if (ir < 0) return 0;
    take(static_cast<unsigned>(ir));
    return static_cast<u8>(0x80 | ir);
  }
  if (offset == 1) return r_.imr;
  return r_.read_isr ? r_.isr : r_.irr;
}

void Pic::write_icw1(u8 value) {
  const u8 lines = r_.lines, elcr = r_.elcr;
  r_ = Regs{};
  r_.lines = lines;
  r_.elcr = elcr;
  r_.icw1 = value;
  r_.expected_icw = 2;
  for (unsigned ir = 0; ir < 8; ++ir)  // edges must come anew, levels are there
    if (level_triggered(ir) && bit(lines, ir)) r_.irr = with_bit<u8>(r_.irr, ir, true);
}

void Pic::write_ocw2(u8 value) {
  const unsigned level = value & 7;
  const bool rotate = bit(value, 7), specific = bit(value, 6), eoi = bit(value, 5);
  if (!eoi) {
    if (!specific)
      r_.rotate_on_auto_eoi = rotate;
    else if (rotate)
      r_.lowest = static_cast<u8>(level);  // set priority; 010 is no operation
    return;
  }
  int ended = static_cast<int>(level);
  if (!specific) {
    // The non-specific EOI does not see levels that are masked while in special mask mode.
    ended = highest(static_cast<u8>(r_.special_mask ? r_.isr & ~r_.imr : r_.isr));
    if (ended < 0) return;
  }
  r_.isr = with_bit<u8>(r_.isr, static_cast<unsigned>(ended), false);
  if (rotate) r_.lowest = static_cast<u8>(ended);
}

void Pic::write_ocw3(u8 value) {
  if (bit(value, 2)) {
    r_.poll = true;
  } else if (bit(value, 1)) {
    r_.read_isr = bit(value, 0);
  }
  if (bit(value, 6)) r_.special_mask = bit(value, 5);
}

void Pic::write(u32 offset, u8 value) {
  if (offset == 0) {
    if (bit(value, 4))
      write_icw1(value);
    else if (bit(value, 3))
      write_ocw3(value);
    else
      write_ocw2(value);
    return;
  }
  const bool single = bit(r_.icw1, 1), needs_icw4 = bit(r_.icw1, 0);
  switch (r_.expected_icw) {
    case 2:
      r_.icw2 = value & 0xf8;
      r_.expected_icw = single ? (needs_icw4 ? 4 : 0) : 3;
      break;
    case 3:
      r_.icw3 = value;
      r_.expected_icw = needs_icw4 ? 4 : 0;
      break;
    case 4:
      r_.icw4 = value;
      r_.expected_icw = 0;
      break;
    default:
      r_.imr = value;
  }
}

void PicPair::reset() {
  master_.reset();
  slave_.reset();
  update();
}

void PicPair::state(Archive& a) {
  a("master", master_)("slave", slave_);
  if (a.loading() && !a.failed()) intr_.set(intr());
}

void PicPair::update() {
  master_.set_input(Pic::kCascadeInput, slave_.pending() >= 0);
  intr_.set(intr());
}

void PicPair::set_line(unsigned irq, bool level) {
  if (irq >= 16 || irq == Pic::kCascadeInput) return;
  (irq < 8 ? master_ : slave_).set_input(irq & 7, level);
  update();
}

u8 PicPair::acknowledge() {
  const int request = master_.pending();
  const u8 ir = master_.acknowledge();
  u8 vector = master_.vector(ir);
  if (request == static_cast<int>(Pic::kCascadeInput)) {
    vector = slave_.vector(slave_.acknowledge());
    master_.set_input(Pic::kCascadeInput, false);  // the slave's INT drops in INTA: more of its requests are a new edge
  }
  update();
  return vector;
}

// Only a poll changes anything.
u32 PicPair::master_read(u32 offset, unsigned) {
  const bool polled = master_.regs().poll;
  const u8 value = master_.read(offset);
  if (polled) update();
  return value;
}

void PicPair::master_write(u32 offset, u32 value, unsigned) {
  master_.write(offset, static_cast<u8>(value));
  update();
}

u32 PicPair::slave_read(u32 offset, unsigned) {
  const bool polled = slave_.regs().poll;
  const u8 value = slave_.read(offset);
  if (!polled) return value;
  master_.set_input(Pic::kCascadeInput, false);
  update();
  return value;
}

void PicPair::slave_write(u32 offset, u32 value, unsigned) {
  slave_.write(offset, static_cast<u8>(value));
  update();
}

u32 PicPair::elcr_read(u32 offset, unsigned) { return offset == 0 ? master_.elcr() : slave_.elcr(); }

void PicPair::elcr_write(u32 offset, u32 value, unsigned) {
  (offset == 0 ? master_ : slave_).write_elcr(static_cast<u8>(value));
  update();
}

}  // namespace umbra
