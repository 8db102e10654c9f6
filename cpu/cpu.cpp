// The processor as a whole: made, reset, saved.
#include "cpu/cpu.h"

namespace umbra {

Cpu::Cpu(const CpuModel& m, PhysicalMemory& memory, PortSpace& p, InterruptController& controller, CpuHost& h)
    : model(m), mmu(memory), ports(p), pic(controller), host(h) {
  reset();
}

// SDM vol. 3 table 9-1. The first fetch is 16 bytes below the end of what the model can address.
void Cpu::reset() {
  set_dr7(0);  // so that the MMU stops watching pages
  s = CpuState{};
  s.eip = model.generation == Generation::k8086 ? 0 : 0xfff0;
  s.gpr[kEdx] = u32{model.family} << 8 | u32{model.model} << 4 | model.stepping;
  if (model.family == 15 || model.model > 15)  // extended fields, as CPUID.1:EAX has them
    s.gpr[kEdx] = u32{model.family} << 8 | u32{model.model & 0xfu} << 4 | model.stepping | u32{model.model} >> 4 << 16;
  if (model.generation >= Generation::k486) s.cr0 = cr0::kCd | cr0::kNw | cr0::kEt;
  if (model.generation == Generation::k386) s.cr0 = cr0::kEt;
  for (Segment& g : s.seg) {
    g.rights = 0x93;
    g.limit = 0xffff;
    g.derive(true);
  }
  Segment& cs = s.seg[kCs];
  cs.selector = model.generation == Generation::k8086 ? 0xffff : 0xf000;
  cs.base = model.generation == Generation::k8086  ? 0xffff0
            : model.generation == Generation::k286 ? 0xff0000
                                                   : 0xffff0000;
  cs.derive(true);
  s.idtr.limit = 0x3ff;
  s.gdtr.limit = 0xffff;
  s.ldtr.rights = 0x82;
  s.ldtr.limit = 0xffff;
  s.tr.rights = 0x8b;
  s.tr.limit = 0xffff;
  s.dr[6] = 0xffff0ff0;
  s.dr[7] = 0x400;
  s.apic_base = 0xfee00900;
  cpuid_answers = {};
  pending.fetch_and(attention::kExit);
  update_paging();
}

void Cpu::state(Archive& a) {
  u32 attention = pending.load();
  if (a.loading()) set_dr7(0);
  s.state(a);
  a("pending", attention);
  if (a.loading()) {
    pending = attention;
    cpuid_answers = {};
    update_paging();
    set_dr7(s.dr[7]);
  }
}

}  // namespace umbra
