#include "translator/code_cache.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"

namespace umbra {

Result<std::unique_ptr<CodeCache>> CodeCache::create(u32 bytes) {
  const u32 size = align_up(bytes, kPageSize);
  const std::size_t front = kPollToCode;
  const auto failed = [](const char* what) {
    return Error{format("cannot make code memory (%s: %s); run with -accel interp", what, std::strerror(errno))};
  };
  const int fd = memfd_create("umbra-code", MFD_CLOEXEC);
  if (fd < 0) return failed("memfd_create");
  void* front_and_code = MAP_FAILED;
  void* writable = MAP_FAILED;
  if (ftruncate(fd, size) == 0) {
    front_and_code = mmap(nullptr, front + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    writable = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  u8* code = front_and_code == MAP_FAILED ? nullptr : static_cast<u8*>(front_and_code) + front;
  const bool ok = code != nullptr && writable != MAP_FAILED &&
                  mmap(code, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
  const int why = errno;
  close(fd);
  if (!ok) {
    if (front_and_code != MAP_FAILED) munmap(front_and_code, front + size);
    if (writable != MAP_FAILED) munmap(writable, size);
    errno = why;
    return failed("mmap");
  }
  auto cache = std::unique_ptr<CodeCache>(new CodeCache(code, static_cast<u8*>(writable), size));
  new (&cache->context()) Context;
  return cache;
}

CodeCache::~CodeCache() {
  munmap(code_ - kPollToCode, kPollToCode + size_);
  munmap(writable_, size_);
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
  return at;
}

void CodeCache::patch(u8* executable, std::span<const u8> code) {
  CHECK(contains(executable) && contains(executable + code.size() - 1));
  std::memcpy(writable_ + (executable - code_), code.data(), code.size());
}

void CodeCache::arm_poll(bool trap) const { mprotect(poll_page(), kPageSize, trap ? PROT_NONE : PROT_READ); }

}  // namespace umbra
