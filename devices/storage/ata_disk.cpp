#include "devices/storage/ata_disk.h"

#include <algorithm>
#include <cstring>

namespace umbra {

using namespace ata;

AtaDisk::AtaDisk(Cable& cable, std::unique_ptr<BlockDevice> medium, unsigned unit)
    : IdeDrive(cable, "ata disk"),
      medium_(std::move(medium)),
      geometry_(guess_geometry(*medium_)),
      unit_(unit),
      logical_heads_(geometry_.heads),
      logical_sectors_(geometry_.sectors) {
  reset();
}

void AtaDisk::put_signature() {
  tf.count = 1;
  tf.lba[0] = 1;
  tf.lba[1] = tf.lba[2] = 0;
  tf.device = 0;
  tf.status = kDrdy | kDsc;
}

void AtaDisk::reset_drive() {
  t_ = {};
  multiple_ = kMaxMultiple;
}

void AtaDisk::execute(u8 code) {
  switch (code) {
    case 0x10 ... 0x1f:  // RECALIBRATE
      return complete();
    case 0x20 ... 0x21:  // READ SECTOR(S)
      return begin(Kind::kPioRead, false);
    case 0x24:  // READ SECTOR(S) EXT
      return begin(Kind::kPioRead, true);
    case 0x25:  // READ DMA EXT
      return begin(Kind::kDmaRead, true);
    case 0x27:  // READ NATIVE MAX ADDRESS EXT
      return native_max(true);
    case 0x29:  // READ MULTIPLE EXT
      return begin(Kind::kPioRead, true, multiple_);
    case 0x30 ... 0x31:  // WRITE SECTOR(S)
    case 0x3c:           // WRITE VERIFY
      return begin(Kind::kPioWrite, false);
    case 0x34:  // WRITE SECTOR(S) EXT
      return begin(Kind::kPioWrite, true);
    case 0x35:  // WRITE DMA EXT
      return begin(Kind::kDmaWrite, true);
    case 0x39:  // WRITE MULTIPLE EXT
      return begin(Kind::kPioWrite, true, multiple_);
    case 0x3d:  // WRITE DMA FUA EXT
      return begin(Kind::kDmaWrite, true, 1, true);
    case 0x40 ... 0x41:  // READ VERIFY SECTOR(S)
      return verify(false);
    case 0x42:  // READ VERIFY SECTOR(S) EXT
      return verify(true);
    case 0x70 ... 0x7f:  // SEEK
      return seek();
    case 0x91:  // INITIALIZE DEVICE PARAMETERS
      if (tf.count == 0) return abort();
      logical_heads_ = (tf.device & 0x0fu) + 1;
      logical_sectors_ = tf.count;
      return complete();
    case 0x94 ... 0x97:  // STANDBY, IDLE, and their immediate forms
    case 0x99:
    case 0xe0 ... 0xe3:
    case 0xe6:  // SLEEP: wakes without the reset that the standard asks for
      return complete();
    case 0x98:
    case 0xe5:  // CHECK POWER MODE: active
      tf.count = 0xff;
      return complete();
    case 0xb0:
      return smart();
    case 0xc4:  // READ MULTIPLE
      return begin(Kind::kPioRead, false, multiple_);
    case 0xc5:  // WRITE MULTIPLE
      return begin(Kind::kPioWrite, false, multiple_);
    case 0xc6:
      return set_multiple();
    case 0xc8 ... 0xc9:  // READ DMA
      return begin(Kind::kDmaRead, false);
    case 0xca ... 0xcb:  // WRITE DMA
      return begin(Kind::kDmaWrite, false);
    case 0xce:  // WRITE MULTIPLE FUA EXT
      return begin(Kind::kPioWrite, true, multiple_, true);
    case 0xe4:  // READ BUFFER
      return reply_buffer();
    case 0xe8:  // WRITE BUFFER
      t_ = {.kind = Kind::kWriteBuffer};
      fill_ = kSectorSize;
      return offer(Port::kOut, 0, kSectorSize);
    case 0xe7:  // FLUSH CACHE
    case 0xea:  // FLUSH CACHE EXT
      t_ = {};
      return flush();
    case 0xec:
      return identify();
    case 0xef:
      return set_features();
    case 0xf8:
      return native_max(false);
    default:
      guest_oddity("ata disk: command %02x is not supported", code);
      return abort();
  }
}

void AtaDisk::begin(Kind kind, bool ext, u32 block, bool force_unit_access) {
  if (block == 0) return abort();  // MULTIPLE while it is switched off
  t_ = {.kind = kind, .lba = address(ext), .left = sector_count(ext), .block = block, .ext = ext};
  t_.force_unit_access = force_unit_access;
  if (!in_range(t_.lba, t_.left)) return fail(kIdnf);
  if (medium_->read_only() && (kind == Kind::kPioWrite || kind == Kind::kDmaWrite)) return abort();
  begin_chunk();
  if (kind == Kind::kPioRead || kind == Kind::kDmaRead) return fetch();
  if (kind == Kind::kPioWrite) return offer_block(Port::kOut, false);
  want_dma();
}

void AtaDisk::begin_chunk() {
  t_.chunk = std::min(t_.left, kChunk);
  fill_ = t_.chunk * kSectorSize;
  pos_ = 0;
  if (t_.kind == Kind::kDmaWrite) tf.status = kDrdy | kDsc | kDrq;
}

void AtaDisk::offer_block(Port port, bool interrupt) {
  offer(port, pos_, std::min(fill_, pos_ + t_.block * kSectorSize));
  if (interrupt) set_intrq(true);
}

void AtaDisk::fetch() {
  busy();
  medium_->read(t_.lba, t_.chunk, buffer_.data(), when_done([this](BlockStatus status) {
                  if (status != BlockStatus::kOk) return fail_at(t_.lba, kUnc);
                  t_.lba += t_.chunk;
                  t_.left -= t_.chunk;
                  if (t_.kind == Kind::kPioRead) return offer_block(Port::kIn, true);
                  tf.status = kDrdy | kDsc | kDrq;
                  want_dma();
                }));
}

// The buffer holds a chunk from the host; only when the medium has taken it is the next one asked for.
void AtaDisk::store() {
  busy();
  medium_->write(t_.lba, t_.chunk, buffer_.data(), when_done([this](BlockStatus status) {
                   if (status != BlockStatus::kOk) return fail_at(t_.lba, kAbrt, kErr | kDf);
                   t_.lba += t_.chunk;
                   t_.left -= t_.chunk;
                   data_moved();
                 }));
}

void AtaDisk::data_moved() {
  const bool reading = t_.kind == Kind::kPioRead || t_.kind == Kind::kDmaRead;
  if (t_.left == 0) {
    set_address(t_.lba - 1, t_.ext);
    tf.count = tf.hob_count = 0;
    if (!reading && (t_.force_unit_access || !write_cache_)) return flush();
    return complete(t_.kind != Kind::kPioRead);
  }
  begin_chunk();
  if (t_.kind == Kind::kPioRead) return fetch();
  if (t_.kind == Kind::kPioWrite) return offer_block(Port::kOut, true);
  if (t_.kind == Kind::kDmaRead) busy();
  yield_dma();
}

void AtaDisk::block_done() {
  switch (t_.kind) {
    case Kind::kPioRead:
      return pos_ < fill_ ? offer_block(Port::kIn, true) : data_moved();
    case Kind::kPioWrite:
      return pos_ < fill_ ? offer_block(Port::kOut, true) : store();
    case Kind::kWriteBuffer:
      return complete();
    case Kind::kReply:
    default:
      return complete(false);
  }
}

void AtaDisk::go_on() {
  if (t_.kind == Kind::kDmaRead) {
    if ((tf.status & kBsy) != 0) return fetch();  // the next chunk, after a yield
    if (cable_.dma.to_memory(buffer_.data(), fill_) == fill_) return data_moved();
  } else if (t_.kind == Kind::kDmaWrite) {
    if (cable_.dma.from_memory(buffer_.data(), fill_) == fill_) return store();
  } else {
    return;
  }
  // The guest described less memory than it asked sectors for: the drive waits on a bus master that has stopped. As on
  // QEMU, there is no interrupt and the command is over.
  cable_.dma.table_short();
  complete(false);
}

void AtaDisk::flush() {
  busy();
  medium_->flush(when_done([this](BlockStatus status) {
    if (status != BlockStatus::kOk) return fail(kAbrt, kErr | kDf);
    complete();
  }));
}

void AtaDisk::complete(bool interrupt) {
  if (t_.kind == Kind::kDmaRead || t_.kind == Kind::kDmaWrite) cable_.dma.drive_done();
  t_ = {};
  end_transfer();
  tf.status = kDrdy | kDsc;
  if (interrupt) set_intrq(true);
}

void AtaDisk::fail(u8 error, u8 status) {
  if (t_.kind == Kind::kDmaRead || t_.kind == Kind::kDmaWrite) cable_.dma.drive_failed();
  t_ = {};
  end_transfer();
  tf.error = error;
  tf.status = static_cast<u8>(kDrdy | kDsc | status);
  set_intrq(true);
}

void AtaDisk::fail_at(u64 lba, u8 error, u8 status) {
  set_address(lba, t_.ext);
  fail(error, status);
}

void AtaDisk::verify(bool ext) {
  const u64 lba = address(ext);
  const u32 count = sector_count(ext);
  if (!in_range(lba, count)) return fail(kIdnf);
  set_address(lba + count - 1, ext);
  complete();
}

void AtaDisk::seek() {
  if (!in_range(address(false), 1)) return fail(kIdnf);
  complete();
}

void AtaDisk::reply_buffer() {
  t_ = {.kind = Kind::kReply};
  fill_ = kSectorSize;
  offer(Port::kIn, 0, kSectorSize);
  set_intrq(true);
}

void AtaDisk::set_multiple() {
  const u8 n = tf.count;
  if (n > kMaxMultiple || (n & (n - 1)) != 0) return abort();
  multiple_ = n;  // 0 switches the MULTIPLE commands off
  complete();
}

void AtaDisk::native_max(bool ext) {
  if ((tf.device & kLba) == 0) return abort();
  const u64 last = medium_->sectors() - 1;
  set_address(ext ? last : std::min<u64>(last, 0x0fffffff), ext);
  complete();
}

void AtaDisk::set_features() {
  switch (tf.features) {
    case 0x02:
      write_cache_ = true;
      return complete();
    case 0x82:
      write_cache_ = false;
      return flush();
    case 0x03: {
      const u8 mode = tf.count & 7;
      const u8 kind = tf.count >> 3;  // 0 PIO default, 1 PIO flow control, 2 and 4 DMA by words, 8 Ultra DMA
      const bool words = (kind == 2 || kind == 4) && mode <= 2;
      const bool known = kind == 0 || (kind == 1 && mode <= 4) || words || (kind == 8 && mode <= 5);
      if (!known) return abort();
      transfer_mode_ = tf.count;
      return complete();
    }
    case 0x05:  // power management, acoustics, read look-ahead, revert to defaults: nothing to change
    case 0x42:
    case 0x55:
    case 0x66:
    case 0x85:
    case 0xaa:
    case 0xc2:
    case 0xcc:
      return complete();
    default:
      return abort();
  }
}

void AtaDisk::smart() {
  switch (smart_.command(tf, buffer_.data())) {
    case AtaSmart::Answer::kDone:
      return complete();
    case AtaSmart::Answer::kSector:
      return reply_buffer();
    case AtaSmart::Answer::kAbort:
      return abort();
  }
}

u32 AtaDisk::sector_count(bool ext) const {
  if (!ext) return tf.count == 0 ? 256 : tf.count;
  const u32 n = u32{tf.hob_count} << 8 | tf.count;
  return n == 0 ? 65536 : n;
}

u64 AtaDisk::address(bool ext) const {
  const u64 low = u64{tf.lba[0]} | u64{tf.lba[1]} << 8 | u64{tf.lba[2]} << 16;
  if (ext) return low | u64{tf.hob_lba[0]} << 24 | u64{tf.hob_lba[1]} << 32 | u64{tf.hob_lba[2]} << 40;
  const u32 head = tf.device & 0x0f;
  if ((tf.device & kLba) != 0) return low | u64{head} << 24;
  const u32 cylinder = tf.lba[1] | u32{tf.lba[2]} << 8;
  const u32 sector = tf.lba[0];
  if (sector == 0 || sector > logical_sectors_ || head >= logical_heads_) return ~u64{0};
  return (u64{cylinder} * logical_heads_ + head) * logical_sectors_ + sector - 1;
}

void AtaDisk::set_address(u64 lba, bool ext) {
  const auto put = [this](u64 sector, u64 cylinder) {
    tf.lba[0] = static_cast<u8>(sector);
    tf.lba[1] = static_cast<u8>(cylinder);
    tf.lba[2] = static_cast<u8>(cylinder >> 8);
  };
  if (ext) {
    put(lba, lba >> 8);
    for (unsigned i = 0; i < 3; ++i) tf.hob_lba[i] = static_cast<u8>(lba >> (24 + 8 * i));
  } else if ((tf.device & kLba) != 0) {
    put(lba, lba >> 8);
    tf.device = static_cast<u8>((tf.device & 0xf0) | ((lba >> 24) & 0x0f));
  } else {
    const u64 track = lba / logical_sectors_;
    put(lba % logical_sectors_ + 1, track / logical_heads_);
    tf.device = static_cast<u8>((tf.device & 0xf0) | track % logical_heads_);
  }
}

void AtaDisk::drive_state(Archive& a) {
  a("kind", t_.kind)("lba", t_.lba)("left", t_.left)("chunk", t_.chunk)("block", t_.block)("ext", t_.ext);
  a("force_unit_access", t_.force_unit_access)("logical_heads", logical_heads_)("logical_sectors", logical_sectors_);
  a("multiple", multiple_)("transfer_mode", transfer_mode_)("write_cache", write_cache_);
  a("smart", smart_);
  const bool moving = t_.kind != Kind::kNone && t_.kind != Kind::kReply && t_.kind != Kind::kWriteBuffer;
  bool fits = t_.kind <= Kind::kWriteBuffer && t_.chunk <= kChunk && t_.block >= 1 && t_.block <= kMaxMultiple;
  fits = fits && (!moving || (fill_ == t_.chunk * kSectorSize && t_.left <= 65536));
  fits = fits && (!moving || t_.lba <= medium_->sectors());
  fits = fits && logical_heads_ >= 1 && logical_heads_ <= 256 && logical_sectors_ >= 1 && logical_sectors_ <= 255;
  fits = fits && multiple_ <= kMaxMultiple;
  a.require(fits, "the disk's transfer");
  if (!a.loading() || fits) return;
  t_ = {};
  logical_heads_ = geometry_.heads;
  logical_sectors_ = geometry_.sectors;
  multiple_ = kMaxMultiple;
}

}  // namespace umbra
