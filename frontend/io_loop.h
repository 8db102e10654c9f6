// The thread that waits for host file descriptors: terminals, sockets, pipes. Watches run their callback on this
// thread; what they have for the guest they hand on through `to_machine`, which queues until a machine is there.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/base/types.h"

namespace umbra {

class IoLoop {
 public:
  using Work = std::function<void()>;
  using Post = std::function<void(Work)>;

  IoLoop();
  ~IoLoop();
  IoLoop(const IoLoop&) = delete;
  IoLoop& operator=(const IoLoop&) = delete;

  // `events` as for poll(2), 0 to pause; `ready` gets revents. One watch per descriptor. Any thread.
  enum class Patience : u8 { kBounded, kEndless };  // of drain()
  void watch(int fd, short events, std::function<void(short)> ready, Patience patience = Patience::kBounded);
  void set_events(int fd, short events);
  void forget(int fd);  // when it returns the callback is not running and will not run again (unless called from it)

  void attach(Post post);  // gives the machine's post, and what had been queued
  void detach();           // when it returns post is not running and will not run again; not from a callback
  void to_machine(Work work);

  // At the end of the program: returns when nobody waits for POLLOUT any more, or when nothing has been written() for
  // some seconds and those whose patience is endless are `hurried`.
  void drain(const std::function<bool()>& hurried);
  void written() { last_written_ = std::chrono::steady_clock::now(); }

 private:
  struct Watch {
    short events = 0;
    std::function<void(short)> ready;
    Patience patience = Patience::kBounded;
  };
  void run();
  void wake();

  std::mutex mutex_;
  std::mutex running_;  // held while callbacks run
  std::map<int, Watch> watches_;
  Post post_;
  std::vector<Work> waiting_;
  std::atomic<std::chrono::steady_clock::time_point> last_written_{};
  int wake_read_ = -1, wake_write_ = -1;
  bool quit_ = false;
  std::thread thread_;
};

}  // namespace umbra
