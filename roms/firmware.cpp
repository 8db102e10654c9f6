#include "roms/firmware.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cpu/base/log.h"

namespace umbra {

Result<std::string> find_firmware(const std::string& name, const std::vector<std::string>& first) {
  const auto is_file = [](const std::string& path) {
    struct stat st {};
    return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
  };
  if (name.find('/') != std::string::npos) {
    if (is_file(name)) return name;
    return Error{"there is no firmware file '" + name + "'"};
  }
  std::vector<std::string> dirs = first;
  for (const char* dir : {"/usr/share/seabios", "/usr/share/qemu", "/usr/local/share/qemu", "/usr/share/vgabios"})
    dirs.emplace_back(dir);
  for (const std::string& dir : dirs)
    if (is_file(dir + "/" + name)) return dir + "/" + name;
  if (is_file(name)) return name;  // -bios FILE, in the current directory
  return Error{"the firmware '" + name +
               "' is not on this system; install the package seabios, or give its folder with -L"};
}

Result<std::vector<u8>> read_rom(const std::string& path, const char* what, u64 min, u64 max) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return Error{format("cannot read the %s '%s': %s", what, path.c_str(), std::strerror(errno))};
  struct stat st {};
  const u64 size = ::fstat(::fileno(file), &st) == 0 && S_ISREG(st.st_mode) ? static_cast<u64>(st.st_size) : max;
  std::vector<u8> bytes(std::min(size, max) + 1);  // one more, to notice what is too large
  const std::size_t n = std::fread(bytes.data(), 1, bytes.size(), file);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  if (failed) return Error{format("cannot read the %s '%s'", what, path.c_str())};
  if (n < min || n > max) {
    const std::string size = n > max ? "too large" : n == 0 ? "empty" : format("%zu bytes long", n);
    return Error{format("the %s '%s' is %s; expected %llu to %llu KiB", what, path.c_str(), size.c_str(),
                        static_cast<unsigned long long>(min / 1024), static_cast<unsigned long long>(max / 1024))};
  }
  bytes.resize(n);
  return bytes;
}

}  // namespace umbra
