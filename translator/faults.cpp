#include "translator/faults.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <csignal>
#include <cstdio>
#include <memory>

#include "cpu/base/log.h"
#include "translator/engine.h"

namespace umbra {
namespace {

thread_local Translator* t_engine = nullptr;
struct sigaction g_previous[65];

const void* program_counter(const void* ucontext) {
  const auto* u = static_cast<const ucontext_t*>(ucontext);
#if defined(__x86_64__)
  return reinterpret_cast<const void*>(u->uc_mcontext.gregs[REG_RIP]);
#else
  return reinterpret_cast<const void*>(u->uc_mcontext.pc);
#endif
}

void on_signal(int number, siginfo_t* info, void* ucontext) {
  if (t_engine != nullptr && t_engine->handle_fault(*info, ucontext, program_counter(ucontext))) return;
  // Not ours: for whoever was here before, or once more under the old disposition.
  const struct sigaction& previous = g_previous[number];
  if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(number, info, ucontext);
  sigaction(number, &previous, nullptr);
}

void install_handlers() {
  for (int number : {SIGSEGV, SIGBUS, SIGFPE}) {
    struct sigaction action = {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(number, &action, &g_previous[number]);
  }
}

constexpr std::size_t kStackBytes = 64 * 1024;

// Each thread that runs an engine has its signal stack until it ends.
struct SignalStack {
  std::unique_ptr<char[]> memory = std::make_unique<char[]>(kStackBytes);
  SignalStack() {
    stack_t stack = {};
    stack.ss_sp = memory.get();
    stack.ss_size = kStackBytes;
    CHECK(sigaltstack(&stack, nullptr) == 0);
  }
  ~SignalStack() {
    stack_t off = {};
    off.ss_flags = SS_DISABLE;
    sigaltstack(&off, nullptr);
  }
};

}  // namespace

FaultScope::FaultScope(Translator& engine) : outer_(t_engine) {
  static const bool once = (install_handlers(), true);
  static_cast<void>(once);
  thread_local const SignalStack stack;
  t_engine = &engine;
}

FaultScope::~FaultScope() { t_engine = outer_; }

bool Translator::handle_fault(const siginfo_t& info, void* ucontext, const void* pc) {
  if (!cache_->contains(pc) || in_generated_ == 0) return false;
  const Block* block = block_at(static_cast<const u8*>(pc));
  if (block == nullptr) return false;  // in a stub: our bug
  const u8* address = static_cast<const u8*>(info.si_addr);
  const u8* poll = cache_->poll_page();
  if (address >= poll && address < poll + kPageSize) {
    backend_->divert_to_poll(ucontext, block->key.eip);
    return true;
  }
  const u32 offset = static_cast<u32>(static_cast<const u8*>(pc) - block->code);
  if (offset < block->marks[0].host || offset >= block->cold) return false;
  u32 index = 0;
  while (index + 1 < block->count && block->marks[index + 1].host <= offset) ++index;
  if (fix_window_fault(*block, index, info, backend_->was_write(ucontext))) return true;
  ++stats_.host_faults;
  backend_->divert_to_missed(ucontext, site_number(block->id, index), block->marks[index].flags_saved);
  return true;
}

}  // namespace umbra
