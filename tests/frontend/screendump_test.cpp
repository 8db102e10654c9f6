#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "frontend/screendump.h"

using namespace umbra;

namespace {

Frame sample() {
  Frame f;
  f.width = 37;
  f.height = 11;
  for (u32 i = 0; i < f.width * f.height; ++i) f.pixels.push_back(i * 0x010307 & 0xffffff);
  return f;
}

u32 big(const u8* p) { return u32{p[0]} << 24 | p[1] << 16 | p[2] << 8 | p[3]; }

// A small PNG reader: 8-bit RGB without filters, as RFC 2083 lays the file out; throws at what it does not expect.
Frame decode_png(const std::vector<u8>& bytes) {
  REQUIRE(bytes.size() > 8);
  REQUIRE(std::memcmp(bytes.data(), "\x89PNG\r\n\x1a\n", 8) == 0);
  Frame f;
  std::vector<u8> packed;
  bool ended = false;
  for (std::size_t at = 8; at < bytes.size();) {
    const u32 size = big(&bytes[at]);
    REQUIRE(at + 12 + size <= bytes.size());
    const std::string type(bytes.begin() + at + 4, bytes.begin() + at + 8);
    const u8* data = &bytes[at + 8];
    REQUIRE(crc32(0, &bytes[at + 4], size + 4) == big(data + size));
    if (type == "IHDR") {
      f.width = big(data);
      f.height = big(data + 4);
      REQUIRE(std::memcmp(data + 8, "\x08\x02\x00\x00\x00", 5) == 0);
    }
    if (type == "IDAT") packed.insert(packed.end(), data, data + size);
    ended = type == "IEND";
    at += 12 + size;
  }
  REQUIRE(ended);
  std::vector<u8> rows((f.width * 3 + 1) * std::size_t{f.height});
  uLongf size = rows.size();
  REQUIRE(uncompress(rows.data(), &size, packed.data(), packed.size()) == Z_OK);
  REQUIRE(size == rows.size());
  for (u32 y = 0; y < f.height; ++y) {
    const u8* row = &rows[y * (f.width * 3 + 1)];
    REQUIRE(row[0] == 0);
    for (u32 x = 0; x < f.width; ++x) f.pixels.push_back(row[1 + x * 3] << 16 | row[2 + x * 3] << 8 | row[3 + x * 3]);
  }
  return f;
}

}  // namespace

TEST_CASE("A PNG screendump decodes to the same pixels") {
  const Frame f = sample();
  const Frame g = decode_png(encode_image(f, ImageFormat::kPng));
  CHECK(g.width == f.width);
  CHECK(g.height == f.height);
  CHECK(g.pixels == f.pixels);
}

TEST_CASE("A PPM screendump has QEMU's header and three bytes a pixel") {
  Frame f;
  f.width = 2;
  f.height = 1;
  f.pixels = {0x010203, 0xfffefd};
  const auto bytes = encode_image(f, ImageFormat::kPpm);
  CHECK(std::string(bytes.begin(), bytes.end()) == "P6\n2 1\n255\n\x01\x02\x03\xff\xfe\xfd");
}

TEST_CASE("The image format comes from a name or a path") {
  CHECK(*image_format("png") == ImageFormat::kPng);
  CHECK(*image_format("ppm") == ImageFormat::kPpm);
  CHECK(image_format("gif").error().find("ppm or png") != std::string::npos);
  CHECK(image_format_of("a/b.png") == ImageFormat::kPng);
  CHECK(image_format_of("a.png/b") == ImageFormat::kPpm);
}

TEST_CASE("A screendump that cannot be written says why") {
  CHECK(write_screendump(sample(), "/no/such/folder/x.ppm", ImageFormat::kPpm).error() ==
        "cannot create '/no/such/folder/x.ppm': No such file or directory");
  if (std::filesystem::exists("/dev/full"))
    CHECK(write_screendump(sample(), "/dev/full", ImageFormat::kPng).error() ==
          "cannot write '/dev/full': No space left on device");
  const std::string path = (std::filesystem::temp_directory_path() / "umbra-screendump-test.png").string();
  REQUIRE(write_screendump(sample(), path, ImageFormat::kPng));
  std::ifstream file(path, std::ios::binary);
  CHECK(decode_png({std::istreambuf_iterator<char>(file), {}}).pixels == sample().pixels);
  std::filesystem::remove(path);
}
