// The FAT disk made of a folder is read back here by an independent, minimal FAT reader.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <map>

#include "devices/storage/image.h"
#include "tests/devices/temp_folder.h"

using namespace umbra;

namespace {

class FatReader {
 public:
  explicit FatReader(BlockDevice& device) : device_(device) {
    std::string mbr = sectors(0, 1);
    if (mbr.compare(0, 1, "\xcd") == 0) {  // not a jump: an MBR, not a boot sector
      type = static_cast<u8>(mbr[450]);
      start_ = le(mbr, 454, 4);
      end_ = start_ + le(mbr, 458, 4);
    }
    const std::string b = sectors(start_, 1);
    REQUIRE(le(b, 510, 2) == 0xaa55);
    per_cluster_ = le(b, 13, 1);
    const u32 reserved = le(b, 14, 2);
    root_entries_ = le(b, 17, 2);
    const u32 total = le(b, 19, 2) != 0 ? le(b, 19, 2) : le(b, 32, 4);
    const u32 fat_size = le(b, 22, 2) != 0 ? le(b, 22, 2) : le(b, 36, 4);
    root_ = start_ + reserved + 2 * fat_size;
    data_ = root_ + root_entries_ * 32 / 512;
    const u32 clusters = (start_ + total - data_) / per_cluster_;
    bits = clusters < 4085 ? 12 : clusters < 65525 ? 16 : 32;  // the only rule by which FAT types are told apart
    fat_ = sectors(start_ + reserved, fat_size);
    CHECK(sectors(start_ + reserved + fat_size, fat_size) == fat_);
    if (end_ != 0) CHECK(end_ == start_ + total);
    const u32 root_cluster = bits == 32 ? le(b, 44, 4) : 0;
    walk("", bits == 32 ? chain(root_cluster) : sectors(root_, root_entries_ * 32 / 512), 0);
  }

  std::map<std::string, std::string> files;    // long path: content
  std::map<std::string, std::string> aliases;  // long path: 8.3 name
  unsigned bits = 0;
  u32 type = 0;

 private:
  static u32 le(const std::string& s, std::size_t at, unsigned n) {
    u32 v = 0;
    for (unsigned i = 0; i < n; ++i) v |= static_cast<u32>(static_cast<u8>(s[at + i])) << (8 * i);
    return v;
  }
  std::string sectors(u32 at, u32 count) {
    std::string data(count * 512, '?');
    BlockStatus status = BlockStatus::kIoError;
    device_.read(at, count, reinterpret_cast<u8*>(data.data()), [&](BlockStatus s) { status = s; });
    device_.drain();
    REQUIRE(status == BlockStatus::kOk);
    return data;
  }
  u32 next(u32 cluster) const {
    if (bits == 32) return le(fat_, cluster * 4, 4) & 0x0fffffff;
    if (bits == 16) return le(fat_, cluster * 2, 2);
    const u32 pair = le(fat_, cluster * 3 / 2, 2);
    return cluster % 2 == 0 ? pair & 0xfff : pair >> 4;
  }
  std::string chain(u32 cluster) {
    const u32 end = bits == 32 ? 0x0ffffff8 : bits == 16 ? 0xfff8 : 0xff8;
    std::string out;
    for (; cluster < end; cluster = next(cluster)) {
      REQUIRE(cluster >= 2);
      out += sectors(data_ + (cluster - 2) * per_cluster_, per_cluster_);
    }
    return out;
  }
  void walk(const std::string& path, const std::string& dir, u32 parent) {
    std::string long_name;
    u8 checksum = 0;
    for (std::size_t at = 0; at < dir.size() && dir[at] != 0; at += 32) {
      const u32 attributes = le(dir, at + 11, 1);
      if (attributes == 0x0f) {
        std::string part;
        for (int place : {1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}) {
          const u32 unit = le(dir, at + place, 2);
          if (unit == 0) break;
          part += unit < 0x80 ? static_cast<char>(unit) : '#';
        }
        long_name = part + long_name;
        checksum = static_cast<u8>(dir[at + 13]);
        continue;
      }
      const std::string raw = dir.substr(at, 11);
      std::string name = raw.substr(0, 8);
      name.resize(name.find_last_not_of(' ') + 1);
      if (raw.substr(8) != "   ") name += "." + raw.substr(8, raw.find_last_not_of(' ') - 7);
      const u32 first = le(dir, at + 26, 2) | le(dir, at + 20, 2) << 16;
      if (name == "..") CHECK(first == parent);
      if (name[0] == '.' || (attributes & 8) != 0) continue;
      if (!long_name.empty()) {
        u8 sum = 0;
        for (char c : raw) sum = static_cast<u8>(((sum & 1) << 7) + (sum >> 1) + static_cast<u8>(c));
        CHECK(sum == checksum);
      }
      const std::string full = path + (long_name.empty() ? name : long_name);
      long_name.clear();
      aliases[full] = name;
      if ((attributes & 0x10) != 0) {
        const std::string body = chain(first);
        CHECK(le(body, 26, 2) == (first & 0xffff));  // "."
        walk_children(full, body, path.empty() ? 0 : current_);
        continue;
      }
      const u32 size = le(dir, at + 28, 4);
      files[full] = size == 0 ? "" : chain(first).substr(0, size);
      CHECK((size != 0) == (first != 0));
    }
  }
  void walk_children(const std::string& full, const std::string& body, u32 parent) {
    const u32 outer = current_;
    current_ = le(body, 26, 2) | le(body, 20, 2) << 16;
    walk(full + "/", body, parent);
    current_ = outer;
  }

  BlockDevice& device_;
  u32 start_ = 0, end_ = 0, per_cluster_ = 0, root_entries_ = 0, root_ = 0, data_ = 0;
  u32 current_ = 0;  // first cluster of the folder being walked
  std::string fat_;
};

struct Machine {
  FakeTime time;
  Clock clock{time};
  std::unique_ptr<BlockDevice> open(const std::string& spec) {
    auto image = open_image(spec, {}, clock);
    if (!image) error = image.error();
    return image ? std::move(*image) : nullptr;
  }
  std::string error;
};

std::string noise(std::size_t size) {
  std::string s(size, 0);
  for (std::size_t i = 0; i < size; ++i) s[i] = static_cast<char>(i * 2654435761u >> 13);
  return s;
}

void fill(const TempFolder& tmp) {
  tmp.write("AUTOEXEC.BAT", "@echo off\r\n");
  tmp.write("lower.txt", noise(70000));
  tmp.write("empty", "");
  tmp.write("A longer name than eight.text", noise(1));
  tmp.write("A longer name than nine.text", noise(8192));
  tmp.write("deep/er/DOWN/file.bin", noise(8193));
  tmp.write("deep/.hidden", "h");
  tmp.write("caf\xc3\xa9.txt", "coffee");
}

void check_files(const FatReader& fat) {
  CHECK(fat.files.at("AUTOEXEC.BAT") == "@echo off\r\n");
  CHECK(fat.files.at("lower.txt") == noise(70000));
  CHECK(fat.files.at("empty").empty());
  CHECK(fat.files.at("A longer name than eight.text") == noise(1));
  CHECK(fat.files.at("A longer name than nine.text") == noise(8192));
  CHECK(fat.files.at("deep/er/DOWN/file.bin") == noise(8193));
  CHECK(fat.files.at("deep/.hidden") == "h");
  CHECK(fat.files.at("caf#.txt") == "coffee");
  CHECK(fat.files.size() == 8);
}

}  // namespace

TEST_CASE("a folder is a FAT16 disk with its files, long names and unique aliases") {
  Machine m;
  TempFolder tmp;
  fill(tmp);
  auto disk = m.open("fat:" + tmp.path());
  REQUIRE(disk);
  FatReader fat(*disk);
  CHECK(fat.bits == 16);
  CHECK(fat.type == 6);
  check_files(fat);
  CHECK(fat.aliases.at("AUTOEXEC.BAT") == "AUTOEXEC.BAT");
  CHECK(fat.aliases.at("lower.txt") == "LOWER.TXT");
  CHECK(fat.aliases.at("A longer name than eight.text") == "ALONGE~1.TEX");
  CHECK(fat.aliases.at("A longer name than nine.text") == "ALONGE~2.TEX");
  CHECK(disk->sectors() == 1024 * 16 * 63);
}

TEST_CASE("a folder can be a FAT32 disk or a FAT12 floppy") {
  Machine m;
  TempFolder tmp;
  fill(tmp);
  auto disk = m.open("fat:32:" + tmp.path());
  REQUIRE(disk);
  FatReader fat32(*disk);
  CHECK(fat32.bits == 32);
  CHECK(fat32.type == 0x0c);
  check_files(fat32);
  auto floppy = m.open("fat:floppy:" + tmp.path());
  REQUIRE(floppy);
  FatReader fat12(*floppy);
  CHECK(fat12.bits == 12);
  CHECK(floppy->sectors() == 2880);
  check_files(fat12);
  tmp.write("big", noise(1500 * 1024));
  auto large = m.open("fat:floppy:" + tmp.path());
  REQUIRE(large);
  CHECK(large->sectors() == 5760);
  CHECK(FatReader(*large).files.at("big") == noise(1500 * 1024));
}

TEST_CASE("what the guest writes to a folder's disk is seen by the guest only") {
  Machine m;
  TempFolder tmp;
  tmp.write("A.TXT", "text");
  auto disk = m.open("fat:" + tmp.path());
  std::string fresh(512, 'w'), seen(512, 0);
  const u32 first_root_sector = 63 + 1;
  disk->write(first_root_sector, 1, reinterpret_cast<const u8*>(fresh.data()),
              [](BlockStatus s) { CHECK(s == BlockStatus::kOk); });
  disk->read(first_root_sector, 1, reinterpret_cast<u8*>(seen.data()),
             [](BlockStatus s) { CHECK(s == BlockStatus::kOk); });
  disk->drain();
  CHECK(seen == fresh);
  CHECK(tmp.content("A.TXT") == "text");
}

TEST_CASE("a folder that FAT cannot hold is refused with a sentence") {
  Machine m;
  TempFolder tmp;
  CHECK(!m.open("fat:" + (tmp / "missing")));
  CHECK(m.error.find("there is no such folder") != std::string::npos);
  CHECK(!m.open("fat:rw:" + tmp.path()));
  CHECK(m.error.find("thrown away") != std::string::npos);
  CHECK(!m.open("fat:12:" + tmp.path()));
  CHECK(m.error.find("fat:floppy:") != std::string::npos);
  REQUIRE(::truncate(tmp.write("huge", "").c_str(), 3 << 20) == 0);
  CHECK(!m.open("fat:floppy:" + tmp.path()));
  CHECK(m.error.find("2.88 MB") != std::string::npos);
  REQUIRE(::truncate((tmp / "huge").c_str(), 3ll << 30) == 0);
  CHECK(!m.open("fat:16:" + tmp.path()));
  CHECK(m.error.find("fat:32:") != std::string::npos);
  auto large = m.open("fat:" + tmp.path());
  REQUIRE(large);
  CHECK(large->sectors() > (3ull << 30) / 512);
}

TEST_CASE("a file that shrinks or goes away after the scan gives an I/O error") {
  Machine m;
  TempFolder tmp;
  const std::string path = tmp.write("A.BIN", noise(20000));
  auto disk = m.open("fat:" + tmp.path());
  REQUIRE(::truncate(path.c_str(), 100) == 0);
  std::vector<u8> data(200 * kSectorSize);
  bool failed = false;
  for (u32 at = 0; at < 2000; at += 200) {
    disk->read(at, 200, data.data(), [&](BlockStatus s) { failed |= s == BlockStatus::kIoError; });
    disk->drain();
  }
  CHECK(failed);
}
