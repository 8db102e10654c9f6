// Makes memory resident before it is needed: the first touch of a huge page costs the host a millisecond or two, which
// another processor can spend. Only a help: who comes first finds pages as they are.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/base/types.h"

namespace umbra {

void populate(void* at, std::size_t bytes);  // pages for writing, at once; the host may refuse

class Backing {
 public:
  static constexpr u32 kHuge = 2u << 20;
  struct Piece {
    u8* at = nullptr;
    u32 bytes = 0;
    u8* twin = nullptr;  // the same memory of a file, mapped once more
  };

  Backing() = default;
  ~Backing() { stop(); }
  Backing(const Backing&) = delete;
  Backing& operator=(const Backing&) = delete;

  void ask(const Piece& piece);
  void stop();  // before the memory goes

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::vector<Piece> asked_;
  bool quit_ = false;
  std::thread thread_;  // when there is something to do for the first time
};

}  // namespace umbra
