#include "frontend/io_loop.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "cpu/base/log.h"

namespace umbra {
namespace {

constexpr auto kPatience = std::chrono::seconds(3);

}  // namespace

IoLoop::IoLoop() {
  int fds[2];
  CHECK(::pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
  wake_read_ = fds[0];
  wake_write_ = fds[1];
  thread_ = std::thread([this] { run(); });
}

IoLoop::~IoLoop() {
  {
    std::lock_guard lock(mutex_);
    quit_ = true;
  }
  wake();
  thread_.join();
  ::close(wake_read_);
  ::close(wake_write_);
}

void IoLoop::wake() {
  const char byte = 0;
  [[maybe_unused]] const auto n = ::write(wake_write_, &byte, 1);  // a full pipe is awake already
}

void IoLoop::watch(int fd, short events, std::function<void(short)> ready, Patience patience) {
  {
    std::lock_guard lock(mutex_);
    watches_[fd] = {events, std::move(ready), patience};
  }
  wake();
}

void IoLoop::set_events(int fd, short events) {
  {
    std::lock_guard lock(mutex_);
    const auto it = watches_.find(fd);
    if (it == watches_.end() || it->second.events == events) return;
    it->second.events = events;
  }
  wake();
}

void IoLoop::forget(int fd) {
  {
    std::lock_guard lock(mutex_);
    watches_.erase(fd);
  }
  if (std::this_thread::get_id() == thread_.get_id()) return;
  wake();
  std::lock_guard wait(running_);
}

void IoLoop::attach(Post post) {
  std::vector<Work> waiting;
  {
    std::lock_guard lock(mutex_);
    post_ = post;
    waiting.swap(waiting_);
  }
  for (Work& w : waiting) post(std::move(w));
}

void IoLoop::detach() {
  {
    std::lock_guard lock(mutex_);
    post_ = nullptr;
  }
  std::lock_guard wait(running_);  // a callback may have taken it before
}

void IoLoop::to_machine(Work work) {
  Post post;
  {
    std::lock_guard lock(mutex_);
    if (!post_) {
      waiting_.push_back(std::move(work));
      return;
    }
    post = post_;
  }
  post(std::move(work));
}

void IoLoop::drain(const std::function<bool()>& hurried) {
  written();
  const auto awaited = [&](const auto& entry) {
    const Watch& w = entry.second;
    const bool lately = std::chrono::steady_clock::now() - last_written_.load() < kPatience;
    return (w.events & POLLOUT) != 0 && (lately || (w.patience == Patience::kEndless && !hurried()));
  };
  const auto waits = [&] {
    std::lock_guard lock(mutex_);
    return std::ranges::any_of(watches_, awaited);
  };
  while (waits()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

void IoLoop::run() {
  for (;;) {
    std::vector<pollfd> fds = {{wake_read_, POLLIN, 0}};
    {
      std::lock_guard lock(mutex_);
      if (quit_) return;
      for (const auto& [fd, w] : watches_)
        if (w.events != 0) fds.push_back({fd, w.events, 0});
    }
    ::poll(fds.data(), fds.size(), -1);
    char drain[64];
    while (::read(wake_read_, drain, sizeof drain) > 0) {
    }
    std::lock_guard running(running_);
    for (std::size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].revents == 0) continue;
      std::function<void(short)> ready;
      {
        std::lock_guard lock(mutex_);
        const auto it = watches_.find(fds[i].fd);
        if (it != watches_.end() && it->second.events != 0) ready = it->second.ready;
      }
      if (ready) ready(fds[i].revents);
    }
  }
}

}  // namespace umbra
