// What every drive on an ATA cable has (ATA/ATAPI-6): a task file, a data port behind a buffer, an interrupt request.
// AtaDisk and AtapiDrive add the commands. The channel sends register traffic here and asks for the state of INTRQ.
#pragma once

#include <vector>

#include "devices/device.h"
#include "devices/storage/block.h"
#include "devices/storage/bus_master.h"

namespace umbra {

namespace ata {
inline constexpr u8 kErr = 0x01, kDrq = 0x08, kDsc = 0x10, kDf = 0x20, kDrdy = 0x40, kBsy = 0x80;  // status
inline constexpr u8 kAbrt = 0x04, kIdnf = 0x10, kUnc = 0x40;                                       // error
inline constexpr u8 kLba = 0x40, kDev = 0x10;                                                      // device
}  // namespace ata

// The host writes each register of the command block into a pair: what it held before is the "high order byte" that
// 48-bit commands use.
struct TaskFile {
  u8 features = 0, hob_features = 0;
  u8 count = 0, hob_count = 0;
  u8 lba[3] = {}, hob_lba[3] = {};  // low, mid, high; sector, cylinder low, cylinder high
  u8 device = 0;
  u8 status = 0;
  u8 error = 0;
  void state(Archive& a);
};

class IdeDrive {
 public:
  // The cable, as the drive sees it.
  struct Cable {
    Clock& clock;
    BusMaster& dma;
    std::function<void()> intrq_changed;
  };

  IdeDrive(Cable& cable, const char* label);
  virtual ~IdeDrive() = default;
  IdeDrive(const IdeDrive&) = delete;
  IdeDrive& operator=(const IdeDrive&) = delete;

  void reset();  // power-on, RESET# and SRST: signature in the task file, transfers forgotten
  void command(u8 code);
  void diagnose();  // the drive's part of EXECUTE DEVICE DIAGNOSTIC
  void dma_started();
  void quiesce();
  void state(Archive& a);

  void data_in(u8* to, std::size_t size);  // reads of the data port
  void data_out(const u8* from, std::size_t size);

  bool intrq() const { return intrq_; }
  void clear_intrq() { set_intrq(false); }
  void raise_intrq() { set_intrq(true); }

  TaskFile tf;
  const char* label() const { return label_; }

 protected:
  static constexpr u32 kBufferSize = 128 * 1024;

  virtual void put_signature() = 0;
  virtual void execute(u8 code) = 0;
  virtual bool takes_while_busy(u8) const { return false; }
  virtual void block_done() = 0;  // the host has moved the block that was offered
  virtual void go_on() = 0;       // the next part of a DMA transfer: the bus master is active
  virtual void reset_drive() = 0;
  virtual void drive_state(Archive& a) = 0;
  virtual BlockDevice* medium() = 0;  // whose requests may be in flight; may be null

  // Bytes pos..end of the buffer are next on the data port; DRQ is set.
  enum class Port : u8 { kNone, kIn, kOut };
  void offer(Port port, u32 pos, u32 end);
  void set_intrq(bool level);
  void busy() { tf.status = static_cast<u8>((tf.status & ~(ata::kDrq | ata::kErr | ata::kDf)) | ata::kBsy); }
  void want_dma();      // DMARQ: go_on now, or when the bus master is started
  void yield_dma();     // go_on from the clock, so that a long transfer neither recurses nor holds up the processor
  void end_transfer();  // nothing on the data port, nothing wanted from the bus master
  void settle();        // waits for requests in flight and drops their answers

  // Wraps what is to happen when a medium's request is done; nothing happens if the drive was reset meanwhile.
  BlockDevice::Done when_done(std::function<void(BlockStatus)> f);

  Cable& cable_;
  std::vector<u8> buffer_;
  u32 fill_ = 0;  // bytes of the buffer that mean something
  u32 pos_ = 0, end_ = 0;

 private:
  const char* label_;
  Port port_ = Port::kNone;
  bool intrq_ = false;
  bool dma_wanted_ = false;
  u32 generation_ = 0;
  Timer yield_;
};

}  // namespace umbra
