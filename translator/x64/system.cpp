// Sensitive instructions that are plain in the block's mode: CLI, STI, PUSHF, POPF, RDTSC, far pointers and transfers.
// What makes them special (a pending interrupt, a flag that changes more than itself) is looked for before anything
// changes, and is the handler's. SDM vol. 2 under each, vol. 3 section 6.8.1.
#include "cpu/cpu.h"
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

namespace {

Mem eflags_slot() { return state_at(offsetof(CpuState, eflags), 4); }
Mem pending_slot() { return state_at(cpu_at::kPending, 4); }

}  // namespace

bool Writer::system() {
  if (now_.raw.lock) return false;
  const Mode mode = block_.key.mode;
  switch (now_.insn->op) {
    case Op::kCli:
      if (!mode.interrupt_flag()) return false;
      change_flag(9, false);
      return true;
    case Op::kSti:
      return mode.interrupt_flag() && sti();
    case Op::kPushf:
    case Op::kPushfd:
      return mode.plain_flags() && mode.lanes() && pushf();
    case Op::kPopf:
    case Op::kPopfd:
      return mode.plain_flags() && mode.lanes() && popf();
    case Op::kRdtsc:
      return mode.tsc() && rdtsc();
    case Op::kCpuid:
      cpuid();
      return true;
    case Op::kJmpFar:
    case Op::kCallFar:
      return far_jump_or_call();
    case Op::kRetFar:
      return far_ret();
    case Op::kIret:
      return far_iret();
    case Op::kLds:
      return far_pointer(kDs);
    case Op::kLes:
      return far_pointer(kEs);
    case Op::kLfs:
      return far_pointer(kFs);
    case Op::kLgs:
      return far_pointer(kGs);
    default:
      return false;
  }
}

// One bit of CpuState::eflags. Without touching the host's flags: rotate it to the top, shift it out, rotate back.
void Writer::change_flag(u32 bit, bool on) {
  if (flags_saved_) {
    if (on) {
      a.or_(eflags_slot(), 1u << bit);
    } else {
      a.and_(eflags_slot(), ~(1u << bit));
    }
    return;
  }
  a.mov(kEntry32, eflags_slot());
  a.rorx(kEntry32, kEntry32, bit + 1);
  a.lea(kEntry32, ptr(kEntry, kEntry, 0, on ? 1 : 0));
  a.rorx(kEntry32, kEntry32, 32 - bit);
  a.mov(eflags_slot(), kEntry32);
}

// With nothing pending the shadow of STI shadows nothing: whatever comes up later is noticed at an edge of the block,
// and these lie behind the next instruction, unless STI is the block's last.
bool Writer::sti() {
  if (now_.index + 1 == block_.count) return false;
  miss_if_pending();
  change_flag(9, true);
  return true;
}

void Writer::miss_if_pending() {
  const Label miss = miss_label();
  if (!flags_saved_) {
    const Label quiet = a.newLabel();
    a.mov(kSaved, rcx);
    a.mov(ecx, pending_slot());
    a.jecxz(rcx, quiet);
    a.mov(rcx, kSaved);
    a.jmp(miss);
    a.bind(quiet);
    a.mov(rcx, kSaved);
  } else {
    a.cmp(pending_slot(), 0);
    a.jne(miss);
  }
}

// kTarget32 := EFLAGS as PUSHF stores them. RAX goes to kSaved, and the host's flags are lost.
void Writer::gather_flags() {
  a.mov(kSaved, rax);
  a.seto(kTarget.r8());
  a.lahf();
  a.rorx(eax, eax, 8);
  a.movzx(eax, al);
  a.movzx(kTarget32, kTarget.r8());
  a.rorx(kTarget32, kTarget32, 32 - 11);
  a.lea(kTarget32, ptr(rax, kTarget));
  a.mov(eax, eflags_slot());
  a.and_(eax, ~(flag::kArithmetic | flag::kFixed | flag::kVm | flag::kRf));
  a.or_(kTarget32, eax);
}

// The host's flags := the arithmetic ones in kTarget32; RAX := kSaved.
void Writer::spread_flags() {
  a.mov(eax, kTarget32);
  a.and_(eax, flag::kOf);
  a.add(eax, 0x80000000 - flag::kOf);  // overflows if it was set
  a.rorx(eax, kTarget32, 24);          // AH := bits 7-0
  a.sahf();
  a.mov(rax, kSaved);
}

// A store through the window may fault: the guest's flags and RAX are in place again by then. One through the table
// may not, once its lane is behind it.
bool Writer::pushf() {
  const u32 size = now_.insn->operand_size;
  const bool first = !(direct(kSs) && block_.key.mode.stack_32());
  if (first) {
    stack_slot(-static_cast<i32>(size));
    lane(kSs, size, Way::kStore, offset_on_stack(), true);
  }
  want_flags();
  gather_flags();
  spread_flags();
  if (!first) stack_lane(-static_cast<i32>(size), size, Way::kStore);
  a.mov(operand_, size == 4 ? kTarget32 : kTarget.r16());
  move_esp(-static_cast<i32>(size));
  return true;
}

// From kTarget32 to CpuState, or the miss. Inline the arithmetic flags, DF and, where that is the program's right, IF
// may change.
void Writer::take_popped_flags(u32 size, const Label& miss) {
  const bool interrupts = block_.key.mode.interrupt_flag();
  if (interrupts) {
    a.cmp(pending_slot(), 0);  // it might be due now
    a.jne(miss);
  }
  a.mov(kEntry32, eflags_slot());
  a.xor_(kEntry32, kTarget32);
  a.test(kEntry32, flag::kTf | flag::kNt | flag::kIopl | (size == 4 ? flag::kAc | flag::kId : 0));
  a.jnz(miss);
  a.and_(kEntry32, flag::kDf | (interrupts ? flag::kIf : 0));
  a.xor_(eflags_slot(), kEntry32);
}

bool Writer::popf() {
  const u32 size = now_.insn->operand_size;
  spare_flags();
  const Label miss = miss_label();
  stack_lane(0, size, Way::kLoad);
  if (size == 4) {
    a.mov(kTarget32, operand_);
  } else {
    a.movzx(kTarget32, sized(operand_, 2));
  }
  take_popped_flags(size, miss);
  move_esp(static_cast<i32>(size));
  overwrite_flags();
  a.mov(kSaved, rax);
  spread_flags();
  return true;
}

// EDX:EAX := floor(host * multiplier / 2^64) + base + offset, without flags.
bool Writer::rdtsc() {
  const std::size_t scale = cpu_at::kTscScale;
  a.rdtsc();
  a.rorx(rdx, rdx, 32);
  a.lea(rdx, ptr(rdx, rax));
  a.mulx(rax, kEntry, state_at(scale + offsetof(TscScale, multiplier), 8));
  a.mov(rdx, state_at(scale + offsetof(TscScale, base), 8));
  a.lea(rax, ptr(rax, rdx));
  a.mov(rdx, state_at(offsetof(CpuState, tsc_offset), 8));
  a.lea(rax, ptr(rax, rdx));
  a.rorx(rdx, rax, 32);
  a.mov(eax, eax);
  a.mov(edx, edx);
  return true;
}

// By what it answered before, which the stub finds.
void Writer::cpuid() {
  want_flags();
  name_site(now_.index);
  a.mov(gpr_slot(kEsp), rsp);
  a.mov(rsp, context_at(offsetof(Context, host_rsp), 8));
  a.call(reinterpret_cast<u64>(stubs_.cpuid));
  a.mov(esp, gpr_low(kEsp));
}

}  // namespace umbra::x64
