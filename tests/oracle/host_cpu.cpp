// Entry is an IRETQ with the whole guest state loaded; the way out is a direct far jump behind the instruction, which
// changes no register and no flag, or a signal. What 32-bit code has to reach lies below 4 GiB: a page with the way
// out, and a control page through which all state passes by absolute addresses.
#include "tests/oracle/host_cpu.h"

#if defined(__x86_64__) && defined(__linux__) && !defined(UMBRA_SANITIZE)

#include <asm/ldt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>

#include "cpu/base/log.h"

#define UMBRA_STUB 0x08000000
#define UMBRA_CONTROL 0x08001000

namespace umbra::oracle {
namespace {

struct Control {
  u32 gpr[8];  // 00
  u16 ds;      // 20
  u16 pad0;
  u16 es;  // 24
  u16 pad1;
  u64 host_rsp;  // 28
  u32 mxcsr;     // 30
  u32 pad2[3];
  u32 out_gpr[8];  // 40
  u64 out_eflags;  // 60
  u64 pad3[19];
  u8 fpu[512];      // 100
  u8 out_fpu[512];  // 300
  u64 frame[5];     // 500: EIP CS EFLAGS ESP SS
};
static_assert(offsetof(Control, fpu) == 0x100 && offsetof(Control, frame) == 0x500);
Control& control() { return *reinterpret_cast<Control*>(UMBRA_CONTROL); }

const char* g_name = "";
volatile bool g_running = false;
Outcome g_fault;
bool g_faulted = false;

extern "C" {
void umbra_oracle_enter();
extern const u8 umbra_oracle_exit[], umbra_oracle_resume[], umbra_oracle_end[];
}

#define S_(x) #x
#define S(x) S_(x)
#define AT(offset) S(UMBRA_CONTROL) "+" S(offset)
asm(R"(
  .text
  .globl umbra_oracle_enter, umbra_oracle_exit, umbra_oracle_resume, umbra_oracle_end
umbra_oracle_enter:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  movq %rsp, )" AT(0x28) R"(
  fxrstor )" AT(0x100) R"(
  movw )" AT(0x20) R"(, %ds
  movw )" AT(0x24) R"(, %es
  movl )" AT(0x00) R"(, %eax
  movl )" AT(0x04) R"(, %ecx
  movl )" AT(0x08) R"(, %edx
  movl )" AT(0x0c) R"(, %ebx
  movl )" AT(0x14) R"(, %ebp
  movl )" AT(0x18) R"(, %esi
  movl )" AT(0x1c) R"(, %edi
  movl $)" AT(0x500) R"(, %esp
  iretq
umbra_oracle_exit:
  movl %eax, )" AT(0x40) R"(
  movl %ecx, )" AT(0x44) R"(
  movl %edx, )" AT(0x48) R"(
  movl %ebx, )" AT(0x4c) R"(
  movl %esp, )" AT(0x50) R"(
  movl %ebp, )" AT(0x54) R"(
  movl %esi, )" AT(0x58) R"(
  movl %edi, )" AT(0x5c) R"(
  movq )" AT(0x28) R"(, %rsp
  pushfq
  popq )" AT(0x60) R"(
  fxsave )" AT(0x300) R"(
umbra_oracle_resume:
  movl $0x2b, %eax
  movl %eax, %ss
  movq )" AT(0x28) R"(, %rsp
  pushq $0x202
  popfq
  fninit
  ldmxcsr )" AT(0x30) R"(
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret
umbra_oracle_end:
)");

struct sigaction g_previous[32];  // the engine's, if it catches signals of its own

void on_signal(int number, siginfo_t* info, void* raw) {
  auto& context = *static_cast<ucontext_t*>(raw);
  auto& g = context.uc_mcontext.gregs;
  if (!g_running || (g[REG_CSGSFS] & 0xffff) == 0x33) {  // not the guest's
    const struct sigaction& previous = g_previous[number];
    if ((previous.sa_flags & SA_SIGINFO) != 0) return previous.sa_sigaction(number, info, raw);
    dprintf(2, "oracle_run: signal %d at %llx, address %llx, outside of guest code, in %s\n", number,
            static_cast<unsigned long long>(g[REG_RIP]), static_cast<unsigned long long>(g[REG_CR2]), g_name);
    signal(number, SIG_DFL);
    return;
  }
  g_faulted = true;
  g_fault.vector = static_cast<u32>(g[REG_TRAPNO]);
  g_fault.error = static_cast<u32>(g[REG_ERR]);
  g_fault.cr2 = static_cast<u32>(g[REG_CR2]);
  constexpr int kOrder[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI};
  for (int i = 0; i < 8; ++i) g_fault.gpr[i] = static_cast<u32>(g[kOrder[i]]);
  g_fault.eip = static_cast<u32>(g[REG_RIP]);
  g_fault.eflags = static_cast<u32>(g[REG_EFL]);
  std::memcpy(static_cast<void*>(&g_fault.fpu), context.uc_mcontext.fpregs, 288);
  g[REG_RIP] = UMBRA_STUB + (umbra_oracle_resume - umbra_oracle_exit);
  g[REG_EFL] = 0x202;
  constexpr u64 kSelectors = u64{0x2b} << 48 | 0x33;  // SS and CS of a 64-bit process
  g[REG_CSGSFS] = static_cast<greg_t>((static_cast<u64>(g[REG_CSGSFS]) & 0x0000ffffffff0000) | kSelectors);
}

Error refused(const char* what) { return Error{std::string("this host refuses ") + what}; }

bool map_low(u32 at, u32 size, int protection, int fd) {
  const int flags = MAP_FIXED_NOREPLACE | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
  void* wanted = reinterpret_cast<void*>(std::uintptr_t{at});
  return mmap(wanted, size, protection, flags, fd, 0) == wanted;
}

bool set_descriptor(unsigned entry, bool code) {
  user_desc d{};
  d.entry_number = entry;
  d.base_addr = kRegion;
  d.limit = 0xffff;
  d.contents = code ? MODIFY_LDT_CONTENTS_CODE : MODIFY_LDT_CONTENTS_DATA;
  d.useable = 1;
  return syscall(SYS_modify_ldt, 1, &d, sizeof d) == 0;
}

}  // namespace

Result<std::unique_ptr<HostCpu>> HostCpu::create() {
  std::unique_ptr<HostCpu> cpu(new HostCpu);
  const int fd = memfd_create("oracle-code", 0);
  if (fd < 0 || ftruncate(fd, kCodeSize) != 0) return refused("a memory file");
  void* alias = mmap(nullptr, kCodeSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (alias == MAP_FAILED) return refused("a second mapping of the code page");
  cpu->code_ = static_cast<u8*>(alias);
  constexpr int kRw = PROT_READ | PROT_WRITE;
  const bool mapped = map_low(kRegion + kDataAt, kDataSize, kRw, -1) &&
                      map_low(kRegion + kStackAt, kStackSize, kRw, -1) &&
                      map_low(kRegion + kCodeAt, kCodeSize, PROT_READ | PROT_EXEC, fd) &&
                      map_low(UMBRA_STUB, kPageSize, kRw, -1) && map_low(UMBRA_CONTROL, kPageSize, kRw, -1);
  close(fd);
  if (!mapped) return refused("memory below 4 GiB");
  if (!set_descriptor(0, true) || !set_descriptor(1, false)) return refused("16-bit segments (modify_ldt)");
  std::memcpy(reinterpret_cast<void*>(UMBRA_STUB), umbra_oracle_exit,
              static_cast<std::size_t>(umbra_oracle_end - umbra_oracle_exit));
  if (mprotect(reinterpret_cast<void*>(UMBRA_STUB), kPageSize, PROT_READ | PROT_EXEC) != 0)
    return refused("executable memory");
  control().mxcsr = 0x1f80;

  constexpr std::size_t kSignalStack = 64 * 1024;
  static u8 signal_stack[kSignalStack];
  const stack_t stack{signal_stack, 0, kSignalStack};
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int s : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigaction(s, &action, &g_previous[s]);

  // Does it work at all? An INT3 in each kind of segment must come back as one.
  for (bool wide : {true, false}) {
    Input in;
    in.wide = wide;
    in.gpr[kEsp] = (wide ? kRegion : kEspHigh16) + kStackAt + 0x800;
    in.branches = true;
    cpu->set_code({}, wide, true);
    const Outcome out = cpu->run(in);
    if (out.vector != 3 || out.gpr[kEsp] != in.gpr[kEsp]) return refused("compatibility mode");
  }
  return cpu;
}

void HostCpu::name_run(const char* name) { g_name = name; }

HostCpu::~HostCpu() {
  munmap(code_, kCodeSize);
  for (u32 at : {kRegion + kDataAt, kRegion + kStackAt, kRegion + kCodeAt, u32{UMBRA_STUB}}) {
    munmap(reinterpret_cast<void*>(std::uintptr_t{at}), kDataSize);
  }
}

void HostCpu::set_code(std::span<const u8> bytes, bool wide, bool branches) {
  std::memset(code_, 0xcc, kCodeSize);
  u8* at = code_ + (kEntry - kCodeAt);
  std::memcpy(at, bytes.data(), bytes.size());
  length_ = static_cast<u32>(bytes.size());
  if (branches) return;
  at += bytes.size();
  if (!wide) *at++ = 0x66;
  *at++ = 0xea;
  const u32 target = UMBRA_STUB;
  std::memcpy(at, &target, 4);
  const u16 selector = 0x33;
  std::memcpy(at + 4, &selector, 2);
}

Outcome HostCpu::run(const Input& in) {
  Control& c = control();
  std::memcpy(c.gpr, in.gpr, sizeof c.gpr);
  c.ds = c.es = in.wide ? kData32 : kData16;
  std::memcpy(c.fpu, &in.fpu, sizeof c.fpu);
  const u32 entry = offset_in(in.wide, kEntry);
  const u64 frame[] = {entry, in.wide ? kCode32 : kCode16, in.eflags | flag::kIf | flag::kFixed, in.gpr[kEsp],
                       in.wide ? kData32 : kData16};
  std::memcpy(c.frame, frame, sizeof frame);
  g_faulted = false;
  g_running = true;
  // An engine's sampling timer must not go off in there: guest segments and 16-bit stacks are no place for a handler.
  sigset_t timer, before;
  sigemptyset(&timer);
  sigaddset(&timer, SIGPROF);
  pthread_sigmask(SIG_BLOCK, &timer, &before);
  umbra_oracle_enter();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  g_running = false;
  if (g_faulted) return g_fault;
  Outcome out;
  out.vector = 3;
  std::memcpy(out.gpr, c.out_gpr, sizeof out.gpr);
  out.eip = entry + length_ + 1;
  out.eflags = static_cast<u32>(c.out_eflags);
  std::memcpy(static_cast<void*>(&out.fpu), c.out_fpu, sizeof out.fpu);
  return out;
}

}  // namespace umbra::oracle

#else

namespace umbra::oracle {
Result<std::unique_ptr<HostCpu>> HostCpu::create() {
  return Error{
      "the host is not an x86-64 Linux, or this is a sanitizer build, whose shadow memory lies where the guest's "
      "would"};
}
HostCpu::~HostCpu() = default;
void HostCpu::set_code(std::span<const u8>, bool, bool) {}
Outcome HostCpu::run(const Input&) { return {}; }
void HostCpu::name_run(const char*) {}
}  // namespace umbra::oracle

#endif
