#include "devices/storage/atapi_drive.h"

#include <algorithm>
#include <cstring>

#include "devices/storage/ata_identify.h"

namespace umbra {

using namespace ata;

namespace {

// Interrupt reason, in the sector count register.
constexpr u8 kCommandPhase = 0x01;
constexpr u8 kToHost = 0x02;

}  // namespace

AtapiDrive::AtapiDrive(Cable& cable, std::unique_ptr<BlockDevice> medium, unsigned unit)
    : IdeDrive(cable, "atapi drive"), medium_(std::move(medium)), unit_(unit) {
  reset();
}

void AtapiDrive::put_signature() {
  tf.count = 1;
  tf.lba[0] = 1;
  tf.lba[1] = 0x14;
  tf.lba[2] = 0xeb;
  tf.device = 0;
  tf.status = 0;
}

void AtapiDrive::reset_drive() {
  kind_ = Kind::kNone;
  blocks_left_ = 0;
  sense_ = {};
}

void AtapiDrive::execute(u8 code) {
  switch (code) {
    case 0x08:  // DEVICE RESET
      return reset();
    case 0x20 ... 0x21:  // READ SECTORS and IDENTIFY DEVICE are how a host finds out that this is no disk
    case 0xec: {
      const u8 device = tf.device;
      put_signature();
      tf.device = device;
      return abort();
    }
    case 0xa0:
      return packet();
    case 0xa1:
      return identify();
    case 0xe0 ... 0xe3:  // STANDBY and IDLE
    case 0xe6:
    case 0xe7:  // FLUSH CACHE
      tf.status = kDrdy | kDsc;
      return set_intrq(true);
    case 0xe5:  // CHECK POWER MODE
      tf.count = 0xff;
      tf.status = kDrdy | kDsc;
      return set_intrq(true);
    case 0xef:
      if (tf.features == 0x03)
        transfer_mode_ = tf.count;
      else if (tf.features != 0x66 && tf.features != 0xcc)
        return abort();
      tf.status = kDrdy | kDsc;
      return set_intrq(true);
    default:
      guest_oddity("atapi drive: command %02x is not supported", code);
      return abort();
  }
}

void AtapiDrive::abort() {
  kind_ = Kind::kNone;
  end_transfer();
  tf.status = kDrdy | kErr;
  tf.error = kAbrt;
  set_intrq(true);
}

void AtapiDrive::packet() {
  dma_ = (tf.features & 1) != 0;
  limit_ = tf.lba[1] | u32{tf.lba[2]} << 8;
  if (limit_ == 0 || limit_ == 0xffff) limit_ = 0xfffe;
  if (limit_ > 1) limit_ &= ~1u;
  kind_ = Kind::kPacket;
  fill_ = kPacketSize;
  offer(Port::kOut, 0, kPacketSize);
  tf.count = kCommandPhase;
}

void AtapiDrive::run_packet() {
  std::memcpy(cdb_, buffer_.data(), kPacketSize);
  kind_ = Kind::kNone;
  blocks_left_ = 0;
  const Command* command = kCommands;
  while (command->run != nullptr && command->code != cdb_[0]) ++command;
  if (command->run == nullptr) {
    guest_oddity("atapi drive: packet command %02x is not supported", cdb_[0]);
    return check(5, 0x20);
  }
  if (!command->despite_attention && change_ != Change::kNone) {
    if (std::exchange(change_, change_ == Change::kGone ? Change::kNew : Change::kNone) == Change::kGone)
      return check(2, 0x3a);
    return check(6, 0x28);
  }
  if (command->needs_medium && !ready()) return check(2, 0x3a, tray_open_ ? 2 : 1);
  // Sense data describe the last command only, except for the command that asks for them.
  if (cdb_[0] != 0x03) sense_ = {};
  (this->*command->run)();
}

// Offers what the buffer holds, in parts that the host's byte count allows, or over DMA.
void AtapiDrive::offer_part() {
  if (dma_) {
    tf.status = kDrdy | kDsc | kDrq;
    return want_dma();
  }
  const Port port = kind_ == Kind::kParameters ? Port::kOut : Port::kIn;
  const u32 size = std::min(fill_ - pos_, limit_);
  offer(port, pos_, pos_ + size);
  tf.status = kDrdy | kDsc | kDrq;  // as drives do: old drivers compare the whole byte
  tf.lba[1] = static_cast<u8>(size);
  tf.lba[2] = static_cast<u8>(size >> 8);
  tf.count = port == Port::kIn ? kToHost : 0;
  set_intrq(true);
}

void AtapiDrive::block_done() {
  switch (kind_) {
    case Kind::kPacket:
      return run_packet();
    case Kind::kReply:
    case Kind::kParameters:
      return pos_ < fill_ ? offer_part() : complete();
    case Kind::kRead:
      if (pos_ < fill_) return offer_part();
      return blocks_left_ > 0 ? fetch() : complete();
    default:  // IDENTIFY PACKET DEVICE: no interrupt after the data
      kind_ = Kind::kNone;
      end_transfer();
      tf.status = kDrdy | kDsc;
  }
}

void AtapiDrive::go_on() {
  if (kind_ == Kind::kRead && (tf.status & kBsy) != 0) return fetch();
  const std::size_t moved = kind_ == Kind::kParameters ? cable_.dma.from_memory(buffer_.data(), fill_)
                                                       : cable_.dma.to_memory(buffer_.data(), fill_);
  if (moved < fill_) {  // as for disks: the bus master stops, and nobody is told
    cable_.dma.table_short();
    kind_ = Kind::kNone;
    end_transfer();
    tf.status = kDrdy;
    return;
  }
  if (kind_ != Kind::kRead || blocks_left_ == 0) return complete();
  busy();
  yield_dma();
}

void AtapiDrive::complete() {
  if (dma_ && kind_ != Kind::kNone) cable_.dma.drive_done();
  kind_ = Kind::kNone;
  end_transfer();
  tf.status = kDrdy | kDsc;
  tf.error = 0;
  tf.count = kCommandPhase | kToHost;
  set_intrq(true);
}

void AtapiDrive::check(u8 key, u8 asc, u8 ascq) {
  if (dma_ && kind_ != Kind::kNone) cable_.dma.drive_failed();
  sense_ = {key, asc, ascq};
  kind_ = Kind::kNone;
  blocks_left_ = 0;
  end_transfer();
  tf.status = kDrdy | kErr;
  tf.error = static_cast<u8>(key << 4 | (key == 5 || key == 6 ? kAbrt : 0));
  tf.count = kCommandPhase | kToHost;
  set_intrq(true);
}

u8* AtapiDrive::zeroed_reply(u32 size) {
  std::memset(buffer_.data(), 0, size);
  return buffer_.data();
}

void AtapiDrive::reply(u32 size, u32 allocated) {
  fill_ = std::min(size, allocated);
  pos_ = 0;
  if (fill_ == 0) return complete();
  kind_ = Kind::kReply;
  offer_part();
}

u32 AtapiDrive::blocks() const { return static_cast<u32>(std::min<u64>(medium_->sectors() / 4, 0xffffffff)); }

void AtapiDrive::start_read(u32 lba, u32 count, u32 block_size) {
  if (count == 0) return complete();
  if (lba >= blocks() || count > blocks() - lba) return check(5, 0x21);
  kind_ = Kind::kRead;
  next_block_ = lba;
  blocks_left_ = count;
  block_size_ = block_size;
  fetch();
}

void AtapiDrive::fetch() {
  busy();
  const bool raw = block_size_ == kRawBlock;
  const u32 count = std::min(blocks_left_, raw ? kRawChunkBlocks : kChunkBlocks);
  u8* const data = buffer_.data() + (raw ? kRawChunkBlocks * kRawBlock : 0);
  medium_->read(u64{next_block_} * 4, count * 4, data, when_done([this, count, raw, data](BlockStatus status) {
                  if (status != BlockStatus::kOk) return check(3, 0x11);
                  for (u32 i = 0; raw && i < count; ++i) {  // mode 1: sync, address, data; no error correction bytes
                    u8* block = buffer_.data() + i * kRawBlock;
                    const u32 frame = next_block_ + i + 150;
                    std::memset(block, 0, kRawBlock);
                    std::memset(block + 1, 0xff, 10);
                    const u32 parts[3] = {frame / 75 / 60, frame / 75 % 60, frame % 75};
                    for (u32 n = 0; n < 3; ++n)
                      block[12 + n] = static_cast<u8>(parts[n] / 10 % 10 << 4 | parts[n] % 10);
                    block[15] = 1;
                    std::memcpy(block + 16, data + i * kBlock, kBlock);
                  }
                  next_block_ += count;
                  blocks_left_ -= count;
                  fill_ = count * block_size_;
                  pos_ = 0;
                  offer_part();
                }));
}

bool AtapiDrive::eject(bool force) {
  settle();
  if (locked_ && !force) {
    event_ = Event::kEjectRequest;
    return false;
  }
  if (kind_ == Kind::kRead) check(2, 0x3a);  // the disc went away under a read
  tray_open_ = true;
  locked_ = false;
  medium_.reset();
  event_ = Event::kRemoval;
  return true;
}

void AtapiDrive::insert(std::unique_ptr<BlockDevice> medium) {
  settle();
  if (kind_ == Kind::kRead) check(2, 0x3a);
  medium_ = std::move(medium);
  tray_open_ = false;
  if (medium_ == nullptr) return;
  change_ = Change::kGone;
  event_ = Event::kNewMedia;
}

void AtapiDrive::identify() {
  IdentifyBlock id(buffer_.data());
  id.word(0, 0x85c0);  // ATAPI, CD-ROM, removable, DRQ within 50 us, 12-byte packets
  id.text(10, 10, format("UM%05u", unit_ + 1));
  id.word(20, 3);
  id.word(21, 512);
  id.word(22, 4);
  id.text(23, 4, "1.0");
  id.text(27, 20, "UMBRA DVD-ROM");
  id.word(48, 1);
  id.word(49, 0x0b00);
  id.word(53, 0x0007);
  id.transfer_modes(transfer_mode_);
  id.word(71, 30);
  id.word(72, 30);
  id.word(80, 0x0070);
  id.word(82, 1 << 14 | 1 << 9 | 1 << 4);  // NOP, DEVICE RESET, PACKET
  id.word(83, 1 << 14);
  id.word(84, 1 << 14);
  id.word(85, 1 << 14 | 1 << 9 | 1 << 4);
  id.word(87, 1 << 14);
  id.word(93, 1 << 14 | 1 << 13 | 1);
  id.seal();
  kind_ = Kind::kIdentify;
  fill_ = 512;
  offer(Port::kIn, 0, 512);
  set_intrq(true);
}

void AtapiDrive::drive_state(Archive& a) {
  u64 sectors = medium_ != nullptr ? medium_->sectors() : 0;
  const u64 here = sectors;
  a("medium_sectors", sectors)("kind", kind_)("cdb", cdb_)("dma", dma_)("limit", limit_)("next_block", next_block_);
  a("blocks_left", blocks_left_)("block_size", block_size_)("key", sense_.key)("asc", sense_.asc)("ascq", sense_.ascq);
  a("change", change_)("event", event_)("tray_open", tray_open_)("locked", locked_)("transfer_mode", transfer_mode_);
  if (!a.loading()) return;
  if (sectors != here) a.fail("the disc in the drive is not the one that was there when the state was saved");
  bool fits = kind_ <= Kind::kIdentify && change_ <= Change::kNew && event_ <= Event::kRemoval;
  fits = fits && limit_ <= 0xfffe && (kind_ == Kind::kNone || limit_ >= 1);
  fits = fits && (block_size_ == kBlock || block_size_ == kRawBlock);
  fits = fits && (kind_ != Kind::kPacket || fill_ == kPacketSize);
  fits = fits && (kind_ == Kind::kNone || fill_ > 0);
  if (medium_ == nullptr)
    fits = fits && kind_ != Kind::kRead;
  else
    fits = fits && next_block_ <= blocks() && blocks_left_ <= blocks() - next_block_;
  a.require(fits, "the drive's command");
  if (fits && sectors == here) return;
  kind_ = Kind::kNone;
  blocks_left_ = 0;
  change_ = Change::kNone;
  event_ = Event::kNone;
}

}  // namespace umbra
