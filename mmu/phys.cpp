#include "mmu/phys.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cpu/base/bits.h"
#include "cpu/base/log.h"

namespace umbra {

namespace {

constexpr u64 kA20 = u64{1} << 20;
constexpr u64 kAddressLimit = PhysicalMemory::kPages << kPageBits;

// Pieces of 1, 2 or 4 bytes, largest first, as a 32-bit bus would make them.
template <class Step>
void in_pieces(unsigned size, Step step) {
  if (size == 1 || size == 2 || size == 4) return step(0, size);
  for (unsigned done = 0; done < size;) {
    const unsigned left = size - done;
    const unsigned piece = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    step(done, piece);
    done += piece;
  }
}

// Constant-size moves for the usual sizes and byte loops for the odd: no call that could touch vector registers.
u64 load_bytes(const u8* from, unsigned size) {
  u64 value = 0;
  switch (size) {
    case 1:
      return *from;
    case 2:
      return std::memcpy(&value, from, 2), value;
    case 4:
      return std::memcpy(&value, from, 4), value;
    case 8:
      return std::memcpy(&value, from, 8), value;
    default:
      for (unsigned i = 0; i < size; ++i) value |= u64{from[i]} << (8 * i);
      return value;
  }
}

void store_bytes(u8* to, u64 value, unsigned size) {
  switch (size) {
    case 1:
      *to = static_cast<u8>(value);
      return;
    case 2:
      std::memcpy(to, &value, 2);
      return;
    case 4:
      std::memcpy(to, &value, 4);
      return;
    case 8:
      std::memcpy(to, &value, 8);
      return;
    default:
      for (unsigned i = 0; i < size; ++i) to[i] = static_cast<u8>(value >> (8 * i));
  }
}

std::string refused(const char* what, u64 bytes) {
  return format("the host refused %s of %llu MiB for guest memory (%s); try a smaller -m", what,
                static_cast<unsigned long long>(bytes >> 20), std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<PhysicalMemory>> PhysicalMemory::create(u64 bytes) {
  bytes = align_up<u64>(std::max<u64>(bytes, kPageSize), kPageSize);
  const int fd = memfd_create("umbra-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return Error{refused("a memory file", bytes)};
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    Error error{refused("a memory file", bytes)};
    close(fd);
    return error;
  }
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  void* pages =
      mmap(nullptr, kPages * sizeof(Page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED || pages == MAP_FAILED) {
    Error error{refused("a mapping", bytes)};
    if (base != MAP_FAILED) munmap(base, bytes);
    if (pages != MAP_FAILED) munmap(pages, kPages * sizeof(Page));
    close(fd);
    return error;
  }
  return std::unique_ptr<PhysicalMemory>(
      new PhysicalMemory(fd, static_cast<u8*>(base), bytes, static_cast<Page*>(pages)));
}

PhysicalMemory::~PhysicalMemory() {
  munmap(base_, size_);
  munmap(pages_, kPages * sizeof(Page));
  close(fd_);
}

void PhysicalMemory::change(Phys at, u64 size, Page first) {
  CHECK(page_offset(at) == 0 && size % kPageSize == 0);
  if (at.value >= kAddressLimit) return;
  size = std::min(size, kAddressLimit - at.value);
  for (u64 i = 0; i < size >> kPageBits; ++i) {
    Page& p = pages_[page_of(at) + i];
    // Code that was derived from the old bytes is told to go; its owner clears the mark.
    if (p.has_code) notify_code(page_of(at) + i, 0, kPageSize);
    const bool has_code = p.has_code;
    p = first;
    p.has_code = has_code;
    if (first.kind != Kind::kHole) p.index = static_cast<u32>(first.index + i);
  }
  for (LayoutWatcher* w : layout_watchers_) w->layout_changed(at, size);
}

void PhysicalMemory::map_ram(Phys at, u64 size, u64 file_offset, bool writable) {
  CHECK(file_offset % kPageSize == 0 && file_offset <= size_ && size <= size_ - file_offset);
  Page first;
  first.kind = writable ? Kind::kRam : Kind::kRom;
  first.index = static_cast<u32>(file_offset >> kPageBits);
  change(at, size, first);
}

void PhysicalMemory::map_device(Phys at, u64 size, BusTarget& target, u32 first_offset) {
  CHECK(first_offset % kPageSize == 0);
  auto found = std::find(targets_.begin(), targets_.end(), &target);
  if (found == targets_.end()) found = targets_.insert(targets_.end(), &target);
  CHECK(targets_.size() <= 0x10000);
  Page first;
  first.kind = Kind::kDevice;
  first.target = static_cast<u16>(found - targets_.begin());
  first.index = first_offset >> kPageBits;
  change(at, size, first);
}

void PhysicalMemory::unmap(Phys at, u64 size) { change(at, size, Page{}); }

void PhysicalMemory::set_a20(bool enabled) {
  if (enabled == a20()) return;
  a20_mask_ = enabled ? ~u64{0} : ~kA20;
  for (LayoutWatcher* w : layout_watchers_) w->layout_changed(Phys(0), kAddressLimit);
}

u64 PhysicalMemory::load(Phys a, unsigned size) {
  const Page p = page(a);
  if (p.backed()) return load_bytes(host(a), size);
  if (p.kind == Kind::kHole) return size >= 8 ? ~u64{0} : (u64{1} << (8 * size)) - 1;
  u64 value = 0;
  in_pieces(size, [&](unsigned done, unsigned piece) {
    const u32 part = targets_[p.target]->read(device_offset(p, a + done), piece);
    value |= (piece == 4 ? u64{part} : part & ((u64{1} << (8 * piece)) - 1)) << (8 * done);
  });
  return value;
}

void PhysicalMemory::store(Phys a, u64 value, unsigned size) {
  const Page p = page(a);
  if (p.kind == Kind::kRam) {
    if (p.has_code) notify_code(page_of(a), page_offset(a), size);
    store_bytes(host(a), value, size);
  } else if (p.kind == Kind::kDevice) {
    in_pieces(size, [&](unsigned done, unsigned piece) {
      const u32 part = static_cast<u32>(value >> (8 * done));
      targets_[p.target]->write(device_offset(p, a + done), piece == 4 ? part : part & ((1u << (8 * piece)) - 1),
                                piece);
    });
  }
}

void PhysicalMemory::read(Phys from, void* to, std::size_t size) {
  u8* out = static_cast<u8*>(to);
  while (size > 0) {
    const std::size_t piece = std::min<std::size_t>(size, kPageSize - page_offset(from));
    if (const u8* bytes = host(from)) {
      std::memcpy(out, bytes, piece);
    } else {
      std::memset(out, 0xff, piece);
    }
    from += piece;
    out += piece;
    size -= piece;
  }
}

void PhysicalMemory::write(Phys to, const void* from, std::size_t size) {
  const u8* in = static_cast<const u8*>(from);
  while (size > 0) {
    const std::size_t piece = std::min<std::size_t>(size, kPageSize - page_offset(to));
    if (kind(to) == Kind::kRam) {
      if (has_code(page_of(to))) notify_code(page_of(to), page_offset(to), static_cast<u32>(piece));
      std::memcpy(host(to), in, piece);
    }
    to += piece;
    in += piece;
    size -= piece;
  }
}

void PhysicalMemory::mark_code(u64 page, bool on) {
  if (page >= kPages || pages_[page].has_code == on) return;
  pages_[page].has_code = on;
  if (!on) return;
  for (LayoutWatcher* w : layout_watchers_) w->code_marked(page);
}

void PhysicalMemory::release_code(u64 page) {
  for (const CodeWatcher* w : code_watchers_)
    if (w->holds_code(page)) return;
  mark_code(page, false);
}

void PhysicalMemory::notify_code(u64 page, u32 offset, u32 size) {
  for (std::size_t i = 0; i < code_watchers_.size(); ++i) code_watchers_[i]->code_written(page, offset, size);
}

}  // namespace umbra
