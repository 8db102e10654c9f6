#include "translator/backing.h"

#include <sys/mman.h>

#include <catch2/catch.hpp>

using namespace umbra;

namespace {

constexpr u32 kPieces = 4, kBytes = kPieces * Backing::kHuge;

struct Memory {
  u8* at = static_cast<u8*>(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ~Memory() { munmap(at, kBytes); }
  u32 resident() const {
    u8 pages[kBytes / kPageSize];
    if (mincore(at, kBytes, pages) != 0) return 0;
    u32 count = 0;
    for (const u8 page : pages) count += page & 1;
    return count;
  }
};

}  // namespace

TEST_CASE("Memory keeps what is written while it is being backed") {
  Memory memory;
  REQUIRE(memory.at != MAP_FAILED);
  Backing backing;
  for (u32 i = 0; i < kPieces; ++i) backing.ask({memory.at + i * Backing::kHuge, Backing::kHuge});
  for (u32 i = 0; i < kBytes; i += 64) memory.at[i] = static_cast<u8>(i / 64 + 1);
  backing.stop();
  u32 lost = 0;
  for (u32 i = 0; i < kBytes; i += 64) lost += memory.at[i] != static_cast<u8>(i / 64 + 1);
  CHECK(lost == 0);
}

TEST_CASE("Backing stops at once, with pieces left and without any") {
  Memory memory;
  for (u32 round = 0; round < 20; ++round) {
    Backing backing;
    for (u32 i = 0; i < round; ++i) backing.ask({memory.at + i % kPieces * Backing::kHuge, Backing::kHuge});
  }
  Backing idle;
  idle.stop();
}

TEST_CASE("Memory that was asked for becomes resident; what the host will not back does no harm") {
  Memory memory, other;
  constexpr int kPopulateWrite = 23;
  if (madvise(other.at, kPageSize, kPopulateWrite) != 0) {
    WARN("skipped: this host does not populate memory (Linux before 5.14)");
    return;
  }
  Backing backing;
  backing.ask({memory.at + 1, Backing::kHuge});                          // no page begins there
  backing.ask({memory.at, Backing::kHuge, memory.at + Backing::kHuge});  // no file
  REQUIRE(memory.resident() < kBytes / kPageSize);
  for (u32 i = 0; i < kPieces; ++i) backing.ask({memory.at + i * Backing::kHuge, Backing::kHuge});
  for (u32 i = 0; i < 5000 && memory.resident() < kBytes / kPageSize; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(memory.resident() == kBytes / kPageSize);
}
