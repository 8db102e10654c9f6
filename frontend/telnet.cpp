#include "frontend/telnet.h"

#include <utility>
#include <vector>

namespace umbra {
namespace {

constexpr u8 kSe = 240, kSb = 250, kWill = 251, kDont = 254, kDo = 253, kIac = 255;
constexpr u8 kBinary = 0, kEcho = 1, kSuppressGoAhead = 3;

class Telnet final : public CharDev {
 public:
  explicit Telnet(std::unique_ptr<CharDev> stream) : stream_(std::move(stream)) {
    stream_->room = [this] { return room(); };
    stream_->receive = [this](std::span<const u8> bytes) { take(bytes); };
    stream_->opened = [this] {
      greet();
      opened();
    };
    stream_->drained = [this] { drained(); };
    if (stream_->connected()) greet();
  }
  // A byte of 255 is sent twice. Taken is what has gone out whole; of a pair one may have.
  std::size_t write(std::span<const u8> bytes) override {
    std::size_t taken = 0;
    for (; taken < bytes.size(); ++taken) {
      const u8 pair[] = {bytes[taken], bytes[taken]};
      const std::size_t size = bytes[taken] == kIac && !half_sent_ ? 2 : 1;
      const std::size_t done = stream_->write({pair, size});
      if (done != 0) half_sent_ = done < size;
      if (done != size) break;
    }
    return taken;
  }
  bool full() const override { return stream_->full(); }
  void room_available() override { stream_->room_available(); }
  bool connected() const override { return stream_->connected(); }
  std::string describe() const override { return "telnet:" + stream_->describe(); }

 private:
  enum class At : u8 { kText, kCommand, kOption, kParameters, kEndOfParameters };

  void greet() {
    at_ = At::kText;
    half_sent_ = false;
    static constexpr u8 kGreeting[] = {kIac, kWill, kEcho,   kIac, kWill, kSuppressGoAhead,
                                       kIac, kWill, kBinary, kIac, kDo,   kBinary};
    stream_->write(kGreeting);
  }

  void take(std::span<const u8> bytes) {
    std::vector<u8> text;
    for (const u8 byte : bytes)
      if (is_text(byte)) text.push_back(byte);
    if (!text.empty()) receive(text);
  }

  bool is_text(u8 byte) {
    switch (at_) {
      case At::kText:
        if (byte == kIac) at_ = At::kCommand;
        return byte != kIac;
      case At::kCommand:
        at_ = byte == kSb ? At::kParameters : byte >= kWill && byte <= kDont ? At::kOption : At::kText;
        return byte == kIac;
      case At::kOption:
        at_ = At::kText;
        return false;
      case At::kParameters:
        if (byte == kIac) at_ = At::kEndOfParameters;
        return false;
      case At::kEndOfParameters:
        at_ = byte == kSe ? At::kText : At::kParameters;
        return false;
    }
    return false;
  }

  std::unique_ptr<CharDev> stream_;
  At at_ = At::kText;
  bool half_sent_ = false;
};

}  // namespace

std::unique_ptr<CharDev> telnet(std::unique_ptr<CharDev> stream) { return std::make_unique<Telnet>(std::move(stream)); }

}  // namespace umbra
