// What each option of the command line means. The order is the order of -help.
#include "frontend/option_table.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"

namespace umbra {

Status bad_value(const char* option, const std::string& value, const std::string& expected) {
  return Error{std::string("-") + option + ": '" + value + "' is not known; expected " + expected};
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

Result<u64> parse_number(const std::string& text, u64 most) {
  char* end = nullptr;
  const u64 value = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || text[0] == '-' || *end != 0 || value > most)
    return Error{"'" + text + "' is not a number from 0 to " + std::to_string(most)};
  return value;
}

namespace {

template <DriveConfig::Kind kKind, unsigned kIndex>
Status simple(Options& o, const std::string& file) {
  return simple_drive(o, kKind, kIndex, file);
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

Status display(Options& o, const std::string& text) {
  const std::string name = text.substr(0, text.find(','));
  if (name == "gtk" || name == "egl-headless" || name == "spice-app" || name == "dbus")
    return Error{"-display: " + name + " is not supported; sdl, curses and none are"};
  if (name != "sdl" && name != "none" && name != "curses") return bad_value("display", name, "sdl, curses or none");
  if (name != "sdl" && name != text) return Error{"-display: " + name + " takes no settings, so not '" + text + "'"};
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
  o.vga_given = true;
  return {};
}

Status no_network(Options&, const std::string& text) {
  if (text == "none") return {};
  return Error{"-net: there is no network card yet; only '-net none' is accepted"};
}

Status no_sound(Options&, const std::string& text) {
  const auto items = parse_key_values(text);
  if (!items.empty() && (items[0].key == "none" || items[0].value == "none")) return {};
  return Error{"-audiodev: there is no sound card yet; only '-audiodev none,id=…' is accepted"};
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
    {"cpu", "MODEL[,+FEATURE,…]", option_cpu, "processor model and features; -cpu help lists them"},
    {"smp", "N", option_smp, "processors; 1 is supported"},
    {"machine", "TYPE", option_machine, "pc, or bare; also accel=…, acpi=…, hpet=…"},
    {"M", "TYPE", option_machine, "the same"},
    {"accel", "NAME", option_accel, "jit (default; tcg means the same) or interp"},
    {"enable-kvm", nullptr, [](Options& o, const std::string&) { return option_accel(o, "kvm"); },
     "the translator runs instead"},
    {"drive", "KEY=VALUE,…", option_drive,
     "file=,if=ide|floppy|none,media=disk|cdrom,index=,format=raw,snapshot=on,readonly=on"},
    {"blockdev", "KEY=VALUE,…", option_blockdev,
     "driver=file|raw,node-name=,filename=,file=,read-only=on, for a -device"},
    {"hda", "FILE", simple<Kind::kDisk, 0>, "first IDE disk"},
    {"hdb", "FILE", simple<Kind::kDisk, 1>, "second"},
    {"hdc", "FILE", simple<Kind::kDisk, 2>, "third"},
    {"hdd", "FILE", simple<Kind::kDisk, 3>, "fourth"},
    {"cdrom", "FILE", simple<Kind::kCdrom, 2>, "CD-ROM"},
    {"fda", "FILE", simple<Kind::kFloppy, 0>, "first floppy disk (fat:DIR shows a directory)"},
    {"fdb", "FILE", simple<Kind::kFloppy, 1>, "second"},
    {"snapshot", nullptr, set<&Options::snapshot>, "throw away what is written to any disk"},
    {"boot", "ORDER", option_boot, "order=cad,once=d,menu=on,strict=on,splash-time=MS"},
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
     "COM1…COM4: stdio, mon:stdio, file:, pipe:, pty, tcp:, telnet:, unix:, /dev/NAME, null, none"},
    {"parallel", "STREAM",
     [](Options& o, const std::string& v) {
       o.parallel.push_back(v);
       return Status{};
     },
     "LPT1…LPT3, likewise"},
    {"debugcon", "STREAM", text<&Options::debugcon>, "port 0xE9, likewise; the guest waits for a slow reader"},
    {"monitor", "STREAM",
     [](Options& o, const std::string& v) {
       o.monitors.push_back(v);
       return Status{};
     },
     "the monitor, likewise"},
    {"chardev", "BACKEND,id=NAME,…", option_chardev, "a stream for others to name as chardev:NAME; mux=on shares it"},
    {"mon", "chardev=NAME", option_mon, "a monitor on such a stream"},
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
    {"fw_cfg", "name=NAME,string=TEXT", option_fw_cfg, "a file for firmware and guest; also file=FILE"},
    {"uuid", "UUID", option_uuid, "the machine's, for SMBIOS"},
    {"smbios", "type=0|1,FIELD=TEXT,…", option_smbios, "vendor, version, date; manufacturer, product, serial, …"},
    {"pidfile", "FILE", text<&Options::pid_file>, "write the number of the process here"},
    {"name", "TEXT",
     [](Options& o, const std::string& v) {
       for (const KeyValue& kv : parse_key_values(v))
         if (kv.key == "guest" || kv.value.empty()) o.machine.name = kv.key == "guest" ? kv.value : kv.key;
       return Status{};
     },
     "shown in the window's title"},
    {"device", "NAME", option_device, "isa-debug-exit, ide-hd, …; -device help lists them"},
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
    {"global", "DRIVER.PROPERTY=VALUE", option_global, "isa-debugcon.iobase=PORT"},
    {"action", "EVENT=ACTION", option_action, "reboot=reset|shutdown, shutdown=poweroff|pause"},
    {"no-fd-bootchk", nullptr, machine_flag<&MachineConfig::check_floppy_signature, false>,
     "start floppies without the boot sector's signature too"},
    {"vnc", "none",
     [](Options&, const std::string& v) -> Status {
       if (v == "none") return {};
       return Error{"-vnc: there is no VNC server yet; use -display sdl, or -display curses in a terminal"};
     },
     "none"},
    {"k", "LAYOUT", nothing, "accepted: keys are taken by their place on the keyboard"},
    {"net", "none", no_network, "none"},
    {"nic", "none", no_network, "none"},
    {"audiodev", "none", no_sound, "none"},
    {"nodefaults", nullptr, set<&Options::no_defaults>, "no devices that were not asked for"},
    {"no-user-config", nullptr, nothing, "there are no configuration files"},
    {"msg", "…", nothing, "accepted: messages stay as they are"},
    {"mem-prealloc", nullptr, nothing, "accepted: memory is taken as the guest touches it"},
    {"overcommit", "…", nothing, "accepted: memory is taken as the guest touches it"},
    {"seed", "N", nothing, "accepted: no device gives the guest random numbers"},
    {"win2k-hack", nullptr, nothing, "accepted: disks answer Windows 2000 as it is"},
    {"list-insns", nullptr, act<Options::Action::kListInsns>,
     "every instruction: how it is interpreted, lowered and tested"},
    {"list-options", nullptr, act<Options::Action::kListOptions>, "this list and what is refused, as a table"},
    {"help", nullptr, act<Options::Action::kHelp>, "this list"},
    {"h", nullptr, act<Options::Action::kHelp>, "the same"},
    {"version", nullptr, act<Options::Action::kVersion>, "the version"},

    {"netdev", "…", nullptr, "there is no network card yet; use -net none"},
    {"spice", "…", nullptr, "use -display sdl"},
    {"qmp", "…", nullptr, "use -monitor unix:PATH,server,nowait"},
    {"gdb", "…", nullptr, "use -S with the monitor, or -d in_asm,cpu"},
    {"s", nullptr, nullptr, "use -S with the monitor, or -d in_asm,cpu"},
    {"icount", "…", nullptr, "use -accel interp for runs that are easier to repeat"},
    {"loadvm", "…", nullptr, "start the guest anew; snapshots are not there yet"},
    {"incoming", "…", nullptr, "start the guest anew; migration is not there"},
    {"usb", nullptr, nullptr, "the PS/2 keyboard and mouse are always there"},
    {"usbdevice", "…", nullptr, "the PS/2 keyboard and mouse are always there"},
    {"audio", "…", nullptr, "there is no sound card yet; leave it out"},
    {"soundhw", "…", nullptr, "there is no sound card yet; leave it out"},
    {"sd", "FILE", nullptr, "use -hda"},
    {"mtdblock", "FILE", nullptr, "use -hda"},
    {"pflash", "FILE", nullptr, "use -bios"},
    {"acpitable", "…", nullptr, "leave it out: SeaBIOS makes its own tables"},
    {"daemonize", nullptr, nullptr, "start it with the shell's & and -display none"},
    {"runas", "USER", nullptr, "start it as that user"},
    {"chroot", "DIR", nullptr, "use chroot(8)"},
    {"object", "…", nullptr, "leave it out"},
    {"numa", "…", nullptr, "leave it out: there is one processor"},
    {"mem-path", "PATH", nullptr, "use -m"},
    {"virtfs", "…", nullptr, "use -hdb fat:DIR"},
    {"watchdog", "…", nullptr, "leave it out"},
    {"trace", "…", nullptr, "use -d"},
    {"plugin", "…", nullptr, "use -d"},
    {"tpmdev", "…", nullptr, "leave it out"},
    {"dtb", "FILE", nullptr, "leave it out: a PC has no device tree"},
    {"preconfig", nullptr, nullptr, "use -S with the monitor"},
    {"readconfig", "FILE", nullptr, "give the options on the command line"},
    {"set", "…", nullptr, "give the property where the device is made"},
    {"add-fd", "…", nullptr, "name the file"},
    {"fsdev", "…", nullptr, "use -hdb fat:DIR"},
    {"iscsi", "…", nullptr, "use an image file"},
    {"echr", "CHARACTER", nullptr, "Ctrl-A is the escape character"},
    {"sandbox", "…", nullptr, "there is no sandbox yet; run it in a container"},
    {"singlestep", nullptr, nullptr, "use -accel interp"},
    {"qmp-pretty", "…", nullptr, "use -monitor unix:PATH,server,nowait"},
    {"watchdog-action", "…", nullptr, "leave it out"},
    {"only-migratable", nullptr, nullptr, "leave it out: migration is not there"},
    {"async-teardown", nullptr, nullptr, "leave it out"},
    {"enable-sync-profile", nullptr, nullptr, "use perf(1)"},
    {"dfilter", "RANGE", nullptr, "use -d without it"},
    {"dump-vmstate", "FILE", nullptr, "leave it out: there are no saved states yet"},
    {"compat", "…", nullptr, "leave it out"},
    {"audio-help", nullptr, nullptr, "there is no sound card yet"},
    {"portrait", nullptr, nullptr, "leave it out"},
    {"rotate", "DEGREES", nullptr, "leave it out"},
    {"xen-domid", "ID", nullptr, "leave it out"},
    {"xen-attach", nullptr, nullptr, "leave it out"},
    {"xen-domid-restrict", nullptr, nullptr, "leave it out"},
};

}  // namespace

std::span<const Option> option_table() { return kOptions; }

}  // namespace umbra
