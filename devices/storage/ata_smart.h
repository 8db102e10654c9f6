// The SMART feature set of an ATA disk (ATA/ATAPI-6, 6.12 and 8.55; attributes after SFF-8035i): a drive in good
// health, whose self-tests pass at once. Left out: writing logs, selective and conveyance self-tests, the logs of other
// pages.
#pragma once

#include <array>

#include "devices/storage/ide_drive.h"

namespace umbra {

class AtaSmart {
 public:
  enum class Answer { kDone, kSector, kAbort };
  Answer command(const TaskFile& tf, u8* sector);  // B0h; kSector: its 512 bytes are in `sector`
  bool enabled() const { return enabled_; }
  void state(Archive& a);

 private:
  static constexpr u8 kTests = 21;  // that the log remembers

  Answer read_log(u8 log, u8* sector) const;
  Answer start_test(u8 routine);

  bool enabled_ = true;
  bool auto_offline_ = true;
  u8 last_test_ = 0;                  // 1…21, the newest in the log; 0: none yet
  std::array<u8, kTests> routine_{};  // of each test in the log
};

}  // namespace umbra
