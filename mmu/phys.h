// Guest physical memory: which page is RAM, ROM, a device or nothing, and which pages hold translated code.
//
// All RAM and ROM bytes live in one memory file mapped once, writable, for the whole process (`base()`), so that a
// window can map any page of it again. Generated code never writes through `base()` except by a shadow entry.
#pragma once

#include <memory>
#include <vector>

#include "cpu/base/bus.h"
#include "cpu/base/result.h"
#include "cpu/base/types.h"

namespace umbra {

// Told when bytes in a page marked with mark_code are about to change, by whatever road (processor, DMA, loader).
class CodeWatcher {
 public:
  virtual ~CodeWatcher() = default;
  virtual void code_written(u64 page, u32 offset, u32 size) = 0;  // page = physical page number
};

// Told when what lies at a physical address changes (PAM, BARs, A20): whatever was derived from it must go.
class LayoutWatcher {
 public:
  virtual ~LayoutWatcher() = default;
  virtual void layout_changed(Phys first, u64 size) = 0;
};

class PhysicalMemory final : public GuestMemory {
 public:
  // `bytes` is everything that is ever backed: RAM, then video RAM, ROMs… The owner lays it out by file offset.
  static Result<std::unique_ptr<PhysicalMemory>> create(u64 bytes);
  ~PhysicalMemory() override;

  u8* base() const { return base_; }
  u64 size() const { return size_; }
  int fd() const { return fd_; }

  // Layout, page-granular; later calls win. `writable` false makes ROM (writes are dropped).
  void map_ram(Phys at, u64 size, u64 file_offset, bool writable);
  void map_device(Phys at, u64 size, BusTarget& target, u32 first_offset = 0);
  void unmap(Phys at, u64 size);
  void set_a20(bool enabled);
  bool a20() const { return a20_mask_ == ~u64{0}; }
  Phys wrap(Phys a) const { return Phys(a.value & a20_mask_); }  // what the address lines carry

  enum class Kind : u8 { kHole, kRam, kRom, kDevice };
  Kind kind(Phys a) const { return page(a).kind; }
  // The bytes of a RAM or ROM page, or null.
  u8* host(Phys a) const { return page(a).host == nullptr ? nullptr : page(a).host + page_offset(a); }
  u64 file_offset(Phys a) const { return static_cast<u64>(host(a) - base_); }

  // The processor's accesses of 1, 2, 4 or 8 bytes inside one page: RAM, ROM, device or hole. A20 already applied.
  u64 load(Phys a, unsigned size);
  void store(Phys a, u64 value, unsigned size);

  // GuestMemory: DMA and loaders. Crosses pages, never reaches devices, notices code.
  void read(Phys from, void* to, std::size_t size) override;
  void write(Phys to, const void* from, std::size_t size) override;

  // Code pages. A store to one, by any road, calls every watcher before the bytes change. Marks are sticky until
  // cleared by the owner of the code. The engines' shadow entries and windows must not allow direct stores to a marked
  // page.
  bool has_code(u64 page) const { return page < pages_.size() && pages_[page].has_code; }
  void mark_code(u64 page, bool on);
  void add_watcher(CodeWatcher& w) { code_watchers_.push_back(&w); }
  void add_watcher(LayoutWatcher& w) { layout_watchers_.push_back(&w); }
  void notify_code(u64 page, u32 offset, u32 size);

 private:
  struct Page {
    u8* host = nullptr;
    BusTarget* target = nullptr;
    u32 target_offset = 0;
    Kind kind = Kind::kHole;
    bool has_code = false;
  };
  PhysicalMemory(int fd, u8* base, u64 size);
  const Page& page(Phys a) const { return page_of(a) < pages_.size() ? pages_[page_of(a)] : hole_; }
  void change(Phys at, u64 size, Page first, u64 host_step);

  int fd_;
  u8* base_;
  u64 size_;
  u64 a20_mask_ = ~u64{0};
  Page hole_;
  std::vector<Page> pages_;  // below 4 GiB
  std::vector<CodeWatcher*> code_watchers_;
  std::vector<LayoutWatcher*> layout_watchers_;
};

}  // namespace umbra
