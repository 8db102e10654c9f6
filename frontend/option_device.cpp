// -device: what can be added to the board, or connected to it.
#include <algorithm>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"

namespace umbra {
namespace {

using Items = std::vector<KeyValue>;
using Kind = DriveConfig::Kind;

struct DeviceRow {
  const char* name;
  const char* properties;                         // no others are taken
  Status (*add)(Options& o, const Items& items);  // without the name and id=; null: a drive, see connect_drives
  const char* help;
};

std::string value_of(const Items& items, const char* key) {
  const auto found = std::ranges::find(items, key, &KeyValue::key);
  return found == items.end() ? "" : found->value;
}

// A number of the property `key` up to `most`, or `otherwise` when it is not given.
Result<u64> number_of(const char* device, const Items& items, const char* key, u64 most, u64 otherwise) {
  if (std::ranges::count(items, key, &KeyValue::key) == 0) return otherwise;
  auto n = parse_number(value_of(items, key), most);
  if (!n) return Error{std::string("-device: ") + device + ": " + key + "=" + n.error()};
  return n;
}

Status add_debug_exit(Options& o, const Items& items) {
  DebugExitConfig exit;
  const auto port = number_of("isa-debug-exit", items, "iobase", 0xffff, exit.port);
  const auto size = number_of("isa-debug-exit", items, "iosize", 4, exit.size);
  if (!port || !size || *size == 0)
    return bad_value("device", "isa-debug-exit", "isa-debug-exit,iobase=PORT,iosize=1…4");
  exit.port = static_cast<u16>(*port);
  exit.size = static_cast<unsigned>(*size);
  o.machine.debug_exit = exit;
  return {};
}

Status add_debugcon(Options& o, const Items& items) {
  const auto port = number_of("isa-debugcon", items, "iobase", 0xffff, o.machine.debugcon_port);
  if (!port) return Error{port.error()};
  if (value_of(items, "chardev").empty()) return Error{"-device: isa-debugcon needs chardev="};
  if (!o.debugcon.empty()) return Error{"-device: there is one debug console, and it is given twice"};
  o.machine.debugcon_port = static_cast<u16>(*port);
  o.debugcon = "chardev:" + value_of(items, "chardev");
  return {};
}

// The n-th port of its kind, or the one that index= says.
Status add_port(const char* device, std::vector<std::string>& ports, std::size_t most, const Items& items) {
  const auto index = number_of(device, items, "index", most - 1, ports.size());
  if (!index) return Error{index.error()};
  if (value_of(items, "chardev").empty()) return Error{std::string("-device: ") + device + " needs chardev="};
  if (*index >= most) return Error{format("-device: a PC has %zu ports for %s at most", most, device)};
  if (*index >= ports.size()) ports.resize(*index + 1, "none");
  if (ports[*index] != "none") return Error{format("-device: %s %zu is given twice", device, std::size_t{*index})};
  ports[*index] = "chardev:" + value_of(items, "chardev");
  return {};
}

Status add_serial(Options& o, const Items& items) { return add_port("isa-serial", o.serial, 4, items); }
Status add_parallel(Options& o, const Items& items) { return add_port("isa-parallel", o.parallel, 3, items); }

Status add_test_device(Options& o, const Items&) {
  o.machine.testdev = true;
  return {};
}

Status add_pci_test_device(Options& o, const Items&) {
  o.machine.pci_testdev = true;
  return {};
}

Status add_vga(Options& o, const Items& items) {
  const auto memory = number_of("VGA", items, "vgamem_mb", 16, 16);
  if (!memory || *memory != 16) return Error{"-device: VGA has 16 MiB of memory; only vgamem_mb=16 is supported"};
  o.machine.vga = o.vga_given = true;
  return {};
}

constexpr DeviceRow kDevices[] = {
    {"ide-hd", "drive,bus,unit,bootindex", nullptr, "IDE disk, of a -drive if=none"},
    {"ide-cd", "drive,bus,unit,bootindex", nullptr, "IDE CD-ROM, likewise"},
    {"floppy", "drive,unit,bootindex", nullptr, "floppy drive, likewise"},
    {"isa-serial", "chardev,index", add_serial, "COM1…COM4, on a -chardev"},
    {"isa-parallel", "chardev,index", add_parallel, "LPT1…LPT3, likewise"},
    {"isa-debugcon", "chardev,iobase=0xe9", add_debugcon, "port for debugging output, likewise"},
    {"isa-debug-exit", "iobase=0x501,iosize=2", add_debug_exit, "port that ends Umbra"},
    {"pc-testdev", "", add_test_device, "ports that tests of emulators use"},
    {"pci-testdev", "", add_pci_test_device, "a PCI function for the same purpose"},
    {"VGA", "vgamem_mb=16", add_vga, "the display, as with -vga std"},
};

// An IDE drive's place, 0-3, from bus=ide.N and unit=N; with one of them, the first that is free there.
Result<u64> ide_place(const Options& o, const char* device, const Items& items) {
  const std::string bus = value_of(items, "bus");
  if (!bus.empty() && bus != "ide.0" && bus != "ide.1")
    return Error{std::string("-device: ") + device + ": there is no bus '" + bus + "'; there are ide.0 and ide.1"};
  const auto unit = number_of(device, items, "unit", 1, 2);
  if (!unit) return Error{unit.error()};
  for (unsigned n = 0; n < 4; ++n) {
    const bool here = (bus.empty() || bus.back() == "01"[n / 2]) && (*unit == 2 || *unit == n % 2);
    if (here && !place_is_taken(o, Kind::kDisk, n)) return n;
  }
  return Error{std::string("-device: there is no free place for ") + device};
}

Result<DriveConfig> drive_of(Options& o, const std::string& device, const Items& items) {
  const std::string id = value_of(items, "drive");
  if (id.empty() && device != "ide-hd") return DriveConfig{};  // a drive without a medium
  if (id.empty()) return Error{"-device: ide-hd needs drive="};
  const auto found = std::ranges::find(o.named_drives, id, &NamedDrive::id);
  if (found == o.named_drives.end())
    return Error{"-device: " + device + ": there is no drive called '" + id + "'; -drive if=none,id=" + id +
                 ",file=FILE makes one"};
  if (std::exchange(found->connected, true)) return Error{"-device: the drive '" + id + "' is in use already"};
  return found->drive;
}

Status connect_drive(Options& o, const std::string& text) {
  const Items items = parse_key_values(text);
  const std::string& device = items[0].key == "driver" ? items[0].value : items[0].key;
  const Items properties(items.begin() + 1, items.end());
  auto drive = drive_of(o, device, properties);
  if (!drive) return drive.take_error();
  const auto boot_index = number_of(device.c_str(), properties, "bootindex", 255, 256);
  if (!boot_index) return Error{boot_index.error()};
  if (*boot_index < 256) drive->boot_index = static_cast<unsigned>(*boot_index);
  drive->kind = device == "floppy" ? Kind::kFloppy : device == "ide-cd" ? Kind::kCdrom : Kind::kDisk;
  drive->read_only = drive->read_only || drive->kind == Kind::kCdrom;
  const auto place = drive->kind == Kind::kFloppy ? number_of("floppy", properties, "unit", 1, 0)
                                                  : ide_place(o, device.c_str(), properties);
  if (!place) return Error{place.error()};
  drive->index = static_cast<unsigned>(*place);
  return add_drive(o, *drive);
}

}  // namespace

std::string device_help() {
  std::string out;
  for (const DeviceRow& row : kDevices) out += format("%-15s %-25s %s\n", row.name, row.properties, row.help);
  return out;
}

Status option_device(Options& o, const std::string& text) {
  Items items = parse_key_values(text);
  if (text == "?" || std::ranges::count(items, "help", &KeyValue::key) != 0) {
    o.action = Options::Action::kListDevices;
    return {};
  }
  const std::string name = items.empty() ? text : items[0].key == "driver" ? items[0].value : items[0].key;
  std::vector<std::string> names;
  std::string known;
  for (const DeviceRow& row : kDevices) {
    names.emplace_back(row.name);
    known += std::string(known.empty() ? "" : ", ") + row.name;
    if (name != row.name) continue;
    items.erase(items.begin());
    std::erase_if(items, [](const KeyValue& kv) { return kv.key == "id"; });
    const Items settable = parse_key_values(row.properties);
    for (const KeyValue& kv : items)
      if (std::ranges::count(settable, kv.key, &KeyValue::key) == 0)
        return Error{"-device: " + name + " has no '" + kv.key + "' that can be set here"};
    if (row.add == nullptr) return o.drive_devices.push_back(text), Status{};
    return row.add(o, items);
  }
  const std::string near = nearest(name, names);
  return Error{"-device: there is no '" + name + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?") +
               "; there are " + known};
}

Status connect_drives(Options& o) {
  for (const std::string& device : o.drive_devices)
    if (Status s = connect_drive(o, device); !s) return s;
  for (const NamedDrive& drive : o.named_drives)
    if (!drive.connected)
      o.notes.push_back("-drive: '" + drive.id +
                        "' (if=none) is connected to nothing; -device ide-hd,drive=" + drive.id + " connects it");
  return {};
}

}  // namespace umbra
