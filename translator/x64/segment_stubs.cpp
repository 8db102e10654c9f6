// Loads of ES, DS, FS and GS in protected mode from descriptors that have been loaded before: a segment is a function
// of selector and descriptor, so if both are what they were (KnownDescriptor), and the table still has the descriptor
// inside its limit, the segment is copied. Privilege is compared, and the segment's class with what the block's mode
// takes for granted, unless that checks FS and GS at each access. A null selector needs no descriptor. SDM vol. 2, MOV,
// and vol. 3 section 5.6.
//
// Called like the shortcut stub, which goes on when anything is different: the Site* in R10, and the selector in R9.
// R8 and R11 are kept.
#include "translator/x64/segment_stubs.h"

#include <cstring>
#include <initializer_list>

#include "cpu/base/log.h"
#include "cpu/descriptor.h"
#include "translator/block.h"

namespace umbra::x64 {
namespace {

using namespace x86;

constexpr unsigned kUsed[] = {kEax, kEcx, kEdx, kEsi, kEdi};

void emit_load(x86::Assembler& a, unsigned seg, bool free, asmjit::Label shortcut) {
  const asmjit::Label local = a.newLabel(), inside = a.newLabel(), unknown = a.newLabel(), other = a.newLabel();
  const std::size_t to = offsetof(CpuState, seg) + seg * sizeof(Segment);
  const Mem wanted = ptr(kSaved, static_cast<i32>(offsetof(Site, loads)), 1);
  const auto known = [](std::size_t offset, u32 size) {
    return ptr(kState, rcx, 3, static_cast<i32>(cpu_at::kKnownDescriptors + offset), size);
  };
  const auto restore = [&] {
    for (unsigned r : {kEcx, kEdx, kEsi, kEdi}) a.mov(guest64(r), gpr_slot(r));
    a.add(al, 0x7f);
    a.sahf();
    a.mov(rax, gpr_slot(kEax));
  };
  for (unsigned r : kUsed) a.mov(gpr_slot(r), guest64(r));
  a.lahf();
  a.seto(al);

  static_assert(sizeof(KnownDescriptor) == 5 * 8);
  a.mov(ecx, kLinear32);
  a.shr(ecx, 3);
  a.and_(ecx, KnownDescriptor::kCount - 1);
  a.lea(ecx, ptr(rcx, rcx, 2));
  a.cmp(known(offsetof(KnownDescriptor, segment) + offsetof(Segment, selector), 2), kLinear.r16());
  a.jne(unknown);

  // Its place in the table.
  a.mov(edx, kLinear32);
  a.and_(edx, 0xfff8);
  a.lea(esi, ptr(rdx, 7));
  a.test(kLinear32, 4);
  a.jnz(local);
  a.movzx(edi, state_at(offsetof(CpuState, gdtr) + offsetof(TableReg, limit), 2));
  a.add(edx, state_at(offsetof(CpuState, gdtr) + offsetof(TableReg, base), 4));
  a.bind(inside);
  a.cmp(esi, edi);
  a.ja(unknown);
  a.test(edx, 7);  // else it may lie in two pages
  a.jnz(unknown);

  a.mov(rsi, context_at(offsetof(Context, system_shadow), 8));
  a.mov(edi, edx);
  a.shr(edi, kPageBits);
  a.mov(rsi, ptr(rsi, rdi, 3));
  a.test(rsi, rsi);
  a.jz(unknown);
  a.mov(rsi, ptr(rsi, rdx));
  a.cmp(rsi, known(offsetof(KnownDescriptor, raw), 8));
  a.jne(unknown);

  a.mov(dl, state_at(offsetof(CpuState, cpl), 1));
  a.cmp(dl, known(offsetof(KnownDescriptor, reach), 1));
  a.jg(unknown);
  if (!free) {
    a.mov(dl, known(offsetof(KnownDescriptor, segment) + offsetof(Segment, checks), 1));
    a.cmp(dl, wanted);
    a.jne(unknown);
  }

  static_assert(sizeof(Segment) == 3 * 8);
  for (u32 i = 0; i < sizeof(Segment); i += 8) {
    a.mov(rdx, known(offsetof(KnownDescriptor, segment) + i, 8));
    a.mov(state_at(to + i, 8), rdx);
  }
  restore();
  a.ret();

  a.bind(local);
  a.mov(edi, state_at(offsetof(CpuState, ldtr) + offsetof(Segment, limit), 4));
  a.add(edx, state_at(offsetof(CpuState, ldtr) + offsetof(Segment, base), 4));
  a.test(state_at(offsetof(CpuState, ldtr) + offsetof(Segment, rights), 1), 0x80);
  a.jnz(inside);

  a.bind(unknown);
  a.test(kLinear32, 0xfffc);
  a.jnz(other);
  if (!free) {
    a.cmp(wanted, static_cast<u32>(SegClass::kChecked));
    a.jne(other);
  }
  const Segment null = null_segment(0);
  u64 parts[sizeof(Segment) / 8];
  std::memcpy(parts, &null, sizeof null);
  CHECK(parts[0] == 0);  // but for the selector
  a.mov(state_at(to, 8), kLinear);
  for (u32 i = 1; i < std::size(parts); ++i) {
    a.mov(rdx, parts[i]);
    a.mov(state_at(to + 8 * i, 8), rdx);
  }
  restore();
  a.ret();

  a.bind(other);
  a.add(ptr(rsp, 0, 8), kSegmentStubSkips);
  restore();
  a.jmp(shortcut);
}

}  // namespace

void emit_segment_stubs(x86::Assembler& a, const u8* start, asmjit::Label shortcut, SegmentStubs& stubs) {
  for (const bool free : {false, true})
    for (unsigned seg : {kEs, kDs, kFs, kGs}) {
      if (free && seg < kFs) continue;
      a.align(asmjit::AlignMode::kCode, 16);
      stubs.at[free][seg] = start + a.offset();
      emit_load(a, seg, free, shortcut);
    }
}

}  // namespace umbra::x64
