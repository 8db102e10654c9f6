// EFLAGS, CR0, CR3 and CR4: what can be written, and what follows. SDM vol. 3 sections 2.3, 2.5 and 4.1.
#include "cpu/cpu.h"

namespace umbra {

void Cpu::set_flags(u32 value, u32 mask) {
  mask &= model.flags_mask;
  if (model.generation == Generation::k286 && real()) mask &= ~(flag::kIopl | flag::kNt);  // zero in its real mode
  // RF matters to code breakpoints alone; without any it would only keep engines in their slow loop.
  if ((s.armed & debug_arm::kCode) == 0) value &= ~flag::kRf;
  s.eflags = (s.eflags & ~mask) | (value & mask);
}

namespace {

u32 writable_cr0(const CpuModel& model) {
  u32 bits = cr0::kPe | cr0::kMp | cr0::kEm | cr0::kTs;
  if (model.generation >= Generation::k386) bits |= cr0::kPg;
  if (model.generation == Generation::k386) bits |= cr0::kEt;
  if (model.generation >= Generation::k486) bits |= cr0::kNe | cr0::kWp | cr0::kAm | cr0::kNw | cr0::kCd;
  return bits;
}

u32 writable_cr4(const CpuModel& model) {
  struct {
    u32 feature, bits;
  } constexpr kRules[] = {
      {cpuid::kVme, cr4::kVme | cr4::kPvi},
      {cpuid::kTsc, cr4::kTsd},
      {cpuid::kDe, cr4::kDe},
      {cpuid::kPse, cr4::kPse},
      {cpuid::kPae, cr4::kPae},
      {cpuid::kMce, cr4::kMce},
      {cpuid::kPge, cr4::kPge},
      {cpuid::kMmx, cr4::kPce},
      {cpuid::kFxsr, cr4::kOsfxsr},
      {cpuid::kSse, cr4::kOsxmmexcpt},
  };
  u32 bits = 0;
  for (const auto& rule : kRules) {
    if ((model.features_edx & rule.feature) != 0) bits |= rule.bits;
  }
  return bits;
}

PagingState paging_state(const Cpu& cpu) {
  PagingState p;
  p.cr0 = cpu.s.cr0;
  p.cr3 = cpu.s.cr3;
  p.cr4 = cpu.s.cr4;
  p.efer = cpu.s.efer;
  for (unsigned i = 0; i < 4; ++i) p.pdpte[i] = cpu.s.pdpte[i];
  p.phys_bits = (cpu.model.features_edx & (cpuid::kPae | cpuid::kPse36)) != 0 ? 36 : 32;
  return p;
}

// Under PAE the four directory pointers are registers, loaded here and only here: #GP(0) if they are not acceptable,
// before anything has changed.
void adopt_paging(Cpu& cpu, u32 new_cr0, u32 new_cr3, u32 new_cr4, bool reload) {
  CpuState& s = cpu.s;
  PagingState p = paging_state(cpu);
  p.cr0 = new_cr0;
  p.cr3 = new_cr3;
  p.cr4 = new_cr4;
  if (reload && (new_cr0 & cr0::kPg) != 0 && (new_cr4 & cr4::kPae) != 0) {
    if (!load_pdptes(cpu.mmu.memory(), p)) cpu.fault(kGeneralProtection, 0);
    for (unsigned i = 0; i < 4; ++i) s.pdpte[i] = p.pdpte[i];
  }
  s.cr0 = new_cr0;
  s.cr3 = new_cr3;
  s.cr4 = new_cr4;
  cpu.mmu.set_state(p);
}

}  // namespace

void Cpu::set_cr0(u32 value) {
  if ((value & (cr0::kPg | cr0::kPe)) == cr0::kPg) fault(kGeneralProtection, 0);
  const bool caches = model.generation >= Generation::k486;
  if (caches && (value & (cr0::kNw | cr0::kCd)) == cr0::kNw) fault(kGeneralProtection, 0);
  const u32 writable = writable_cr0(model);
  const u32 next = (value & writable) | (s.cr0 & ~writable);
  constexpr u32 kPaging = cr0::kPg | cr0::kPe | cr0::kWp | cr0::kCd | cr0::kNw;
  if (((next ^ s.cr0) & kPaging) == 0) {  // TS and its like: no mapping changes
    s.cr0 = next;
    return;
  }
  const bool reload = ((next ^ s.cr0) & (cr0::kPg | cr0::kCd | cr0::kNw)) != 0;
  adopt_paging(*this, next, s.cr3, s.cr4, reload);
}

// Bits that a 286 or 386 does not have read as ones.
u32 Cpu::cr0_image() const {
  if (model.generation == Generation::k286) return s.cr0 | 0xfff0;
  return model.generation == Generation::k386 ? s.cr0 | 0x7fffffe0 : s.cr0;
}

void Cpu::set_cr3(u32 value) {
  if (model.generation == Generation::k386) value &= ~kPageMask;
  adopt_paging(*this, s.cr0, value, s.cr4, true);
}

void Cpu::set_cr4(u32 value) {
  if ((value & ~writable_cr4(model)) != 0) fault(kGeneralProtection, 0);
  const bool de_changes = ((value ^ s.cr4) & cr4::kDe) != 0;
  constexpr u32 kPaging = cr4::kPse | cr4::kPae | cr4::kPge;
  if (((value ^ s.cr4) & kPaging) == 0) {
    s.cr4 = value;
  } else {
    adopt_paging(*this, s.cr0, s.cr3, value, true);
  }
  if (de_changes) set_dr7(s.dr[7]);  // I/O breakpoints come and go with it
}

void Cpu::update_paging() {
  mmu.set_state(paging_state(*this));
  mmu.set_user(s.cpl == 3);
}

}  // namespace umbra
