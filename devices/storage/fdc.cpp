#include "devices/storage/fdc.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "devices/storage/fdc_registers.h"

namespace umbra {

using namespace fdc;

// The first row that fits decides. MT, MFM and SK are not part of a data command's code.
const Fdc::Command Fdc::kCommands[] = {
    {0x1f, 0x06, 9, &Fdc::read_data},        // READ DATA
    {0x1f, 0x05, 9, &Fdc::write_data},       // WRITE DATA
    {0x1f, 0x0c, 9, &Fdc::read_data},        // READ DELETED DATA
    {0x1f, 0x09, 9, &Fdc::write_data},       // WRITE DELETED DATA
    {0x9f, 0x02, 9, &Fdc::read_data},        // READ TRACK
    {0x1f, 0x16, 9, &Fdc::read_data},        // VERIFY
    {0x1f, 0x11, 9, &Fdc::scan},             // SCAN EQUAL
    {0x1f, 0x19, 9, &Fdc::scan},             // SCAN LOW OR EQUAL
    {0x1f, 0x1d, 9, &Fdc::scan},             // SCAN HIGH OR EQUAL
    {0xbf, 0x0d, 6, &Fdc::format_track},     //
    {0xbf, 0x0a, 2, &Fdc::read_id},          //
    {0xff, 0x03, 3, &Fdc::specify},          //
    {0xff, 0x04, 2, &Fdc::sense_drive},      //
    {0xff, 0x07, 2, &Fdc::recalibrate},      //
    {0xff, 0x08, 1, &Fdc::sense_interrupt},  //
    {0xff, 0x0e, 1, &Fdc::dump_registers},   //
    {0xff, 0x0f, 3, &Fdc::seek},             //
    {0xbf, 0x8f, 3, &Fdc::relative_seek},    //
    {0xff, 0x10, 1, &Fdc::version},          //
    {0xff, 0x12, 2, &Fdc::perpendicular},    //
    {0xff, 0x13, 4, &Fdc::configure},        //
    {0x7f, 0x14, 1, &Fdc::lock},             //
    {0xff, 0x17, 2, &Fdc::power_down},       //
    {0xff, 0x18, 1, &Fdc::part_id},          //
    {0x00, 0x00, 1, &Fdc::invalid},
};

Fdc::Fdc(Clock& clock, Line irq) : irq_(irq), delay_(clock, [this] { due(); }) {}

void Fdc::reset() {
  settle();
  r_ = {};
  specify_[0] = 0xdf;
  specify_[1] = 0x02;
  config_ = kImpliedSeek | kFifoOff;
  pretrack_ = perpendicular_ = 0;
  lock_ = false;
  set_dreq(false);
  software_reset();
  delay_.stop();
  reset_polls_ = 0;
  set_interrupt(false);
  for (FloppyDrive& drive : drives_) drive.track = 0;
}

void Fdc::settle() {
  ++generation_;
  for (FloppyDrive& drive : drives_)
    if (drive.medium() != nullptr) drive.medium()->drain();
}

void Fdc::quiesce() {
  for (FloppyDrive& drive : drives_)
    if (drive.medium() != nullptr) drive.medium()->drain();
}

BlockDevice::Done Fdc::when_done(std::function<void(BlockStatus)> f) {
  return [this, generation = generation_, f = std::move(f)](BlockStatus status) {
    if (generation == generation_) f(status);
  };
}

// Everything stops; the interrupt that tells of the reset's end comes when the guest lets go of it.
void Fdc::software_reset() {
  settle();
  set_dreq(false);
  set_interrupt(false);
  idle();
  job_ = Job::kNone;
  std::fill(std::begin(seeking_), std::end(seeking_), false);
  std::fill(std::begin(seek_over_), std::end(seek_over_), false);
  std::fill(std::begin(cylinder_), std::end(cylinder_), u8{0});
  if (!lock_) {
    config_ = static_cast<u8>((config_ & kImpliedSeek) | kFifoOff);
    pretrack_ = 0;
  }
  config_ &= static_cast<u8>(~kNoPolling);
  reset_polls_ = 4;
  delay_.after(kResetDelay);
}

Status Fdc::insert(unsigned n, std::unique_ptr<BlockDevice> medium) {
  settle();
  Status status = drives_[n].insert(std::move(medium));
  if (phase_ == Phase::kMedium) finish(kAbnormal, 0x01, 0);
  return status;
}

void Fdc::eject(unsigned n) {
  settle();
  drives_[n].eject();
  if (phase_ == Phase::kMedium) finish(kAbnormal, 0x01, 0);
}

void Fdc::set_interrupt(bool level) {
  r_.interrupt = level;
  irq_.set(r_.interrupt && (r_.dor & kDmaGate) != 0);
}

void Fdc::set_dreq(bool level) {
  r_.dreq = level;
  if (dma_ != nullptr) dma_->set_dreq(level);
}

FloppyDrive* Fdc::selected() {
  const unsigned n = fifo_[1] & 3;
  return n < kDrives && drives_[n].type() != FloppyType::kNone ? &drives_[n] : nullptr;
}

u8 Fdc::main_status() const {
  if ((r_.dor & kNotReset) == 0) return 0;
  u8 msr = 0;
  for (unsigned n = 0; n < 4; ++n)
    if (seeking_[n] || seek_over_[n]) msr |= static_cast<u8>(1u << n);
  switch (phase_) {
    case Phase::kCommand:
      return static_cast<u8>(msr | kRqm | (fifo_count_ > 0 ? kBusy : 0));
    case Phase::kToHost:
      return static_cast<u8>(msr | kBusy | (non_dma() ? kRqm | kDio | kNonDma : 0));
    case Phase::kFromHost:
      return static_cast<u8>(msr | kBusy | (non_dma() ? kRqm | kNonDma : 0));
    case Phase::kResult:
      return static_cast<u8>(msr | kRqm | kDio | kBusy);
    default:
      return static_cast<u8>(msr | kBusy);
  }
}

u32 Fdc::read_register(u32 offset, unsigned size) {
  u32 value = 0;
  for (unsigned i = 0; i < size; ++i) value |= u32{read_byte(offset + i)} << (8 * i);
  return value;
}

void Fdc::write_register(u32 offset, u32 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) write_byte(offset + i, static_cast<u8>(value >> (8 * i)));
}

u8 Fdc::read_byte(u32 offset) {
  const unsigned n = r_.dor & 3;
  switch (offset) {
    case 0:  // status A: interrupt pending, no second drive on the cable
      return static_cast<u8>((r_.interrupt ? 0x80 : 0) | 0x40);
    case 1:  // status B: unused bits are ones; drive select 0, motors
      return static_cast<u8>(0xc0 | (r_.dor & 1) << 5 | ((r_.dor >> 4) & 3));
    case 2:
      return r_.dor;
    case 3:
      return r_.tdr;
    case 4:
      return main_status();
    case 5:
      return read_fifo();
    case 7:  // digital input: only the disk-change line is driven
      return n < kDrives && drives_[n].changed ? 0x80 : 0x00;
    default:
      return 0xff;
  }
}

void Fdc::write_byte(u32 offset, u8 value) {
  switch (offset) {
    case 2: {
      const u8 before = r_.dor;
      r_.dor = value;
      if ((before & kNotReset) != 0 && (value & kNotReset) == 0) {
        software_reset();
        delay_.stop();  // held in reset
      } else if ((before & kNotReset) == 0 && (value & kNotReset) != 0) {
        delay_.after(kResetDelay);
      }
      return set_interrupt(r_.interrupt);  // the gate may have moved
    }
    case 3:
      r_.tdr = value & 3;
      return;
    case 4:  // data rate select
      r_.rate = value & 3;
      if ((value & 0x80) != 0 && (r_.dor & kNotReset) != 0) software_reset();
      return;
    case 5:
      return write_fifo(value);
    case 7:  // configuration control
      r_.rate = value & 3;
      return;
    default:
      return;
  }
}

const Fdc::Command& Fdc::decode(u8 opcode) const {
  const Command* command = kCommands;
  while ((opcode & command->mask) != command->code) ++command;
  return *command;
}

// The only place that writes into the FIFO for the guest: in the command phase, and never more than the command's
// length, of which the table knows none beyond nine.
void Fdc::write_fifo(u8 value) {
  if ((r_.dor & kNotReset) == 0) return;
  if (phase_ == Phase::kFromHost && non_dma()) return give_byte(value);
  if (phase_ != Phase::kCommand) return guest_oddity("fdc: write to the FIFO while it is not asked for");
  if (fifo_count_ >= kFifo) return;
  fifo_[fifo_count_++] = value;
  const Command& command = decode(fifo_[0]);
  if (fifo_count_ < command.length) return;
  (this->*command.run)();
}

u8 Fdc::read_fifo() {
  if (phase_ == Phase::kToHost && non_dma()) return take_byte();
  if (phase_ != Phase::kResult || fifo_read_ >= fifo_count_) {
    guest_oddity("fdc: read of the FIFO while it holds nothing");
    return 0;
  }
  set_interrupt(false);
  const u8 value = fifo_[fifo_read_++ % kFifo];
  if (fifo_read_ < fifo_count_) return value;
  idle();
  for (bool arrived : seek_over_)  // while the result was being read
    if (arrived) set_interrupt(true);
  return value;
}

void Fdc::idle() {
  phase_ = Phase::kCommand;
  fifo_count_ = fifo_read_ = 0;
  job_ = Job::kNone;
}

void Fdc::result(std::initializer_list<u8> bytes, bool interrupt) {
  phase_ = Phase::kResult;
  job_ = Job::kNone;
  fifo_count_ = 0;
  fifo_read_ = 0;
  for (u8 byte : bytes) fifo_[fifo_count_++ % kFifo] = byte;
  if (interrupt) set_interrupt(true);
}

// The one timer: a reset is over, seeks have ended, or the command's execution begins. A command that waits comes
// first; what else was due is found when it is over.
void Fdc::due() {
  if (phase_ == Phase::kWaiting) return execute();
  if (reset_polls_ == 4 && (r_.dor & kNotReset) != 0) set_interrupt(true);
  seek_done();
}

void Fdc::invalid() {
  if (fifo_[0] != 0) guest_oddity("fdc: command %02x is not supported", fifo_[0]);
  result({kInvalid});
}

void Fdc::specify() {
  specify_[0] = fifo_[1];
  specify_[1] = fifo_[2];
  idle();
}

void Fdc::sense_drive() {
  const FloppyDrive* drive = selected();
  u8 st3 = static_cast<u8>((fifo_[1] & 7) | 0x28);  // ready, two sides
  if (drive != nullptr && drive->track == 0) st3 |= 0x10;
  if (drive != nullptr && drive->write_protected()) st3 |= 0x40;
  result({st3});
}

void Fdc::sense_interrupt() {
  set_interrupt(false);
  if (reset_polls_ > 0) {
    const u8 n = static_cast<u8>(4 - reset_polls_--);
    return result({static_cast<u8>(kReadyChanged | n), cylinder_[n & 3]});
  }
  for (u8 n = 0; n < 4; ++n) {
    if (!seek_over_[n]) continue;
    seek_over_[n] = false;
    const bool exists = n < kDrives && drives_[n].type() != FloppyType::kNone;
    // A drive that is not there never finds track 0; nothing else tells whether heads have moved.
    const bool lost = to_track_0_[n] && !exists;
    const u8 st0 = static_cast<u8>(kSeekEnd | n | (lost ? kAbnormal | kEquipmentCheck : 0));
    return result({st0, cylinder_[n]});
  }
  result({kInvalid});
}

void Fdc::start_seek(unsigned n, u8 track) {
  reset_polls_ = 0;
  seeking_[n] = true;
  seek_over_[n] = to_track_0_[n] = false;
  seek_target_[n] = track;
  const u8 here = n < kDrives ? drives_[n].track : 0;
  delay_.after(kSeekDelay + kStepDelay * static_cast<u64>(std::abs(int{track} - int{here})));
  idle();
}

void Fdc::seek_done() {
  for (unsigned n = 0; n < 4; ++n) {
    if (!std::exchange(seeking_[n], false)) continue;
    cylinder_[n] = seek_target_[n];
    if (n < kDrives) drives_[n].step_to(seek_target_[n]);
    seek_over_[n] = true;
    set_interrupt(true);
  }
}

void Fdc::recalibrate() {
  start_seek(fifo_[1] & 3, 0);
  to_track_0_[fifo_[1] & 3] = true;
}

void Fdc::seek() { start_seek(fifo_[1] & 3, fifo_[2]); }

void Fdc::relative_seek() {
  const unsigned n = fifo_[1] & 3;
  const bool inwards = (fifo_[0] & 0x40) != 0;
  const int target = inwards ? cylinder_[n] + fifo_[2] : cylinder_[n] - fifo_[2];
  start_seek(n, static_cast<u8>(std::clamp(target, 0, 255)));
}

void Fdc::read_id() {
  phase_ = Phase::kWaiting;
  control_mark_ = implied_seek_ = false;
  reset_polls_ = 0;
  delay_.after(kStartDelay);
}

void Fdc::dump_registers() {
  result({cylinder_[0], cylinder_[1], cylinder_[2], cylinder_[3], specify_[0], specify_[1], last_eot_,
          static_cast<u8>((lock_ ? 0x80 : 0) | (perpendicular_ & 0x7f)), config_, pretrack_});
}

void Fdc::version() { result({0x90}); }
void Fdc::part_id() { result({0x41}); }
void Fdc::power_down() { result({fifo_[1]}); }

void Fdc::perpendicular() {
  perpendicular_ = fifo_[1];
  idle();
}

void Fdc::configure() {
  config_ = fifo_[2] & 0x7f;
  pretrack_ = fifo_[3];
  idle();
}

void Fdc::lock() {
  lock_ = (fifo_[0] & 0x80) != 0;
  result({static_cast<u8>(lock_ ? 0x10 : 0)});
}

void Fdc::state(Archive& a) {
  if (a.loading()) settle();
  if (!a.loading()) quiesce();
  a("dor", r_.dor)("tdr", r_.tdr)("rate", r_.rate)("interrupt", r_.interrupt)("dreq", r_.dreq)("phase", phase_);
  a("fifo", fifo_)("fifo_count", fifo_count_)("fifo_read", fifo_read_)("specify", specify_)("config", config_);
  a("pretrack", pretrack_)("perpendicular", perpendicular_)("lock", lock_)("last_eot", last_eot_);
  a("reset_polls", reset_polls_)("seeking", seeking_)("seek_over", seek_over_)("seek_target", seek_target_);
  a("to_track_0", to_track_0_)("control_mark", control_mark_)("order", order_);
  a("cylinder", cylinder_)("job", job_)("c", c_)("h", h_)("sector", sector_)("eot", eot_)("left", left_);
  a("terminal_count", terminal_count_)("implied_seek", implied_seek_)("position", position_)("buffer", buffer_)("delay",
                                                                                                                delay_);
  a("drive0", drives_[0])("drive1", drives_[1]);
  if (!a.loading()) return;
  bool fits = phase_ <= Phase::kResult && job_ <= Job::kScan && reset_polls_ <= 4 && r_.rate <= 3;
  fits = fits && fifo_count_ <= kFifo && fifo_read_ <= fifo_count_ &&
         (phase_ != Phase::kResult || fifo_read_ < fifo_count_);
  fits = fits && (phase_ != Phase::kCommand || fifo_count_ == 0 || fifo_count_ < decode(fifo_[0]).length);
  const bool moving = phase_ == Phase::kToHost || phase_ == Phase::kFromHost;
  fits = fits && phase_ != Phase::kMedium && (moving ? position_ < unit_size() : position_ <= kSectorSize);
  fits =
      fits && (!moving || (job_ != Job::kNone && job_ != Job::kVerify && from_host() == (phase_ == Phase::kFromHost)));
  a.require(fits, "the floppy controller's phase");
  if (fits && !a.failed()) return;
  idle();
  reset_polls_ = 0;
  position_ = 0;
  r_.rate &= 3;
}

}  // namespace umbra
