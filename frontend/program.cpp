#include "frontend/program.h"

#include <algorithm>
#include <csignal>
#include <cstdio>

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
      return list("isa-debug-exit  iobase=0x501,iosize=2\npc-testdev\nVGA\n");
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
  if (Status s = set_log_file(o.log_file); !s) {
    std::fprintf(stderr, "umbra: %s\n", s.error().c_str());
    return 1;
  }
  return wants_bare_board(o) ? run_bare(o) : run_pc(o);
}

}  // namespace umbra
