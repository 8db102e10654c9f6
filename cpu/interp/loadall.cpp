// LOADALL: 0F 05 of the 286 (from physical 800h) and 0F 07 of the 386 (from ES:EDI). Undocumented; HIMEM.SYS, OS/2 1.x
// and others used it to reach extended memory. It loads registers and hidden descriptors without any check. The
// layouts are those of Intel's confidential notes, as reproduced by R. Collins, "The LOADALL Instruction".
#include "cpu/descriptor.h"
#include "cpu/interp/system.h"

namespace umbra::interp {
namespace {

void finish(Cpu& cpu) {
  CpuState& s = cpu.s;
  const bool protected_mode = (s.cr0 & cr0::kPe) != 0;
  cpu.set_cpl(cpu.v86() ? 3 : protected_mode ? s.seg[kSs].dpl() : 0);
  cpu.update_paging();
}

// --- 286 ------------------------------------------------------------------------------------------------------------

class Table286 {
 public:
  explicit Table286(Cpu& cpu) : memory_(cpu.mmu.memory()) {}
  u16 word(u32 at) { return static_cast<u16>(memory_.load(Phys(at), 2)); }
  Segment segment(u16 selector, u32 at) {
    Segment g;
    g.selector = selector;
    g.base = base(at);
    g.rights = word(at + 2) >> 8;
    g.limit = word(at + 4);
    g.derive(g.present());
    return g;
  }
  TableReg table(u32 at) { return {base(at), word(at + 4)}; }

 private:
  u32 base(u32 at) { return word(at) | (word(at + 2) & 0xffu) << 16; }
  PhysicalMemory& memory_;
};

void load_all_286(Cpu& cpu, const Insn&) {
  require_ring0(cpu);
  CpuState& s = cpu.s;
  Table286 t(cpu);
  s.cr0 = (s.cr0 & ~0xeu) | (t.word(0x806) & 0xf);  // PE goes on, never off
  s.eflags = flag::kFixed;
  cpu.set_flags(t.word(0x818), 0xffff);
  s.eip = t.word(0x81a);
  constexpr u8 kOrder[] = {kEdi, kEsi, kEbp, kEsp, kEbx, kEdx, kEcx, kEax};
  for (unsigned i = 0; i < 8; ++i) s.r16(kOrder[i]) = t.word(0x826 + i * 2);
  s.seg[kEs] = t.segment(t.word(0x824), 0x836);
  s.seg[kCs] = t.segment(t.word(0x822), 0x83c);
  s.seg[kSs] = t.segment(t.word(0x820), 0x842);
  s.seg[kDs] = t.segment(t.word(0x81e), 0x848);
  s.gdtr = t.table(0x84e);
  s.ldtr = t.segment(t.word(0x81c), 0x854);
  s.idtr = t.table(0x85a);
  s.tr = t.segment(t.word(0x816), 0x860);
  finish(cpu);
}

// --- 386 ------------------------------------------------------------------------------------------------------------

// The 204 bytes are read before anything is changed.
struct Table386 {
  u32 words[51];
  u32 at(u32 offset) const { return words[offset / 4]; }
  Segment segment(u32 selector_at, u32 cache_at) const {
    Segment g;
    g.selector = static_cast<u16>(at(selector_at));
    g.rights = static_cast<u16>((at(cache_at) >> 8) & 0xf0ff);
    g.base = at(cache_at + 4);
    g.limit = at(cache_at + 8);
    g.derive(g.present());
    return g;
  }
  TableReg table(u32 cache_at) const { return {at(cache_at + 4), static_cast<u16>(at(cache_at + 8))}; }
};

void load_all_386(Cpu& cpu, const Insn& insn) {
  require_ring0(cpu);
  CpuState& s = cpu.s;
  Table386 t;
  for (u32 i = 0; i < 51; ++i) t.words[i] = cpu.read<u32>(kEs, (s.r32(kEdi) + i * 4) & insn.address_mask);
  s.cr0 = (t.at(0) & (cr0::kPe | cr0::kMp | cr0::kEm | cr0::kTs | cr0::kPg)) | cr0::kEt;
  cpu.set_dr7(t.at(0x30));
  s.dr[6] = t.at(0x2c);
  s.eflags = flag::kFixed;
  cpu.set_flags(t.at(0x04), ~0u);
  s.eip = t.at(0x08);
  constexpr u8 kOrder[] = {kEdi, kEsi, kEbp, kEsp, kEbx, kEdx, kEcx, kEax};
  for (unsigned i = 0; i < 8; ++i) s.r32(kOrder[i]) = t.at(0x0c + i * 4);
  constexpr SegReg kSegments[] = {kGs, kFs, kDs, kSs, kCs, kEs};
  for (unsigned i = 0; i < 6; ++i) s.seg[kSegments[i]] = t.segment(0x3c + i * 4, 0x84 + i * 12);
  s.tr = t.segment(0x34, 0x54);
  s.ldtr = t.segment(0x38, 0x78);
  s.idtr = t.table(0x60);
  s.gdtr = t.table(0x6c);
  finish(cpu);
}

}  // namespace

Handler loadall(const Insn& insn) { return insn.raw[insn.length - 1] == 0x05 ? load_all_286 : load_all_386; }

}  // namespace umbra::interp
