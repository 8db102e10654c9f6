// What each option of the command line means. The order is the order of -help.
#include "frontend/option_table.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "cpu/base/log.h"

namespace umbra {
namespace {

Status bad_value(const char* option, const std::string& value, const std::string& expected) {
  return Error{std::string("-") + option + ": '" + value + "' is not known; expected " + expected};
}

Status add_drive(Options& o, DriveConfig drive) {
  const bool floppy = drive.kind == DriveConfig::Kind::kFloppy;
  for (const DriveConfig& d : o.machine.drives) {
    if ((d.kind == DriveConfig::Kind::kFloppy) == floppy && d.index == drive.index)
      return Error{format("%s %u is given twice ('%s' and '%s')", floppy ? "floppy" : "IDE drive", drive.index,
                          d.file.c_str(), drive.file.c_str())};
  }
  o.machine.drives.push_back(std::move(drive));
  return {};
}

template <DriveConfig::Kind kKind, unsigned kIndex>
Status simple_drive(Options& o, const std::string& file) {
  return add_drive(o, {kKind, kIndex, file, kKind == DriveConfig::Kind::kCdrom, false});
}

Status set_bool(bool& out, const char* option, const KeyValue& kv) {
  if (kv.value == "on" || kv.value == "yes" || kv.value == "true" || kv.value.empty()) {
    out = true;
  } else if (kv.value == "off" || kv.value == "no" || kv.value == "false") {
    out = false;
  } else {
    return bad_value(option, kv.key + "=" + kv.value, "on or off");
  }
  return {};
}

unsigned free_index(const Options& o, bool floppy, unsigned first) {
  const auto used = [&](unsigned i) {
    return std::any_of(o.machine.drives.begin(), o.machine.drives.end(), [&](const DriveConfig& d) {
      return (d.kind == DriveConfig::Kind::kFloppy) == floppy && d.index == i;
    });
  };
  while (used(first)) ++first;
  return first;
}

Status drive(Options& o, const std::string& text) {
  DriveConfig d;
  std::string interface = "ide", media = "disk";
  int index = -1, bus = -1, unit = -1;
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "file") {
      d.file = kv.value;
    } else if (kv.key == "if") {
      interface = kv.value;
    } else if (kv.key == "media") {
      media = kv.value;
    } else if (kv.key == "index") {
      index = std::atoi(kv.value.c_str());
    } else if (kv.key == "bus") {
      bus = std::atoi(kv.value.c_str());
    } else if (kv.key == "unit") {
      unit = std::atoi(kv.value.c_str());
    } else if (kv.key == "snapshot") {
      if (Status s = set_bool(d.snapshot, "drive", kv); !s) return s;
    } else if (kv.key == "readonly" || kv.key == "read-only") {
      if (Status s = set_bool(d.read_only, "drive", kv); !s) return s;
    } else if (kv.key == "format") {
      if (kv.value != "raw" && kv.value != "vvfat")
        return Error{"-drive: images of format '" + kv.value +
                     "' cannot be read yet; raw images can (convert with qemu-img)"};
    } else if (kv.key == "cache" || kv.key == "aio" || kv.key == "id" || kv.key == "discard" ||
               kv.key == "detect-zeroes" || kv.key == "werror" || kv.key == "rerror") {
      o.notes.push_back("-drive: " + kv.key + "=" + kv.value + " makes no difference here");
    } else {
      return Error{"-drive: there is no '" + kv.key +
                   "'; there are file, if, media, index, bus, unit, format, snapshot and readonly"};
    }
  }
  if (interface == "floppy") {
    d.kind = DriveConfig::Kind::kFloppy;
  } else if (interface != "ide" && interface != "none") {
    return Error{"-drive: if=" + interface + " is not supported; if=ide and if=floppy are"};
  } else if (media == "cdrom") {
    d.kind = DriveConfig::Kind::kCdrom;
    d.read_only = true;
  } else if (media != "disk") {
    return bad_value("drive", "media=" + media, "media=disk or media=cdrom");
  }
  const bool floppy = d.kind == DriveConfig::Kind::kFloppy;
  if (unit >= 0 || bus >= 0) index = std::max(bus, 0) * 2 + std::max(unit, 0);
  d.index =
      index >= 0 ? static_cast<unsigned>(index) : free_index(o, floppy, d.kind == DriveConfig::Kind::kCdrom ? 2 : 0);
  if (d.index >= (floppy ? 2u : 4u))
    return Error{format("-drive: there is no place %u for '%s'", d.index, d.file.c_str())};
  return add_drive(o, d);
}

Status boot(Options& o, const std::string& text) {
  const auto letters = [](const std::string& s) { return s.find_first_not_of("abcdnop") == std::string::npos; };
  for (const KeyValue& kv : parse_key_values(text)) {
    if ((kv.key == "order" || (kv.value.empty() && letters(kv.key))) && letters(kv.value)) {
      o.machine.boot_order = kv.key == "order" ? kv.value : kv.key;
    } else if (kv.key == "once" && letters(kv.value)) {
      o.machine.boot_once = kv.value;
    } else if (kv.key == "menu") {
      if (Status s = set_bool(o.machine.boot_menu, "boot", kv); !s) return s;
    } else if (kv.key == "strict" || kv.key == "splash" || kv.key == "splash-time" || kv.key == "reboot-timeout") {
      o.notes.push_back("-boot: " + kv.key + " is not supported; menu, order and once are");
    } else {
      return bad_value("boot", text, "letters of a (floppy), c (disk), d (CD), n (network), or order=…,once=…,menu=on");
    }
  }
  return {};
}

Status memory(Options& o, const std::string& text) {
  std::string size = text;
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "size") size = kv.value;
    if (kv.key == "slots" || kv.key == "maxmem")
      return Error{"-m: memory cannot be plugged in while running; give the whole size"};
  }
  const auto bytes = parse_size(size.substr(0, size.find(',')), u64{1} << 20);
  if (!bytes) return Error{"-m: " + bytes.error()};
  if (*bytes < (u64{1} << 20) || *bytes > (u64{3584} << 20))
    return Error{"-m: '" + text + "' is outside what this PC can hold, 1M to 3584M"};
  o.machine.ram_bytes = *bytes & ~u64{kPageMask};
  return {};
}

Status cpu(Options& o, const std::string& text) {
  if (text == "help" || text == "?") {
    o.action = Options::Action::kListCpus;
    return {};
  }
  const std::string name = text.substr(0, text.find(','));
  static const KeyValue kAliases[] = {
      {"qemu32", "max"}, {"host", "max"}, {"kvm32", "max"}, {"base", "max"}, {"n270", "max"}};
  o.machine.cpu = find_cpu_model(name);
  for (const KeyValue& alias : kAliases) {
    if (name != alias.key) continue;
    o.machine.cpu = find_cpu_model(alias.value);
    o.notes.push_back("-cpu " + name + ": using the nearest model, " + alias.value);
  }
  if (o.machine.cpu == nullptr) {
    std::string known;
    std::vector<std::string> names;
    for (const CpuModel& m : cpu_models()) {
      known += std::string(known.empty() ? "" : ", ") + m.name;
      names.emplace_back(m.name);
    }
    const std::string near = nearest(name, names);
    return Error{"-cpu: there is no model '" + name + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?") +
                 " There are " + known};
  }
  if (text != name)
    return Error{"-cpu: features cannot be switched one by one ('" + text + "'); choose a model, see -cpu help"};
  return {};
}

Status smp(Options&, const std::string& text) {
  for (const KeyValue& kv : parse_key_values(text)) {
    const std::string& n = kv.value.empty() ? kv.key : kv.value;
    if (n != "1")
      return Error{"-smp: '" + text + "' asks for more than the one processor there is; -smp 1 is supported"};
  }
  return {};
}

Status accel(Options& o, const std::string& text) {
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "thread" || kv.key == "tb-size" || kv.key == "one-insn-per-tb") {
      o.notes.push_back("-accel: " + kv.key + " makes no difference here");
      continue;
    }
    const std::string& name = kv.key == "accel" ? kv.value : kv.key;
    if (name == "jit" || name == "tcg") {
      o.accel = "jit";
    } else if (name == "interp") {
      o.accel = "interp";
    } else if (name == "kvm" || name == "hax" || name == "whpx" || name == "hvf" || name == "xen") {
      o.accel = "jit";
      o.notes.push_back("-accel " + name + ": hardware virtualization is not used; the translator (jit) runs instead");
    } else {
      return bad_value("accel", name, "jit (tcg means the same) or interp");
    }
  }
  return {};
}

Status machine(Options& o, const std::string& text) {
  if (text == "help" || text == "?") {
    o.action = Options::Action::kListMachines;
    return {};
  }
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "accel") {
      if (Status s = accel(o, kv.value); !s) return s;
    } else if (kv.key == "acpi") {
      if (Status s = set_bool(o.machine.acpi, "machine", kv); !s) return s;
    } else if (kv.key == "hpet") {
      if (Status s = set_bool(o.machine.hpet, "machine", kv); !s) return s;
    } else if (kv.key == "usb" || kv.key == "vmport") {
      if (kv.value != "off") return Error{"-machine: " + kv.key + " is not supported yet; leave it out"};
    } else {
      const std::string& name = kv.key == "type" ? kv.value : kv.key;
      if (name == "bare") {
        o.bare = true;
      } else if (name != "pc" && name.rfind("pc-i440fx", 0) != 0) {
        return bad_value("machine", name, "pc (the i440FX PC), or bare (RAM, a ROM and a serial port)");
      } else {
        o.machine_named = name;
      }
    }
  }
  return {};
}

Status rtc(Options& o, const std::string& text) {
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "base" && kv.value == "utc") {
      o.machine.rtc_localtime = false;
    } else if (kv.key == "base" && kv.value == "localtime") {
      o.machine.rtc_localtime = true;
    } else if (kv.key == "base") {
      std::tm t{};
      const char* end =
          ::strptime(kv.value.c_str(), kv.value.find('T') == std::string::npos ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%S", &t);
      if (end == nullptr || *end != 0)
        return bad_value("rtc", text, "base=utc, localtime, 2006-06-17 or 2006-06-17T16:01:21");
      o.machine.rtc_start = static_cast<i64>(::timegm(&t));
    } else if (kv.key == "clock" && (kv.value == "vm" || kv.value == "host" || kv.value == "rt")) {
      o.machine.rtc_follows_guest = kv.value == "vm";
    } else if (kv.key == "driftfix") {
      o.notes.push_back("-rtc: driftfix makes no difference here");
    } else {
      return bad_value("rtc", text, "base=utc|localtime|DATE,clock=host|vm");
    }
  }
  return {};
}

Status device(Options& o, const std::string& text) {
  if (text == "help" || text == "?") {
    o.action = Options::Action::kListDevices;
    return {};
  }
  const auto items = parse_key_values(text);
  const std::string& name = items.empty() ? text : items[0].key;
  if (name == "isa-debug-exit") {
    DebugExitConfig exit;
    for (std::size_t i = 1; i < items.size(); ++i) {
      const auto n = std::strtoul(items[i].value.c_str(), nullptr, 0);
      if (items[i].key == "iobase" && n <= 0xffff) {
        exit.port = static_cast<u16>(n);
      } else if (items[i].key == "iosize" && n >= 1 && n <= 4) {
        exit.size = static_cast<unsigned>(n);
      } else {
        return bad_value("device", text, "isa-debug-exit,iobase=PORT,iosize=1…4");
      }
    }
    o.machine.debug_exit = exit;
  } else if (name == "pc-testdev") {
    o.machine.testdev = true;
  } else if (name == "VGA") {
    o.machine.vga = true;
  } else {
    const std::string near = nearest(name, {"isa-debug-exit", "pc-testdev", "VGA"});
    return Error{"-device: there is no '" + name + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?") +
                 " There are isa-debug-exit, pc-testdev and VGA"};
  }
  return {};
}

Status display(Options& o, const std::string& text) {
  const std::string name = text.substr(0, text.find(','));
  if (name == "gtk" || name == "egl-headless" || name == "spice-app" || name == "dbus")
    return Error{"-display: " + name + " is not supported; sdl, curses and none are"};
  if (name != "sdl" && name != "none" && name != "curses") return bad_value("display", name, "sdl, curses or none");
  o.display = text;
  return {};
}

Status vga(Options& o, const std::string& text) {
  if (text != "std" && text != "none") {
    if (text == "cirrus" || text == "vmware" || text == "qxl" || text == "virtio")
      return Error{"-vga: " + text + " is not supported; -vga std is"};
    return bad_value("vga", text, "std or none");
  }
  o.machine.vga = text == "std";
  return {};
}

Status no_network(Options&, const std::string& text) {
  if (text == "none") return {};
  return Error{"-net: there is no network card yet; only '-net none' is accepted"};
}

Status log_items(Options& o, const std::string& text) {
  if (text == "help" || text == "?") {
    o.action = Options::Action::kListLog;
    return {};
  }
  auto mask = parse_log_items(text);
  if (!mask) return mask.take_error();
  o.log_mask |= *mask;
  return {};
}

template <std::string MachineConfig::*kField>
Status machine_text(Options& o, const std::string& text) {
  o.machine.*kField = text;
  return {};
}
template <bool MachineConfig::*kField, bool kValue>
Status machine_flag(Options& o, const std::string&) {
  o.machine.*kField = kValue;
  return {};
}
template <std::string Options::*kField>
Status text(Options& o, const std::string& value) {
  o.*kField = value;
  return {};
}
template <bool Options::*kField>
Status set(Options& o, const std::string&) {
  o.*kField = true;
  return {};
}
template <Options::Action kAction>
Status act(Options& o, const std::string&) {
  o.action = kAction;
  return {};
}
Status nothing(Options&, const std::string&) { return {}; }

using Kind = DriveConfig::Kind;
constexpr Option kOptions[] = {
    {"m", "SIZE", memory, "RAM, in MiB or with a unit (default 128M, at most 3584M)"},
    {"cpu", "MODEL", cpu, "processor model; -cpu help lists them"},
    {"smp", "N", smp, "processors; 1 is supported"},
    {"machine", "TYPE", machine, "pc, or bare; also accel=…, acpi=…, hpet=…"},
    {"M", "TYPE", machine, "the same"},
    {"accel", "NAME", accel, "jit (default; tcg means the same) or interp"},
    {"enable-kvm", nullptr, [](Options& o, const std::string&) { return accel(o, "kvm"); },
     "accepted; the translator runs instead"},
    {"drive", "KEY=VALUE,…", drive, "file=,if=ide|floppy,media=disk|cdrom,index=,format=raw,snapshot=on,readonly=on"},
    {"hda", "FILE", simple_drive<Kind::kDisk, 0>, "first IDE disk"},
    {"hdb", "FILE", simple_drive<Kind::kDisk, 1>, "second"},
    {"hdc", "FILE", simple_drive<Kind::kDisk, 2>, "third"},
    {"hdd", "FILE", simple_drive<Kind::kDisk, 3>, "fourth"},
    {"cdrom", "FILE", simple_drive<Kind::kCdrom, 2>, "CD-ROM"},
    {"fda", "FILE", simple_drive<Kind::kFloppy, 0>, "first floppy disk (fat:DIR shows a directory)"},
    {"fdb", "FILE", simple_drive<Kind::kFloppy, 1>, "second"},
    {"snapshot", nullptr, set<&Options::snapshot>, "throw away what is written to any disk"},
    {"boot", "ORDER", boot, "order=cad,once=d,menu=on"},
    {"kernel", "FILE", machine_text<&MachineConfig::kernel>, "Linux or Multiboot kernel to boot without a boot loader"},
    {"initrd", "FILE", machine_text<&MachineConfig::initrd>, "its initial RAM disk, or Multiboot modules"},
    {"append", "TEXT", machine_text<&MachineConfig::append>, "its command line"},
    {"bios", "FILE", machine_text<&MachineConfig::bios>, "firmware (default: SeaBIOS of the system)"},
    {"L", "DIR",
     [](Options& o, const std::string& v) {
       o.machine.firmware_dirs.push_back(v);
       return Status{};
     },
     "look for firmware here first"},
    {"option-rom", "FILE",
     [](Options& o, const std::string& v) {
       o.machine.option_roms.push_back(v);
       return Status{};
     },
     "adapter ROM"},
    {"serial", "STREAM",
     [](Options& o, const std::string& v) {
       o.serial.push_back(v);
       return Status{};
     },
     "COM1…COM4: stdio, mon:stdio, file:, pipe:, pty, tcp:, unix:, null, none"},
    {"parallel", "STREAM",
     [](Options& o, const std::string& v) {
       o.parallel.push_back(v);
       return Status{};
     },
     "LPT1…LPT3, likewise"},
    {"debugcon", "STREAM", text<&Options::debugcon>, "port 0xE9, likewise"},
    {"monitor", "STREAM", text<&Options::monitor>, "the monitor, likewise"},
    {"display", "NAME", display, "sdl, curses or none"},
    {"sdl", nullptr, [](Options& o, const std::string&) { return display(o, "sdl"); }, "the same as -display sdl"},
    {"curses", nullptr, [](Options& o, const std::string&) { return display(o, "curses"); },
     "the same as -display curses"},
    {"full-screen", nullptr, set<&Options::full_screen>, "start with the window filling the screen"},
    {"nographic", nullptr, set<&Options::nographic>, "no display; COM1 and the monitor on this terminal"},
    {"vga", "NAME", vga, "std or none"},
    {"rtc", "KEY=VALUE,…", rtc, "base=utc|localtime|DATE,clock=host|vm"},
    {"no-reboot", nullptr, machine_flag<&MachineConfig::no_reboot, true>, "end instead of rebooting"},
    {"no-shutdown", nullptr, machine_flag<&MachineConfig::no_shutdown, true>,
     "stop instead of ending when the guest powers off"},
    {"no-acpi", nullptr, machine_flag<&MachineConfig::acpi, false>, "no ACPI"},
    {"no-hpet", nullptr, machine_flag<&MachineConfig::hpet, false>, "no HPET"},
    {"S", nullptr, machine_flag<&MachineConfig::start_paused, true>, "do not start until the monitor says cont"},
    {"name", "TEXT",
     [](Options& o, const std::string& v) {
       o.machine.name = v.substr(0, v.find(','));
       return Status{};
     },
     "shown in the window's title"},
    {"device", "NAME", device, "isa-debug-exit, pc-testdev; -device help lists them"},
    {"d", "ITEM,…", log_items, "traces; -d help lists them"},
    {"D", "FILE", text<&Options::log_file>, "write traces here"},
    {"verify", nullptr, set<&Options::verify>, "prove every emitted block safe before it runs"},
    {"code-cache", "SIZE",
     [](Options& o, const std::string& v) -> Status {
       auto n = parse_size(v, u64{1} << 20);
       if (!n) return Error{"-code-cache: " + n.error()};
       o.code_cache_bytes = *n;
       return {};
     },
     "bound on the memory for translated code"},
    {"net", "none", no_network, "none"},
    {"nic", "none", no_network, "none"},
    {"nodefaults", nullptr, set<&Options::no_defaults>, "no devices that were not asked for"},
    {"no-user-config", nullptr, nothing, "accepted: there are no configuration files"},
    {"list-insns", nullptr, act<Options::Action::kListInsns>,
     "every instruction: how it is interpreted, lowered and tested"},
    {"help", nullptr, act<Options::Action::kHelp>, "this list"},
    {"h", nullptr, act<Options::Action::kHelp>, "the same"},
    {"version", nullptr, act<Options::Action::kVersion>, "the version"},

    {"netdev", "…", nullptr, "there is no network card yet; use -net none"},
    {"vnc", "…", nullptr, "use -display sdl, or -display curses in a terminal"},
    {"spice", "…", nullptr, "use -display sdl"},
    {"qmp", "…", nullptr, "use -monitor unix:PATH,server,nowait"},
    {"mon", "…", nullptr, "use -monitor"},
    {"chardev", "…", nullptr, "name the stream in -serial, -parallel, -monitor or -debugcon"},
    {"gdb", "…", nullptr, "use -S with the monitor, or -d in_asm,cpu"},
    {"s", nullptr, nullptr, "use -S with the monitor, or -d in_asm,cpu"},
    {"icount", "…", nullptr, "use -accel interp for runs that are easier to repeat"},
    {"loadvm", "…", nullptr, "start the guest anew; snapshots are not there yet"},
    {"incoming", "…", nullptr, "start the guest anew; migration is not there"},
    {"usb", nullptr, nullptr, "the PS/2 keyboard and mouse are always there"},
    {"usbdevice", "…", nullptr, "the PS/2 keyboard and mouse are always there"},
    {"audio", "…", nullptr, "there is no sound card yet; leave it out"},
    {"audiodev", "…", nullptr, "there is no sound card yet; leave it out"},
    {"soundhw", "…", nullptr, "there is no sound card yet; leave it out"},
    {"global", "…", nullptr, "use the option of the device itself"},
    {"blockdev", "…", nullptr, "use -drive"},
    {"sd", "FILE", nullptr, "use -hda"},
    {"mtdblock", "FILE", nullptr, "use -hda"},
    {"pflash", "FILE", nullptr, "use -bios"},
    {"smbios", "…", nullptr, "leave it out: SeaBIOS makes its own tables"},
    {"acpitable", "…", nullptr, "leave it out: SeaBIOS makes its own tables"},
    {"fw_cfg", "…", nullptr, "use -kernel, -initrd and -append"},
    {"daemonize", nullptr, nullptr, "start it with the shell's & and -display none"},
    {"runas", "USER", nullptr, "start it as that user"},
    {"chroot", "DIR", nullptr, "use chroot(8)"},
    {"k", "LAYOUT", nullptr, "leave it out: keys are taken by their place on the keyboard"},
    {"object", "…", nullptr, "leave it out"},
    {"numa", "…", nullptr, "leave it out: there is one processor"},
    {"mem-path", "PATH", nullptr, "use -m"},
    {"virtfs", "…", nullptr, "use -hdb fat:DIR"},
    {"watchdog", "…", nullptr, "leave it out"},
    {"trace", "…", nullptr, "use -d"},
    {"plugin", "…", nullptr, "use -d"},
    {"pidfile", "FILE", nullptr, "write $! from the shell that starts it"},
    {"uuid", "…", nullptr, "leave it out"},
    {"tpmdev", "…", nullptr, "leave it out"},
    {"dtb", "FILE", nullptr, "leave it out: a PC has no device tree"},
};

}  // namespace

std::span<const Option> option_table() { return kOptions; }

}  // namespace umbra
