#include "frontend/program.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "cpu/base/log.h"
#include "cpu/interp/interp.h"
#include "cpu/list_insns.h"
#include "frontend/option_handlers.h"
#if defined(__x86_64__)
#include "translator/x64/backend.h"
#endif

namespace umbra {
namespace {

int list(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return 0;
}

std::string log_list() {
  std::string out;
  for (const LogItem& item : kLogItems) out += format("%-14s %s\n", item.name, item.help);
  return out;
}

// A file with the number of this process in it, for as long as it lives.
class PidFile {
 public:
  ~PidFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  Status write(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "w");
    const bool written = file != nullptr && std::fprintf(file, "%d\n", static_cast<int>(::getpid())) > 0;
    const bool closed = file != nullptr && std::fclose(file) == 0;
    if (!written || !closed) return Error{"-pidfile: cannot write '" + path + "': " + std::strerror(errno)};
    path_ = path;
    return {};
  }

 private:
  std::string path_;
};

int fail(const std::string& message) {
  std::fprintf(stderr, "umbra: %s\n", message.c_str());
  return 1;
}

}  // namespace

Result<std::unique_ptr<Engine>> make_engine(const Options& o, PhysicalMemory& memory) {
  if (o.accel == "jit") {
#if defined(__x86_64__)
    TranslatorOptions options;
    options.verify = o.verify;
    if (o.code_cache_bytes != 0) options.code_bytes = static_cast<u32>(std::min<u64>(o.code_cache_bytes, u64{1} << 30));
    auto engine = make_x64_engine(memory, options);
    if (engine) return engine;
    warn("%s; interpreting instead", engine.error().c_str());
#else
    warn("there is no translator for this host yet; interpreting instead");
#endif
  }
  return std::unique_ptr<Engine>(std::make_unique<Interpreter>(memory));
}

int run_program(Options& o) {
  switch (o.action) {
    case Options::Action::kHelp:
      return list(options_help());
    case Options::Action::kVersion:
      return list("Umbra 0.1\n");
    case Options::Action::kListCpus:
      return list(cpu_help());
    case Options::Action::kListMachines:
      return list("pc    an i440FX PC (default)\nbare  RAM, a ROM and output ports\n");
    case Options::Action::kListDevices:
      return list(device_help());
    case Options::Action::kListAccels:
      return list("jit     translates to the host's instructions (tcg means the same)\ninterp  interprets\n");
    case Options::Action::kListLog:
      return list(log_list());
    case Options::Action::kListOptions:
      return list(options_table());
    case Options::Action::kListInsns:
      return list(insn_table());
    case Options::Action::kRun:
      break;
  }
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on files is an error of the write, whichever thread it comes from
  for (const std::string& note : o.notes) std::fprintf(stderr, "umbra: %s\n", note.c_str());
  g_log_mask = o.log_mask;
  if (Status s = set_log_file(o.log_file); !s) return fail(s.error());
  PidFile pid_file;
  if (!o.pid_file.empty())
    if (Status s = pid_file.write(o.pid_file); !s) return fail(s.error());
  return wants_bare_board(o) ? run_bare(o) : run_pc(o);
}

}  // namespace umbra
