#include "devices/storage/fat_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <set>

#include "cpu/base/log.h"

namespace umbra {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxNodes = 65536;
constexpr unsigned kMaxDepth = 32;
constexpr std::size_t kMaxChildren = 2000;  // with long names that still fits the 65,536 entries of one directory
constexpr u32 kLongNameUnits = 13;          // UTF-16 units in one long-name entry

constexpr u8 kAttrVolume = 0x08;
constexpr u8 kAttrDirectory = 0x10;
constexpr u8 kAttrArchive = 0x20;
constexpr u8 kAttrLongName = 0x0f;

void put16(u8* at, u32 value) {
  at[0] = static_cast<u8>(value);
  at[1] = static_cast<u8>(value >> 8);
}

std::u16string to_utf16(const std::string& text) {
  std::u16string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<u8>(text[i]);
    const unsigned more = lead < 0x80 ? 0 : (lead >> 5) == 6 ? 1 : (lead >> 4) == 14 ? 2 : (lead >> 3) == 30 ? 3 : 9;
    if (more == 9 || i + more >= text.size()) {
      out += u'_';
      ++i;
      continue;
    }
    u32 c = more == 0 ? lead : lead & (0x3fu >> more);
    for (unsigned n = 1; n <= more; ++n) c = c << 6 | (static_cast<u8>(text[i + n]) & 0x3f);
    i += more + 1;
    if (c < 0x10000) {
      out += static_cast<char16_t>(c);
    } else {
      out += static_cast<char16_t>(0xd800 + ((c - 0x10000) >> 10));
      out += static_cast<char16_t>(0xdc00 + (c & 0x3ff));
    }
  }
  return out;
}

// One character of a short name, or '_' (and lossy) for what 8.3 cannot hold.
char short_character(char c, bool& lossy) {
  if (c >= 'a' && c <= 'z') {
    lossy = true;  // the case is lost, so a long name is needed
    return static_cast<char>(c - 'a' + 'A');
  }
  if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c != 0 && std::strchr("$%'-_@~`!(){}^#&", c) != nullptr))
    return c;
  lossy = true;
  return '_';
}

// Fills short_name with an alias that no other child has.
void make_short_name(FatNode& node, std::set<std::string>& taken) {
  const auto dot = node.name.find_last_of('.');
  const bool has_extension = dot != std::string::npos && dot > 0;
  bool lossy = false;
  std::string base, extension;
  for (char c : node.name.substr(0, has_extension ? dot : std::string::npos))
    if (c != ' ' && c != '.') base += short_character(c, lossy);
  if (has_extension)
    for (char c : node.name.substr(dot + 1))
      if (c != ' ') extension += short_character(c, lossy);
  bool fits = base.size() <= 8 && extension.size() <= 3 && !base.empty();
  const bool exact = fits && !lossy && node.name == (extension.empty() ? base : base + "." + extension);
  base.resize(std::min<std::size_t>(base.size(), 8));
  extension.resize(3, ' ');
  const auto padded = [&](std::string b) {
    b.resize(8, ' ');
    return b + extension;
  };
  std::string name = padded(base);
  for (unsigned n = 1; !fits || !taken.insert(name).second; ++n) {
    fits = true;
    const std::string tail = "~" + std::to_string(n);
    name = padded(base.substr(0, std::min<std::size_t>(base.size(), 8 - tail.size())) + tail);
  }
  node.needs_long_name = !exact;
  std::memcpy(node.short_name, name.data(), sizeof node.short_name);
}

void set_times(FatNode& node, std::time_t when) {
  std::tm t = {};
  ::gmtime_r(&when, &t);  // UTC, as the guest's clock is unless -rtc says otherwise
  const int year = std::clamp(t.tm_year - 80, 0, 127);
  node.date = static_cast<u16>(year << 9 | (t.tm_mon + 1) << 5 | t.tm_mday);
  node.time = static_cast<u16>(t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2);
}

u32 long_name_entries(const FatNode& node) {
  if (!node.needs_long_name) return 0;
  return static_cast<u32>((to_utf16(node.name).size() + kLongNameUnits - 1) / kLongNameUnits);
}

void add_entry(std::vector<u8>& out, const char (&name)[11], u8 attributes, const FatNode& node, u32 cluster,
               u64 size) {
  u8 e[kDirEntrySize] = {};
  std::memcpy(e, name, sizeof name);
  e[11] = attributes;
  put16(e + 14, node.time);  // created
  put16(e + 16, node.date);
  put16(e + 18, node.date);  // accessed
  put16(e + 20, cluster >> 16);
  put16(e + 22, node.time);  // written
  put16(e + 24, node.date);
  put16(e + 26, cluster);
  put16(e + 28, static_cast<u32>(size));
  put16(e + 30, static_cast<u32>(size >> 16));
  out.insert(out.end(), e, e + sizeof e);
}

void add_long_name(std::vector<u8>& out, const FatNode& node) {
  static constexpr u8 kPlaces[kLongNameUnits] = {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30};
  const std::u16string name = to_utf16(node.name);
  u8 checksum = 0;
  for (char c : node.short_name) checksum = static_cast<u8>((checksum >> 1 | checksum << 7) + static_cast<u8>(c));
  const u32 count = long_name_entries(node);
  for (u32 part = count; part > 0; --part) {  // last part first
    u8 e[kDirEntrySize] = {};
    e[0] = static_cast<u8>(part | (part == count ? 0x40 : 0));
    e[11] = kAttrLongName;
    e[13] = checksum;
    for (u32 i = 0; i < kLongNameUnits; ++i) {
      const std::size_t at = (part - 1) * kLongNameUnits + i;
      put16(e + kPlaces[i], at < name.size() ? name[at] : at == name.size() ? 0 : 0xffff);
    }
    out.insert(out.end(), e, e + sizeof e);
  }
}

class Scan {
 public:
  explicit Scan(const std::string& root) : root_(root) {}

  Status run() {
    FatNode root = {};
    root.path = root_;
    root.directory = true;
    nodes_.push_back(root);
    return folder(0, 0);
  }
  std::vector<FatNode> take() { return std::move(nodes_); }

 private:
  Error too_much(const std::string& what) { return Error{"cannot show '" + root_ + "' as a FAT disk: " + what}; }

  Status folder(u32 self, unsigned depth) {
    if (depth > kMaxDepth) return too_much("its folders are nested more than " + std::to_string(kMaxDepth) + " deep");
    std::error_code error;
    std::vector<std::string> names;
    for (fs::directory_iterator it(nodes_[self].path, error), end; !error && it != end; it.increment(error))
      names.push_back(it->path().filename().string());
    if (error) return too_much("'" + nodes_[self].path + "' cannot be read: " + error.message());
    std::sort(names.begin(), names.end());
    std::set<std::string> taken;
    for (const std::string& name : names) {
      FatNode node = {};
      if (!describe(nodes_[self].path + "/" + name, name, node)) continue;
      if (nodes_.size() >= kMaxNodes) return too_much("it holds more than " + std::to_string(kMaxNodes) + " files");
      if (nodes_[self].children.size() >= kMaxChildren)
        return too_much("'" + nodes_[self].path + "' holds more than " + std::to_string(kMaxChildren) + " entries");
      node.parent = self;
      make_short_name(node, taken);
      const auto child = static_cast<u32>(nodes_.size());
      nodes_[self].children.push_back(child);
      nodes_.push_back(std::move(node));
      if (!nodes_[child].directory) continue;
      if (Status status = folder(child, depth + 1); !status) return status;
    }
    return {};
  }

  bool describe(const std::string& path, const std::string& name, FatNode& node) {
    struct stat st = {};
    if (::lstat(path.c_str(), &st) != 0) return false;
    const bool link = S_ISLNK(st.st_mode);
    if (link && ::stat(path.c_str(), &st) != 0) return false;
    if (!S_ISREG(st.st_mode) && (link || !S_ISDIR(st.st_mode))) return false;  // a link to a folder may be a loop
    node.path = path;
    node.name = name;
    node.directory = S_ISDIR(st.st_mode);
    node.size = node.directory ? 0 : static_cast<u64>(st.st_size);
    set_times(node, st.st_mtime);
    const bool fits = node.size <= 0xffffffff && to_utf16(name).size() <= 255;
    if (!fits) warn("'%s' is left out: FAT holds files below 4 GiB with names below 256 characters", path.c_str());
    return fits;
  }

  std::string root_;
  std::vector<FatNode> nodes_;
};

}  // namespace

Result<std::vector<FatNode>> scan_folder(const std::string& path) {
  struct stat st = {};
  if (::stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
    return Error{"cannot show '" + path + "' as a FAT disk: there is no such folder"};
  Scan scan(path);
  if (Status status = scan.run(); !status) return status.take_error();
  return scan.take();
}

u32 directory_size(const std::vector<FatNode>& nodes, u32 self) {
  u32 entries = self == 0 ? 1 : 2;  // the volume label, or "." and ".."
  for (u32 child : nodes[self].children) entries += 1 + long_name_entries(nodes[child]);
  return entries * kDirEntrySize;
}

std::vector<u8> directory_bytes(const std::vector<FatNode>& nodes, u32 self) {
  const FatNode& node = nodes[self];
  std::vector<u8> out;
  if (self == 0) {
    add_entry(out, {'U', 'M', 'B', 'R', 'A', ' ', 'F', 'A', 'T', ' ', ' '}, kAttrVolume, node, 0, 0);
  } else {
    const u32 up = node.parent == 0 ? 0 : nodes[node.parent].first_cluster;  // 0 means the root, on FAT32 too
    add_entry(out, {'.', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '}, kAttrDirectory, node, node.first_cluster,
              0);
    add_entry(out, {'.', '.', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '}, kAttrDirectory, node, up, 0);
  }
  for (u32 index : node.children) {
    const FatNode& child = nodes[index];
    if (child.needs_long_name) add_long_name(out, child);
    add_entry(out, child.short_name, child.directory ? kAttrDirectory : kAttrArchive, child, child.first_cluster,
              child.size);
  }
  return out;
}

}  // namespace umbra
