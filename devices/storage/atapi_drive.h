// An ATAPI CD/DVD-ROM drive: the PACKET protocol (ATA/ATAPI-6, 9.8) around MMC-3 commands. Media are images of
// 2048-byte blocks with one data track. Left out: audio, writing, DVD structures.
#pragma once

#include <memory>

#include "devices/storage/ide_drive.h"

namespace umbra {

class AtapiDrive final : public IdeDrive {
 public:
  AtapiDrive(Cable& cable, std::unique_ptr<BlockDevice> medium, unsigned unit);

  // Hot change, from the monitor. A tray that the guest has locked opens only by force; without it the guest is told
  // that somebody wants the disc (GET EVENT STATUS NOTIFICATION), and false comes back.
  bool eject(bool force);
  void insert(std::unique_ptr<BlockDevice> medium);  // closes the tray
  bool tray_open() const { return tray_open_; }
  bool locked() const { return locked_; }
  BlockDevice* medium() override { return medium_.get(); }

 private:
  static constexpr u32 kBlock = 2048;
  static constexpr u32 kRawBlock = 2352;
  static constexpr u32 kPacketSize = 12;
  static constexpr u32 kChunkBlocks = kBufferSize / kBlock;  // asked of the medium at a time
  static constexpr u32 kRawChunkBlocks = 16;

  enum class Kind : u8 { kNone, kPacket, kReply, kRead, kParameters, kIdentify };
  // What the guest must be told about a new disc before anything else: first that there is none, then the attention.
  enum class Change : u8 { kNone, kGone, kNew };
  enum class Event : u8 { kNone, kEjectRequest, kNewMedia, kRemoval };

  struct Sense {
    u8 key = 0, asc = 0, ascq = 0;
  };
  struct Command {
    u8 code;
    void (AtapiDrive::*run)();
    bool needs_medium;
    bool despite_attention;  // runs while a unit attention is pending
  };
  static const Command kCommands[];

  void put_signature() override;
  void execute(u8 code) override;
  bool takes_while_busy(u8 code) const override { return code == 0x08; }
  void block_done() override;
  void go_on() override;
  void reset_drive() override;
  void drive_state(Archive& a) override;

  // The PACKET protocol.
  void packet();
  void run_packet();
  void offer_part();
  void complete();
  void check(u8 key, u8 asc, u8 ascq = 0);
  void invalid_field() { check(5, 0x24); }
  void reply(u32 size, u32 allocated);
  void fetch();
  void abort();
  void identify();

  // MMC commands (atapi_commands.cpp).
  void test_unit_ready() { complete(); }
  void request_sense();
  void inquiry();
  void mode_sense_6();
  void mode_sense_10();
  void mode_sense(u32 header, u32 allocated);
  void mode_select();
  void start_stop();
  void prevent_allow();
  void read_capacity();
  void read_10();
  void read_12();
  void read_cd();
  void read_cd_msf();
  void start_read(u32 lba, u32 blocks, u32 block_size);
  void read_cd_fields(u32 lba, u32 blocks, u8 fields);
  void seek();
  void read_toc();
  void read_subchannel();
  void get_configuration();
  void get_event_status();
  void read_disc_information();
  void mechanism_status();
  void set_speed() { complete(); }

  bool ready() const { return medium_ != nullptr && !tray_open_; }
  u32 blocks() const;
  u8* zeroed_reply(u32 size);

  std::unique_ptr<BlockDevice> medium_;
  unsigned unit_;
  Kind kind_ = Kind::kNone;
  u8 cdb_[kPacketSize] = {};
  bool dma_ = false;
  u32 limit_ = 0;  // bytes per DRQ block
  u32 next_block_ = 0, blocks_left_ = 0, block_size_ = kBlock;
  Sense sense_;
  Change change_ = Change::kNone;
  Event event_ = Event::kNone;
  bool tray_open_ = false;
  bool locked_ = false;
  u8 transfer_mode_ = 0x42;
};

}  // namespace umbra
