#include "translator/x64/stubs.h"

#include <bit>

#include "cpu/base/log.h"
#include "cpu/cpu.h"

namespace umbra::x64 {
namespace {

using namespace x86;
constexpr u32 kFlags = flag::kArithmetic;

class StubWriter {
 public:
  StubWriter(asmjit::CodeHolder& code, const Entries& entries) : a_(&code), entries_(entries) {}
  x86::Assembler& assembler() { return a_; }

  // Guest registers and flags to CpuState. The C++ stack must be in RSP already, guest ESP in its slot.
  void save() {
    for (unsigned r = 0; r < 8; ++r)
      if (r != kEsp) a_.mov(gpr_slot(r), guest64(r));
    a_.seto(cl);
    a_.lahf();
    a_.movzx(ecx, cl);
    a_.movzx(eax, ah);
    a_.shl(ecx, 11);
    a_.mov(edx, state_at(offsetof(CpuState, eflags), 4));
    a_.or_(eax, ecx);
    a_.and_(edx, ~kFlags);
    a_.or_(eax, edx);
    a_.mov(state_at(offsetof(CpuState, eflags), 4), eax);
  }
  // The flags both to the host's and to where Writer::spare_flags puts them: generated code may go on with either.
  void load() {
    a_.mov(eax, state_at(offsetof(CpuState, eflags), 4));
    a_.mov(ecx, eax);
    a_.mov(ah, al);
    a_.shr(ecx, 11);
    a_.and_(ecx, 1);
    a_.mov(al, cl);
    a_.mov(kSaved, rax);
    a_.add(cl, 0x7f);  // OF
    a_.sahf();         // the others
    for (unsigned r = 0; r < 8; ++r)
      if (r != kEsp) a_.mov(guest32(r), gpr_low(r));
  }
  void to_host_stack() {
    a_.mov(gpr_slot(kEsp), rsp);
    a_.mov(rsp, context_at(offsetof(Context, host_rsp), 8));
  }
  // C++ must find a clean x87 and its own MXCSR. Leaves in EBX zero if the guest's state was in the host's units.
  void unload_fpu() {
    const asmjit::Label done = a_.newLabel();
    a_.mov(ebx, context_at(offsetof(Context, fpu_away), 4));
    a_.test(ebx, ebx);
    a_.jnz(done);
    a_.fxsave(state_at(offsetof(CpuState, fpu), 512));
    a_.fninit();
    a_.ldmxcsr(context_at(offsetof(Context, host_mxcsr), 4));
    a_.mov(context_at(offsetof(Context, fpu_away), 4), 1);
    a_.bind(done);
  }
  void reload_fpu() {
    const asmjit::Label done = a_.newLabel();
    a_.test(ebx, ebx);
    a_.jnz(done);
    a_.fxrstor(state_at(offsetof(CpuState, fpu), 512));
    a_.mov(context_at(offsetof(Context, fpu_away), 4), 0);
    a_.bind(done);
  }
  void call(u64 function) {
    a_.mov(rdi, reinterpret_cast<u64>(entries_.engine));
    a_.mov(rax, function);
    a_.call(rax);
  }
  // Tables and window are loaded anew: the engine may have switched them.
  void load_context() {
    a_.mov(kDispatch, context_at(offsetof(Context, dispatch), 8));
    a_.mov(kShadow, context_at(offsetof(Context, shadow), 8));
    const asmjit::Label same_window = a_.newLabel();
    a_.mov(rax, context_at(offsetof(Context, window), 8));
    a_.cmp(rax, context_at(offsetof(Context, window_loaded), 8));
    a_.je(same_window);
    a_.mov(context_at(offsetof(Context, window_loaded), 8), rax);
    a_.wrgsbase(rax);
    a_.bind(same_window);
  }
  // RAX: where to go on.
  void leave() {
    a_.mov(context_at(offsetof(Context, resume), 8), rax);
    load_context();
    load();
    a_.mov(esp, gpr_low(kEsp));
    a_.jmp(context_at(offsetof(Context, resume), 8));
  }
  void dispatch() {
    a_.mov(kEntry32, ptr(kDispatch, kTarget, 2));
    a_.lea(kEntry, ptr(kCode, kEntry));
    a_.jmp(kEntry);
  }
  void entry_with_eip(u64 function) {
    a_.mov(state_at(offsetof(CpuState, eip), 8), kTarget);
    to_host_stack();
    save();
    unload_fpu();
    call(function);
    leave();
  }

 private:
  x86::Assembler a_;
  const Entries& entries_;
};

}  // namespace

Stubs emit_stubs(CodeCache& cache, const Entries& entries) {
  asmjit::CodeHolder code;
  code.init(asmjit::Environment::host(), reinterpret_cast<u64>(cache.next()));
  StubWriter w(code, entries);
  x86::Assembler& a = w.assembler();
  const auto here = [&] {
    a.align(asmjit::AlignMode::kCode, 16);
    return cache.next() + a.offset();
  };
  Stubs s;
  s.miss = here();
  w.entry_with_eip(reinterpret_cast<u64>(entries.miss));

  s.poll = here();
  w.entry_with_eip(reinterpret_cast<u64>(entries.poll));

  s.callout = here();  // one return address lies on the C++ stack
  const asmjit::Label callout = a.newLabel(), elsewhere = a.newLabel();
  w.save();
  a.sub(rsp, 8);
  a.mov(rsi, kSaved);
  a.bind(callout);
  w.unload_fpu();
  w.call(reinterpret_cast<u64>(entries.callout));
  a.add(rsp, 8);
  a.test(rax, rax);
  a.jnz(elsewhere);
  w.load();
  a.ret();
  a.bind(elsewhere);
  w.leave();

  s.shortcut = here();
  const asmjit::Label shortcut = a.newLabel();
  a.bind(shortcut);
  const asmjit::Label not_next = a.newLabel(), away = a.newLabel(), nothing = a.newLabel();
  w.save();
  a.push(kSaved);
  a.mov(rsi, kSaved);
  w.call(reinterpret_cast<u64>(entries.shortcut));
  a.test(eax, eax);
  a.jnz(not_next);
  a.add(rsp, 8);
  w.load();
  a.ret();
  a.bind(not_next);
  a.cmp(eax, static_cast<u32>(Took::kAway));
  a.je(away);
  a.ja(nothing);
  w.load_context();
  w.load();
  a.mov(esp, gpr_low(kEsp));
  a.mov(kTarget32, state_at(offsetof(CpuState, eip), 4));
  w.dispatch();
  a.bind(away);
  w.unload_fpu();
  w.call(reinterpret_cast<u64>(entries.resume));
  w.leave();
  a.bind(nothing);
  a.mov(rsi, ptr(rsp));
  a.jmp(callout);

  s.exit = here();
  a.mov(rsp, context_at(offsetof(Context, host_rsp), 8));
  a.add(rsp, 8);
  for (const Gp& r : {r15, r14, r13, r12, rbp, rbx}) a.pop(r);
  a.ret();

  s.missed_saved = here();
  const asmjit::Label missed_saved = a.newLabel();
  a.bind(missed_saved);
  a.xchg(kSaved, rax);
  a.add(al, 0x7f);
  a.sahf();
  a.mov(rax, kSaved);
  s.missed = cache.next() + a.offset();
  w.to_host_stack();
  w.save();
  w.unload_fpu();
  a.mov(esi, kEntry32);
  w.call(reinterpret_cast<u64>(entries.missed));
  // The next instruction of the block takes it for granted that what was in the host's units still is.
  const asmjit::Label leave = a.newLabel();
  a.mov(rcx, reinterpret_cast<u64>(s.exit));
  a.cmp(rax, rcx);
  a.je(leave);
  w.reload_fpu();
  a.bind(leave);
  w.leave();

  s.link = here();
  w.to_host_stack();
  w.save();
  w.unload_fpu();
  a.mov(esi, kEntry32);
  w.call(reinterpret_cast<u64>(entries.link));
  w.leave();

  s.dispatch = here();
  w.dispatch();

  // CS is what it was but for its place. Flags stay: equal are two selectors whose difference is zero.
  s.far = here();
  const std::size_t cs = offsetof(CpuState, seg) + kCs * sizeof(Segment);
  const auto far_at = [](std::size_t offset) { return static_cast<i32>(offset) - static_cast<i32>(kFarToCode); };
  const asmjit::Label known = a.newLabel();
  a.mov(kSaved, rcx);
  a.rorx(kEntry32, kLinear32, 8);
  a.lea(kEntry32, ptr(kEntry, kLinear));
  a.movzx(kEntry32, kEntry.r8());
  a.mov(ecx, ptr(kCode, kEntry, 2, far_at(offsetof(FarTargets, selector))));
  a.not_(ecx);
  a.lea(ecx, ptr(rcx, kLinear, 0, 1));
  a.mov(state_at(cs + offsetof(Segment, selector), 2), kLinear.r16());
  a.lea(kLinear32, ptr(0, kLinear, 3));
  a.lea(kLinear32, ptr(kLinear, kLinear));
  a.mov(state_at(cs + offsetof(Segment, base), 4), kLinear32);
  a.jecxz(rcx, known);
  a.mov(rcx, kSaved);
  a.jmp(reinterpret_cast<u64>(s.miss));
  a.bind(known);
  a.mov(rcx, kSaved);
  a.mov(kDispatch, ptr(kCode, kEntry, 3, far_at(offsetof(FarTargets, table))));
  a.mov(context_at(offsetof(Context, dispatch), 8), kDispatch);
  w.dispatch();

  emit_string_stubs(a, cache.next(), missed_saved, s.strings);

  emit_segment_stubs(a, cache.next(), shortcut, s.segments);

  s.cpuid = here();
  const asmjit::Label unknown = a.newLabel();
  const auto answer = [](std::size_t offset, u32 size) {
    return ptr(kState, kTarget, 0, static_cast<i32>(cpu_at::kCpuidAnswers + offset), size);
  };
  const auto said = [&](std::size_t offset) { return answer(offsetof(CpuidAnswers::Answer, said) + offset, 4); };
  a.mov(kSaved, rax);
  a.lahf();
  a.seto(al);
  a.xchg(kSaved, rax);
  a.mov(kLinear32, eax);
  a.mov(kTarget32, eax);
  a.shr(kTarget32, 28);
  a.add(kTarget32, eax);
  a.and_(kTarget32, CpuidAnswers::kCount - 1);
  a.shl(kTarget32, std::countr_zero(sizeof(CpuidAnswers::Answer)));
  a.bts(kLinear, std::countr_zero(CpuidAnswers::kValid));
  a.cmp(answer(offsetof(CpuidAnswers::Answer, asked), 8), kLinear);
  a.jne(unknown);
  a.mov(ebx, said(offsetof(Cpuid, ebx)));
  a.mov(ecx, said(offsetof(Cpuid, ecx)));
  a.mov(edx, said(offsetof(Cpuid, edx)));
  a.mov(kLinear32, said(offsetof(Cpuid, eax)));
  a.mov(rax, kSaved);
  a.add(al, 0x7f);
  a.sahf();
  a.mov(eax, kLinear32);
  a.ret();
  a.bind(unknown);
  a.mov(esp, gpr_low(kEsp));
  a.jmp(missed_saved);

  s.enter = reinterpret_cast<decltype(s.enter)>(reinterpret_cast<std::uintptr_t>(here()));
  for (const Gp& r : {rbx, rbp, r12, r13, r14, r15}) a.push(r);
  a.sub(rsp, 8);  // host_rsp is aligned as before a call
  a.mov(kState, rdi);
  a.mov(kCode, rsi);
  a.mov(context_at(offsetof(Context, host_rsp), 8), rsp);
  a.mov(rax, rdx);
  w.leave();

  CHECK(code.textSection()->buffer().size() == a.offset());
  cache.add({code.textSection()->data(), code.textSection()->buffer().size()}, 0);
  return s;
}

}  // namespace umbra::x64
