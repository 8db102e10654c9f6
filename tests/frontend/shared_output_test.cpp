#include "frontend/shared_output.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <optional>
#include <vector>

using namespace umbra;

namespace {

struct Ends {
  int reader = -1, writer = -1;
  ~Ends() { ::close(reader), ::close(writer); }
};

// What a full descriptor takes; one that kept its writer waiting would keep the test waiting.
std::size_t stuff(const SharedOutput& out) {
  const std::vector<u8> bytes(10'000, 'x');
  std::size_t taken = 0;
  for (;;) {
    const long n = out.write(bytes);
    if (n < 0) {
      CHECK(errno == EAGAIN);
      return taken;
    }
    REQUIRE(n > 0);
    taken += static_cast<std::size_t>(n);
  }
}

// As of now no file can be opened.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    ::getrlimit(RLIMIT_NOFILE, &was_);
    const rlimit none{0, was_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoMoreFiles() { ::setrlimit(RLIMIT_NOFILE, &was_); }

 private:
  rlimit was_{};
};

void check(const Ends& ends, bool again) {
  std::optional<SharedOutput> made;
  if (again) {
    made.emplace(ends.writer);
  } else {
    const NoMoreFiles from_here;
    made.emplace(ends.writer);
  }
  const SharedOutput& out = *made;
  const std::size_t held = stuff(out);
  CHECK(held > 0);
  CHECK(stuff(out) == 0);
  CHECK((::fcntl(ends.writer, F_GETFL) & O_NONBLOCK) == 0);
  std::vector<u8> read(held);
  for (std::size_t have = 0; have < held;) {
    const ssize_t n = ::read(ends.reader, read.data() + have, held - have);
    REQUIRE(n > 0);
    have += static_cast<std::size_t>(n);
  }
  CHECK(stuff(out) > 0);
}

}  // namespace

TEST_CASE("Writing to what others share never waits and leaves them its flags, even if it cannot be opened again") {
  const bool again = GENERATE(true, false);
  Ends ends;
  SECTION("a pipe") {
    REQUIRE(::pipe(&ends.reader) == 0);
    check(ends, again);
    CHECK((SharedOutput(ends.writer).fd() != ends.writer));
  }
  SECTION("a socket") {
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, &ends.reader) == 0);
    check(ends, again);
  }
  SECTION("a terminal") {
    termios raw{};
    ::cfmakeraw(&raw);
    REQUIRE(::openpty(&ends.reader, &ends.writer, nullptr, &raw, nullptr) == 0);
    check(ends, again);
    CHECK((SharedOutput(ends.writer).fd() != ends.writer));
  }
}
