// The table lane: a guest access through the shadow table. After lane() the host address is kEntry + kLinear. Nothing
// has changed when it misses, so the miss is a callout for the whole instruction.
#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

// Into AH and AL of kSaved, as missed_saved expects them and entries leave them (stubs.cpp).
void Writer::spare_flags() {
  if (flags_saved_) return;
  flags_saved_ = true;
  a.mov(kSaved, rax);
  a.lahf();
  a.seto(al);
  a.xchg(kSaved, rax);
}

void Writer::want_flags() {
  if (!flags_saved_) return;
  flags_saved_ = false;
  a.xchg(kSaved, rax);
  a.add(al, 0x7f);
  a.sahf();
  a.mov(rax, kSaved);
}

// Behind accesses that, if they fault, find them spared.
void Writer::want_flags_again() {
  if (flags_saved_) draft_.marks[now_.index].flags_saved = true;
  want_flags();
}

// The host's instruction to come writes them all, unless it faults.
void Writer::overwrite_flags() {
  draft_.marks[now_.index].flags_saved = flags_saved_;
  flags_saved_ = false;
}

namespace {
u32 shift_of(u32 scale) { return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0; }
}  // namespace

void Writer::effective_address(const Gp& to) {
  const Insn& insn = *now_.insn;
  const bool has_base = insn.base != kNoReg, has_index = insn.index != kNoReg;
  const u32 shift = shift_of(insn.scale);
  if (has_base && has_index) {
    a.lea(to, ptr(guest64(insn.base), guest64(insn.index), shift, insn.disp));
  } else if (has_base && insn.disp == 0) {
    a.mov(to, guest32(insn.base));
  } else if (has_base) {
    a.lea(to, ptr(guest64(insn.base), insn.disp));
  } else if (has_index) {
    a.lea(to, ptr(static_cast<u64>(static_cast<i64>(insn.disp)), guest64(insn.index), shift));
  } else {
    a.mov(to, static_cast<u32>(insn.disp));
  }
  if (insn.address_size == 2) a.movzx(to, to.r16());
}

Label Writer::miss_label() {
  Cold cold{};
  cold.kind = Cold::Kind::kMiss;
  cold.enter = a.newLabel();
  cold.index = now_.index;
  cold.flags_saved = flags_saved_;
  later(cold);
  return cold.enter;
}

void Writer::check_segment(unsigned seg, u32 size, Way way, const Label& miss) {
  const std::size_t at = offsetof(CpuState, seg) + seg * sizeof(Segment);
  const u8 need = way == Way::kStore ? Segment::kWritable : Segment::kReadable;
  a.test(state_at(at + offsetof(Segment, access), 1), need);
  a.jz(miss);
  a.cmp(kLinear32, state_at(at + offsetof(Segment, low), 4));
  a.jb(miss);
  if (size == 1) {
    a.cmp(kLinear32, state_at(at + offsetof(Segment, high), 4));
    a.ja(miss);
  } else {
    a.mov(kEntry32, state_at(at + offsetof(Segment, high), 4));
    a.sub(kEntry32, kLinear32);
    a.jb(miss);
    a.cmp(kEntry32, size - 1);
    a.jb(miss);
  }
}

// Through the window an access to a flat segment is the guest's own address with GS in front: the host's MMU checks it,
// and a fault comes back as a callout for the instruction (Translator::handle_fault).
bool Writer::direct(unsigned seg) const {
  return block_.window && !checked() && block_.key.mode.segment(seg) == SegClass::kFlat;
}

// Whether an access through this segment leaves the host's flags alone.
bool Writer::changes_nothing(unsigned seg) const {
  return block_.window && !checked() && block_.key.mode.segment(seg) < SegClass::kChecked;
}

// The offset is in kLinear32, and has 16 bits: does the last byte lie in the segment? Without touching the flags, where
// these are the guest's.
void Writer::check_short(u32 size) {
  if (size == 1) return;
  if (flags_saved_) {
    a.cmp(kLinear32, 0x10000 - size);
    a.ja(miss_label());
    return;
  }
  const Label inside = a.newLabel();
  const Label miss = miss_label();
  a.mov(kSaved, rcx);
  a.lea(ecx, ptr(kLinear, static_cast<i32>(size - 1)));
  a.rorx(ecx, ecx, 16);
  a.movzx(ecx, cx);
  a.jecxz(rcx, inside);
  a.mov(rcx, kSaved);
  a.jmp(miss);
  a.bind(inside);
  a.mov(rcx, kSaved);
}

// FS and GS of 32-bit systems: mostly all of memory at some base, which takes no flags to see.
void Writer::check_partial(unsigned seg, u32 size, Way way) {
  const Mem partial = state_at(offsetof(CpuState, seg) + seg * sizeof(Segment) + offsetof(Segment, partial), 1);
  Cold cold{};
  cold.kind = Cold::Kind::kPartial;
  cold.enter = a.newLabel();
  cold.back = a.newLabel();
  cold.index = now_.index;
  cold.flags_saved = flags_saved_;
  cold.size = size;
  cold.seg = seg;
  cold.way = way;
  if (flags_saved_) {
    a.cmp(partial, 0);
    a.jne(cold.enter);
  } else {
    const Label whole = a.newLabel();
    a.mov(kSaved, rcx);
    a.movzx(ecx, partial);
    a.jecxz(rcx, whole);
    a.jmp(cold.enter);
    a.bind(whole);
    a.mov(rcx, kSaved);
  }
  a.bind(cold.back);
  later(cold);
}

void Writer::partial_segment(const Cold& cold) {
  const Label miss = a.newLabel();
  flags_saved_ = cold.flags_saved;
  if (!flags_saved_) a.mov(rcx, kSaved);
  spare_flags();
  check_segment(cold.seg, cold.size, cold.way, miss);
  if (!cold.flags_saved) want_flags();
  flags_saved_ = false;
  a.jmp(cold.back);
  a.bind(miss);
  name_site(cold.index);
  a.jmp(reinterpret_cast<u64>(stubs_.missed_saved));
}

// The instruction's memory operand, for emitters that move data themselves.
void Writer::memory_lane(u32 size, Way way) {
  const Insn& insn = *now_.insn;
  const bool has_base = insn.base != kNoReg, has_index = insn.index != kNoReg;
  if (direct(insn.segment) && insn.address_size == 4 && (has_base || has_index)) {
    const u32 shift = shift_of(insn.scale);
    operand_ = !has_index ? ptr(guest32(insn.base), insn.disp)
               : has_base ? ptr(guest32(insn.base), guest32(insn.index), shift, insn.disp)
                          : ptr(static_cast<u64>(static_cast<i64>(insn.disp)), guest32(insn.index), shift);
    operand_.setSegment(gs);
    return;
  }
  effective_address(kLinear32);
  lane(insn.segment, size, way, offset_of_operand());
}

// The offset is in kLinear32.
void Writer::lane(unsigned seg, u32 size, Way way, Offset offset, bool table_only) {
  const Mode mode = block_.key.mode;
  const SegClass c = mode.segment(seg);
  const bool window = block_.window && !checked() && !table_only;
  operand_ = window ? ptr(kLinear) : ptr(kEntry, kLinear);
  if (window) {
    operand_.setSegment(gs);
    if (c == SegClass::kFlat) return;
  }
  const Mem base = state_at(offsetof(CpuState, seg) + seg * sizeof(Segment) + offsetof(Segment, base), 4);
  const bool is_short = c == SegClass::kShort && offset == Offset::kShort;
  if (window && (c == SegClass::kBased || (is_short && (size == 1 || flags_saved_ || bmi2_)))) {
    if (is_short) check_short(size);
    a.mov(kEntry32, base);
    a.lea(kLinear32, ptr(kLinear, kEntry));
    return;
  }
  const bool perhaps_whole = c == SegClass::kChecked && (seg == kFs || seg == kGs) && mode.code_32();
  if (window && perhaps_whole) {
    check_partial(seg, size, way);
    a.mov(kEntry32, base);
    a.lea(kLinear32, ptr(kLinear, kEntry));
    return;
  }
  spare_flags();
  if (is_short) check_short(size);
  if (perhaps_whole) check_partial(seg, size, way);
  const Label miss = miss_label();
  if ((c == SegClass::kChecked && !perhaps_whole) || (c == SegClass::kShort && !is_short))
    check_segment(seg, size, way, miss);
  if (c != SegClass::kFlat) a.add(kLinear32, base);
  if (window) return;
  const Label aligned = a.newLabel();
  if (size > 1) {
    Cold cold{};
    cold.kind = Cold::Kind::kMisaligned;
    cold.enter = a.newLabel();
    cold.back = aligned;
    cold.miss = miss;
    cold.size = size;
    const u32 mask = size <= 2 ? 1 : size <= 4 ? 3 : size <= 8 ? 7 : size <= 16 ? 15 : 31;
    a.test(kLinear.r8(), mask);
    a.jnz(cold.enter);
    later(cold);
  }
  a.bind(aligned);
  a.mov(kEntry32, kLinear32);
  a.shr(kEntry32, kPageBits);
  a.mov(kEntry, ptr(kShadow, kEntry, 3, way == Way::kStore ? static_cast<i32>(kStorePlane) : 0));
  a.test(kEntry, kEntry);
  a.jz(miss);
}

void Writer::name_site(u32 index) {
  a.mov(kEntry32, site_number(block_.id, index));
  a.note(Relocation::Kind::kSite);
}

void Writer::cold_path(const Cold& cold) {
  if (cold.kind == Cold::Kind::kExit) {
    a.point_here(draft_.exits[cold.index].rel32);
  } else {
    a.bind(cold.enter);
  }
  switch (cold.kind) {
    case Cold::Kind::kMiss:
      name_site(cold.index);
      a.jmp(reinterpret_cast<u64>(cold.flags_saved ? stubs_.missed_saved : stubs_.missed));
      break;
    case Cold::Kind::kMisaligned:  // fine unless it crosses the page
      a.lea(kEntry32, ptr(kLinear, static_cast<i32>(cold.size - 1)));
      a.xor_(kEntry32, kLinear32);
      a.shr(kEntry32, kPageBits);
      a.jz(cold.back);
      a.jmp(cold.miss);
      break;
    case Cold::Kind::kExit:
      if (draft_.exits[cold.index].locator != kNoReg) a.lea(esp, ptr(rsp, -4));
      draft_.exits[cold.index].cold = size();
      a.mov(kEntry32, block_.first_exit + cold.index);
      a.jmp(reinterpret_cast<u64>(stubs_.link));
      break;
    case Cold::Kind::kPartial:
      partial_segment(cold);
      break;
    case Cold::Kind::kFpu:
      a.fxrstor(state_at(offsetof(CpuState, fpu), 512));
      a.mov(context_at(offsetof(Context, fpu_away), 4), 0);
      a.jmp(cold.back);
      break;
  }
}

void Writer::cold_paths() {
  block_.cold = size();
  for (u32 i = 0; i < cold_count_; ++i) cold_path(cold_[i]);
}

}  // namespace umbra::x64
