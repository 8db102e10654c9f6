#include "devices/storage/fat_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cpu/base/bits.h"
#include "devices/storage/fat_tree.h"
#include "devices/storage/file_store.h"

namespace umbra {
namespace {

constexpr u64 kMiB = 1 << 20;
constexpr u64 kMaxFat16 = 2047 * kMiB;
constexpr u64 kMaxFat32 = 120 * 1024 * kMiB;
constexpr u32 kPartitionStart = 63;  // sectors; where DOS has always put it

void put16(u8* at, u32 value) {
  at[0] = static_cast<u8>(value);
  at[1] = static_cast<u8>(value >> 8);
}
void put32(u8* at, u32 value) {
  put16(at, value);
  put16(at + 2, value >> 16);
}

// The numbers of one FAT volume; sectors are counted from the start of the volume.
struct Volume {
  unsigned bits = 16;
  u32 start = 0;  // on the disk
  u32 total = 0;
  u32 per_cluster = 1;
  u32 reserved = 1;
  u32 fat_sectors = 0;
  u32 root_entries = 512;  // 0: the root is a chain of clusters (FAT32)
  u32 heads = 16, sectors_per_track = 63;
  u8 media = 0xf8;

  u32 root_sectors() const { return root_entries * kDirEntrySize / kSectorSize; }
  u32 data() const { return reserved + 2 * fat_sectors + root_sectors(); }
  u32 clusters() const { return (total - data()) / per_cluster; }
  u64 cluster_bytes() const { return u64{per_cluster} * kSectorSize; }

  // Large enough for every cluster there could be; a few entries too many do no harm.
  void size_fat() {
    const u64 entries = (total - reserved) / per_cluster + 2;
    fat_sectors = static_cast<u32>((entries * bits / 8 + kSectorSize) / kSectorSize);
  }
};

struct Extent {
  u64 offset;  // on the disk
  u64 size;
  u32 node;
  std::vector<u8> bytes;  // of a directory
};

class FatStore final : public BlockStore {
 public:
  FatStore(std::string folder, std::vector<FatNode> nodes, const Volume& volume)
      : folder_(std::move(folder)),
        nodes_(std::move(nodes)),
        v_(volume),
        size_(u64{v_.start + v_.total} * kSectorSize) {
    assign_clusters();
    head_.resize(u64{v_.start + v_.data()} * kSectorSize);
    if (v_.start != 0) write_mbr();
    write_boot_sector();
    write_fats();
    place_extents();
  }
  ~FatStore() override {
    for (const OpenFile& file : open_) ::close(file.fd);
  }

  u64 bytes() const override { return size_; }
  bool read_only() const override { return true; }
  std::string describe() const override { return folder_ + " (folder as FAT" + std::to_string(v_.bits) + ")"; }
  BlockStatus write(u64, const u8*, std::size_t) override { return BlockStatus::kReadOnly; }
  BlockStatus flush() override { return BlockStatus::kOk; }

  BlockStatus read(u64 offset, u8* to, std::size_t size) override {
    std::memset(to, 0, size);
    if (offset < head_.size()) std::memcpy(to, head_.data() + offset, std::min<u64>(size, head_.size() - offset));
    auto extent = std::partition_point(extents_.begin(), extents_.end(),
                                       [&](const Extent& e) { return e.offset + e.size <= offset; });
    for (; extent != extents_.end() && extent->offset < offset + size; ++extent) {
      const u64 from = std::max(offset, extent->offset);
      const u64 until = std::min(offset + size, extent->offset + extent->size);
      if (!read_extent(*extent, from - extent->offset, to + (from - offset), until - from))
        return BlockStatus::kIoError;
    }
    return BlockStatus::kOk;
  }

 private:
  struct OpenFile {
    u32 node;
    int fd;
  };
  static constexpr std::size_t kMaxOpen = 16;

  u64 data_size(u32 node) const {
    const FatNode& n = nodes_[node];
    if (!n.directory) return n.size;
    return node == 0 && v_.root_entries != 0 ? 0 : directory_size(nodes_, node);
  }
  u32 cluster_count(u32 node) const {
    return static_cast<u32>((data_size(node) + v_.cluster_bytes() - 1) / v_.cluster_bytes());
  }

  void assign_clusters() {
    u32 next = 2;
    for (u32 i = 0; i < nodes_.size(); ++i) {
      const u32 count = cluster_count(i);
      nodes_[i].first_cluster = count == 0 ? 0 : next;
      next += count;
    }
    used_ = next - 2;
  }

  void write_mbr() {
    u8* mbr = head_.data();
    static constexpr u8 kNotBootable[] = {0xcd, 0x18, 0xf4, 0xeb, 0xfd};  // int 18h; hlt; jmp $-1
    std::memcpy(mbr, kNotBootable, sizeof kNotBootable);
    u8* entry = mbr + 446;
    entry[0] = 0x80;
    put_chs(entry + 1, v_.start);
    entry[4] = v_.bits == 32 ? 0x0c : 0x06;
    put_chs(entry + 5, v_.start + v_.total - 1);
    put32(entry + 8, v_.start);
    put32(entry + 12, v_.total);
    put16(mbr + 510, 0xaa55);
  }

  void put_chs(u8* at, u32 lba) const {
    const u32 cylinder = std::min(lba / (v_.heads * v_.sectors_per_track), 1023u);
    at[0] = static_cast<u8>(lba / v_.sectors_per_track % v_.heads);
    at[1] = static_cast<u8>((lba % v_.sectors_per_track + 1) | (cylinder >> 8) << 6);
    at[2] = static_cast<u8>(cylinder);
  }

  void write_boot_sector() {
    u8* b = head_.data() + u64{v_.start} * kSectorSize;
    const bool fat32 = v_.bits == 32;
    std::memcpy(b, fat32 ? "\xeb\x58\x90UMBRA1.0" : "\xeb\x3c\x90UMBRA1.0", 11);
    put16(b + 11, kSectorSize);
    b[13] = static_cast<u8>(v_.per_cluster);
    put16(b + 14, v_.reserved);
    b[16] = 2;  // copies of the FAT
    put16(b + 17, v_.root_entries);
    const bool small = v_.total < 0x10000 && !fat32;
    put16(b + 19, small ? v_.total : 0);
    b[21] = v_.media;
    put16(b + 22, fat32 ? 0 : v_.fat_sectors);
    put16(b + 24, v_.sectors_per_track);
    put16(b + 26, v_.heads);
    put32(b + 28, v_.start);
    put32(b + 32, small ? 0 : v_.total);
    u8* tail = b + (fat32 ? 64 : 36);
    if (fat32) {
      put32(b + 36, v_.fat_sectors);
      put32(b + 44, 2);  // the root's first cluster: it is node 0
      put16(b + 48, 1);  // FSInfo
      put16(b + 50, 6);  // copy of this sector
    }
    tail[0] = v_.start != 0 ? 0x80 : 0;
    tail[2] = 0x29;
    put32(tail + 3, 0x554d4252);
    std::memcpy(tail + 7, "UMBRA FAT  ", 11);
    std::memcpy(tail + 18, fat32 ? "FAT32   " : v_.bits == 16 ? "FAT16   " : "FAT12   ", 8);
    static constexpr u8 kNotBootable[] = {0xcd, 0x18, 0xf4, 0xeb, 0xfd};
    std::memcpy(tail + 26, kNotBootable, sizeof kNotBootable);
    put16(b + 510, 0xaa55);
    if (!fat32) return;
    u8* info = b + kSectorSize;
    put32(info, 0x41615252);
    put32(info + 484, 0x61417272);
    put32(info + 488, v_.clusters() - used_);
    put32(info + 492, used_ + 2);
    put32(info + 508, 0xaa550000);
    std::memcpy(b + 6 * kSectorSize, b, 2 * kSectorSize);
  }

  void set_fat(u8* fat, u32 cluster, u32 value) const {
    if (v_.bits == 32) return put32(fat + u64{cluster} * 4, value & 0x0fffffff);
    if (v_.bits == 16) return put16(fat + u64{cluster} * 2, value);
    u8* at = fat + cluster * 3 / 2;
    const u32 old = at[0] | u32{at[1]} << 8;
    put16(at, cluster % 2 == 0 ? (old & 0xf000) | (value & 0xfff) : (old & 0xf) | (value & 0xfff) << 4);
  }

  void write_fats() {
    u8* fat = head_.data() + u64{v_.start + v_.reserved} * kSectorSize;
    set_fat(fat, 0, 0xffffff00 | v_.media);
    set_fat(fat, 1, 0xffffffff);
    for (u32 i = 0; i < nodes_.size(); ++i) {
      const u32 first = nodes_[i].first_cluster;
      const u32 count = cluster_count(i);
      for (u32 n = 0; n < count; ++n) set_fat(fat, first + n, n + 1 == count ? 0xffffffff : first + n + 1);
    }
    const u64 size = u64{v_.fat_sectors} * kSectorSize;
    std::memcpy(fat + size, fat, size);
  }

  void place_extents() {
    if (v_.root_entries != 0) {
      const std::vector<u8> root = directory_bytes(nodes_, 0);
      std::memcpy(head_.data() + u64{v_.start + v_.reserved + 2 * v_.fat_sectors} * kSectorSize, root.data(),
                  root.size());
    }
    for (u32 i = 0; i < nodes_.size(); ++i) {
      const FatNode& node = nodes_[i];
      if (node.first_cluster == 0) continue;
      const u64 sector = u64{v_.start} + v_.data() + u64{node.first_cluster - 2} * v_.per_cluster;
      extents_.push_back({sector * kSectorSize, data_size(i), i, {}});
      if (node.directory) extents_.back().bytes = directory_bytes(nodes_, i);
    }
  }

  bool read_extent(const Extent& extent, u64 offset, u8* to, u64 size) {
    if (nodes_[extent.node].directory) {
      std::memcpy(to, extent.bytes.data() + offset, size);
      return true;
    }
    const int fd = file(extent.node);
    return fd >= 0 && read_all(fd, offset, to, size);
  }

  int file(u32 node) {
    const auto known = std::find_if(open_.begin(), open_.end(), [node](const OpenFile& f) { return f.node == node; });
    if (known != open_.end()) {
      std::rotate(open_.begin(), known, known + 1);  // most recently used first
      return open_.front().fd;
    }
    const int fd = ::open(nodes_[node].path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    if (open_.size() == kMaxOpen) {
      ::close(open_.back().fd);
      open_.pop_back();
    }
    open_.insert(open_.begin(), {node, fd});
    return fd;
  }

  std::string folder_;
  std::vector<FatNode> nodes_;
  Volume v_;
  u64 size_;
  u32 used_ = 0;                 // clusters
  std::vector<u8> head_;         // everything before the first cluster
  std::vector<Extent> extents_;  // in order
  std::vector<OpenFile> open_;
};

u64 used_bytes(const std::vector<FatNode>& nodes, u64 cluster_bytes) {
  u64 sum = 0;
  for (u32 i = 0; i < nodes.size(); ++i)
    sum += align_up(nodes[i].directory ? directory_size(nodes, i) : nodes[i].size, cluster_bytes);
  return sum;
}

Volume floppy_volume(u64 used) {
  Volume v;
  v.bits = 12;
  const bool large = used > 1400 * 1024;
  v.total = large ? 5760 : 2880;
  v.per_cluster = large ? 2 : 1;
  v.root_entries = large ? 240 : 224;
  v.heads = 2;
  v.sectors_per_track = large ? 36 : 18;
  v.media = 0xf0;
  v.size_fat();
  return v;
}

// A quarter of the disk (and at least what makes 504 MiB) is left free for the guest.
Volume disk_volume(unsigned bits, u64 used) {
  Volume v;
  v.bits = bits;
  v.start = kPartitionStart;
  u64 size = std::max(used + used / 4, bits == 32 ? 600 * kMiB : u64{1024 * 16 * 63} * kSectorSize);
  if (bits == 16) size = std::min(size, kMaxFat16);
  v.heads = size <= u64{1024 * 16 * 63} * kSectorSize ? 16 : 255;
  const u64 cylinder = u64{v.heads} * v.sectors_per_track * kSectorSize;
  const u64 cylinders = bits == 16 ? size / cylinder : (size + cylinder - 1) / cylinder;
  v.total = static_cast<u32>(cylinders * cylinder / kSectorSize - v.start);
  v.per_cluster = bits == 32 ? 8 : 16;
  const u32 most = bits == 32 ? 4u << 20 : 65524;
  while (v.total / v.per_cluster > most) v.per_cluster *= 2;
  if (bits == 32) {
    v.reserved = 32;
    v.root_entries = 0;
  }
  v.size_fat();
  return v;
}

}  // namespace

Result<std::unique_ptr<BlockStore>> open_fat_store(const std::string& spec) {
  std::string folder = spec;
  bool floppy = false;
  unsigned bits = 0;
  for (bool more = true; more;) {
    const auto take = [&](const char* word) {
      const bool found = folder.starts_with(word);
      if (found) folder.erase(0, std::strlen(word));
      return found;
    };
    if (take("rw:"))
      return Error{"fat:rw: cannot change a folder; use fat:" + folder +
                   ", where what the guest writes is thrown away"};
    more = take(":") || (take("floppy:") && (floppy = true)) || (take("12:") && (bits = 12)) ||
           (take("16:") && (bits = 16)) || (take("32:") && (bits = 32));
  }
  auto nodes = scan_folder(folder);
  if (!nodes) return nodes.take_error();
  if (bits == 0) bits = floppy ? 12 : used_bytes(*nodes, 32768) < kMaxFat16 - 16 * kMiB ? 16 : 32;
  if (floppy != (bits == 12))
    return Error{"a folder is shown as FAT12 on a floppy and as FAT16 or FAT32 on a hard disk: use fat:floppy:" +
                 folder + " or fat:" + folder};
  const u64 used = used_bytes(*nodes, bits == 12 ? 1024 : 32768);
  Volume volume = floppy ? floppy_volume(used) : disk_volume(bits, std::min(used, kMaxFat32));
  const u32 root = align_up(directory_size(*nodes, 0), kSectorSize) / kDirEntrySize;
  if (volume.root_entries != 0 && !floppy) volume.root_entries = std::max(volume.root_entries, root);
  u64 needed = 0;  // clusters
  for (u32 i = bits == 32 ? 0 : 1; i < nodes->size(); ++i) {
    const u64 size = (*nodes)[i].directory ? directory_size(*nodes, i) : (*nodes)[i].size;
    needed += (size + volume.cluster_bytes() - 1) / volume.cluster_bytes();
  }
  if (needed > volume.clusters() || (bits != 32 && root > volume.root_entries))
    return Error{"'" + folder + "' holds more than fits on a FAT" + std::to_string(bits) +
                 (floppy       ? " floppy of 2.88 MB"
                  : bits == 16 ? " disk of 2 GiB; use fat:32:" + folder
                               : " disk of 120 GiB")};
  return std::unique_ptr<BlockStore>(new FatStore(folder, std::move(*nodes), volume));
}

}  // namespace umbra
