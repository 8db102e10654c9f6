#include "translator/code_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"

namespace umbra {

namespace {

constexpr std::size_t kHuge = Backing::kHuge;
constexpr u32 kStep = 2 * kHuge;  // asked for at once: a request costs a millisecond, however small

// Address space that begins at a multiple of kHuge.
u8* reserve(std::size_t bytes) {
  void* at = mmap(nullptr, bytes + kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  u8* first = static_cast<u8*>(at);
  u8* aligned = reinterpret_cast<u8*>(align_up(reinterpret_cast<u64>(first), u64{kHuge}));
  if (aligned != first) munmap(first, static_cast<std::size_t>(aligned - first));
  munmap(aligned + bytes, static_cast<std::size_t>(first + kHuge - aligned));
  return aligned;
}

}  // namespace

Result<std::unique_ptr<CodeCache>> CodeCache::create(u32 bytes) {
  const u32 size = align_up(bytes, kPageSize);
  const auto failed = [](const char* what) {
    return Error{format("cannot make code memory (%s: %s); run with -accel interp", what, std::strerror(errno))};
  };
  const int fd = memfd_create("umbra-code", MFD_CLOEXEC);
  if (fd < 0) return failed("memfd_create");
  u8* front = reserve(kHuge + size);
  u8* writable = reserve(size);
  const auto map = [](u8* at, std::size_t length, int rights, int flags, int file) {
    return at != nullptr && mmap(at, length, rights, flags | MAP_FIXED, file, 0) != MAP_FAILED;
  };
  u8* code = front == nullptr ? nullptr : front + kHuge;
  const bool ok = ftruncate(fd, size) == 0 && code != nullptr &&
                  map(code - kPollToCode, kPollToCode, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) &&
                  map(code, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd) &&
                  map(writable, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
  const int why = errno;
  close(fd);
  if (!ok) {
    if (front != nullptr) munmap(front, kHuge + size);
    if (writable != nullptr) munmap(writable, size);
    errno = why;
    return failed("mmap");
  }
  auto cache = std::unique_ptr<CodeCache>(new CodeCache(code, writable, size));
  new (&cache->context()) Context;
  return cache;
}

CodeCache::~CodeCache() {
  munmap(code_ - kHuge, kHuge + size_);
  munmap(writable_, size_);
}

// Code is spread over more 4 KiB pages than a processor remembers, and each of them would be two faults on the way, one
// through either mapping. What has been used stays resident.
void CodeCache::back() {
  while (backing_ != nullptr && backed_ < size_ && used_ + kStep / 2 > backed_) {
    const u32 bytes = std::min(kStep, size_ - backed_);
    backing_->ask({writable_ + backed_, bytes, code_ + backed_});
    backed_ += bytes;
  }
}

u8* CodeCache::add(std::span<const u8> code, u32 number) {
  CHECK(has_room(static_cast<u32>(code.size())));
  std::memcpy(writable_next(), code.data(), code.size());
  return commit(static_cast<u32>(code.size()), number);
}

u8* CodeCache::commit(u32 bytes, u32 number) {
  CHECK(has_room(bytes));
  u8* at = next();
  if (used_ != 0) std::memcpy(writable_next() - sizeof number, &number, sizeof number);
  used_ = std::min(size_, align_up(used_ + bytes + static_cast<u32>(sizeof number), 16u));
  back();
  return at;
}

void CodeCache::patch(u8* executable, std::span<const u8> code) {
  CHECK(contains(executable) && contains(executable + code.size() - 1));
  std::memcpy(writable_ + (executable - code_), code.data(), code.size());
}

void CodeCache::arm_poll(bool trap) const { mprotect(poll_page(), kPageSize, trap ? PROT_NONE : PROT_READ); }

}  // namespace umbra
