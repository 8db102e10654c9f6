// -drive and its short forms.
#include <algorithm>
#include <cstdlib>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"

namespace umbra {
namespace {

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

unsigned free_index(const Options& o, bool floppy, unsigned first) {
  const auto used = [&](unsigned i) {
    return std::any_of(o.machine.drives.begin(), o.machine.drives.end(), [&](const DriveConfig& d) {
      return (d.kind == DriveConfig::Kind::kFloppy) == floppy && d.index == i;
    });
  };
  while (used(first)) ++first;
  return first;
}

// What is about speed or about the host, and changes nothing that a guest sees.
bool makes_no_difference(const std::string& key) {
  static const char* const kKeys[] = {"cache",  "cache.direct", "cache.no-flush", "cache.writeback",
                                      "aio",    "discard",      "detect-zeroes",  "werror",
                                      "rerror", "copy-on-read", "serial",         "file.locking"};
  return std::any_of(std::begin(kKeys), std::end(kKeys), [&](const char* known) { return key == known; });
}

}  // namespace

Status simple_drive(Options& o, DriveConfig::Kind kind, unsigned index, const std::string& file) {
  return add_drive(o, {kind, index, file, kind == DriveConfig::Kind::kCdrom, false});
}

Status option_drive(Options& o, const std::string& text) {
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
    } else if (kv.key == "index" || kv.key == "bus" || kv.key == "unit") {
      const auto n = parse_number(kv.value, 3);
      if (!n) return Error{"-drive: " + kv.key + "=" + n.error()};
      (kv.key == "index" ? index : kv.key == "bus" ? bus : unit) = static_cast<int>(*n);
    } else if (kv.key == "snapshot") {
      if (Status s = set_bool(d.snapshot, "drive", kv); !s) return s;
    } else if (kv.key == "readonly" || kv.key == "read-only") {
      if (Status s = set_bool(d.read_only, "drive", kv); !s) return s;
    } else if (kv.key == "format") {
      if (kv.value != "raw" && kv.value != "vvfat")
        return Error{"-drive: images of format '" + kv.value +
                     "' cannot be read yet; raw images can (convert with qemu-img)"};
    } else if (kv.key == "id") {  // a name for -device, which has no use for it
    } else if (makes_no_difference(kv.key)) {
      o.notes.push_back("-drive: " + kv.key + "=" + kv.value + " makes no difference here");
    } else {
      return Error{"-drive: there is no '" + kv.key +
                   "'; there are file, if, media, index, bus, unit, format, snapshot and readonly"};
    }
  }
  if (interface == "floppy") {
    d.kind = DriveConfig::Kind::kFloppy;
  } else if (interface != "ide") {
    return Error{"-drive: if=" + interface + " is not supported; if=ide and if=floppy are" +
                 (interface == "none" ? ", and they connect the drive without a -device" : "")};
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

}  // namespace umbra
