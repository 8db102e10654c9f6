#include "devices/storage/ide_drive.h"

#include <algorithm>
#include <cstring>

namespace umbra {

void TaskFile::state(Archive& a) {
  a("features", features)("hob_features", hob_features)("count", count)("hob_count", hob_count);
  a("lba", lba)("hob_lba", hob_lba)("device", device)("status", status)("error", error);
}

IdeDrive::IdeDrive(Cable& cable, const char* label)
    : cable_(cable), buffer_(kBufferSize), label_(label), yield_(cable.clock, [this] { want_dma(); }) {}

void IdeDrive::reset() {
  settle();
  end_transfer();
  set_intrq(false);
  fill_ = 0;
  reset_drive();
  tf.hob_features = tf.hob_count = 0;
  std::fill(std::begin(tf.hob_lba), std::end(tf.hob_lba), u8{0});
  put_signature();
  tf.error = 0x01;  // diagnostics passed
}

void IdeDrive::diagnose() {
  settle();
  end_transfer();
  put_signature();
  tf.error = 0x01;
}

void IdeDrive::command(u8 code) {
  set_intrq(false);
  if ((tf.status & (ata::kBsy | ata::kDrq)) != 0 && !takes_while_busy(code)) {
    guest_oddity("%s: command %02x while busy is ignored", label_, code);
    return;
  }
  tf.status = static_cast<u8>(tf.status & ~(ata::kErr | ata::kDf));
  tf.error = 0;
  execute(code);
}

void IdeDrive::set_intrq(bool level) {
  intrq_ = level;
  cable_.intrq_changed();
}

void IdeDrive::offer(Port port, u32 pos, u32 end) {
  port_ = port;
  pos_ = pos;
  end_ = end;
  tf.status = ata::kDrdy | ata::kDsc | ata::kDrq;
}

void IdeDrive::data_in(u8* to, std::size_t size) {
  while (size > 0 && port_ == Port::kIn) {
    const auto n = static_cast<u32>(std::min<std::size_t>(size, end_ - pos_));
    std::memcpy(to, buffer_.data() + pos_, n);
    pos_ += n;
    to += n;
    size -= n;
    if (pos_ < end_) break;
    port_ = Port::kNone;
    block_done();
  }
  std::memset(to, 0, size);
}

void IdeDrive::data_out(const u8* from, std::size_t size) {
  while (size > 0 && port_ == Port::kOut) {
    const auto n = static_cast<u32>(std::min<std::size_t>(size, end_ - pos_));
    std::memcpy(buffer_.data() + pos_, from, n);
    pos_ += n;
    from += n;
    size -= n;
    if (pos_ < end_) break;
    port_ = Port::kNone;
    block_done();
  }
}

void IdeDrive::want_dma() {
  dma_wanted_ = true;
  dma_started();
}

void IdeDrive::dma_started() {
  if (!dma_wanted_ || !cable_.dma.active()) return;
  dma_wanted_ = false;
  go_on();
}

void IdeDrive::yield_dma() { yield_.at(cable_.clock.now()); }

void IdeDrive::end_transfer() {
  port_ = Port::kNone;
  pos_ = end_ = 0;
  dma_wanted_ = false;
  yield_.stop();
}

void IdeDrive::settle() {
  ++generation_;
  if (BlockDevice* device = medium()) device->drain();
}

BlockDevice::Done IdeDrive::when_done(std::function<void(BlockStatus)> f) {
  return [this, generation = generation_, f = std::move(f)](BlockStatus status) {
    if (generation == generation_) f(status);
  };
}

void IdeDrive::quiesce() {
  if (BlockDevice* device = medium()) device->drain();
}

// Requests in flight are finished before the state is looked at, so there are none in a snapshot. The machine calls
// quiesce of every device first, because finishing one may move an interrupt line.
void IdeDrive::state(Archive& a) {
  if (a.loading()) settle();
  if (!a.loading()) quiesce();
  a("task_file", tf)("intrq", intrq_)("port", port_)("pos", pos_)("end", end_);
  a("dma_wanted", dma_wanted_)("yield", yield_)("fill", fill_);
  const bool fits = fill_ <= kBufferSize && end_ <= fill_ && pos_ <= end_ && port_ <= Port::kOut;
  a.require(fits && (port_ == Port::kNone || pos_ < end_), "the drive's buffer position");
  if (!fits) {
    fill_ = 0;
    end_transfer();
  }
  a.bytes("buffer", buffer_.data(), fill_);
  drive_state(a);
  if (a.loading() && a.failed()) end_transfer();
}

}  // namespace umbra
