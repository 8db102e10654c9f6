#include "devices/storage/overlay_store.h"

#include <unistd.h>

#include <bitset>
#include <cerrno>
#include <unordered_map>

#include "devices/storage/file_store.h"

namespace umbra {
namespace {

class OverlayStore final : public BlockStore {
 public:
  OverlayStore(std::unique_ptr<BlockStore> base, int scratch) : base_(std::move(base)), scratch_(scratch) {}
  ~OverlayStore() override { ::close(scratch_); }

  u64 bytes() const override { return base_->bytes(); }
  std::string describe() const override { return base_->describe() + ", writes thrown away"; }
  BlockStatus flush() override { return BlockStatus::kOk; }  // nobody will read it after a crash

  BlockStatus read(u64 offset, u8* to, std::size_t size) override {
    while (size > 0) {
      const auto [ours, run] = run_at(offset, size);
      if (ours) {
        if (!read_all(scratch_, offset, to, run)) return BlockStatus::kIoError;
      } else if (const BlockStatus status = base_->read(offset, to, run); status != BlockStatus::kOk) {
        return status;
      }
      offset += run;
      to += run;
      size -= run;
    }
    return BlockStatus::kOk;
  }

  std::optional<BlockStatus> try_read(u64 offset, u8* to, std::size_t size) override {
    while (size > 0) {
      const auto [ours, run] = run_at(offset, size);
      if (ours) {
        if (!cached_.read(scratch_, offset, to, run)) return {};
      } else if (const auto status = base_->try_read(offset, to, run); status != BlockStatus::kOk) {
        return status;
      }
      offset += run;
      to += run;
      size -= run;
    }
    return BlockStatus::kOk;
  }

  BlockStatus write(u64 offset, const u8* from, std::size_t size) override {
    if (!write_all(scratch_, offset, from, size)) return write_status(errno);
    for (u64 sector = offset / kSectorSize; sector < (offset + size) / kSectorSize; ++sector)
      written_[sector / kChunk].set(sector % kChunk);
    return BlockStatus::kOk;
  }

 private:
  static constexpr u64 kChunk = 4096;  // sectors for which one map entry stands
  struct Run {
    bool ours;
    std::size_t size;
  };

  bool is_written(u64 sector) const {
    const auto chunk = written_.find(sector / kChunk);
    return chunk != written_.end() && chunk->second.test(sector % kChunk);
  }

  // The longest run from `offset` on that comes from one place.
  Run run_at(u64 offset, std::size_t size) const {
    const u64 first = offset / kSectorSize;
    const u64 count = size / kSectorSize;
    if (written_.empty()) return {false, size};
    const bool ours = is_written(first);
    u64 n = 1;
    while (n < count && is_written(first + n) == ours) ++n;
    return {ours, static_cast<std::size_t>(n * kSectorSize)};
  }

  std::unique_ptr<BlockStore> base_;
  int scratch_;
  CachedReads cached_;
  std::unordered_map<u64, std::bitset<kChunk>> written_;
};

}  // namespace

Result<std::unique_ptr<BlockStore>> make_overlay(std::unique_ptr<BlockStore> base) {
  Result<int> scratch = open_scratch_file();
  if (!scratch) return scratch.take_error();
  return std::unique_ptr<BlockStore>(new OverlayStore(std::move(base), *scratch));
}

}  // namespace umbra
