// Pictures of the guest's screen as files: PPM, as QEMU writes by default, and PNG.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cpu/base/result.h"
#include "devices/video/screen.h"

namespace umbra {

enum class ImageFormat { kPpm, kPng };

Result<ImageFormat> image_format(std::string_view name);  // "ppm", "png"
ImageFormat image_format_of(std::string_view path);       // PNG if it ends in .png, else PPM
std::vector<u8> encode_image(const Frame& frame, ImageFormat format);
Status write_screendump(const Frame& frame, const std::string& path, ImageFormat format);

}  // namespace umbra
