// Guest physical memory: which page is RAM, ROM, a device or nothing, and which pages hold translated code.
//
// All RAM and ROM bytes live in one memory file mapped once, writable, for the whole process (`base()`), so that a
// window can map any page of it again. Generated code never writes through `base()` except by a shadow entry.
// The file is sparse and cannot shrink: a page costs the host nothing before the guest touches it, and no access
// through a mapping of it can meet the end of the file.
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
  virtual bool holds_code(u64 /*page*/) const { return true; }    // something derived from it is still kept
};

// Told when what lies at a physical address changes (PAM, BARs, A20): whatever was derived from it must go.
class LayoutWatcher {
 public:
  virtual ~LayoutWatcher() = default;
  virtual void layout_changed(Phys first, u64 size) = 0;
  virtual void code_marked(u64 /*page*/) {}  // stores to this page must be seen from now on
};

class PhysicalMemory final : public GuestMemory {
 public:
  static constexpr u64 kPages = u64{1} << 20;  // everything lies below 4 GiB; above it there is nothing

  // `bytes` is everything that is ever backed: RAM, then video RAM, ROMs… The owner lays it out by file offset.
  static Result<std::unique_ptr<PhysicalMemory>> create(u64 bytes);
  ~PhysicalMemory() override;
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  u8* base() const { return base_; }
  u64 size() const { return size_; }
  int fd() const { return fd_; }

  // Layout; addresses, sizes and offsets are multiples of pages, later calls win, and what would lie above 4 GiB is
  // cut off. `writable` false makes ROM (writes are dropped). A device of less than a page sees every offset in it.
  void map_ram(Phys at, u64 size, u64 file_offset, bool writable);
  void map_device(Phys at, u64 size, BusTarget& target, u32 first_offset = 0);
  void unmap(Phys at, u64 size);
  void set_a20(bool enabled);
  bool a20() const { return a20_mask_ == ~u64{0}; }
  Phys wrap(Phys a) const { return Phys(a.value & a20_mask_); }  // what the address lines carry

  enum class Kind : u8 { kHole, kRam, kRom, kDevice };
  Kind kind(Phys a) const { return page(a).kind; }
  // The bytes of a RAM or ROM page, or null.
  u8* host(Phys a) const {
    const Page p = page(a);
    return p.backed() ? base_ + (u64{p.index} << kPageBits) + page_offset(a) : nullptr;
  }
  u64 file_offset(Phys a) const { return static_cast<u64>(host(a) - base_); }

  // The processor's accesses of 1 to 8 bytes inside one page: RAM, ROM, device or hole. A20 already applied. Devices
  // see at most 4 bytes at a time.
  u64 load(Phys a, unsigned size);
  void store(Phys a, u64 value, unsigned size);

  // What answers there, with which offset, where that is a device.
  struct Device {
    BusTarget* target = nullptr;
    u32 offset = 0;
  };
  Device device(Phys a) const {
    const Page p = page(a);
    return p.kind == Kind::kDevice ? Device{targets_[p.target], device_offset(p, a)} : Device{};
  }

  // GuestMemory: DMA and loaders. Crosses pages, never reaches devices, notices code.
  void read(Phys from, void* to, std::size_t size) override;
  void write(Phys to, const void* from, std::size_t size) override;

  // Code pages. A store to one, by any road, calls every watcher before the bytes change. Marks are sticky until
  // cleared by the owner of the code. The engines' shadow entries and windows must not allow direct stores to a marked
  // page: mark_code tells the MMU by itself.
  bool has_code(u64 page) const { return page < kPages && pages_[page].has_code; }
  void mark_code(u64 page, bool on);
  void release_code(u64 page);  // a watcher keeps nothing of it any more: the mark goes when that is true of all
  void add_watcher(CodeWatcher& w) { code_watchers_.push_back(&w); }
  void add_watcher(LayoutWatcher& w) { layout_watchers_.push_back(&w); }
  void remove_watcher(CodeWatcher& w) { std::erase(code_watchers_, &w); }
  void remove_watcher(LayoutWatcher& w) { std::erase(layout_watchers_, &w); }
  void notify_code(u64 page, u32 offset, u32 size);

 private:
  // Eight bytes, all zero for a hole: the table is a sparse mapping and costs what the layout uses.
  struct Page {
    u32 index = 0;   // RAM, ROM: page of the file; device: page of the target's offsets
    u16 target = 0;  // device: which of targets_
    Kind kind = Kind::kHole;
    bool has_code = false;
    bool backed() const { return kind == Kind::kRam || kind == Kind::kRom; }
  };
  PhysicalMemory(int fd, u8* base, u64 size, Page* pages) : fd_(fd), base_(base), size_(size), pages_(pages) {}
  Page page(Phys a) const { return page_of(a) < kPages ? pages_[page_of(a)] : Page{}; }
  void change(Phys at, u64 size, Page first);
  u32 device_offset(Page p, Phys a) const { return (p.index << kPageBits) + page_offset(a); }

  int fd_;
  u8* base_;
  u64 size_;
  Page* pages_;
  u64 a20_mask_ = ~u64{0};
  std::vector<BusTarget*> targets_;  // each once: a guest that moves BARs all day does not grow it
  std::vector<CodeWatcher*> code_watchers_;
  std::vector<LayoutWatcher*> layout_watchers_;
};

}  // namespace umbra
