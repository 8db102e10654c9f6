// Where the system keeps its firmware: SeaBIOS and the VGA BIOS come from installed packages, never from here.
#pragma once

#include <string>
#include <vector>

#include "cpu/base/result.h"
#include "cpu/base/types.h"

namespace umbra {

inline constexpr const char* kSystemBios = "bios-256k.bin";
inline constexpr const char* kVgaBios = "vgabios-stdvga.bin";

// A file name is looked for in `first` (-L), then where packages put firmware; a path with a slash is taken as it is.
Result<std::string> find_firmware(const std::string& name, const std::vector<std::string>& first);

// A whole ROM image. Its size must lie in [min, max]; `what` names it in the error ("firmware", "option ROM").
Result<std::vector<u8>> read_rom(const std::string& path, const char* what, u64 min, u64 max);

}  // namespace umbra
