// The fuzz targets of the devices: each takes any bytes as a script of what a hostile guest, a failing host and a
// damaged saved state do to a device. What goes wrong is for the sanitizers to find, and for CHECK().
#pragma once

#include <cstddef>
#include <string_view>

#include "cpu/base/types.h"

namespace umbra {

void fuzz_chipset(const u8* data, std::size_t size);                      // every chip at once
void fuzz_chip(std::string_view chip, const u8* data, std::size_t size);  // the one with that name
void fuzz_ide(const u8* data, std::size_t size);
void fuzz_fdc(const u8* data, std::size_t size);
void fuzz_vga(const u8* data, std::size_t size);

}  // namespace umbra
