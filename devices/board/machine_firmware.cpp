// What firmware learns from the board: CMOS bytes, and fw_cfg items and files.
#include <algorithm>
#include <map>

#include "devices/board/direct_boot.h"
#include "devices/board/layout.h"
#include "devices/board/machine.h"
#include "roms/firmware.h"

namespace umbra {

using namespace board;

namespace {

constexpr u64 kMaxOptionRom = 2 << 20, kMaxFwCfgFile = 64 << 20;
constexpr u64 kKiB = 1024, kMiB = 1024 * 1024;

// CMOS nibbles: 1 floppy, 2 hard disk, 3 CD, 4 network.
u8 boot_nibble(char letter) {
  switch (letter) {
    case 'a':
    case 'b':
      return 1;
    case 'c':
      return 2;
    case 'd':
      return 3;
    case 'n':
      return 4;
    default:
      return 0;
  }
}

void put(std::vector<u8>& to, u64 value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) to.push_back(static_cast<u8>(value >> (i * 8)));
}

std::vector<u8> bytes_of(std::string_view text) {
  std::vector<u8> bytes(text.begin(), text.end());
  bytes.push_back(0);
  return bytes;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// A count, and of each field: its length with this header, that it is a field, where it goes, its bytes.
std::vector<u8> smbios_fields(const MachineConfig& config) {
  std::vector<SmbiosField> fields = config.smbios;
  // SeaBIOS' structures are of version 2.4, where a UUID stands as it is written; since 2.6 parts of it are swapped.
  if (config.uuid != std::array<u8, 16>{}) fields.push_back({1, 8, {config.uuid.begin(), config.uuid.end()}});
  std::vector<u8> out;
  put(out, fields.size(), 2);
  for (const SmbiosField& f : fields) {
    constexpr u8 kHeader = 6, kField = 0;
    put(out, kHeader + f.bytes.size(), 2);
    out.push_back(kField);
    out.push_back(f.type);
    put(out, f.offset, 2);
    out.insert(out.end(), f.bytes.begin(), f.bytes.end());
  }
  return out;
}

// Open Firmware's path of a drive, by which SeaBIOS knows it.
std::string boot_path(const DriveConfig& d) {
  return d.kind == DriveConfig::Kind::kFloppy ? format("/pci@i0cf8/isa@1/fdc@03f0/floppy@%u", d.index)
                                              : format("/pci@i0cf8/ide@1,1/drive@%u/disk@%u", d.index / 2, d.index % 2);
}

// What is to be tried first, one path a line; HALT: and nothing else.
std::string boot_paths(const MachineConfig& config) {
  std::multimap<unsigned, std::string> paths;
  if (!config.kernel.empty()) paths.emplace(0, "/rom@genroms/directboot.rom");
  for (const DriveConfig& d : config.drives)
    if (d.boot_index) paths.emplace(*d.boot_index, boot_path(d));
  std::string out;
  for (const auto& [index, path] : paths) out += path + "\n";
  return out + (config.boot_strict ? "HALT\n" : "");
}

}  // namespace

void Machine::set_cmos() {
  const auto put16 = [this](u8 index, u64 value) {
    rtc_.set_cmos(index, static_cast<u8>(value));
    rtc_.set_cmos(static_cast<u8>(index + 1), static_cast<u8>(value >> 8));
  };
  put16(0x15, 640);
  const u64 extended = std::min<u64>((ram_ - kMiB) / kKiB, 0xffff);
  put16(0x17, extended);
  put16(0x30, extended);
  put16(0x34, ram_ > 16 * kMiB ? std::min<u64>((ram_ - 16 * kMiB) / (64 * kKiB), 0xffff) : 0);
  rtc_.set_cmos(0x5f, 0);  // processors beyond the first

  const std::string& order = config_.boot_once.empty() ? config_.boot_order : config_.boot_once;
  const auto nth = [&](std::size_t n) { return n < order.size() ? boot_nibble(order[n]) : u8{0}; };
  rtc_.set_cmos(0x3d, static_cast<u8>(nth(1) << 4 | nth(0)));
  rtc_.set_cmos(0x38, static_cast<u8>(nth(2) << 4 | (config_.check_floppy_signature ? 0 : 1)));

  const u8 a = static_cast<u8>(fdc_.type(0)), b = static_cast<u8>(fdc_.type(1));
  rtc_.set_cmos(0x10, static_cast<u8>(a << 4 | b));
  const unsigned floppies = (a != 0 ? 1u : 0u) + (b != 0 ? 1u : 0u);
  constexpr u8 kFpu = 0x02, kPs2Mouse = 0x04;
  u8 equipment = kPs2Mouse;
  if ((config_.cpu->features_edx & cpuid::kFpu) != 0) equipment |= kFpu;
  if (floppies != 0) equipment |= static_cast<u8>(1 | (floppies - 1) << 6);
  rtc_.set_cmos(0x14, equipment);

  u8 types = 0, translations = 0;
  for (unsigned n = 0; n < 4; ++n) {
    AtaDisk* disk = ide_.disk(n);
    if (disk == nullptr) continue;
    const Geometry& g = disk->geometry();
    translations |= static_cast<u8>(static_cast<unsigned>(g.translation) << (n * 2));
    if (n >= 2) continue;
    types |= static_cast<u8>(n == 0 ? 0xf0 : 0x0f);  // type 47: as described
    rtc_.set_cmos(n == 0 ? 0x19 : 0x1a, 47);
    const u8 base = n == 0 ? 0x1b : 0x24;
    put16(base, g.cylinders);
    rtc_.set_cmos(base + 2, static_cast<u8>(g.heads));
    put16(base + 3, 0xffff);  // no write precompensation
    rtc_.set_cmos(base + 5, static_cast<u8>(0xc0 | (g.heads > 8 ? 8 : 0)));
    put16(base + 6, g.cylinders);
    rtc_.set_cmos(base + 8, static_cast<u8>(g.sectors));
  }
  rtc_.set_cmos(0x12, types);
  rtc_.set_cmos(0x39, translations);
}

void Machine::set_boot_order(const std::string& order) {
  config_.boot_order = order;
  config_.boot_once.clear();
  set_cmos();
}

void Machine::describe_to_firmware() {
  fw_cfg_.add(FwCfg::kUuid, {config_.uuid.begin(), config_.uuid.end()});
  fw_cfg_.add(FwCfg::kSmbios, smbios_fields(config_));
  fw_cfg_.add_number(FwCfg::kRamSize, ram_, 8);
  fw_cfg_.add_number(FwCfg::kNoGraphic, config_.graphics ? 0 : 1, 2);
  fw_cfg_.add_number(FwCfg::kCpus, 1, 2);
  fw_cfg_.add_number(FwCfg::kMaxCpus, 1, 2);
  fw_cfg_.add_number(FwCfg::kBootMenu, config_.boot_menu ? 1 : 0, 2);
  fw_cfg_.add_number(FwCfg::kIrq0Override, 1, 4);
  std::vector<u8> e820;
  constexpr u32 kUsable = 1;
  put(e820, 0, 8);
  put(e820, ram_, 8);
  put(e820, kUsable, 4);
  fw_cfg_.add_file("etc/e820", std::move(e820));
  // Tables of ours for ACPI: there are none, SeaBIOS makes its own. But by this file it knows a machine of today and
  // puts the power management ports where systems that shut down QEMU's pc by hand expect them: 600h, and not B000h.
  fw_cfg_.add_file("etc/table-loader", {});
  // Which of S0–S5 there are (bit 7) and their sleep types, for the DSDT; see Piix4Pm::write_control.
  fw_cfg_.add_file("etc/system-states", {0x80, 0, 0, 0x81, 0x82, 0x80});
}

Status Machine::load_firmware_files() {
  for (const std::string& name : config_.option_roms) {
    auto path = find_firmware(name, config_.firmware_dirs);
    if (!path) return path.take_error();
    auto rom = read_rom(*path, "option ROM", 512, kMaxOptionRom);
    if (!rom) return rom.take_error();
    fw_cfg_.add_file("genroms/" + file_name(*path), std::move(*rom));
  }
  for (const FwCfgFile& file : config_.fw_cfg_files) {
    std::vector<u8> bytes = file.bytes;
    if (!file.path.empty()) {
      auto read = read_rom(file.path, "file for fw_cfg", 0, kMaxFwCfgFile);
      if (!read) return read.take_error();
      bytes = std::move(*read);
    }
    fw_cfg_.add_file(file.name, std::move(bytes));
  }
  if (const std::string paths = boot_paths(config_); !paths.empty()) fw_cfg_.add_file("bootorder", bytes_of(paths));
  if (config_.kernel.empty()) return {};
  auto boot = DirectBoot::load(config_.kernel, config_.initrd, config_.append, ram_);
  if (!boot) return boot.take_error();
  for (auto& blob : boot->blobs) fw_cfg_.add(blob.key, std::move(blob.bytes));
  fw_cfg_.add_file("genroms/directboot.rom", std::move(boot->rom));
  return {};
}

}  // namespace umbra
