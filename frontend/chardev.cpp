#include "frontend/chardev.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "cpu/base/log.h"
#include "frontend/sockets.h"
#include "frontend/stream_dev.h"
#include "frontend/telnet.h"

namespace umbra {
namespace {

class NullDev final : public CharDev {
 public:
  std::size_t write(std::span<const u8> bytes) override { return bytes.size(); }
  std::string describe() const override { return "null"; }
};

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
  return stream_on(loop, master, master, "pty:" + path);
}

// A serial port of the host, or anything else under /dev that takes bytes. This program's own terminal keeps its
// settings and its keys.
Result<std::unique_ptr<CharDev>> open_device(const std::string& path, const std::string& label, IoLoop& loop) {
  int fd = ::open(path.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  const bool readable = fd >= 0;
  if (!readable) fd = ::open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return Error{label + ": cannot open '" + path + "': " + std::strerror(errno)};
  struct stat device {};
  ::fstat(fd, &device);
  bool own = false;
  for (int standard = 0; standard <= 2; ++standard) {
    struct stat st {};
    own = own || (::fstat(standard, &st) == 0 && st.st_rdev == device.st_rdev && st.st_ino == device.st_ino);
  }
  const bool talks = readable && !own && S_ISCHR(device.st_mode);
  if (termios t{}; talks && ::tcgetattr(fd, &t) == 0) {
    ::cfmakeraw(&t);
    ::tcsetattr(fd, TCSANOW, &t);
  }
  return stream_on(loop, talks ? fd : -1, fd, path);
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
    return stream_on(loop, 0, 1, "stdio");
  }
  if (starts("file:")) {
    const std::string path = spec.substr(5);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return Error{label + ": cannot write '" + path + "': " + std::strerror(errno)};
    return stream_on(loop, -1, fd, spec);
  }
  if (starts("pipe:")) {
    const std::string path = spec.substr(5);
    int in = ::open((path + ".in").c_str(), O_RDWR | O_CLOEXEC),
        out = ::open((path + ".out").c_str(), O_RDWR | O_CLOEXEC);
    if (in < 0 || out < 0) in = out = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (in < 0) return Error{label + ": cannot open the pipe '" + path + "': " + std::strerror(errno)};
    return stream_on(loop, in, out, spec);
  }
  if (spec == "pty") return open_pty(label, loop);
  if (starts("tcp:")) return open_tcp(spec.substr(4), spec, loop);
  if (starts("unix:")) return open_unix(spec.substr(5), spec, loop);
  if (starts("telnet:")) {
    auto tcp = open_tcp(spec.substr(7), spec, loop);
    if (tcp) *tcp = telnet(std::move(*tcp));
    return tcp;
  }
  if (starts("/dev/")) return open_device(spec, label, loop);
  return Error{label + ": '" + spec +
               "' is not a stream; there are stdio, mon:stdio, null, none, file:PATH, pipe:PATH, pty, tcp:HOST:PORT, "
               "telnet:HOST:PORT, unix:PATH and /dev/NAME"};
}

}  // namespace umbra
