// The 256 words of IDENTIFY DEVICE (ATA/ATAPI-6, 8.15), and the strings that both kinds of drive tell.
#include "devices/storage/ata_identify.h"

#include <algorithm>

#include "cpu/base/log.h"
#include "devices/storage/ata_disk.h"

namespace umbra {

void IdentifyBlock::text(unsigned word, unsigned words, const std::string& value) {
  for (unsigned i = 0; i < words * 2; ++i) {
    const u8 c = i < value.size() ? static_cast<u8>(value[i]) : ' ';
    at_[word * 2 + (i ^ 1)] = c;  // the first character is the high byte
  }
}

void IdentifyBlock::seal() {
  at_[510] = 0xa5;
  u8 sum = 0;
  for (unsigned i = 0; i < 511; ++i) sum = static_cast<u8>(sum + at_[i]);
  at_[511] = static_cast<u8>(-sum);
}

void IdentifyBlock::transfer_modes(u8 mode) {
  const u16 chosen = static_cast<u16>(0x100u << (mode & 7));
  word(62, static_cast<u16>(0x07 | (mode >> 3 == 2 ? chosen : 0)));  // single words: of old
  word(63, static_cast<u16>(0x07 | (mode >> 3 == 4 ? chosen : 0)));
  word(64, 0x03);  // PIO 3 and 4
  for (unsigned w = 65; w <= 68; ++w) word(w, 120);
  word(88, static_cast<u16>(0x3f | (mode >> 3 == 8 ? chosen : 0)));
}

void AtaDisk::identify() {
  const u64 total = medium_->sectors();
  const u32 current_cylinders = static_cast<u32>(std::min<u64>(total / (logical_heads_ * logical_sectors_), 0xffff));
  const u32 current_total = current_cylinders * logical_heads_ * logical_sectors_;
  IdentifyBlock id(buffer_.data());
  id.word(0, 0x0040);  // fixed, not removable
  id.word(1, geometry_.cylinders);
  id.word(3, geometry_.heads);
  id.word(4, 512 * geometry_.sectors);
  id.word(5, 512);
  id.word(6, geometry_.sectors);
  id.text(10, 10, format("UM%05u", unit_ + 1));
  id.word(20, 3);
  id.word(21, 512);
  id.word(22, 4);
  id.text(23, 4, "1.0");
  id.text(27, 20, "UMBRA HARDDISK");
  id.word(47, 0x8000 | kMaxMultiple);
  id.word(48, 1);       // 32-bit accesses to the data port
  id.word(49, 0x0b00);  // IORDY, LBA, DMA
  id.word(50, 0x4000);
  id.word(51, 0x0200);
  id.word(52, 0x0200);
  id.word(53, 0x0007);  // words 54-58, 64-70 and 88 mean something
  id.word(54, current_cylinders);
  id.word(55, logical_heads_);
  id.word(56, logical_sectors_);
  id.dword(57, current_total);
  id.word(59, multiple_ != 0 ? 0x100 | multiple_ : 0);
  id.dword(60, static_cast<u32>(std::min<u64>(total, 0x0fffffff)));
  id.transfer_modes(transfer_mode_);
  id.word(80, 0x0070);  // ATA-4 to ATA/ATAPI-6
  constexpr u32 kWriteCache = 1 << 5, kSmart = 1 << 0;
  const u32 features = 1 << 13 | 1 << 12 | kWriteCache | 1 << 3 | kSmart;  // READ and WRITE BUFFER, power management
  const u32 features2 = 1 << 13 | 1 << 12 | 1 << 10;                       // FLUSH CACHE EXT, FLUSH CACHE, LBA48
  const u32 extension = 1 << 6 | 1 << 1 | 1 << 0;                          // FUA, SMART self-test and error log
  id.word(82, features);
  id.word(83, 1 << 14 | features2);
  id.word(84, 1 << 14 | extension);
  id.word(85, features & ~((write_cache_ ? 0 : kWriteCache) | (smart_.enabled() ? 0 : kSmart)));
  id.word(86, features2);
  id.word(87, 1 << 14 | extension);
  id.word(93, 1 << 14 | 1 << 13 | 1);  // passed the reset, 80-conductor cable
  id.dword(100, static_cast<u32>(total));
  id.dword(102, static_cast<u32>(total >> 32));
  id.seal();
  reply_buffer();
}

}  // namespace umbra
