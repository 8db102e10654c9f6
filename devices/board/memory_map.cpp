#include "devices/board/memory_map.h"

#include <algorithm>
#include <cstring>

#include "cpu/base/bits.h"
#include "devices/board/layout.h"

namespace umbra {

using namespace board;

MemoryMap::MemoryMap(PhysicalMemory& memory, u64 ram, u64 vga_offset, u64 bios_offset, u64 bios_size)
    : memory_(memory),
      ram_(ram),
      vga_offset_(vga_offset),
      bios_offset_(bios_offset),
      bios_size_(bios_size),
      low_bios_offset_(bios_offset + bios_size - std::min<u64>(bios_size, mem::kMegabyte - mem::kBiosLow)),
      shadow_writer_(memory, low_bios_offset_, bios_offset + bios_size) {}

void MemoryMap::add_fixed(u32 at, u32 size, BusTarget& target, const char* name) {
  fixed_.push_back({at, align_up(size, kPageSize), &target, name});
}

void MemoryMap::lay(const I440fx& bridge) {
  memory_.map_ram(Phys(0), mem::kVgaWindow, 0, true);
  if (ram_ > mem::kMegabyte) memory_.map_ram(Phys(mem::kMegabyte), ram_ - mem::kMegabyte, mem::kMegabyte, true);
  lay_fixed();
  for (auto& pam : laid_) pam.reset();
  vga_laid_ = false;
  update_shadow(bridge);
}

void MemoryMap::lay_fixed() {
  for (const Fixed& f : fixed_) memory_.map_device(Phys(f.at), f.size, *f.target);
  if (lapic_at_) memory_.map_device(Phys(*lapic_at_), kPageSize, *lapic_);
  memory_.map_ram(Phys(u64{0x100000000} - bios_size_), bios_size_, bios_offset_, false);
}

void MemoryMap::update_shadow(const I440fx& bridge) {
  for (unsigned i = 0; i < I440fx::kPams; ++i) {
    const I440fx::Pam pam = bridge.pam(i);
    if (laid_[i] && laid_[i]->read_ram == pam.read_ram && laid_[i]->write_ram == pam.write_ram) continue;
    laid_[i] = pam;
    lay_segment(pam);
  }
  update_vga(bridge);
}

void MemoryMap::lay_segment(const I440fx::Pam& pam) {
  const Phys at(pam.base);
  if (pam.read_ram) return memory_.map_ram(at, pam.size, pam.base, pam.write_ram);
  const u64 low_rom = bios_offset_ + bios_size_ - low_bios_offset_;
  const u32 rom_base = static_cast<u32>(mem::kMegabyte - low_rom);
  const bool rom = pam.base >= rom_base;
  if (pam.write_ram)
    memory_.map_device(at, pam.size, shadow_writer_, pam.base - mem::kShadow);
  else if (rom)
    memory_.map_ram(at, pam.size, low_bios_offset_ + (pam.base - rom_base), false);
  else
    memory_.unmap(at, pam.size);
}

void MemoryMap::update_vga(const I440fx& bridge) {
  const bool smram = bridge.smram_open();
  std::optional<Vga::DirectWindow> window;
  if (vga_ != nullptr && !smram) window = vga_->direct_window();
  if (vga_laid_ && smram == laid_smram_ && window == laid_window_) return;
  vga_laid_ = true;
  laid_smram_ = smram;
  laid_window_ = window;
  const Phys at(mem::kVgaWindow);
  if (smram) return memory_.map_ram(at, mem::kVgaWindowSize, mem::kVgaWindow, true);
  if (vga_ == nullptr) return memory_.unmap(at, mem::kVgaWindowSize);
  memory_.map_device(at, mem::kVgaWindowSize, vga_->window());
  if (window && window->offset % kPageSize == 0 && window->size % kPageSize == 0)
    memory_.map_ram(at + window->offset, window->size, static_cast<u64>(window->host - memory_.base()), true);
}

void MemoryMap::update_bars(const PciBus& bus) {
  std::vector<PciRange> now;
  bus.each([&](unsigned, unsigned, PciFunction& f) {
    for (const PciRange& r : f.ranges()) {
      const bool above_ram = r.space == PciSpace::kMemory && r.base >= std::max<u64>(ram_, mem::kMegabyte);
      if (above_ram && r.base % kPageSize == 0 && r.size >= kPageSize) now.push_back(r);
    }
  });
  const auto same = [](const PciRange& a, const PciRange& b) {
    return a.base == b.base && a.size == b.size && a.target == b.target;
  };
  if (now.size() == bars_.size() && std::equal(now.begin(), now.end(), bars_.begin(), same)) return;
  for (const PciRange& r : bars_) memory_.unmap(Phys(r.base), r.size);
  bars_ = std::move(now);
  const u8* first = memory_.base();
  for (const PciRange& r : bars_) {
    const bool ours = r.ram >= first && r.ram < first + memory_.size();
    if (ours)
      memory_.map_ram(Phys(r.base), r.size, static_cast<u64>(r.ram - first), !r.rom);
    else
      memory_.map_device(Phys(r.base), r.size, *r.target);
  }
  lay_fixed();  // the chipset's own ranges win over a BAR put on top of them
}

void MemoryMap::move_local_apic(std::optional<u32> at, BusTarget& lapic) {
  if (lapic_at_ == at && lapic_ == &lapic) return;
  if (lapic_at_) memory_.unmap(Phys(*lapic_at_), kPageSize);
  lapic_ = &lapic;
  lapic_at_ = at;
  if (at) memory_.map_device(Phys(*at), kPageSize, lapic);
}

std::string MemoryMap::describe() const {
  std::string text;
  const auto line = [&](u64 at, u64 size, const char* kind, const char* what) {
    text += format("    %016llx-%016llx (prio 0, %s): %s\n", static_cast<unsigned long long>(at),
                   static_cast<unsigned long long>(at + size - 1), kind, what);
  };
  line(0, mem::kVgaWindow, "ram", "ram-low");
  if (laid_smram_)
    line(mem::kVgaWindow, mem::kVgaWindowSize, "ram", "smram");
  else if (vga_ != nullptr)
    line(mem::kVgaWindow, mem::kVgaWindowSize, "i/o", "vga window");
  for (const auto& pam : laid_) {
    if (pam)
      line(pam->base, pam->size, pam->read_ram && pam->write_ram ? "ram" : "rom",
           pam->read_ram ? (pam->write_ram ? "pam-ram" : "pam-rom")
                         : (pam->write_ram ? "pam-pci, writes to ram" : "pam-pci"));
  }
  if (ram_ > mem::kMegabyte) line(mem::kMegabyte, ram_ - mem::kMegabyte, "ram", "ram");
  for (const PciRange& r : bars_) line(r.base, r.size, r.ram == nullptr ? "i/o" : r.rom ? "rom" : "ram", r.name);
  for (const Fixed& f : fixed_) line(f.at, f.size, "i/o", f.name);
  if (lapic_at_) line(*lapic_at_, kPageSize, "i/o", "local apic");
  line(u64{0x100000000} - bios_size_, bios_size_, "rom", "firmware");
  return text;
}

u32 MemoryMap::ShadowWriter::read(u32 offset, unsigned size) {
  u32 value = ~0u;
  const u32 first = mem::kMegabyte - mem::kShadow - static_cast<u32>(rom_end_ - rom_);  // ROM below it: none
  if (offset >= first) std::memcpy(&value, memory_.base() + rom_ + (offset - first), size);
  return value;
}

void MemoryMap::ShadowWriter::write(u32 offset, u32 value, unsigned size) {
  std::memcpy(memory_.base() + mem::kShadow + offset, &value, size);
}

}  // namespace umbra
