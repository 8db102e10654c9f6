#include "cpu/base/log.h"

#include <poll.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <mutex>
#include <set>

namespace umbra {

u32 g_log_mask = 0;

namespace {

std::FILE* g_log_file = nullptr;
CrashReport g_crash_report = nullptr;
void* g_crash_context = nullptr;

std::FILE* log_file() { return g_log_file != nullptr ? g_log_file : stderr; }

}  // namespace

void log(Log item, const char* format, ...) {
  if (!log_on(item)) return;
  va_list args;
  va_start(args, format);
  std::vfprintf(log_file(), format, args);
  va_end(args);
  std::fputc('\n', log_file());
}

void guest_oddity(const char* format, ...) {
  static std::mutex mutex;
  static std::set<const char*> said;
  if (!log_on(Log::kGuestErrors)) return;
  std::lock_guard lock(mutex);
  if (!said.insert(format).second) return;
  va_list args;
  va_start(args, format);
  std::vfprintf(log_file(), format, args);
  va_end(args);
  std::fputc('\n', log_file());
}

// Who speaks here must not wait for ever: standard error may be the pipe that nobody reads.
void warn(const char* format, ...) {
  constexpr int kPatience = 1000;  // milliseconds
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&ready, 1, kPatience) == 0) return;
  va_list args;
  va_start(args, format);
  std::fputs("umbra: ", stderr);
  std::vfprintf(stderr, format, args);
  std::fputc('\n', stderr);
  va_end(args);
}

Result<u32> parse_log_items(std::string_view list) {
  u32 mask = 0;
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto name = list.substr(0, comma);
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
    u32 found = 0;
    for (const LogItem& item : kLogItems)
      if (name == item.name) found = static_cast<u32>(item.bit);
    if (found == 0) {
      std::string known;
      for (const LogItem& item : kLogItems) known += std::string(known.empty() ? "" : ", ") + item.name;
      return Error{"-d: there is no trace called '" + std::string(name) + "'; there are " + known};
    }
    mask |= found;
  }
  return mask;
}

Status set_log_file(const std::string& path) {
  std::FILE* file = nullptr;
  if (!path.empty()) {
    file = std::fopen(path.c_str(), "w");
    if (file == nullptr) return Error{"-D: cannot write the trace file '" + path + "'"};
    std::setvbuf(file, nullptr, _IOLBF, 0);
  }
  if (g_log_file != nullptr) std::fclose(g_log_file);
  g_log_file = file;
  return {};
}

std::string format(const char* text, ...) {
  va_list args;
  va_start(args, text);
  va_list again;
  va_copy(again, args);
  const int length = std::vsnprintf(nullptr, 0, text, args);
  va_end(args);
  std::string out(length > 0 ? static_cast<std::size_t>(length) : 0, '\0');
  std::vsnprintf(out.data(), out.size() + 1, text, again);
  va_end(again);
  return out;
}

void set_crash_report(CrashReport report, void* context) {
  g_crash_report = report;
  g_crash_context = context;
}

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "umbra: internal error: CHECK(%s) failed at %s:%d\n", condition, file, line);
  if (CrashReport report = std::exchange(g_crash_report, nullptr)) report(g_crash_context, stderr);
  std::abort();
}

}  // namespace umbra
