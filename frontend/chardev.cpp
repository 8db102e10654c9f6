#include "frontend/chardev.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <utility>

#include "cpu/base/log.h"

namespace umbra {
namespace {

constexpr std::size_t kMaxQueued = 64 * 1024;  // bytes waiting for a slow reader, either way

// Reads and writes descriptors that may block or vanish. Held input waits until the device has room.
class StreamDev : public CharDev, public std::enable_shared_from_this<StreamDev> {
 public:
  StreamDev(IoLoop& loop, std::string what) : loop_(loop), what_(std::move(what)) {}
  ~StreamDev() override { close_all(); }

  void start(int in, int out) {
    in_ = in;
    out_ = out;
    open_ = true;
    for (const int fd : {in, out})
      if (fd > 2) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (in_ >= 0) {
      std::weak_ptr<StreamDev> weak = weak_from_this();
      loop_.watch(in_, POLLIN, [weak](short revents) {
        if (auto self = weak.lock()) self->ready(revents);
      });
    }
  }

  std::size_t write(std::span<const u8> bytes) override {
    if (!open_ || out_ < 0) return bytes.size();  // nobody is listening: gone, as on a wire
    std::lock_guard lock(mutex_);
    if (output_.size() >= kMaxQueued) flush_locked();
    const std::size_t taken = std::min(bytes.size(), kMaxQueued - std::min(kMaxQueued, output_.size()));
    output_.insert(output_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    flush_locked();
    return taken;
  }
  void room_available() override { deliver(); }
  // A peer whose coming is still to be told by opened() is not there yet: who asked now and was told then would greet
  // it twice.
  bool connected() const override { return open_ && !announcing; }
  std::atomic<bool> announcing = false;
  std::string describe() const override { return what_; }
  // Called on the I/O thread when the far end is gone.
  std::function<void()> on_close = [] {};

  void drain() {  // at the end of the program: a bounded wait for what the guest has already said
    for (int i = 0; i < 100; ++i) {
      {
        std::lock_guard lock(mutex_);
        flush_locked();
        if (output_.empty()) return;
      }
      ::usleep(10'000);
    }
  }

 private:
  void ready(short revents) {
    if ((revents & POLLOUT) != 0) {
      std::lock_guard lock(mutex_);
      flush_locked();
    }
    if ((revents & (POLLIN | POLLHUP | POLLERR)) == 0) return;
    u8 buffer[4096];
    const ssize_t n = ::read(in_, buffer, sizeof buffer);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      if (n < 0 && errno == EIO) {  // a pty whose other side is closed: look again later
        ::usleep(50'000);
        return;
      }
      loop_.forget(in_);
      // An end of input on stdio is not a hang-up: what the guest says is still wanted.
      if (in_ == out_) open_ = false;
      on_close();
      return;
    }
    {
      std::lock_guard lock(mutex_);
      held_.insert(held_.end(), buffer, buffer + n);
      if (held_.size() >= kMaxQueued) loop_.set_events(in_, 0);
    }
    std::weak_ptr<StreamDev> weak = weak_from_this();
    loop_.to_machine([weak] {
      if (auto self = weak.lock()) self->deliver();
    });
  }

  void deliver() {  // processor's thread
    for (;;) {
      std::vector<u8> bytes;
      const std::size_t free = room();
      {
        std::lock_guard lock(mutex_);
        const std::size_t n = std::min(free, held_.size());
        if (n == 0) return;
        bytes.assign(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
        held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(n));
        if (open_ && held_.size() < kMaxQueued) loop_.set_events(in_, POLLIN);
      }
      receive(bytes);
    }
  }

  void flush_locked() {
    while (!output_.empty()) {
      u8 chunk[4096];
      const std::size_t n = std::min(sizeof chunk, output_.size());
      std::copy_n(output_.begin(), n, chunk);
      const ssize_t done = ::write(out_, chunk, n);
      if (done < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) output_.clear();  // the far end is gone
        break;
      }
      output_.erase(output_.begin(), output_.begin() + done);
    }
    if (in_ == out_ && in_ >= 0 && open_)
      loop_.set_events(in_, static_cast<short>(POLLIN | (output_.empty() ? 0 : POLLOUT)));
  }

  void close_all() {
    if (in_ >= 0) loop_.forget(in_);
    if (in_ > 2) ::close(in_);
    if (out_ > 2 && out_ != in_) ::close(out_);
    in_ = out_ = -1;
  }

  IoLoop& loop_;
  std::string what_;
  int in_ = -1, out_ = -1;
  std::atomic<bool> open_{false};
  std::mutex mutex_;
  std::deque<u8> held_, output_;
};

// StreamDev needs to be shared with the I/O thread; the owner holds this.
class Handle final : public CharDev {
 public:
  explicit Handle(std::shared_ptr<StreamDev> dev) : dev_(std::move(dev)) {
    dev_->room = [this] { return room(); };
    dev_->receive = [this](std::span<const u8> b) { receive(b); };
    dev_->opened = [this] { opened(); };
  }
  ~Handle() override {
    dev_->drain();
    dev_->room = [] { return std::size_t{0}; };
    dev_->receive = [](std::span<const u8>) {};
    dev_->opened = [] {};
  }
  std::size_t write(std::span<const u8> bytes) override { return dev_->write(bytes); }
  void room_available() override { dev_->room_available(); }
  bool connected() const override { return dev_->connected(); }
  std::string describe() const override { return dev_->describe(); }

 private:
  std::shared_ptr<StreamDev> dev_;
};

class NullDev final : public CharDev {
 public:
  std::size_t write(std::span<const u8> bytes) override { return bytes.size(); }
  std::string describe() const override { return "null"; }
};

std::unique_ptr<CharDev> stream(IoLoop& loop, int in, int out, std::string what) {
  auto dev = std::make_shared<StreamDev>(loop, std::move(what));
  dev->start(in, out);
  return std::make_unique<Handle>(dev);
}

struct SocketSpec {
  std::string address;
  bool server = false;
  bool wait = true;
};

Result<SocketSpec> parse_socket(const std::string& rest, const std::string& spec) {
  SocketSpec out;
  std::size_t comma = rest.find(',');
  out.address = rest.substr(0, comma);
  while (comma != std::string::npos) {
    const std::size_t next = rest.find(',', comma + 1);
    const std::string option = rest.substr(comma + 1, next == std::string::npos ? next : next - comma - 1);
    if (option == "server" || option == "server=on") {
      out.server = true;
    } else if (option == "nowait" || option == "wait=off") {
      out.wait = false;
    } else if (option != "wait" && option != "wait=on" && option != "server=off" && option != "nodelay") {
      return Error{"'" + spec + "': a socket has no option '" + option + "'; there are server and nowait"};
    }
    comma = next;
  }
  return out;
}

// A listening socket serves one peer at a time and waits for the next when it goes.
void accept_next(IoLoop& loop, int listener, std::weak_ptr<StreamDev> weak) {
  loop.watch(listener, POLLIN, [&loop, listener, weak](short) {
    const auto dev = weak.lock();
    if (!dev) return;
    const int peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) return;
    loop.set_events(listener, 0);
    dev->on_close = [&loop, listener] { loop.set_events(listener, POLLIN); };
    dev->announcing = true;
    dev->start(peer, peer);
    loop.to_machine([weak] {
      const auto opened = weak.lock();
      if (!opened) return;
      opened->announcing = false;
      opened->opened();
    });
  });
}

Result<std::unique_ptr<CharDev>> open_socket(const SocketSpec& s, const sockaddr* address, socklen_t length, int family,
                                             const std::string& spec, IoLoop& loop) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{"'" + spec + "': no socket: " + std::strerror(errno)};
  if (!s.server) {
    if (::connect(fd, address, length) < 0) {
      const std::string why = std::strerror(errno);
      ::close(fd);
      return Error{"'" + spec + "': cannot connect: " + why};
    }
    return stream(loop, fd, fd, spec);
  }
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(fd, address, length) < 0 || ::listen(fd, 1) < 0) {
    const std::string why = std::strerror(errno);
    ::close(fd);
    return Error{"'" + spec + "': cannot listen: " + why};
  }
  auto dev = std::make_shared<StreamDev>(loop, spec);
  if (s.wait) {
    warn("%s: waiting for a connection", spec.c_str());
    const int peer = ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    accept_next(loop, fd, dev);
    if (peer >= 0) {
      loop.set_events(fd, 0);
      dev->on_close = [&loop, fd] { loop.set_events(fd, POLLIN); };
      dev->start(peer, peer);
    }
  } else {
    accept_next(loop, fd, dev);
  }
  return std::unique_ptr<CharDev>(std::make_unique<Handle>(dev));
}

Result<std::unique_ptr<CharDev>> open_tcp(const std::string& rest, const std::string& spec, IoLoop& loop) {
  auto s = parse_socket(rest, spec);
  if (!s) return s.take_error();
  const std::size_t colon = s->address.rfind(':');
  if (colon == std::string::npos) return Error{"'" + spec + "': expected tcp:HOST:PORT"};
  const std::string host = s->address.substr(0, colon), port = s->address.substr(colon + 1);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = s->server ? AI_PASSIVE : 0;
  addrinfo* found = nullptr;
  if (const int e = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found); e != 0)
    return Error{"'" + spec + "': " + ::gai_strerror(e)};
  auto result = open_socket(*s, found->ai_addr, found->ai_addrlen, found->ai_family, spec, loop);
  ::freeaddrinfo(found);
  return result;
}

Result<std::unique_ptr<CharDev>> open_unix(const std::string& rest, const std::string& spec, IoLoop& loop) {
  auto s = parse_socket(rest, spec);
  if (!s) return s.take_error();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (s->address.empty() || s->address.size() >= sizeof address.sun_path)
    return Error{"'" + spec + "': the socket's path is empty or too long"};
  std::memcpy(address.sun_path, s->address.c_str(), s->address.size() + 1);
  if (s->server) ::unlink(s->address.c_str());
  return open_socket(*s, reinterpret_cast<const sockaddr*>(&address), sizeof address, AF_UNIX, spec, loop);
}

Result<std::unique_ptr<CharDev>> open_pty(const std::string& label, IoLoop& loop) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || ::grantpt(master) < 0 || ::unlockpt(master) < 0)
    return Error{std::string("pty: the host gives no pseudo-terminal: ") + std::strerror(errno)};
  const std::string path = ::ptsname(master);
  // Held open so that reads do not fail while nobody is there, and raw so that nothing is echoed back.
  if (const int slave = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC); slave >= 0) {
    termios t{};
    ::tcgetattr(slave, &t);
    ::cfmakeraw(&t);
    ::tcsetattr(slave, TCSANOW, &t);
  }
  std::fprintf(stderr, "char device redirected to %s (label %s)\n", path.c_str(), label.c_str());
  return stream(loop, master, master, "pty:" + path);
}

termios g_saved_terminal;
std::atomic<bool> g_terminal_changed{false};

void restore_and_die(int signal) {
  restore_terminal();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void use_raw_terminal(bool signals) {
  if (::isatty(0) == 0) return;
  if (!g_terminal_changed) {
    ::tcgetattr(0, &g_saved_terminal);
    g_terminal_changed = true;
    std::atexit(restore_terminal);
    ::signal(SIGABRT, restore_and_die);  // the ordinary signals end the machine in order, and exit() comes of that
  }
  termios t = g_saved_terminal;
  t.c_iflag &= ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  t.c_oflag |= OPOST;
  t.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | IEXTEN);
  if (!signals) t.c_lflag &= ~static_cast<tcflag_t>(ISIG);
  t.c_cc[VMIN] = 1;
  t.c_cc[VTIME] = 0;
  ::tcsetattr(0, TCSANOW, &t);
}

void restore_terminal() {
  if (g_terminal_changed.exchange(false)) ::tcsetattr(0, TCSANOW, &g_saved_terminal);
}

Result<std::unique_ptr<CharDev>> open_chardev(const std::string& spec, const std::string& label, IoLoop& loop) {
  static bool stdio_taken = false;
  const auto starts = [&](const char* p) { return spec.rfind(p, 0) == 0; };
  if (spec == "none") return std::unique_ptr<CharDev>();
  if (spec == "null") return std::unique_ptr<CharDev>(std::make_unique<NullDev>());
  if (spec == "stdio") {
    if (std::exchange(stdio_taken, true))
      return Error{label + ": stdio is in use already; mon:stdio shares it with the monitor"};
    return stream(loop, 0, 1, "stdio");
  }
  if (starts("file:")) {
    const std::string path = spec.substr(5);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return Error{label + ": cannot write '" + path + "': " + std::strerror(errno)};
    return stream(loop, -1, fd, spec);
  }
  if (starts("pipe:")) {
    const std::string path = spec.substr(5);
    int in = ::open((path + ".in").c_str(), O_RDWR | O_CLOEXEC),
        out = ::open((path + ".out").c_str(), O_RDWR | O_CLOEXEC);
    if (in < 0 || out < 0) in = out = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (in < 0) return Error{label + ": cannot open the pipe '" + path + "': " + std::strerror(errno)};
    return stream(loop, in, out, spec);
  }
  if (spec == "pty") return open_pty(label, loop);
  if (starts("tcp:")) return open_tcp(spec.substr(4), spec, loop);
  if (starts("unix:")) return open_unix(spec.substr(5), spec, loop);
  return Error{label + ": '" + spec +
               "' is not a stream; there are stdio, mon:stdio, null, none, file:PATH, pipe:PATH, pty, tcp:HOST:PORT "
               "and unix:PATH"};
}

}  // namespace umbra
