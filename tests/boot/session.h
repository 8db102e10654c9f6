// One guest under an emulator that takes QEMU's options, driven as a person would: keys through the monitor, the text
// screen read from video memory, pictures by screendump, the serial port by a socket. It runs Umbra and QEMU alike.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace umbra::boot {

class Session {
 public:
  // Starts `emulator` with `options`; the monitor, COM1 and a throw-away folder are added.
  Session(const std::string& emulator, const std::vector<std::string>& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  bool running();  // false once the emulator has ended
  int exit_status() const { return status_; }
  double seconds() const;

  std::string monitor(const std::string& command);
  std::string screen();                       // 80 x 25 text at B8000, rows joined by newlines
  const std::string& serial();                // everything COM1 has said so far
  void type(const std::string& text);         // through the keyboard; \n is Enter, \e Esc, <f12> and the like by name
  void send_serial(const std::string& text);  // as if typed on a terminal

  struct Picture {
    unsigned width = 0, height = 0;
    std::vector<unsigned char> rgb;
    unsigned colours() const;
    // FNV-1a of a region's pixels.
    unsigned long hash(unsigned x, unsigned y, unsigned w, unsigned h) const;
  };
  Picture picture();
  void screendump(const std::string& png);  // into a file, once it rests or ten seconds have gone by
  const std::string& folder() const { return folder_; }

 private:
  std::string read_monitor();

  pid_t pid_ = -1;
  int status_ = -1;
  int monitor_ = -1, serial_fd_ = -1;
  std::string folder_, serial_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace umbra::boot
