// A descriptor of another process's making to write to, standard output above all, that never keeps its writer waiting.
// O_NONBLOCK is not for it: that would be set for everybody who shares it, the shell included.
#pragma once

#include <span>

#include "cpu/base/types.h"

namespace umbra {

class SharedOutput {
 public:
  explicit SharedOutput(int shared);
  ~SharedOutput();
  SharedOutput(const SharedOutput&) = delete;
  SharedOutput& operator=(const SharedOutput&) = delete;

  int fd() const { return fd_; }                // for poll(2)
  long write(std::span<const u8> bytes) const;  // as write(2) does with O_NONBLOCK

 private:
  enum class Way : u8 { kWrite, kSend, kWhenReady };
  int fd_, own_ = -1;
  Way way_ = Way::kWrite;
  std::size_t most_ = ~std::size_t{0};  // at a time
};

}  // namespace umbra
