// The floppy controller's data commands: one sector at a time between the medium and a buffer, and between the buffer
// and the host. Which sector comes next, and what the result says about it, is table 5-1 of the 82077AA datasheet.
#include <algorithm>
#include <cstring>

#include "devices/storage/fdc.h"
#include "devices/storage/fdc_registers.h"

namespace umbra {

using namespace fdc;

void Fdc::read_data() {
  switch (fifo_[0] & 0x1f) {
    case 0x02:
      return begin(Job::kReadTrack);
    case 0x0c:
      return begin(Job::kReadDeleted);
    case 0x16:
      return begin(Job::kVerify);
    default:
      return begin(Job::kRead);
  }
}

void Fdc::write_data() { begin((fifo_[0] & 0x1f) == 0x09 ? Job::kWriteDeleted : Job::kWrite); }
void Fdc::scan() { begin(Job::kScan); }
void Fdc::format_track() { begin(Job::kFormat); }

void Fdc::begin(Job job) {
  job_ = job;
  terminal_count_ = control_mark_ = false;
  implied_seek_ = false;
  position_ = 0;
  reset_polls_ = 0;
  h_ = (fifo_[1] >> 2) & 1;
  const FloppyDrive* drive = selected();
  if (job == Job::kFormat) {
    c_ = drive != nullptr ? drive->track : 0;
    sector_ = 1;
    left_ = fifo_[3];
    last_eot_ = fifo_[3];
  } else {
    c_ = fifo_[2];
    sector_ = job == Job::kReadTrack ? 1 : fifo_[4];
    eot_ = last_eot_ = fifo_[6];
    left_ = job == Job::kVerify && (fifo_[1] & 0x80) != 0 ? fifo_[8] : 0;
  }
  phase_ = Phase::kWaiting;
  delay_.after(kStartDelay);
}

void Fdc::execute() {
  FloppyDrive* drive = selected();
  seek_done();  // a seek that shared the timer
  const FloppyFormat* format = drive != nullptr ? drive->format() : nullptr;
  const u8 head = (fifo_[1] >> 2) & 1;
  if (job_ == Job::kNone) {  // READ ID
    const bool found = format != nullptr && drive->track < format->cylinders && head < format->heads &&
                       (format->rates >> r_.rate & 1) != 0;
    c_ = drive != nullptr ? drive->track : 0;
    h_ = head;
    sector_ = 1;
    return found ? finish(0, 0, 0) : finish(kAbnormal, kMissingMark, 0);
  }
  if (format == nullptr) return finish(kAbnormal | kNotReady, kMissingMark | kNoData, 0);
  if ((format->rates >> r_.rate & 1) == 0 || head >= format->heads) return finish(kAbnormal, kMissingMark, 0);
  if (writing() && drive->write_protected()) return finish(kAbnormal, kNotWritable, 0);
  const u8 size_code = job_ == Job::kFormat ? fifo_[2] : fifo_[5];
  if (job_ == Job::kFormat) {
    if (size_code != kSectorSizeCode || left_ == 0) return finish(kAbnormal, kNoData, 0);
    return offer();
  }
  if ((config_ & kImpliedSeek) != 0 && c_ < format->cylinders) {
    implied_seek_ = drive->track != c_;
    drive->step_to(c_);
    cylinder_[fifo_[1] & 3] = c_;
  }
  if (drive->track != c_ || c_ >= format->cylinders) return finish(kAbnormal, kNoData, kWrongCylinder);
  if (fifo_[3] != head || size_code != kSectorSizeCode) return finish(kAbnormal, kNoData, 0);
  next_sector();
}

void Fdc::next_sector() {
  const FloppyFormat* format = selected() != nullptr ? selected()->format() : nullptr;
  if (format == nullptr || sector_ == 0 || sector_ > format->sectors || h_ >= format->heads || c_ >= format->cylinders)
    return finish(kAbnormal, kNoData, 0);
  position_ = 0;
  if (writing()) return offer();
  fetch();
}

// To the sector after the current one. False when the command's range is over; C, H and R then are what the result
// phase shows: the sector that would follow.
bool Fdc::advance() {
  const bool multi_track = (fifo_[0] & kMultiTrack) != 0 && job_ != Job::kReadTrack;
  if (sector_ != eot_) {
    ++sector_;
    return true;
  }
  sector_ = 1;
  if (multi_track) {
    h_ ^= 1;
    if (h_ == 1) return true;
  }
  ++c_;
  return false;
}

void Fdc::fetch() {
  FloppyDrive& drive = *selected();
  const u64 at = lba(*drive.format(), c_, sector_);
  if (job_ != Job::kReadTrack && drive.deleted(at) != (job_ == Job::kReadDeleted)) {
    control_mark_ = true;
    if ((fifo_[0] & kSkip) != 0) return skip_sector();
  }
  order_ = 0;
  phase_ = Phase::kMedium;
  if (at >= drive.medium()->sectors()) {  // an image that is shorter than its format
    std::memset(buffer_, 0, sizeof buffer_);
    return sector_arrived();
  }
  drive.medium()->read(at, 1, buffer_, when_done([this](BlockStatus status) {
                         if (status != BlockStatus::kOk) return finish(kAbnormal, kDataError, kDataFieldError);
                         sector_arrived();
                       }));
}

void Fdc::skip_sector() {
  if (!advance()) return finish(0, 0, job_ == Job::kScan ? kScanNotSatisfied : 0);
  next_sector();
}

void Fdc::sector_arrived() {
  if (job_ != Job::kVerify) return offer();
  if (control_mark_ && (fifo_[0] & kSkip) == 0) return finish(0, 0, 0);
  const bool counted = (fifo_[1] & 0x80) != 0;
  const bool more = advance();
  if (counted ? --left_ == 0 || !more : !more) return finish(0, 0, 0);
  next_sector();
}

// Asks the host to move the buffer (or, formatting, four bytes of address).
void Fdc::offer() {
  position_ = 0;
  phase_ = from_host() ? Phase::kFromHost : Phase::kToHost;
  if (non_dma())
    set_interrupt(true);
  else
    set_dreq(true);
}

std::size_t Fdc::dma_transfer(u8* data, std::size_t size, bool to_memory, bool terminal_count) {
  std::size_t moved = 0;
  const Phase wanted = to_memory ? Phase::kToHost : Phase::kFromHost;
  while (moved < size && phase_ == wanted && !non_dma()) {
    const auto n = static_cast<u32>(std::min<std::size_t>(size - moved, unit_size() - position_));
    if (to_memory)
      std::memcpy(data + moved, buffer_ + position_, n);
    else
      put_in(data + moved, n);
    moved += n;
    position_ += n;
    terminal_count_ = terminal_count && moved == size;
    if (position_ == unit_size() || terminal_count_) data_complete();
  }
  if (phase_ != Phase::kToHost && phase_ != Phase::kFromHost) set_dreq(false);
  return moved;
}

// What the host gives goes into the sector or, scanning, is held against it: FFh on either side fits anything.
void Fdc::put_in(const u8* data, u32 size) {
  u8* const at = buffer_ + position_ % kSectorSize;
  if (job_ != Job::kScan) {
    std::memcpy(at, data, size);
    return;
  }
  for (u32 i = 0; i < size && order_ == 0; ++i)
    if (at[i] != data[i] && at[i] != 0xff && data[i] != 0xff) order_ = at[i] < data[i] ? -1 : 1;
}

u8 Fdc::take_byte() {
  const u8 value = buffer_[position_++ % kSectorSize];
  if (position_ < kSectorSize) return value;
  set_interrupt(false);
  data_complete();
  return value;
}

void Fdc::give_byte(u8 value) {
  put_in(&value, 1);
  if (++position_ < unit_size()) return;
  set_interrupt(false);
  data_complete();
}

// The host has moved a whole sector, or as much of it as it wanted.
void Fdc::data_complete() {
  if (job_ == Job::kFormat) return position_ < 4 ? finish(0, 0, 0) : format_sector();
  if (job_ == Job::kScan) return sector_scanned();
  if (writing()) return store();
  if (control_mark_ && (fifo_[0] & kSkip) == 0) return finish(0, 0, 0);  // at the sector that had the mark
  const bool more = advance();
  if (terminal_count_) return finish(0, 0, 0);
  if (!more) return finish(kAbnormal, kEndOfCylinder, 0);
  next_sector();
}

void Fdc::sector_scanned() {
  const u8 kind = fifo_[0] & 0x1f;  // 11h equal, 19h low or equal, 1Dh high or equal
  const bool met = order_ == 0 || (kind == 0x19 && order_ < 0) || (kind == 0x1d && order_ > 0);
  if (met) return finish(0, 0, order_ == 0 ? kScanEqual : 0);
  const bool marked = control_mark_ && (fifo_[0] & kSkip) == 0;
  const bool every_other = fifo_[8] == 2 && sector_ != eot_;
  if (terminal_count_ || marked) return finish(0, 0, kScanNotSatisfied);
  if (!advance()) return finish(0, 0, kScanNotSatisfied);
  if (every_other && !advance()) return finish(0, 0, kScanNotSatisfied);
  next_sector();
}

void Fdc::store() {
  std::memset(buffer_ + position_, 0, kSectorSize - position_);  // after a terminal count inside the sector
  write_sector(c_, sector_);
}

void Fdc::write_sector(u8 cylinder, u8 sector) {
  FloppyDrive* drive = selected();
  if (drive == nullptr || drive->format() == nullptr) return finish(kAbnormal, kMissingMark, 0);
  const u64 at = lba(*drive->format(), cylinder, sector);
  // An image may be shorter than its format; what it does not have cannot be written.
  if (at >= drive->medium()->sectors()) return finish(kAbnormal, kDataError, kDataFieldError);
  phase_ = Phase::kMedium;
  drive->medium()->write(at, 1, buffer_, when_done([this, drive, at](BlockStatus status) {
                           if (status != BlockStatus::kOk) return finish(kAbnormal, kDataError, kDataFieldError);
                           drive->set_deleted(at, job_ == Job::kWriteDeleted);
                           sector_stored();
                         }));
}

void Fdc::sector_stored() {
  if (job_ == Job::kFormat) {
    if (--left_ == 0 || terminal_count_) return finish(0, 0, 0);
    return offer();
  }
  const bool more = advance();
  if (terminal_count_) return finish(0, 0, 0);
  if (!more) return finish(kAbnormal, kEndOfCylinder, 0);
  next_sector();
}

// The buffer holds C, H, R and N of the sector to write next. An image can only hold the addresses of its own format.
void Fdc::format_sector() {
  if (selected() == nullptr || selected()->format() == nullptr) return finish(kAbnormal, kMissingMark, 0);
  FloppyDrive& drive = *selected();
  const FloppyFormat* format = drive.format();
  const u8 sector = buffer_[2];
  const bool fits = buffer_[0] == drive.track && buffer_[1] == h_ && buffer_[3] == kSectorSizeCode && sector >= 1 &&
                    sector <= format->sectors && drive.track < format->cylinders;
  if (!fits) return finish(kAbnormal, kNoData, 0);
  std::memset(buffer_, fifo_[5], kSectorSize);
  write_sector(drive.track, sector);
}

void Fdc::finish(u8 st0, u8 st1, u8 st2) {
  if (r_.dreq) set_dreq(false);
  const u8 seek = implied_seek_ ? kSeekEnd : 0;
  const u8 address = static_cast<u8>((fifo_[1] & 3) | h_ << 2);
  if (control_mark_) st2 |= kControlMark;
  result({static_cast<u8>(st0 | seek | address), st1, st2, c_, h_, sector_, kSectorSizeCode}, true);
}

}  // namespace umbra
