#include "frontend/stream_dev.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "cpu/base/log.h"

namespace umbra {
namespace {

// Bytes waiting for a slow reader, either way. Devices are asked to stop at half of what is taken from them.
constexpr std::size_t kMaxQueued = 64 * 1024, kMaxTaken = 2 * kMaxQueued;

class Handle final : public CharDev {
 public:
  explicit Handle(std::shared_ptr<StreamDev> dev) : dev_(std::move(dev)) {
    dev_->room = [this] { return room(); };
    dev_->receive = [this](std::span<const u8> b) { receive(b); };
    dev_->opened = [this] { opened(); };
    dev_->drained = [this] { drained(); };
  }
  ~Handle() override {
    if (const std::size_t rest = dev_->unwritten(); rest != 0)
      warn("%s: the last %zu bytes were not written: nobody reads them", dev_->describe().c_str(), rest);
    dev_->room = [] { return std::size_t{0}; };
    dev_->receive = [](std::span<const u8>) {};
    dev_->opened = [] {};
    dev_->drained = [] {};
  }
  std::size_t write(std::span<const u8> bytes) override { return dev_->write(bytes); }
  bool full() const override { return dev_->full(); }
  void room_available() override { dev_->room_available(); }
  bool connected() const override { return dev_->connected(); }
  std::string describe() const override { return dev_->describe(); }

 private:
  std::shared_ptr<StreamDev> dev_;
};

}  // namespace

void StreamDev::start(int in, int out) {
  std::lock_guard lock(mutex_);
  in_ = in;
  out_ = out;
  open_ = true;
  if (out >= 0 && out <= 2) out_ = shared_.emplace(out).fd();
  for (const int fd : {in, out})
    if (fd > 2) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  std::weak_ptr<StreamDev> weak = weak_from_this();
  awaited_ = in_ >= 0 ? POLLIN : 0;
  if (in_ >= 0) {
    loop_.watch(in_, POLLIN, [weak](short revents) {
      if (auto self = weak.lock()) self->ready(revents);
    });
  }
  if (out_ >= 0 && out_ != in_) {
    const auto ready = [weak](short) {
      if (auto self = weak.lock()) self->flush();
    };
    loop_.watch(out_, 0, ready, shared_ ? IoLoop::Patience::kEndless : IoLoop::Patience::kBounded);
  }
}

std::size_t StreamDev::write(std::span<const u8> bytes) {
  if (!open_ || out_ < 0) return bytes.size();  // nobody is listening: gone, as on a wire
  std::lock_guard lock(mutex_);
  if (output_.size() >= kMaxTaken) return 0;
  const bool waiting = !output_.empty();  // for the I/O thread to find room
  output_.insert(output_.end(), bytes.begin(), bytes.end());
  if (!waiting) flush_locked();
  if (output_.size() >= kMaxQueued) full_ = true;
  return bytes.size();
}

std::size_t StreamDev::unwritten() {
  std::lock_guard lock(mutex_);
  return output_.size();
}

void StreamDev::ready(short revents) {
  if ((revents & POLLOUT) != 0) flush();
  if ((revents & (POLLIN | POLLHUP | POLLERR)) == 0) return;
  u8 buffer[4096];
  const ssize_t n = ::read(in_, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    if (n < 0 && errno == EIO) {  // a pty whose other side is closed: look again later
      ::usleep(50'000);
      return;
    }
    if (in_ == out_) {
      std::lock_guard lock(mutex_);
      output_.clear();
      flush_locked();
      open_ = false;
      close_all();
    } else {  // an end of input on stdio is not a hang-up: what the guest says is still wanted
      loop_.forget(in_);
    }
    on_close();
    return;
  }
  {
    std::lock_guard lock(mutex_);
    held_.insert(held_.end(), buffer, buffer + n);
    await_locked();
  }
  std::weak_ptr<StreamDev> weak = weak_from_this();
  loop_.to_machine([weak] {
    if (auto self = weak.lock()) self->deliver();
  });
}

void StreamDev::deliver() {  // processor's thread
  for (;;) {
    std::vector<u8> bytes;
    const std::size_t free = room();
    {
      std::lock_guard lock(mutex_);
      const std::size_t n = std::min(free, held_.size());
      if (n == 0) return;
      bytes.assign(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
      held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
      await_locked();
    }
    receive(bytes);
  }
}

void StreamDev::flush() {
  std::lock_guard lock(mutex_);
  flush_locked();
}

void StreamDev::flush_locked() {
  while (!output_.empty()) {
    u8 chunk[4096];
    const std::size_t n = std::min(sizeof chunk, output_.size());
    std::copy_n(output_.begin(), n, chunk);
    const long done = shared_ ? shared_->write({chunk, n}) : ::write(out_, chunk, n);
    if (done < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      // The disk is full, or the far end is gone, as peers of sockets may.
      if (in_ != out_ && !std::exchange(failed_, true))
        warn("%s: cannot write: %s; what is said there is lost", what_.c_str(), std::strerror(errno));
      output_.clear();
      break;
    }
    output_.erase(output_.begin(), output_.begin() + done);
    loop_.written();
  }
  await_locked();
  if (!full_ || output_.size() >= kMaxQueued / 2) return;
  full_ = false;
  std::weak_ptr<StreamDev> weak = weak_from_this();
  loop_.to_machine([weak] {
    if (auto self = weak.lock()) self->drained();
  });
}

// What the I/O thread is to wait for: more for the guest while that is not full, and room for what the guest has said.
void StreamDev::await_locked() {
  const short in = in_ >= 0 && held_.size() < kMaxQueued ? POLLIN : 0, out = output_.empty() ? 0 : POLLOUT;
  const short awaited = static_cast<short>(in | out);
  if (!open_ || awaited == awaited_) return;
  awaited_ = awaited;
  if (in_ == out_) return loop_.set_events(in_, awaited);
  if (in_ >= 0) loop_.set_events(in_, in);
  if (out_ >= 0) loop_.set_events(out_, out);
}

void StreamDev::close_all() {
  if (in_ >= 0) loop_.forget(in_);
  if (out_ >= 0 && out_ != in_) loop_.forget(out_);
  if (in_ > 2) ::close(in_);
  if (out_ > 2 && out_ != in_ && !shared_) ::close(out_);
  shared_.reset();
  in_ = out_ = -1;
}

std::unique_ptr<CharDev> handle_of(std::shared_ptr<StreamDev> dev) { return std::make_unique<Handle>(std::move(dev)); }

std::unique_ptr<CharDev> stream_on(IoLoop& loop, int in, int out, std::string what) {
  auto dev = std::make_shared<StreamDev>(loop, std::move(what));
  dev->start(in, out);
  return handle_of(std::move(dev));
}

}  // namespace umbra
