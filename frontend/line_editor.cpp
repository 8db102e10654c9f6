#include "frontend/line_editor.h"

#include <algorithm>
#include <utility>

namespace umbra {
namespace {

constexpr u8 control(char c) { return static_cast<u8>(c - 'A' + 1); }
constexpr u8 kEscape = 27, kDelete = 127;

}  // namespace

LineEditor::LineEditor(std::string prompt, Echo echo, std::function<void(const std::string&)> line)
    : prompt_(std::move(prompt)), echo_(std::move(echo)), on_line_(std::move(line)) {}

void LineEditor::show_prompt() { echo_(prompt_ + line_); }

void LineEditor::input(std::span<const u8> bytes) {
  for (const u8 b : bytes) {
    if (sequence_.empty()) {
      key(b);
    } else {
      escape(b);
    }
  }
}

void LineEditor::key(u8 byte) {
  const bool newline_after_return = byte == '\n' && after_return_;
  after_return_ = byte == '\r';
  if (newline_after_return) return;
  switch (byte) {
    case '\r':
    case '\n':
      finish();
      break;
    case '\t':
      complete();
      break;
    case kEscape:
      sequence_ = "\x1b";
      break;
    case '\b':
    case kDelete:
      if (cursor_ > 0) erase(cursor_ - 1, cursor_);
      break;
    case control('A'):
      cursor_ = 0;
      redraw();
      break;
    case control('E'):
      cursor_ = line_.size();
      redraw();
      break;
    case control('B'):
      cursor_ -= cursor_ > 0;
      redraw();
      break;
    case control('F'):
      cursor_ += cursor_ < line_.size();
      redraw();
      break;
    case control('D'):
      erase(cursor_, cursor_ + 1);
      break;
    case control('K'):
      erase(cursor_, line_.size());
      break;
    case control('U'):
      erase(0, cursor_);
      break;
    case control('W'): {
      std::size_t from = cursor_;
      while (from > 0 && line_[from - 1] == ' ') --from;
      while (from > 0 && line_[from - 1] != ' ') --from;
      erase(from, cursor_);
      break;
    }
    case control('C'):
      line_.clear();
      cursor_ = 0;
      echo_("\r\n");
      show_prompt();
      break;
    case control('L'):
      redraw();
      break;
    case control('P'):
      recall(position_ - (position_ > 0));
      break;
    case control('N'):
      recall(position_ + 1);
      break;
    default:
      if (byte >= ' ') insert(static_cast<char>(byte));
      break;
  }
}

void LineEditor::escape(u8 byte) {
  sequence_ += static_cast<char>(byte);
  if (sequence_.size() == 2 && (byte == '[' || byte == 'O')) return;
  if (sequence_.size() > 2 && byte >= '0' && byte <= ';' && sequence_.size() < 8) return;
  const std::string done = std::exchange(sequence_, "");
  const std::string tail = done.size() > 2 ? done.substr(2) : "";
  if (tail == "A") key(control('P'));
  if (tail == "B") key(control('N'));
  if (tail == "C") key(control('F'));
  if (tail == "D") key(control('B'));
  if (tail == "H" || tail == "1~") key(control('A'));
  if (tail == "F" || tail == "4~") key(control('E'));
  if (tail == "3~") key(control('D'));
}

void LineEditor::insert(char c) {
  if (line_.size() >= kMaxLine) return;
  line_.insert(cursor_++, 1, c);
  if (cursor_ == line_.size()) {
    echo_(std::string(1, c));
  } else {
    redraw();
  }
}

void LineEditor::erase(std::size_t from, std::size_t to) {
  to = std::min(to, line_.size());
  if (from >= to) return;
  line_.erase(from, to - from);
  cursor_ = from;
  redraw();
}

void LineEditor::recall(std::size_t index) {
  if (index > history_.size()) return;
  position_ = index;
  line_ = index < history_.size() ? history_[index] : "";
  cursor_ = line_.size();
  redraw();
}

void LineEditor::complete() {
  if (!complete_) return;
  const std::vector<std::string> found = complete_(line_);
  if (found.empty()) return;
  std::string common = found[0];
  for (const std::string& f : found) {
    const auto end = std::mismatch(common.begin(), common.end(), f.begin(), f.end()).first;
    common.erase(end, common.end());
  }
  if (found.size() == 1) common += ' ';
  if (common.size() > line_.size()) {
    line_ = common;
    cursor_ = line_.size();
    redraw();
  } else if (found.size() > 1) {
    std::string list = "\r\n";
    for (const std::string& f : found) list += f + "  ";
    echo_(list + "\r\n");
    show_prompt();
  }
}

void LineEditor::redraw() {
  std::string out = "\r" + prompt_ + line_ + "\x1b[K";
  if (cursor_ < line_.size()) out += "\x1b[" + std::to_string(line_.size() - cursor_) + "D";
  echo_(out);
}

void LineEditor::finish() {
  const std::string line = std::exchange(line_, "");
  cursor_ = 0;
  echo_("\r\n");
  if (!line.empty() && (history_.empty() || history_.back() != line)) {
    history_.push_back(line);
    if (history_.size() > kMaxHistory) history_.erase(history_.begin());
  }
  position_ = history_.size();
  on_line_(line);
  show_prompt();
}

}  // namespace umbra
