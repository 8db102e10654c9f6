// -drive, its short forms, and -blockdev.
#include <algorithm>
#include <cstdlib>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"

namespace umbra {
namespace {

unsigned free_index(const Options& o, DriveConfig::Kind kind, unsigned first) {
  while (place_is_taken(o, kind, first)) ++first;
  return first;
}

// What is about speed or about the host, and changes nothing that a guest sees.
bool makes_no_difference(const std::string& key) {
  static const char* const kKeys[] = {"cache",  "cache.direct", "cache.no-flush", "cache.writeback",
                                      "aio",    "discard",      "detect-zeroes",  "werror",
                                      "rerror", "copy-on-read", "serial",         "file.locking"};
  return std::any_of(std::begin(kKeys), std::end(kKeys), [&](const char* known) { return key == known; });
}

const DriveConfig* at_place(const Options& o, DriveConfig::Kind kind, unsigned index) {
  const bool floppy = kind == DriveConfig::Kind::kFloppy;
  const auto found = std::ranges::find_if(o.machine.drives, [&](const DriveConfig& d) {
    return (d.kind == DriveConfig::Kind::kFloppy) == floppy && d.index == index;
  });
  return found == o.machine.drives.end() ? nullptr : &*found;
}

Status name_drive(Options& o, const char* option, NamedDrive drive) {
  if (drive.id.empty()) return Error{std::string("-") + option + ": it needs a name, by which a -device can find it"};
  if (std::ranges::count(o.named_drives, drive.id, &NamedDrive::id) != 0)
    return Error{std::string("-") + option + ": the name '" + drive.id + "' is given twice"};
  o.named_drives.push_back(std::move(drive));
  return {};
}

}  // namespace

bool place_is_taken(const Options& o, DriveConfig::Kind kind, unsigned index) {
  return at_place(o, kind, index) != nullptr;
}

Status add_drive(Options& o, DriveConfig drive) {
  if (const DriveConfig* other = at_place(o, drive.kind, drive.index))
    return Error{format("%s %u is given twice ('%s' and '%s')",
                        drive.kind == DriveConfig::Kind::kFloppy ? "floppy" : "IDE drive", drive.index,
                        other->file.c_str(), drive.file.c_str())};
  o.machine.drives.push_back(std::move(drive));
  return {};
}

Status simple_drive(Options& o, DriveConfig::Kind kind, unsigned index, const std::string& file) {
  return add_drive(o, {kind, index, file, kind == DriveConfig::Kind::kCdrom});
}

Status option_drive(Options& o, const std::string& text) {
  DriveConfig d;
  std::string interface = "ide", media = "disk", id;
  int index = -1, bus = -1, unit = -1;
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "file" || kv.key == "file.filename") {
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
    } else if (kv.key == "format" || kv.key == "driver") {
      if (kv.value != "raw" && kv.value != "vvfat")
        return Error{"-drive: images of format '" + kv.value +
                     "' cannot be read yet; raw images can (convert with qemu-img)"};
    } else if (kv.key == "id") {
      id = kv.value;
    } else if (makes_no_difference(kv.key)) {
      o.notes.push_back("-drive: " + kv.key + "=" + kv.value + " makes no difference here");
    } else {
      return Error{"-drive: there is no '" + kv.key +
                   "'; there are file, if, media, index, bus, unit, format, snapshot and readonly"};
    }
  }
  if (interface == "none") return name_drive(o, "drive", {id, d});
  if (interface == "floppy") {
    d.kind = DriveConfig::Kind::kFloppy;
  } else if (interface != "ide") {
    return Error{"-drive: if=" + interface + " is not supported; if=ide, if=floppy and if=none are"};
  } else if (media == "cdrom") {
    d.kind = DriveConfig::Kind::kCdrom;
    d.read_only = true;
  } else if (media != "disk") {
    return bad_value("drive", "media=" + media, "media=disk or media=cdrom");
  }
  const bool floppy = d.kind == DriveConfig::Kind::kFloppy;
  if (unit >= 0 || bus >= 0) index = std::max(bus, 0) * 2 + std::max(unit, 0);
  d.index =
      index >= 0 ? static_cast<unsigned>(index) : free_index(o, d.kind, d.kind == DriveConfig::Kind::kCdrom ? 2 : 0);
  if (d.index >= (floppy ? 2u : 4u))
    return Error{format("-drive: there is no place %u for '%s'", d.index, d.file.c_str())};
  return add_drive(o, d);
}

// A node of QEMU's block graph: a file, or `raw` on one.
Status option_blockdev(Options& o, const std::string& text) {
  NamedDrive node;
  std::string below;
  for (const KeyValue& kv : parse_key_values(text)) {
    if (kv.key == "driver" || kv.key == "file.driver") {
      if (kv.value != "raw" && kv.value != "file" && kv.value != "host_device")
        return Error{"-blockdev: there is no driver '" + kv.value + "'; there are file, host_device and raw"};
    } else if (kv.key == "node-name") {
      node.id = kv.value;
    } else if (kv.key == "filename" || kv.key == "file.filename") {
      node.drive.file = kv.value;
    } else if (kv.key == "file") {
      below = kv.value;
    } else if (kv.key == "read-only") {
      if (Status s = set_bool(node.drive.read_only, "blockdev", kv); !s) return s;
    } else if (makes_no_difference(kv.key)) {
      o.notes.push_back("-blockdev: " + kv.key + "=" + kv.value + " makes no difference here");
    } else {
      return Error{"-blockdev: there is no '" + kv.key +
                   "'; there are driver, node-name, filename, file and read-only"};
    }
  }
  if (!below.empty()) {
    const auto found = std::ranges::find(o.named_drives, below, &NamedDrive::id);
    if (found == o.named_drives.end()) return Error{"-blockdev: there is no node called '" + below + "'"};
    found->connected = true;
    node.drive.file = found->drive.file;
    node.drive.read_only = node.drive.read_only || found->drive.read_only;
  }
  if (node.drive.file.empty()) return bad_value("blockdev", text, "driver=file,node-name=NAME,filename=FILE");
  return name_drive(o, "blockdev", std::move(node));
}

}  // namespace umbra
