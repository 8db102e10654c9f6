// Room for many small records, reserved at once and resident only as far as it is used; given up as a whole.
#pragma once

#include <sys/mman.h>

#include <span>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"
#include "translator/backing.h"

namespace umbra {

template <class T>
class Arena {
 public:
  // In the low 2 GiB when the host has room there: addresses are short immediates then.
  Arena(Backing& backing, u32 most) : backing_(backing), most_(most) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* p = mmap(nullptr, sizeof(T) * most_, PROT_READ | PROT_WRITE, kFlags | MAP_32BIT, -1, 0);
    if (p == MAP_FAILED) p = mmap(nullptr, sizeof(T) * most_, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    CHECK(p != MAP_FAILED);
    all_ = static_cast<T*>(p);
    // Page by page, memory costs the host four times as much. Few records are worth no huge page.
    const u64 begin = reinterpret_cast<u64>(p), end = begin + sizeof(T) * most_;
    const u64 first = align_up(begin, u64{Backing::kHuge}) + Backing::kHuge;
    if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
    backed_ = first - begin;
  }
  ~Arena() { munmap(all_, sizeof(T) * most_); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  bool has_room(u32 count) const { return count <= most_ - used_; }
  T* next() const { return all_ + used_; }
  // The next records are about to be written: have their lines fetched meanwhile.
  void expect() const {
    for (u32 i = 0; i < 3; ++i) __builtin_prefetch(reinterpret_cast<const u8*>(next()) + 64 * i, 1);
  }
  T* take(u32 count) {
    T* first = next();
    used_ += count;
    if (sizeof(T) * used_ + kAhead > backed_ && backed_ + Backing::kHuge <= sizeof(T) * most_) {
      backing_.ask({reinterpret_cast<u8*>(all_) + backed_, Backing::kHuge});
      backed_ += Backing::kHuge;
    }
    return first;
  }
  T& operator[](u32 i) { return all_[i]; }
  const T& operator[](u32 i) const { return all_[i]; }
  std::span<const T> all() const { return {all_, used_}; }
  u32 used() const { return used_; }
  void clear() { used_ = 0; }

 private:
  static constexpr u32 kAhead = Backing::kHuge / 2;
  Backing& backing_;
  const std::size_t most_;
  T* all_;
  u32 used_ = 0;
  std::size_t backed_ = 0;  // so far it has been asked for, or need not be
};

}  // namespace umbra
