// The streams of the command line, opened: each port's end goes to the machine's configuration, the monitors' stay
// here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "frontend/chardev.h"
#include "frontend/mux.h"
#include "frontend/options.h"

namespace umbra {

class Streams {
 public:
  explicit Streams(IoLoop& loop) : loop_(loop) {}
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  Status open(Options& o);
  std::vector<std::unique_ptr<CharDev>> monitors;
  const std::string& list() const { return list_; }  // one a line, for `info chardev`
  std::function<void()> quit = [] {};                // what Ctrl-A x on a shared stream does

 private:
  Result<std::unique_ptr<CharDev>> open_port(const std::string& spec, const std::string& label);
  Result<std::unique_ptr<CharDev>> open_named(const std::string& id, const std::string& label);
  Status open_ports(const std::vector<std::string>& specs, const char* kind,
                    std::vector<std::unique_ptr<CharDev>>& out);

  void enlist(const std::string& label, const CharDev& dev);

  struct Named {
    NamedStream stream;
    unsigned uses = 0;
    std::unique_ptr<Mux> mux;  // when it is shared
  };
  IoLoop& loop_;
  std::map<std::string, Named> named_;
  std::string list_;
};

}  // namespace umbra
