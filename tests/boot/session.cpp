#include "tests/boot/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace umbra::boot {
namespace {

using namespace std::chrono_literals;

int connect_to(const std::string& path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  std::strncpy(a.sun_path, path.c_str(), sizeof a.sun_path - 1);
  for (int tries = 0; tries < 200; ++tries) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0) return fd;
    ::close(fd);
    std::this_thread::sleep_for(25ms);
  }
  return -1;
}

void put(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return;
    done += static_cast<std::size_t>(n);
  }
}

bool get(int fd, std::string& into, int timeout_ms) {
  pollfd p{fd, POLLIN, 0};
  if (fd < 0 || ::poll(&p, 1, timeout_ms) <= 0) return false;
  char buffer[8192];
  const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  into.append(buffer, static_cast<std::size_t>(n));
  return true;
}

std::string key_for(char c) {
  static const char* const kNamed[][2] = {{" ", "spc"},
                                          {"\n", "ret"},
                                          {"\t", "tab"},
                                          {"\033", "esc"},
                                          {"-", "minus"},
                                          {"=", "equal"},
                                          {"[", "bracket_left"},
                                          {"]", "bracket_right"},
                                          {";", "semicolon"},
                                          {"'", "apostrophe"},
                                          {"`", "grave_accent"},
                                          {"\\", "backslash"},
                                          {",", "comma"},
                                          {".", "dot"},
                                          {"/", "slash"},
                                          {"_", "shift-minus"},
                                          {"+", "shift-equal"},
                                          {":", "shift-semicolon"},
                                          {"\"", "shift-apostrophe"},
                                          {"|", "shift-backslash"},
                                          {"<", "shift-comma"},
                                          {">", "shift-dot"},
                                          {"?", "shift-slash"},
                                          {"!", "shift-1"},
                                          {"@", "shift-2"},
                                          {"#", "shift-3"},
                                          {"$", "shift-4"},
                                          {"%", "shift-5"},
                                          {"^", "shift-6"},
                                          {"&", "shift-7"},
                                          {"*", "shift-8"},
                                          {"(", "shift-9"},
                                          {")", "shift-0"}};
  for (const auto& named : kNamed)
    if (c == named[0][0]) return named[1];
  if (c >= 'A' && c <= 'Z') return std::string("shift-") + static_cast<char>(c - 'A' + 'a');
  return std::string(1, c);
}

}  // namespace

Session::Session(const std::string& emulator, const std::vector<std::string>& options) {
  char name[] = "/tmp/umbra-boot-XXXXXX";
  folder_ = ::mkdtemp(name);
  std::vector<std::string> words = {emulator};
  words.insert(words.end(), options.begin(), options.end());
  for (const char* w : {"-display", "none", "-monitor"}) words.emplace_back(w);
  words.push_back("unix:" + folder_ + "/monitor,server,nowait");
  words.emplace_back("-serial");
  words.push_back("unix:" + folder_ + "/serial,server");
  start_ = std::chrono::steady_clock::now();
  pid_ = ::fork();
  if (pid_ == 0) {
    const int log = ::open((folder_ + "/log").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ::dup2(log, 1);
    ::dup2(log, 2);
    ::dup2(::open("/dev/null", O_RDONLY), 0);
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  serial_fd_ = connect_to(folder_ + "/serial");
  monitor_ = connect_to(folder_ + "/monitor");
  read_monitor();
}

Session::~Session() {
  if (running()) {
    ::kill(pid_, SIGTERM);
    for (int i = 0; i < 40 && running(); ++i) std::this_thread::sleep_for(50ms);
    if (running()) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, &status_, 0);
    }
  }
  ::close(monitor_);
  ::close(serial_fd_);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

bool Session::running() {
  if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

double Session::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

std::string Session::read_monitor() {
  std::string out;
  for (int quiet = 0; quiet < 100;) {  // the prompt is "(umbra) " or "(qemu) "
    if (!get(monitor_, out, 50)) ++quiet;
    if (out.size() >= 2 && out.compare(out.size() - 2, 2, ") ") == 0) break;
    if (quiet != 0 && !running()) break;
  }
  return out;
}

std::string Session::monitor(const std::string& command) {
  put(monitor_, command + "\n");
  std::string out = read_monitor();
  while (out.find('\n') == std::string::npos && running()) {  // only the echo so far
    const std::string more = read_monitor();
    if (more.empty()) break;
    out += more;
  }
  return out;
}

std::string Session::screen() {
  std::istringstream in(monitor("xp /2000hx 0xb8000"));
  std::string text, line;
  while (std::getline(in, line)) {
    const auto colon = line.find(": 0x");
    if (colon == std::string::npos) continue;
    std::istringstream words(line.substr(colon + 1));
    std::string word;
    while (words >> word) {
      const auto c = static_cast<char>(std::strtoul(word.c_str(), nullptr, 16) & 0xff);
      text += c == 0 ? ' ' : c;
    }
  }
  std::string rows;
  for (std::size_t i = 0; i + 80 <= text.size(); i += 80) {
    std::string row = text.substr(i, 80);
    row.erase(row.find_last_not_of(' ') + 1);
    rows += row + "\n";
  }
  return rows;
}

const std::string& Session::serial() {
  while (get(serial_fd_, serial_, 0)) {
  }
  return serial_;
}

void Session::send_serial(const std::string& text) { put(serial_fd_, text); }

void Session::type(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string key;
    const auto close = text[i] == '<' ? text.find('>', i) : std::string::npos;
    if (close != std::string::npos) {
      key = text.substr(i + 1, close - i - 1);
      i = close;
    } else {
      key = key_for(text[i]);
    }
    monitor("sendkey " + key);
    std::this_thread::sleep_for(120ms);  // a key is held for 100 ms
  }
}

void Session::screendump(const std::string& png) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(png).parent_path(), ignored);
  for (int tries = 0; tries < 20; ++tries) {
    const Picture before = picture();
    std::this_thread::sleep_for(500ms);
    if (picture().rgb == before.rgb) break;
  }
  monitor("screendump " + std::filesystem::absolute(png).string() + " -f png");
}

Session::Picture Session::picture() {
  Picture p;
  const std::string path = folder_ + "/screen.ppm";
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  monitor("screendump " + path);
  for (int tries = 0; tries < 20; ++tries) {
    std::ifstream in(path, std::ios::binary);
    std::string magic;
    unsigned max = 0;
    if (in >> magic >> p.width >> p.height >> max) {
      in.get();
      p.rgb.resize(std::size_t{p.width} * p.height * 3);
      if (in.read(reinterpret_cast<char*>(p.rgb.data()), static_cast<std::streamsize>(p.rgb.size()))) return p;
    }
    std::this_thread::sleep_for(50ms);
  }
  return {};
}

unsigned Session::Picture::colours() const {
  std::set<unsigned> seen;
  for (std::size_t i = 0; i + 2 < rgb.size(); i += 3)
    seen.insert(rgb[i] | unsigned{rgb[i + 1]} << 8 | unsigned{rgb[i + 2]} << 16);
  return static_cast<unsigned>(seen.size());
}

unsigned long Session::Picture::hash(unsigned x, unsigned y, unsigned w, unsigned h) const {
  unsigned long value = 0xcbf29ce484222325;
  for (unsigned row = y; row < y + h && row < height; ++row)
    for (std::size_t i = (std::size_t{row} * width + x) * 3, end = i + std::size_t{w} * 3; i < end && i < rgb.size();
         ++i)
      value = (value ^ rgb[i]) * 0x100000001b3;
  return value;
}

}  // namespace umbra::boot
