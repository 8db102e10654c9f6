// A folder of the host as FAT sees it: names (8.3 aliases and VFAT long names), sizes and dates, and the bytes of its
// directory entries. Knows nothing of clusters beyond the first one of each node, which the layout assigns.
// Facts are Microsoft's "FAT: General Overview of On-Disk Format" 1.03.
#pragma once

#include <string>
#include <vector>

#include "cpu/base/result.h"
#include "cpu/base/types.h"

namespace umbra {

inline constexpr u32 kDirEntrySize = 32;

struct FatNode {
  std::string path;  // on the host
  std::string name;  // UTF-8, as on the host
  char short_name[11];
  bool needs_long_name = false;
  bool directory = false;
  u64 size = 0;  // of a file
  u16 date = 0, time = 0;
  u32 parent = 0;             // the root is its own parent
  std::vector<u32> children;  // of a directory
  u32 first_cluster = 0;
};

// Node 0 is the root. Regular files and folders only; links to files are followed, other links are left out.
Result<std::vector<FatNode>> scan_folder(const std::string& path);

// What the directory `self` takes on the disk, and its content once first clusters are known.
u32 directory_size(const std::vector<FatNode>& nodes, u32 self);
std::vector<u8> directory_bytes(const std::vector<FatNode>& nodes, u32 self);

}  // namespace umbra
