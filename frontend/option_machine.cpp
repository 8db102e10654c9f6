// -machine, -accel, -smp, -global and -action.
#include <algorithm>
#include <cstdlib>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"

namespace umbra {
namespace {

// The first that can be had of a list as in kvm:tcg.
Status one_of(Options& o, const std::string& names) {
  std::string hardware;
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t end = std::min(names.find(':', at), names.size());
    const std::string name = names.substr(at, end - at);
    at = end + 1;
    if (name == "jit" || name == "tcg" || name == "interp") {
      o.accel = name == "interp" ? "interp" : "jit";
      return {};
    }
    if (name != "kvm" && name != "hax" && name != "whpx" && name != "hvf" && name != "xen" && name != "nvmm")
      return bad_value("accel", name, "jit (tcg means the same) or interp");
    hardware = name;
  }
  o.accel = "jit";
  o.notes.push_back("-accel " + hardware + ": hardware virtualization is not used; the translator (jit) runs instead");
  return {};
}

// What can be said of this board, but not changed.
const char* fixed_property(const std::string& key) {
  for (const char* off : {"usb", "vmport", "smm", "sata", "confidential-guest-support"})
    if (key == off) return "off";
  for (const char* on : {"pit", "pic", "i8042", "smbus"})
    if (key == on) return "on";
  return nullptr;
}

}  // namespace

Status option_smp(Options&, const std::string& text) {
  for (const KeyValue& kv : parse_key_values(text)) {
    const std::string& n = kv.value.empty() ? kv.key : kv.value;
    if (n != "1")
      return Error{"-smp: '" + text + "' asks for more than the one processor there is; -smp 1 is supported"};
  }
  return {};
}

Status option_accel(Options& o, const std::string& text) {
  if (text == "help" || text == "?") {
    o.action = Options::Action::kListAccels;
    return {};
  }
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "thread" || kv.key == "tb-size" || kv.key == "one-insn-per-tb") {
      o.notes.push_back("-accel: " + kv.key + " makes no difference here");
      continue;
    }
    if (Status s = one_of(o, kv.key == "accel" ? kv.value : kv.key); !s) return s;
  }
  return {};
}

Status option_machine(Options& o, const std::string& text) {
  if (text == "help" || text == "?") {
    o.action = Options::Action::kListMachines;
    return {};
  }
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "accel") {
      if (Status s = option_accel(o, kv.value); !s) return s;
    } else if (kv.key == "acpi") {
      if (Status s = set_bool(o.machine.acpi, "machine", kv); !s) return s;
    } else if (kv.key == "hpet") {
      if (Status s = set_bool(o.machine.hpet, "machine", kv); !s) return s;
    } else if (kv.key == "graphics") {
      if (Status s = set_bool(o.machine.graphics, "machine", kv); !s) return s;
    } else if (kv.key == "kernel") {
      o.machine.kernel = kv.value;
    } else if (kv.key == "initrd") {
      o.machine.initrd = kv.value;
    } else if (kv.key == "append") {
      o.machine.append = kv.value;
    } else if (kv.key == "firmware") {
      o.machine.bios = kv.value;
    } else if (const char* fixed = fixed_property(kv.key)) {
      if (kv.value != fixed && kv.value != "auto")
        return Error{"-machine: " + kv.key + "=" + kv.value + " is not supported; " + kv.key + "=" + fixed + " is"};
    } else if (kv.key == "kernel_irqchip" || kv.key == "kernel-irqchip" || kv.key == "dump-guest-core" ||
               kv.key == "mem-merge" || kv.key == "suppress-vmdesc" || kv.key == "kvm-shadow-mem") {
      o.notes.push_back("-machine: " + kv.key + " makes no difference here");
    } else if (!kv.value.empty() && kv.key != "type") {
      return Error{
          "-machine: there is no '" + kv.key +
          "' that can be set; there are type, accel, acpi, hpet, graphics, kernel, initrd, append and firmware"};
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

// QEMU's way to set a property of a device that is there without -device.
Status option_global(Options& o, const std::string& text) {
  const auto dot = text.find('.'), equals = text.find('=');
  if (dot == std::string::npos || equals == std::string::npos || dot > equals)
    return bad_value("global", text, "DRIVER.PROPERTY=VALUE");
  const std::string driver = text.substr(0, dot), property = text.substr(dot + 1, equals - dot - 1),
                    value = text.substr(equals + 1);
  if (driver == "isa-debugcon" && property == "iobase") {
    const auto n = parse_number(value, 0xffff);
    if (!n) return Error{"-global: isa-debugcon.iobase=" + n.error()};
    o.machine.debugcon_port = static_cast<u16>(*n);
    return {};
  }
  if (driver == "kvm-pit" || driver == "mc146818rtc" || (driver == "PIIX4_PM" && (value == "0" || value == "off"))) {
    o.notes.push_back("-global: " + driver + "." + property + " makes no difference here");
    return {};
  }
  return Error{"-global: '" + driver + "." + property +
               "' cannot be set; isa-debugcon.iobase can, and other devices have options of their own"};
}

// What to do when the guest reboots, powers off or dies.
Status option_action(Options& o, const std::string& text) {
  for (const KeyValue& kv : parse_key_values(text)) {
    const std::string both = kv.key + "=" + kv.value;
    if (both == "reboot=shutdown") {
      o.machine.no_reboot = true;
    } else if (both == "reboot=reset") {
      o.machine.no_reboot = false;
    } else if (both == "shutdown=pause") {
      o.machine.no_shutdown = true;
    } else if (both == "shutdown=poweroff") {
      o.machine.no_shutdown = false;
    } else if (kv.key == "panic" || kv.key == "watchdog") {
      o.notes.push_back("-action: there is no " + kv.key + " device, so that " + both + " makes no difference");
    } else {
      return bad_value("action", both, "reboot=reset|shutdown or shutdown=poweroff|pause");
    }
  }
  return {};
}

}  // namespace umbra
