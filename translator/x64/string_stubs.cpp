// A repeated string instruction runs page by page, each time as the host's own instruction on host addresses: as many
// elements as lie in one page of either operand, taken from the shadow table, whose addresses cannot fault. Between
// pages the guest's registers are those of the iteration to come, so whatever stands in the way there (no entry, an
// element across a page, the end of the segment, DF, something pending) is left to the handler, which goes on from
// there. SDM vol. 2, REP.
//
// Called on the C++ stack with the site's number in R8 and the offset of the source's Segment in CpuState in R11 (not
// in the flat form); guest ESP is in its slot. Signals have a stack of their own, so what lies below RSP is ours.
#include "translator/x64/string_stubs.h"

#include "cpu/cpu.h"

namespace umbra::x64 {
namespace {

using namespace x86;
using asmjit::Label;

class Passage {
 public:
  Passage(x86::Assembler& a, StringOp op, StringForm form, u32 size, const Label& missed_saved)
      : a(a), op_(op), form_(form), size_(size), missed_saved_(missed_saved) {}
  void write();

 private:
  enum Slot : i32 { kRbx = -8, kRbp = -16, kSite = -24, kSource = -32, kOldSi = -40, kOldDi = -48, kOldCx = -56 };
  static Mem slot(Slot s) { return ptr(rsp, s, 8); }
  bool reads_source() const { return op_ != StringOp::kStos && !scans(); }
  bool scans() const { return op_ >= StringOp::kScasWhileEqual; }
  bool compares() const { return op_ >= StringOp::kCmpsWhileEqual; }
  bool while_equal() const { return op_ == StringOp::kCmpsWhileEqual || op_ == StringOp::kScasWhileEqual; }
  u32 shift() const { return size_ / 2; }

  void save_flags();
  void restore_flags();
  void at_most(const Gp& bytes);
  void operand(const Gp& index, bool store, const Gp& to);
  void inside_segment(const Gp& index, bool store);
  void host_insn();
  void back(const Gp& index, const Gp& by, Slot old);
  void merge_short(const Gp& value, Slot old);

  x86::Assembler& a;
  const StringOp op_;
  const StringForm form_;
  const u32 size_;
  const Label& missed_saved_;
  Label missed_ = a.newLabel();
};

// As Writer::spare_flags leaves them.
void Passage::save_flags() {
  a.mov(kSaved, rax);
  a.lahf();
  a.seto(al);
  a.xchg(kSaved, rax);
}

void Passage::restore_flags() {
  a.xchg(kSaved, rax);
  a.add(al, 0x7f);
  a.sahf();
  a.mov(rax, kSaved);
}

// R9 := min(R9, elements in that many bytes).
void Passage::at_most(const Gp& bytes) {
  if (shift() != 0) a.shr(bytes, shift());
  a.cmp(kLinear, bytes.r64());
  a.cmova(kLinear, bytes.r64());
}

// EBX is an offset in the segment. Uses RBP and R11; EBX becomes the linear address.
void Passage::inside_segment(const Gp& index, bool store) {
  if (index == rdi) {
    a.lea(rbp, state_at(offsetof(CpuState, seg) + kEs * sizeof(Segment), 8));
  } else {
    a.mov(rbp, slot(kSource));
    a.add(rbp, kState);
  }
  a.test(ptr(rbp, offsetof(Segment, access), 1), store ? Segment::kWritable : Segment::kReadable);
  a.jz(missed_);
  a.cmp(ebx, ptr(rbp, offsetof(Segment, low), 4));
  a.jb(missed_);
  a.mov(kTarget32, ptr(rbp, offsetof(Segment, high), 4));
  a.sub(kTarget, rbx);
  a.jb(missed_);
  a.inc(kTarget);
  at_most(kTarget);
  if (form_ == StringForm::kShort) {
    a.mov(kTarget32, 0x10000);
    a.sub(kTarget32, ebx);
    at_most(kTarget32);
  }
  a.add(ebx, ptr(rbp, offsetof(Segment, base), 4));
}

// R9 := at most so many elements as lie in the page; `to` := what makes a host address of the index register.
void Passage::operand(const Gp& index, bool store, const Gp& to) {
  if (form_ == StringForm::kShort) {
    a.movzx(ebx, index.r16());
  } else {
    a.mov(ebx, index.r32());
  }
  if (form_ != StringForm::kFlat) inside_segment(index, store);
  a.mov(kTarget32, ebx);
  a.or_(kTarget32, ~kPageMask);
  a.neg(kTarget32);
  at_most(kTarget32);
  a.mov(to.r32(), ebx);
  a.shr(to.r32(), kPageBits);
  a.mov(to, ptr(kShadow, to, 3, store ? static_cast<i32>(kStorePlane) : 0));
  a.test(to, to);
  a.jz(missed_);
  if (form_ == StringForm::kFlat) return;
  a.add(to, rbx);
  a.sub(to, index);
}

void Passage::host_insn() {
  a.db(compares() && !while_equal() ? 0xf2 : 0xf3);
  if (size_ == 2) a.db(0x66);
  const u8 opcode = op_ == StringOp::kMovs ? 0xa4 : op_ == StringOp::kStos ? 0xaa : scans() ? 0xae : 0xa6;
  a.db(static_cast<u8>(size_ == 1 ? opcode : opcode + 1));
}

// The upper half of a register stays as it was.
void Passage::merge_short(const Gp& value, Slot old) {
  if (form_ != StringForm::kShort) return;
  a.mov(rbp, slot(old));
  a.mov(bp, value.r16());
  a.mov(value, rbp);
}

// A host address to the index register, without touching the flags.
void Passage::back(const Gp& index, const Gp& by, Slot old) {
  a.not_(by);
  a.lea(index.r32(), ptr(index, by, 0, 1));
  merge_short(index, old);
}

void Passage::write() {
  const Label again = a.newLabel(), done = a.newLabel();
  const Gp count = form_ == StringForm::kShort ? Gp(cx) : Gp(ecx);
  const auto leave = [&] {
    a.mov(rbx, slot(kRbx));
    if (form_ != StringForm::kFlat) a.mov(rbp, slot(kRbp));
  };
  const auto load_count = [&](const Gp& to) { form_ == StringForm::kShort ? a.movzx(to, cx) : a.mov(to, ecx); };
  a.mov(slot(kRbx), rbx);
  a.mov(slot(kSite), kEntry);
  if (form_ != StringForm::kFlat) {
    a.mov(slot(kRbp), rbp);
    a.mov(slot(kSource), kTarget);
  }
  save_flags();
  a.test(state_at(offsetof(CpuState, eflags) + 1, 1), flag::kDf >> 8);
  a.jnz(missed_);
  a.test(count, count);
  a.jz(done);

  a.bind(again);
  load_count(kLinear32);
  if (reads_source()) operand(rsi, false, kEntry);
  operand(rdi, !compares(), kTarget);
  a.test(kLinear32, kLinear32);
  a.jz(missed_);
  if (form_ == StringForm::kShort) {
    a.mov(slot(kOldSi), rsi);
    a.mov(slot(kOldDi), rdi);
    a.mov(slot(kOldCx), rcx);
  }
  load_count(ebx);
  a.sub(ebx, kLinear32);  // for the pages to come
  a.mov(ecx, kLinear32);
  if (reads_source()) a.add(rsi, kEntry);
  a.add(rdi, kTarget);
  host_insn();
  if (reads_source()) back(rsi, kEntry, kOldSi);
  back(rdi, kTarget, kOldDi);
  a.lea(ecx, ptr(rcx, rbx));
  merge_short(rcx, kOldCx);
  if (compares()) {
    save_flags();
    while_equal() ? a.jnz(done) : a.jz(done);
  }
  a.test(count, count);
  a.jz(done);
  a.cmp(state_at(cpu_at::kPending, 4), 0);
  a.je(again);

  a.bind(missed_);
  leave();
  a.mov(kEntry, slot(kSite));
  a.mov(esp, gpr_low(kEsp));
  a.jmp(missed_saved_);

  a.bind(done);
  leave();
  restore_flags();
  a.ret();
}

}  // namespace

void emit_string_stubs(x86::Assembler& a, const u8* base, const Label& missed_saved, const u8* (&stubs)[kStringStubs]) {
  for (u32 op = 0; op < static_cast<u32>(StringOp::kCount); ++op)
    for (u32 form = 0; form < static_cast<u32>(StringForm::kCount); ++form)
      for (u32 size : {1, 2, 4}) {
        a.align(asmjit::AlignMode::kCode, 16);
        const auto o = static_cast<StringOp>(op);
        const auto f = static_cast<StringForm>(form);
        stubs[string_stub(o, f, size)] = base + a.offset();
        Passage(a, o, f, size, missed_saved).write();
      }
}

}  // namespace umbra::x64
