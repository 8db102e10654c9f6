// -boot, -fw_cfg, -uuid and -smbios: what firmware is told.
#include <algorithm>
#include <cstdlib>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"

namespace umbra {
namespace {

std::vector<u8> little_endian(u64 value, unsigned size) {
  std::vector<u8> bytes;
  for (unsigned i = 0; i < size; ++i) bytes.push_back(static_cast<u8>(value >> (i * 8)));
  return bytes;
}

// A number of milliseconds that SeaBIOS reads from the file `name`.
Status add_wait(Options& o, const KeyValue& kv, const char* name, unsigned size) {
  const auto ms = parse_number(kv.value, 0xffff);
  if (!ms) return Error{"-boot: " + kv.key + "=" + ms.error()};
  o.machine.fw_cfg_files.push_back({name, little_endian(*ms, size), ""});
  return {};
}

struct SmbiosName {
  unsigned type;
  const char* name;
  u16 offset;  // in the structure of the SMBIOS reference specification
};
constexpr SmbiosName kSmbiosNames[] = {
    {0, "vendor", 4},  {0, "version", 5}, {0, "date", 8},   {1, "manufacturer", 4}, {1, "product", 5},
    {1, "version", 6}, {1, "serial", 7},  {1, "sku", 0x19}, {1, "family", 0x1a},
};

}  // namespace

Status option_boot(Options& o, const std::string& text) {
  const auto letters = [](const std::string& s) { return s.find_first_not_of("abcdnop") == std::string::npos; };
  for (const KeyValue& kv : parse_key_values(text)) {
    Status s;
    if ((kv.key == "order" || (kv.value.empty() && letters(kv.key))) && letters(kv.value)) {
      o.machine.boot_order = kv.key == "order" ? kv.value : kv.key;
    } else if (kv.key == "once" && letters(kv.value)) {
      o.machine.boot_once = kv.value;
    } else if (kv.key == "menu") {
      s = set_bool(o.machine.boot_menu, "boot", kv);
    } else if (kv.key == "strict") {
      s = set_bool(o.machine.boot_strict, "boot", kv);
    } else if (kv.key == "splash-time") {
      s = add_wait(o, kv, "etc/boot-menu-wait", 2);
    } else if (kv.key == "reboot-timeout") {
      s = add_wait(o, kv, "etc/boot-fail-wait", 4);
    } else if (kv.key == "splash") {
      o.notes.push_back("-boot: splash is not supported; menu, order, once, strict and splash-time are");
    } else {
      return bad_value("boot", text, "letters of a (floppy), c (disk), d (CD), n (network), or order=…,once=…,menu=on");
    }
    if (!s) return s;
  }
  return {};
}

Status option_fw_cfg(Options& o, const std::string& text) {
  FwCfgFile file;
  bool given = false;
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "name" || kv.value.empty()) {
      file.name = kv.key == "name" ? kv.value : kv.key;
    } else if (kv.key == "string" || kv.key == "file") {
      given = true;
      if (kv.key == "string") file.bytes.assign(kv.value.begin(), kv.value.end());
      if (kv.key == "file") file.path = kv.value;
    } else {
      return bad_value("fw_cfg", text, "name=opt/NAME,string=TEXT or name=opt/NAME,file=FILE");
    }
  }
  constexpr std::size_t kLongestName = 55;
  if (file.name.empty() || file.name.size() > kLongestName || !given)
    return bad_value("fw_cfg", text, "name=opt/NAME,string=TEXT or name=opt/NAME,file=FILE");
  if (!file.name.starts_with("opt/")) o.notes.push_back("-fw_cfg: names that begin with opt/ are the user's own");
  o.machine.fw_cfg_files.push_back(file);
  return {};
}

Status option_uuid(Options& o, const std::string& text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) break;
    if (!dash) digits += text[i];
  }
  if (text.size() != 36 || digits.size() != 32 ||
      digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
    return bad_value("uuid", text, "one such as 12345678-9abc-def0-1234-56789abcdef0");
  for (unsigned i = 0; i < 16; ++i)
    o.machine.uuid[i] = static_cast<u8>(std::strtoul(digits.substr(i * 2, 2).c_str(), nullptr, 16));
  return {};
}

Status option_smbios(Options& o, const std::string& text) {
  const auto items = parse_key_values(text);
  const auto type_item = std::ranges::find(items, "type", &KeyValue::key);
  const auto type = parse_number(type_item == items.end() ? "" : type_item->value, 1);
  if (!type) return bad_value("smbios", text, "type=0 (BIOS) or type=1 (system), and their fields");
  for (const KeyValue& kv : items) {
    if (kv.key == "type") continue;
    if (kv.key == "uuid" && *type == 1) {
      if (Status s = option_uuid(o, kv.value); !s) return s;
      continue;
    }
    const auto known = std::ranges::find_if(
        kSmbiosNames, [&](const SmbiosName& name) { return name.type == *type && kv.key == name.name; });
    if (known == std::end(kSmbiosNames))
      return Error{
          format("-smbios: there is no '%s' of type %u that can be set", kv.key.c_str(), static_cast<unsigned>(*type))};
    std::vector<u8> value(kv.value.begin(), kv.value.end());
    value.push_back(0);
    o.machine.smbios.push_back({static_cast<u8>(*type), known->offset, std::move(value)});
  }
  return {};
}

}  // namespace umbra
