#include "frontend/telnet.h"

#include <catch2/catch.hpp>

#include <vector>

using namespace umbra;
using Bytes = std::vector<u8>;

namespace {

struct Far final : CharDev {
  explicit Far(Bytes& sent) : sent_(sent) {}
  std::size_t write(std::span<const u8> bytes) override {
    const std::size_t n = std::min(bytes.size(), space);
    sent_.insert(sent_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    space -= n;
    return n;
  }
  std::string describe() const override { return "far"; }
  std::size_t space = 1000;

 private:
  Bytes& sent_;
};

}  // namespace

TEST_CASE("Telnet's own bytes stay out of the text, also where they are cut in two") {
  Bytes sent, text;
  auto far = std::make_unique<Far>(sent);
  Far& end = *far;
  auto stream = telnet(std::move(far));
  stream->receive = [&](std::span<const u8> b) { text.insert(text.end(), b.begin(), b.end()); };
  CHECK(sent == Bytes{255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0});
  end.receive(Bytes{'a', 255, 253, 1, 'b', 255, 250, 24, 0, 'x', 255, 255, 240, 255});
  end.receive(Bytes{240, 'c', 255, 255, 255, 241, 'd', 255});
  end.receive(Bytes{254});
  end.receive(Bytes{3, 'e'});
  CHECK(text == Bytes{'a', 'b', 'c', 255, 'd', 'e'});
}

TEST_CASE("A byte of 255 goes out twice, and what the far end does not take is not lost") {
  Bytes sent;
  auto far = std::make_unique<Far>(sent);
  Far& end = *far;
  auto stream = telnet(std::move(far));
  sent.clear();
  CHECK(stream->write(Bytes{1, 255, 2}) == 3);
  CHECK(sent == Bytes{1, 255, 255, 2});
  end.space = 1;
  CHECK(stream->write(Bytes{3, 4}) == 1);
  sent.clear();
  end.space = 1;
  CHECK(stream->write(Bytes{255, 5}) == 0);
  end.space = 10;
  CHECK(stream->write(Bytes{255, 5}) == 2);
  CHECK(sent == Bytes{255, 255, 5});
  CHECK(stream->describe() == "telnet:far");
}
