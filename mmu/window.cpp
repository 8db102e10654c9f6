#include "mmu/window.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdio>

#include "mmu/sparse.h"

namespace umbra {

namespace {

constexpr u64 kBytes = u64{1} << 32;
constexpr int kReserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

}  // namespace

// What the rest of the process may need is left to it: libraries, thread stacks, malloc, code caches, displays.
u32 WindowBudget::host_limit() {
  u32 count = 65530;
  if (std::FILE* f = std::fopen("/proc/sys/vm/max_map_count", "r")) {
    if (std::fscanf(f, "%u", &count) != 1) count = 65530;
    std::fclose(f);
  }
  return std::min(count, 1u << 20) / 4 * 3;
}

std::unique_ptr<Window> Window::create(PhysicalMemory& memory, WindowBudget& budget, StoreMap* listed, u32 id) {
  if (budget.used + 1 > budget.limit) return nullptr;
  void* base = mmap(nullptr, kBytes + kGuard, PROT_NONE, kReserve, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  return std::unique_ptr<Window>(new Window(memory, budget, listed, id, static_cast<u8*>(base)));
}

Window::Window(PhysicalMemory& memory, WindowBudget& budget, StoreMap* listed, u32 id, u8* base)
    : memory_(memory),
      budget_(budget),
      listed_(listed),
      id_(id),
      base_(base),
      state_(static_cast<u32*>(sparse_map(kPages * sizeof(u32)))) {
  ++budget_.used;
}

Window::~Window() {
  clear();
  munmap(base_, kBytes + kGuard);
  munmap(state_, kPages * sizeof(u32));
  budget_.used -= mappings_;
}

// The host keeps neighbours in one mapping if both are nothing, or if they have the same rights and follow one another
// in the file.
bool Window::mergeable(u32 left, u32 right) {
  constexpr u32 kNotes = kPendingBits | kChurn;
  left &= ~kNotes;
  right &= ~kNotes;
  return left == 0 ? right == 0 : right == left + (1u << kFileShift);
}

// Between the pages from vpn - 1 to vpn + count. Page -1 is another mapping's, the guard behind the last page is ours.
u32 Window::boundaries(u32 vpn, u32 count) const {
  u32 n = 0;
  u32 left = vpn == 0 ? 0 : state_[vpn - 1];
  for (u32 v = vpn; v <= vpn + count; ++v) {
    const u32 right = v == kPages ? 0 : state_[v];
    if (v != 0) n += !mergeable(left, right);
    left = right;
  }
  return n;
}

void Window::account(u32 before, u32 after) {
  mappings_ += after - before;
  budget_.used += after - before;
}

void Window::set(u32 vpn, u32 count, u32 first_state, u32 step) {
  for (u32 i = 0; i < count; ++i) {
    const u32 before = state_[vpn + i], after = first_state == 0 ? 0 : first_state + i * step;
    if (listed_ != nullptr) {
      if ((before & kWritable) != 0) listed_->remove(before >> kFileShift, id_, vpn + i);
      if ((after & kWritable) != 0) CHECK(listed_->add(after >> kFileShift, id_, vpn + i));
    }
    state_[vpn + i] = after | (before & kChurn);
  }
}

bool Window::map(u32 vpn, u32 count, u32 file_page, bool writable, bool populate) {
  for (u32 v = vpn; v < vpn + count; v += 1024) regions_[v >> 16] |= u64{1} << (v >> 10 & 63);
  regions_[(vpn + count - 1) >> 16] |= u64{1} << ((vpn + count - 1) >> 10 & 63);
  if (budget_.used + 2 > budget_.limit) return false;  // at worst one mapping becomes three
  for (u32 i = 0; i < count && writable && listed_ != nullptr; ++i) {
    if (!listed_->has_room(file_page + i)) return false;
  }
  const u32 before = boundaries(vpn, count);
  const int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const int flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE | (populate ? MAP_POPULATE : 0);
  void* at = base_ + (u64{vpn} << kPageBits);
  if (mmap(at, u64{count} << kPageBits, prot, flags, memory_.fd(), static_cast<off_t>(u64{file_page} << kPageBits)) ==
      MAP_FAILED) {
    // The host may have unmapped what was there.
    unmap(vpn, count);
    return false;
  }
  set(vpn, count, file_page << kFileShift | kMapped | (writable ? kWritable : 0), 1u << kFileShift);
  account(before, boundaries(vpn, count));
  return true;
}

void Window::unmap(u32 vpn, u32 count) {
  const u32 before = boundaries(vpn, count);
  void* at = base_ + (u64{vpn} << kPageBits);
  // Dropping a part of a mapping may need one more; at the limit the host refuses, and then all of it goes.
  if (mmap(at, u64{count} << kPageBits, PROT_NONE, kReserve | MAP_FIXED, -1, 0) == MAP_FAILED) {
    clear();
    return;
  }
  set(vpn, count, 0, 0);
  account(before, boundaries(vpn, count));
}

void Window::note_pending(u32 vpn, u32 bit) {
  u32& s = state_[vpn];
  if ((s & kPendingBits) == 0) {
    if (pending_count_ == kMaxPending) {
      all_pending_ = true;
      return;
    }
    pending_[pending_count_++] = vpn;
  }
  s |= bit;
}

void Window::count_invalidation(u32 vpn) {
  if (touched(vpn) && (state_[vpn] & (kMapped | kForget)) == kMapped && (state_[vpn] & kChurn) != kChurn)
    state_[vpn] += kChurnOne;
}

void Window::forgive() {
  for (u32 region = 0; region < kPages / 1024; ++region) {
    if (!touched(region * 1024)) continue;
    for (u32 v = region * 1024; v < (region + 1) * 1024; ++v)
      state_[v] = (state_[v] & ~kChurn) | ((state_[v] & kChurn) >> 1 & kChurn);
  }
}

void Window::forget(u32 vpn, u32 count) {
  for (u32 v = vpn; v < vpn + count; ++v) {
    if (!touched(v)) {
      v |= 1023;
    } else if ((state_[v] & kMapped) != 0) {
      note_pending(v, kForget);
    }
  }
}

void Window::read_only(u32 vpn) {
  if (touched(vpn) && (state_[vpn] & kWritable) != 0) note_pending(vpn, kReadOnly);
}

void Window::flush() {
  if (all_pending_ || doubtful_) return clear();
  std::sort(pending_, pending_ + pending_count_);
  for (u32 i = 0, run = 0; i < pending_count_; i += run) {
    const u32 first = pending_[i], what = state_[first] & kPendingBits;
    const auto continues = [&](u32 n) {
      return i + n < pending_count_ && pending_[i + n] == first + n && (state_[first + n] & kPendingBits) == what;
    };
    for (run = 1; continues(run);) ++run;
    if (what == kReadOnly) {
      // One page at a time: a run need not be contiguous in the file, and code pages come one by one.
      run = 1;
      const u32 before = boundaries(first, 1);
      if (mprotect(base_ + (u64{first} << kPageBits), kPageSize, PROT_READ) != 0) return clear();
      set(first, 1, state_[first] & ~(kWritable | kPendingBits | kChurn), 0);
      account(before, boundaries(first, 1));
    } else if (what != 0) {
      unmap(first, run);
      if (pending_count_ == 0) return;  // everything went
    }
  }
  pending_count_ = 0;
}

void Window::clear() {
  all_pending_ = doubtful_ = false;
  pending_count_ = 0;
  // This takes away mappings and needs none. A host that refuses all the same still lets us make them useless.
  if (mmap(base_, kBytes + kGuard, PROT_NONE, kReserve | MAP_FIXED, -1, 0) == MAP_FAILED) {
    CHECK(mprotect(base_, kBytes + kGuard, PROT_NONE) == 0);
  }
  for (u32 word = 0; word < 16; ++word) {
    for (u64 regions = regions_[word]; regions != 0; regions &= regions - 1) {
      const u32 first = (word * 64 + static_cast<u32>(std::countr_zero(regions))) << 10;
      if (listed_ != nullptr) set(first, 1024, 0, 0);
      madvise(state_ + first, 1024 * sizeof(u32), MADV_DONTNEED);
    }
    regions_[word] = 0;
  }
  account(mappings_, 1);
}

}  // namespace umbra
