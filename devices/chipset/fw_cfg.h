// QEMU's firmware configuration device (docs/specs/fw_cfg): what the machine tells its firmware, as numbered items and
// named files. Selector at 510h, data at 511h, DMA at 514h. Items are read-only: writing to them is obsolete.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "devices/device.h"

namespace umbra {

class FwCfg final : public Device {
 public:
  enum Key : u16 {
    kSignature = 0x00,
    kId = 0x01,
    kUuid = 0x02,
    kRamSize = 0x03,
    kNoGraphic = 0x04,
    kCpus = 0x05,
    kBootMenu = 0x0e,
    kMaxCpus = 0x0f,
    kFileDirectory = 0x19,
    kFirstFile = 0x20,
    kSmbios = 0x8001,
    kIrq0Override = 0x8002,
  };

  explicit FwCfg(GuestMemory& memory);

  const char* name() const override { return "fw_cfg"; }
  void reset() override;
  void state(Archive& a) override;

  void add(u16 key, std::vector<u8> bytes) { items_[key] = std::move(bytes); }
  void add_number(u16 key, u64 value, unsigned size);          // little-endian
  u16 add_file(std::string_view name, std::vector<u8> bytes);  // the key it can be selected by

  std::vector<std::pair<std::string, std::size_t>> files() const;  // and their sizes

  BusTarget& ports() { return ports_; }          // 510h, 511h
  BusTarget& dma_ports() { return dma_ports_; }  // 514h–51Bh

 private:
  struct File {
    std::string name;
    u16 key;
  };
  struct Regs {
    u16 selected = 0;
    u32 offset = 0;
    u64 dma_address = 0;
  };
  u32 read(u32 offset, unsigned size);
  void write(u32 offset, u32 value, unsigned size);
  u32 dma_read(u32 offset, unsigned size);
  void dma_write(u32 offset, u32 value, unsigned size);
  void run_dma(Phys descriptor);
  bool copy_out(Phys to, u32 length);
  void select(u16 key);
  const std::vector<u8>* item() const;
  void rebuild_directory();

  GuestMemory& memory_;
  std::map<u16, std::vector<u8>> items_;
  std::vector<File> files_;
  Regs r_;
  Region<FwCfg> ports_{this, &FwCfg::read, &FwCfg::write};
  Region<FwCfg> dma_ports_{this, &FwCfg::dma_read, &FwCfg::dma_write};
};

}  // namespace umbra
