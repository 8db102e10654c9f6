// A line of input over a character stream that may be a terminal: editing keys, history and completion, in the small
// common subset of VT100 that every terminal has. Bytes in, whole lines out; what the user should see goes to `echo`.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cpu/base/types.h"

namespace umbra {

class LineEditor {
 public:
  using Echo = std::function<void(const std::string&)>;
  using Complete = std::function<std::vector<std::string>(const std::string& line)>;  // whole lines that would do

  LineEditor(std::string prompt, Echo echo, std::function<void(const std::string&)> line);
  void set_completion(Complete complete) { complete_ = std::move(complete); }
  void input(std::span<const u8> bytes);
  void show_prompt();

 private:
  static constexpr std::size_t kMaxLine = 1024, kMaxHistory = 100;
  void key(u8 byte);
  void escape(u8 byte);
  void insert(char c);
  void erase(std::size_t from, std::size_t to);
  void recall(std::size_t index);
  void complete();
  void redraw();
  void finish();

  std::string prompt_;
  Echo echo_;
  std::function<void(const std::string&)> on_line_;
  Complete complete_;
  std::string line_;
  std::size_t cursor_ = 0;
  std::vector<std::string> history_;
  std::size_t position_ = 0;  // in history_; its size means the line being typed
  std::string sequence_;      // an escape sequence so far
  bool after_return_ = false;
};

}  // namespace umbra
