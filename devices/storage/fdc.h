// The floppy disk controller: Intel 82077AA/82078 datasheet, PC-AT mode, two drives. Commands are taken byte by byte
// (command phase), worked on with small delays of the machine's clock, moved over DMA or byte by byte (execution
// phase), and answered (result phase). Sectors have 512 bytes, as images do, and FM is taken for MFM. Images cannot
// hold deleted data marks: those last as long as the disk is in the drive. Left out: the 82078's SAVE, RESTORE and
// OPTION. Implied seek is on after power-on, as on QEMU.
#pragma once

#include "devices/device.h"
#include "devices/dma.h"
#include "devices/storage/floppy.h"

namespace umbra {

class Fdc final : public Device, public DmaRequester {
 public:
  static constexpr unsigned kDrives = 2;

  Fdc(Clock& clock, Line irq);
  void connect_dma(DmaLine& line) { dma_ = &line; }  // channel 2

  const char* name() const override { return "fdc0"; }
  void reset() override;
  void quiesce() override;
  void state(Archive& a) override;

  BusTarget& registers() { return registers_; }  // 8 bytes from 3F0h; the one at 6 is IDE's

  // Drives and media, also while the machine runs. An empty drive without a type does not exist.
  void attach(unsigned n, FloppyType type) { drives_[n].attach(type); }
  Status insert(unsigned n, std::unique_ptr<BlockDevice> medium);
  void eject(unsigned n);
  FloppyType type(unsigned n) const { return drives_[n].type(); }  // for CMOS register 10h
  FloppyDrive& drive(unsigned n) { return drives_[n]; }

  std::size_t dma_transfer(u8* data, std::size_t size, bool to_memory, bool terminal_count) override;

 private:
  enum class Phase : u8 { kCommand, kWaiting, kToHost, kFromHost, kMedium, kResult };
  enum class Job : u8 { kNone, kRead, kReadDeleted, kReadTrack, kVerify, kWrite, kWriteDeleted, kFormat, kScan };
  struct Command {
    u8 mask, code;
    u8 length;  // of the command phase, opcode included
    void (Fdc::*run)();
  };
  static constexpr unsigned kFifo = 16;
  static const Command kCommands[];

  u32 read_register(u32 offset, unsigned size);
  void write_register(u32 offset, u32 value, unsigned size);
  u8 read_byte(u32 offset);
  void write_byte(u32 offset, u8 value);

  // Phases (fdc.cpp).
  u8 main_status() const;
  void write_fifo(u8 value);
  u8 read_fifo();
  void result(std::initializer_list<u8> bytes, bool interrupt = false);
  void idle();
  void set_interrupt(bool level);
  void software_reset();
  void settle();
  void seek_done();
  void due();
  const Command& decode(u8 opcode) const;

  // Commands (fdc.cpp: control, fdc_transfer.cpp: data).
  void invalid();
  void specify();
  void sense_drive();
  void sense_interrupt();
  void recalibrate();
  void seek();
  void relative_seek();
  void start_seek(unsigned drive, u8 track);
  void read_id();
  void dump_registers();
  void version();
  void perpendicular();
  void configure();
  void lock();
  void part_id();
  void power_down();
  void read_data();
  void write_data();
  void scan();
  void format_track();
  void begin(Job job);
  void execute();
  void next_sector();
  bool advance();
  void fetch();
  void store();
  void write_sector(u8 cylinder, u8 sector);
  void sector_arrived();
  void skip_sector();
  void put_in(const u8* data, u32 size);
  void sector_scanned();
  void data_complete();
  void sector_stored();
  void format_sector();
  void offer();
  void finish(u8 st0, u8 st1, u8 st2);
  u8 take_byte();
  void give_byte(u8 value);
  bool writing() const { return job_ == Job::kWrite || job_ == Job::kWriteDeleted || job_ == Job::kFormat; }
  bool from_host() const { return writing() || job_ == Job::kScan; }
  u64 lba(const FloppyFormat& format, u8 cylinder, u8 sector) const {
    return (u64{cylinder} * format.heads + h_) * format.sectors + sector - 1;
  }
  u32 unit_size() const { return job_ == Job::kFormat ? 4 : kSectorSize; }
  bool non_dma() const { return (specify_[1] & 1) != 0 || dma_ == nullptr; }
  void set_dreq(bool level);
  BlockDevice::Done when_done(std::function<void(BlockStatus)> f);
  FloppyDrive* selected();  // by the command's drive bits; null if there is none

  Line irq_;
  DmaLine* dma_ = nullptr;
  Region<Fdc> registers_{this, &Fdc::read_register, &Fdc::write_register};
  FloppyDrive drives_[kDrives];
  Timer delay_;  // until the command in execution goes on, or seeks have ended, or a reset is over
  u32 generation_ = 0;

  struct Regs {
    u8 dor = 0x0c;
    u8 tdr = 0;
    u8 rate = 2;
    bool interrupt = false;
    bool dreq = false;
  } r_;
  Phase phase_ = Phase::kCommand;
  u8 fifo_[kFifo] = {};
  u8 fifo_count_ = 0;  // bytes of the command so far, or of the result
  u8 fifo_read_ = 0;   // of the result
  u8 specify_[2] = {0xdf, 0x02};
  u8 config_ = 0x60;  // implied seek; FIFO off
  u8 pretrack_ = 0;
  u8 perpendicular_ = 0;
  bool lock_ = false;
  u8 last_eot_ = 0;
  u8 reset_polls_ = 0;       // SENSE INTERRUPT STATUS answers due after a reset
  bool seeking_[4] = {};     // drive n's heads are moving
  bool seek_over_[4] = {};   // … and have arrived: to be told by SENSE INTERRUPT STATUS
  bool to_track_0_[4] = {};  // … by RECALIBRATE
  u8 seek_target_[4] = {};
  u8 cylinder_[4] = {};  // what the controller thinks: PCN

  Job job_ = Job::kNone;
  u8 c_ = 0, h_ = 0, sector_ = 0, eot_ = 0;
  u8 left_ = 0;                // sectors to format, or to verify when the command counts them
  bool control_mark_ = false;  // a sector had the other kind of mark
  i8 order_ = 0;               // SCAN: the disk's bytes are equal so far, or before (-1) or after (1) the host's
  bool terminal_count_ = false;
  bool implied_seek_ = false;  // the heads have moved for this command
  u32 position_ = 0;           // in the buffer
  u8 buffer_[kSectorSize] = {};
};

}  // namespace umbra
