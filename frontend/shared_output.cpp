#include "frontend/shared_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>

namespace umbra {

// Terminals and pipes can be opened once more, as ours alone. Files and other devices never keep anybody waiting.
SharedOutput::SharedOutput(int shared) : fd_(shared) {
  struct stat st {};
  ::fstat(shared, &st);
  if (S_ISSOCK(st.st_mode)) {
    way_ = Way::kSend;
  } else if (S_ISFIFO(st.st_mode) || ::isatty(shared) != 0) {
    own_ = ::open(("/proc/self/fd/" + std::to_string(shared)).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own_ >= 0) {
      fd_ = own_;
    } else {  // a pipe that is ready takes so much at least, a terminal one byte
      way_ = Way::kWhenReady;
      most_ = S_ISFIFO(st.st_mode) ? PIPE_BUF : 1;
    }
  }
}

SharedOutput::~SharedOutput() {
  if (own_ >= 0) ::close(own_);
}

long SharedOutput::write(std::span<const u8> bytes) const {
  if (way_ == Way::kSend) return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  pollfd ready{fd_, POLLOUT, 0};
  if (way_ == Way::kWhenReady && ::poll(&ready, 1, 0) <= 0) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(fd_, bytes.data(), std::min(bytes.size(), most_));
}

}  // namespace umbra
