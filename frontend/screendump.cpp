// PNG as in RFC 2083: 8-bit RGB, no interlace, every row unfiltered; zlib does the rest.
#include "frontend/screendump.h"

#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace umbra {
namespace {

using Bytes = std::vector<u8>;

void put(Bytes& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

void put_big(Bytes& out, u32 value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<u8>(value >> shift));
}

void put_rgb(Bytes& out, const u32* pixels, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    out.insert(out.end(),
               {static_cast<u8>(pixels[i] >> 16), static_cast<u8>(pixels[i] >> 8), static_cast<u8>(pixels[i])});
}

void put_chunk(Bytes& out, std::string_view type, const Bytes& data) {
  put_big(out, static_cast<u32>(data.size()));
  const std::size_t checked = out.size();
  put(out, type);
  out.insert(out.end(), data.begin(), data.end());
  put_big(out, static_cast<u32>(crc32(0, out.data() + checked, static_cast<uInt>(out.size() - checked))));
}

Bytes encode_ppm(const Frame& frame) {
  Bytes out;
  put(out, "P6\n" + std::to_string(frame.width) + " " + std::to_string(frame.height) + "\n255\n");
  put_rgb(out, frame.pixels.data(), frame.pixels.size());
  return out;
}

Bytes encode_png(const Frame& frame) {
  Bytes rows;
  rows.reserve((std::size_t{frame.width} * 3 + 1) * frame.height);
  for (u32 y = 0; y < frame.height; ++y) {
    rows.push_back(0);
    put_rgb(rows, frame.pixels.data() + std::size_t{y} * frame.width, frame.width);
  }
  uLongf packed_size = compressBound(rows.size());
  Bytes packed(packed_size);
  compress2(packed.data(), &packed_size, rows.data(), rows.size(), 6);
  packed.resize(packed_size);

  Bytes header;
  put_big(header, frame.width);
  put_big(header, frame.height);
  header.insert(header.end(), {8, 2, 0, 0, 0});

  Bytes out;
  put(out, "\x89PNG\r\n\x1a\n");
  put_chunk(out, "IHDR", header);
  put_chunk(out, "IDAT", packed);
  put_chunk(out, "IEND", {});
  return out;
}

}  // namespace

Result<ImageFormat> image_format(std::string_view name) {
  if (name == "ppm") return ImageFormat::kPpm;
  if (name == "png") return ImageFormat::kPng;
  return Error{"there is no image format '" + std::string(name) + "': use ppm or png"};
}

ImageFormat image_format_of(std::string_view path) {
  return path.ends_with(".png") || path.ends_with(".PNG") ? ImageFormat::kPng : ImageFormat::kPpm;
}

std::vector<u8> encode_image(const Frame& frame, ImageFormat format) {
  return format == ImageFormat::kPng ? encode_png(frame) : encode_ppm(frame);
}

Status write_screendump(const Frame& frame, const std::string& path, ImageFormat format) {
  const Bytes bytes = encode_image(frame, format);
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return Error{"cannot create '" + path + "': " + std::strerror(errno)};
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const int error = errno;
  if (std::fclose(file) != 0 || !written)
    return Error{"cannot write '" + path + "': " + std::strerror(written ? errno : error)};
  return {};
}

}  // namespace umbra
