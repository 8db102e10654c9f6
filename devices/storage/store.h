// Where the bytes of a medium come from, seen synchronously. A BlockDevice made of a store calls it from its worker,
// or from the processor's thread while the worker has nothing to do: never from two threads at once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "devices/clock.h"
#include "devices/storage/block.h"

namespace umbra {

class BlockStore {
 public:
  virtual ~BlockStore() = default;
  virtual u64 bytes() const = 0;  // a multiple of kSectorSize; ranges given below lie inside it
  virtual bool read_only() const { return false; }
  virtual BlockStatus read(u64 offset, u8* to, std::size_t size) = 0;
  virtual BlockStatus write(u64 offset, const u8* from, std::size_t size) = 0;
  virtual BlockStatus flush() = 0;
  // The same if it can be had without waiting; nothing if the worker must be asked.
  virtual std::optional<BlockStatus> try_read(u64, u8*, std::size_t) { return {}; }
  virtual std::optional<BlockStatus> try_write(u64, const u8*, std::size_t) { return {}; }
  virtual std::string describe() const = 0;
};

// Memory only: for tests and for blank media.
class MemoryStore final : public BlockStore {
 public:
  explicit MemoryStore(std::vector<u8> bytes, bool read_only = false);
  u64 bytes() const override { return bytes_.size(); }
  bool read_only() const override { return read_only_; }
  BlockStatus read(u64 offset, u8* to, std::size_t size) override;
  BlockStatus write(u64 offset, const u8* from, std::size_t size) override;
  BlockStatus flush() override { return BlockStatus::kOk; }
  std::optional<BlockStatus> try_read(u64 offset, u8* to, std::size_t size) override { return read(offset, to, size); }
  std::optional<BlockStatus> try_write(u64 offset, const u8* from, std::size_t size) override {
    return write(offset, from, size);
  }
  std::string describe() const override { return "memory"; }

 private:
  std::vector<u8> bytes_;
  bool read_only_;
};

// Puts a worker thread behind a store. The destructor finishes the queue (no write is lost) and calls nobody back.
std::unique_ptr<BlockDevice> make_block_device(std::unique_ptr<BlockStore> store, Clock& clock);

}  // namespace umbra
