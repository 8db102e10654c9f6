#include "frontend/sockets.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cpu/base/log.h"
#include "frontend/stream_dev.h"

namespace umbra {
namespace {

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
    return stream_on(loop, fd, fd, spec);
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
  return handle_of(dev);
}

}  // namespace

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

}  // namespace umbra
