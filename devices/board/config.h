// What the user asked for, as the front end hands it to the machine. Plain data; every file is still unopened, so that
// the machine reports what it cannot open in one place.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cpu/model.h"
#include "devices/serial/chardev.h"

namespace umbra {

struct DriveConfig {
  enum class Kind : u8 { kDisk, kCdrom, kFloppy };
  Kind kind = Kind::kDisk;
  unsigned index = 0;  // disks and CDs: 0-3 = primary master … secondary slave; floppies: 0-1
  std::string file;    // empty: a drive without a medium (CD, floppy)
  bool read_only = false;
  bool snapshot = false;
  std::optional<unsigned> boot_index = {};  // the lowest is tried first, before what `boot_order` says
};

// A change of medium while the machine runs.
struct MediumChange {
  std::string file;  // empty: take the medium out
  bool force = false;
  bool read_only = false;
};

// A file for firmware and guest, from the text or else from the host's file.
struct FwCfgFile {
  std::string name;
  std::vector<u8> bytes;
  std::string path;
};

// Instead of what firmware writes into the SMBIOS structure of that type.
struct SmbiosField {
  u8 type;
  u16 offset;
  std::vector<u8> bytes;
};

struct DebugExitConfig {
  u16 port = 0x501;
  unsigned size = 2;
};

struct MachineConfig {
  std::string name;
  u64 ram_bytes = u64{128} << 20;
  const CpuModel* cpu = nullptr;
  bool acpi = true;
  bool hpet = true;

  std::vector<DriveConfig> drives;
  bool floppy_drive = true;        // a PC has one, with or without a disk
  std::string boot_order = "cad";  // QEMU's letters: a floppy, c disk, d CD, n network
  std::string boot_once;
  bool boot_menu = false;
  bool boot_strict = false;  // nothing but what has a boot index
  bool check_floppy_signature = true;

  std::string bios;  // empty: SeaBIOS as found by roms/firmware.h
  std::string vga_bios;
  std::vector<std::string> option_roms;
  std::vector<std::string> firmware_dirs;  // -L
  std::vector<FwCfgFile> fw_cfg_files;
  std::vector<SmbiosField> smbios;
  std::array<u8, 16> uuid{};

  std::string kernel;  // Linux bzImage or Multiboot
  std::string initrd;  // Multiboot: modules, separated by commas
  std::string append;

  bool vga = true;
  bool graphics = true;  // false: firmware is told to talk on COM1, whether there is a VGA or not
  std::vector<std::unique_ptr<CharDev>> serial;    // COM1…; null entries are absent ports
  std::vector<std::unique_ptr<CharDev>> parallel;  // LPT1…
  std::unique_ptr<CharDev> debugcon;               // port `debugcon_port`
  u16 debugcon_port = 0xe9;
  std::optional<DebugExitConfig> debug_exit;
  bool testdev = false;
  bool pci_testdev = false;

  bool rtc_localtime = false;
  std::optional<i64> rtc_start;    // seconds since 1970, for a fixed -rtc base
  bool rtc_follows_guest = false;  // -rtc clock=vm

  bool start_paused = false;
  bool no_reboot = false;
  bool no_shutdown = false;
};

}  // namespace umbra
