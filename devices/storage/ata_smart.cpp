#include "devices/storage/ata_smart.h"

#include <cstring>

namespace umbra {
namespace {

// Values of the features register.
enum : u8 {
  kReadData = 0xd0,
  kReadThresholds = 0xd1,
  kAutosave = 0xd2,
  kSaveAttributes = 0xd3,
  kExecuteOffline = 0xd4,
  kReadLog = 0xd5,
  kEnable = 0xd8,
  kDisable = 0xd9,
  kReturnStatus = 0xda,
  kAutoOffline = 0xdb,
};
enum : u8 { kLogDirectory = 0, kErrorLog = 1, kSelfTestLog = 6 };

constexpr u8 kKeyMid = 0x4f, kKeyHigh = 0xc2;  // without them in the address there is no SMART
constexpr u16 kPrefailure = 1, kOnline = 2;

struct Attribute {
  u8 id;
  u16 flags;
  u8 value, threshold;
  u64 raw;
};
constexpr Attribute kAttributes[] = {
    {1, kPrefailure | kOnline, 100, 6, 0},             // read errors
    {3, kPrefailure | kOnline, 100, 0, 16},            // time to spin up
    {4, kOnline, 100, 20, 100},                        // starts and stops
    {5, kPrefailure | kOnline, 100, 36, 0},            // reallocated sectors
    {9, kPrefailure | kOnline, 100, 0, 1},             // hours on
    {12, kPrefailure | kOnline, 100, 0, 0},            // power cycles
    {190, kPrefailure | kOnline, 69, 50, 0x1f1f001f},  // degrees: now; lowest and highest
};
constexpr u32 kFirstAttribute = 2, kAttributeSize = 12;

void put16(u8* at, u32 value) {
  at[0] = static_cast<u8>(value);
  at[1] = static_cast<u8>(value >> 8);
}

void seal(u8* sector) {
  u8 sum = 0;
  for (u32 i = 0; i < kSectorSize - 1; ++i) sum = static_cast<u8>(sum + sector[i]);
  sector[kSectorSize - 1] = static_cast<u8>(-sum);
}

void put_data(u8* sector, bool auto_offline) {
  put16(sector, 1);  // of the structure's versions
  u8* at = sector + kFirstAttribute;
  for (const Attribute& attribute : kAttributes) {
    at[0] = attribute.id;
    put16(at + 1, attribute.flags);
    at[3] = at[4] = attribute.value;  // now, and at its worst
    for (unsigned i = 0; i < 6; ++i) at[5 + i] = static_cast<u8>(attribute.raw >> (8 * i));
    at += kAttributeSize;
  }
  sector[362] = auto_offline ? 0x82 : 0x02;  // off-line collection: done; goes on by itself
  put16(sector + 364, 288);                  // seconds that it takes
  sector[367] = 0x19;                        // off-line collection, surface scan and self-tests can be asked for
  put16(sector + 368, 3);                    // saves its attributes, by itself too
  sector[370] = 1;                           // has an error log
  sector[372] = 2;                           // minutes: short self-test
  sector[373] = 54;                          // extended self-test
}

void put_thresholds(u8* sector) {
  put16(sector, 1);
  u8* at = sector + kFirstAttribute;
  for (const Attribute& attribute : kAttributes) {
    at[0] = attribute.id;
    at[1] = attribute.threshold;
    at += kAttributeSize;
  }
}

}  // namespace

AtaSmart::Answer AtaSmart::command(const TaskFile& tf, u8* sector) {
  if (tf.lba[1] != kKeyMid || tf.lba[2] != kKeyHigh) return Answer::kAbort;
  if (!enabled_ && tf.features != kEnable) return Answer::kAbort;
  switch (tf.features) {
    case kReadData:
    case kReadThresholds:
      std::memset(sector, 0, kSectorSize);
      tf.features == kReadData ? put_data(sector, auto_offline_) : put_thresholds(sector);
      seal(sector);
      return Answer::kSector;
    case kReadLog:
      return read_log(tf.lba[0], sector);
    case kExecuteOffline:
      return start_test(tf.lba[0]);
    case kAutosave:
      return tf.count == 0 || tf.count == 0xf1 ? Answer::kDone : Answer::kAbort;
    case kAutoOffline:
      if (tf.count != 0 && tf.count != 0xf8) return Answer::kAbort;
      auto_offline_ = tf.count != 0;
      return Answer::kDone;
    case kEnable:
    case kDisable:
      enabled_ = tf.features == kEnable;
      return Answer::kDone;
    case kSaveAttributes:
    case kReturnStatus:  // all is well: the key stays in the address
      return Answer::kDone;
    default:
      return Answer::kAbort;
  }
}

AtaSmart::Answer AtaSmart::read_log(u8 log, u8* sector) const {
  std::memset(sector, 0, kSectorSize);
  switch (log) {
    case kLogDirectory:  // its version; of each log the sectors
      put16(sector, 1);
      put16(sector + kErrorLog * 2, 1);
      put16(sector + kSelfTestLog * 2, 1);
      return Answer::kSector;  // the only one without a checksum
    case kErrorLog:
      sector[0] = 1;  // version; no errors follow
      break;
    case kSelfTestLog:
      put16(sector, 1);
      for (unsigned i = 0; i < kTests; ++i) {
        u8* at = sector + 2 + 24 * i;
        at[0] = routine_[i];
        if (routine_[i] != 0) put16(at + 2, 1);  // at that hour; its result is 0: passed
      }
      sector[508] = last_test_;
      break;
    default:
      return Answer::kAbort;
  }
  seal(sector);
  return Answer::kSector;
}

AtaSmart::Answer AtaSmart::start_test(u8 routine) {
  constexpr u8 kCollect = 0, kShort = 1, kExtended = 2, kStop = 0x7f, kCaptive = 0x80;
  if (routine == kCollect || routine == kStop) return Answer::kDone;
  const u8 kind = routine & static_cast<u8>(~kCaptive);
  if (kind != kShort && kind != kExtended) return Answer::kAbort;
  last_test_ = static_cast<u8>(last_test_ % kTests + 1);
  routine_[last_test_ - 1u] = routine;
  return Answer::kDone;
}

void AtaSmart::state(Archive& a) {
  a("enabled", enabled_)("auto_offline", auto_offline_)("last_test", last_test_)("routine", routine_);
  a.require(last_test_ <= kTests, "the disk's log of self-tests");
  if (last_test_ > kTests) last_test_ = 0;
}

}  // namespace umbra
