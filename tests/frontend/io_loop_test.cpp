#include "frontend/io_loop.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

using namespace umbra;

TEST_CASE("When detach returns nobody is on the way to the machine, whose owner destroys it then") {
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  IoLoop loop;
  std::atomic<bool> posting = false;
  std::atomic<int> posted = 0;
  loop.attach([&](IoLoop::Work) {
    posting = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ++posted;
  });
  loop.watch(fds[0], POLLIN, [&](short) {
    char byte;
    if (::read(fds[0], &byte, 1) == 1) loop.to_machine([] {});
  });
  REQUIRE(::write(fds[1], "x", 1) == 1);
  while (!posting) std::this_thread::yield();
  loop.detach();
  CHECK(posted == 1);
  REQUIRE(::write(fds[1], "x", 1) == 1);
  loop.forget(fds[0]);
  CHECK(posted == 1);
  ::close(fds[0]);
  ::close(fds[1]);
}
