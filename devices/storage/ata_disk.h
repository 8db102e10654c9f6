// An ATA hard disk (ATA/ATAPI-6 general feature set): CHS, LBA28 and LBA48, PIO single and multiple, DMA through the
// bus master, write cache. Data moves through a buffer of 256 sectors, so that a long PIO command asks the medium
// seldom; each DRQ block is offered at once when its data is there. Left out: security, HPA, packet commands.
#pragma once

#include <memory>

#include "devices/storage/ata_smart.h"
#include "devices/storage/geometry.h"
#include "devices/storage/ide_drive.h"

namespace umbra {

class AtaDisk final : public IdeDrive {
 public:
  // `unit` numbers the serial number, as in "UM00001".
  AtaDisk(Cable& cable, std::unique_ptr<BlockDevice> medium, unsigned unit);

  const Geometry& geometry() const { return geometry_; }  // the drive's own, for the board's CMOS
  const BlockDevice& image() const { return *medium_; }
  BlockDevice* medium() override { return medium_.get(); }

 private:
  static constexpr u32 kChunk = kBufferSize / kSectorSize;
  static constexpr u8 kMaxMultiple = 16;

  enum class Kind : u8 { kNone, kReply, kPioRead, kPioWrite, kDmaRead, kDmaWrite, kWriteBuffer };
  struct Transfer {
    Kind kind = Kind::kNone;
    u64 lba = 0;    // of the next sector to ask the medium for
    u32 left = 0;   // sectors not yet asked for
    u32 chunk = 0;  // sectors that the buffer holds or is to hold
    u32 block = 1;  // sectors per DRQ block
    bool ext = false;
    bool force_unit_access = false;
  };

  void put_signature() override;
  void execute(u8 code) override;
  void block_done() override;
  void go_on() override;
  void reset_drive() override;
  void drive_state(Archive& a) override;

  void begin(Kind kind, bool ext, u32 block = 1, bool force_unit_access = false);
  void begin_chunk();
  void fetch();
  void store();
  void offer_block(Port port, bool interrupt);
  void data_moved();
  void flush();
  void verify(bool ext);
  void reply_buffer();
  void seek();
  void set_features();
  void set_multiple();
  void native_max(bool ext);
  void smart();

  u64 address(bool ext) const;  // ~0 if the registers do not name a sector
  void set_address(u64 lba, bool ext);
  u32 sector_count(bool ext) const;
  bool in_range(u64 lba, u32 count) const { return lba < medium_->sectors() && count <= medium_->sectors() - lba; }

  void complete(bool interrupt = true);
  void fail(u8 error, u8 status = ata::kErr);
  void fail_at(u64 lba, u8 error, u8 status = ata::kErr);
  void abort() { fail(ata::kAbrt); }
  void identify();

  std::unique_ptr<BlockDevice> medium_;
  Geometry geometry_;
  unsigned unit_;
  Transfer t_;
  u32 logical_heads_, logical_sectors_;  // INITIALIZE DEVICE PARAMETERS
  u8 multiple_ = kMaxMultiple;
  u8 transfer_mode_ = 0x45;  // SET FEATURES 03h: Ultra DMA 5
  bool write_cache_ = true;
  AtaSmart smart_;
};

}  // namespace umbra
