// A bench for the processor alone: RAM, ports that remember, and builders for descriptor tables, TSSs and page tables.
//
// Memory map: 1000 GDT, 2000 IDT, 3000 and 4000 TSSs, 5000 LDT, 6000-6fff the stack of ring 0, 7000-7fff that of ring
// 1, 8000 code, 9000 + 16 * vector the handlers (never run: arriving there is what is looked at), b000-bfff the stack
// of ring 3, c000 data, 10000 page directory, 11000 page table (4 MiB, identity).
#pragma once

#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "cpu/descriptor.h"
#include "cpu/interp/bind.h"
#include "cpu/interp/interp.h"

namespace umbra::test {

inline constexpr u32 kGdt = 0x1000, kIdt = 0x2000, kTss = 0x3000, kTss2 = 0x4000, kLdt = 0x5000, kStack0 = 0x7000,
                     kStack1 = 0x8000, kCode = 0x8000, kHandlers = 0x9000, kStack3 = 0xc000, kData = 0xc000,
                     kDirectory = 0x10000, kTable = 0x11000, kRam = 0x400000;

// Selectors of the default GDT.
inline constexpr u16 kCode0 = 0x08, kData0 = 0x10, kCode3 = 0x1b, kData3 = 0x23, kTssSel = 0x28, kTss2Sel = 0x30,
                     kLdtSel = 0x38, kCode1 = 0x41, kData1 = 0x49, kConforming0 = 0x50, kCode16 = 0x58, kData16 = 0x60,
                     kGate = 0x68, kSpare = 0x70, kSpare2 = 0x78;

// Rights as in Segment::rights: access byte, then AVL/L/D/G in bits 12-15.
inline constexpr u16 kRightsCode = 0xc09b, kRightsData = 0xc093, kRightsTss32 = 0x0089, kRightsTss16 = 0x0081,
                     kRightsLdt = 0x0082;
constexpr u16 with_dpl(u16 rights, unsigned dpl) { return static_cast<u16>((rights & ~0x60) | dpl << 5); }

class FakePorts final : public PortSpace {
 public:
  u32 in(u16 port, unsigned size) override {
    reads.push_back({port, size, 0});
    const auto it = values.find(port);
    return it == values.end() ? 0xffffffff : it->second;
  }
  void out(u16 port, u32 value, unsigned size) override { writes.push_back({port, size, value}); }
  struct Access {
    u16 port;
    unsigned size;
    u32 value;
  };
  std::vector<Access> reads, writes;
  std::map<u16, u32> values;
};

class FakePic final : public InterruptController {
 public:
  u8 acknowledge() override {
    ++acknowledged;
    return vector;
  }
  u8 vector = 0x20;
  int acknowledged = 0;
};

class FakeHost final : public CpuHost {
 public:
  u64 tsc() override { return time; }
  void set_apic_base(u64 msr) override { apic_base = msr; }
  u64 time = 1000;
  u64 apic_base = 0;
};

// Where an exception arrived: what its handler finds on the stack.
struct Arrival {
  int vector = -1;
  u32 error = 0, eip = 0, eflags = 0;
  u16 cs = 0;
};

class Bench {
 public:
  explicit Bench(const char* model = kDefaultCpuModel)
      : memory_(make_memory()), cpu(*find_cpu_model(model), *memory_, ports, pic, host), engine(*memory_) {}

  // --- memory -------------------------------------------------------------------------------------------------------
  PhysicalMemory& memory() { return *memory_; }
  void put(u32 at, u32 value, unsigned size = 4) { memory_->write(Phys(at), &value, size); }
  u32 get(u32 at, unsigned size = 4) {
    u32 value = 0;
    memory_->read(Phys(at), &value, size);
    return value;
  }
  void bytes(u32 at, std::initializer_list<u8> list) {
    for (u8 b : list) put(at++, b, 1);
  }

  // --- descriptors --------------------------------------------------------------------------------------------------
  void descriptor(u32 at, u32 base, u32 limit, u16 rights) {
    if ((rights & 0x8000) != 0) limit >>= 12;
    put(at, (limit & 0xffff) | base << 16);
    put(at + 4, ((base >> 16) & 0xff) | u32{rights} << 8 | (limit & 0xf0000) | (base & 0xff000000));
  }
  void gdt(u16 selector, u32 base, u32 limit, u16 rights) { descriptor(kGdt + (selector & ~7u), base, limit, rights); }
  void gate(u32 at, u16 selector, u32 offset, u8 access, u8 parameters = 0) {
    put(at, (offset & 0xffff) | u32{selector} << 16);
    put(at + 4, (offset & 0xffff0000) | u32{access} << 8 | parameters);
  }
  void idt(u8 vector, u16 selector, u32 offset, u8 access = 0x8e) {
    gate(kIdt + vector * 8u, selector, offset, access);
  }
  u8 access_byte(u16 selector) { return static_cast<u8>(get(kGdt + (selector & ~7u) + 5, 1)); }

  // Protected mode, flat, at kCode in ring `cpl`, with the default tables.
  void protect(unsigned cpl = 0) {
    gdt(kCode0, 0, 0xffffffff, kRightsCode);
    gdt(kData0, 0, 0xffffffff, kRightsData);
    gdt(kCode3, 0, 0xffffffff, with_dpl(kRightsCode, 3));
    gdt(kData3, 0, 0xffffffff, with_dpl(kRightsData, 3));
    gdt(kTssSel, kTss, 0xfff, kRightsTss32 | 2);
    gdt(kTss2Sel, kTss2, 0xfff, kRightsTss32);
    gdt(kLdtSel, kLdt, 0xff, kRightsLdt);
    gdt(kCode1, 0, 0xffffffff, with_dpl(kRightsCode, 1));
    gdt(kData1, 0, 0xffffffff, with_dpl(kRightsData, 1));
    gdt(kConforming0, 0, 0xffffffff, kRightsCode | 4);
    gdt(kCode16, 0, 0xffff, 0x009b);
    gdt(kData16, 0, 0xffff, 0x0093);
    CpuState& s = cpu.s;
    s.gdtr = {kGdt, 0xff};
    for (unsigned v = 0; v < 256; ++v) idt(static_cast<u8>(v), kCode0, handler(static_cast<u8>(v)));
    s.idtr = {kIdt, 0x7ff};
    put(kTss + 4, kStack0), put(kTss + 8, kData0);
    put(kTss + 12, kStack1), put(kTss + 16, kData1);
    put(kTss + 0x66, 0x68, 2);  // I/O bitmap: all ports closed beyond what tests open
    for (u32 i = 0x68; i < 0x168; i += 4) put(kTss + i, 0xffffffff);
    s.cr0 |= cr0::kPe;
    s.cr0 &= ~(cr0::kCd | cr0::kNw);
    s.eflags = flag::kFixed;
    Descriptor tss;
    fetch_descriptor(cpu, kTssSel, tss);
    s.tr = make_segment(kTssSel, tss);
    s.ldtr = null_segment(0);
    ring(cpl);
    cpu.update_paging();
  }
  // Segment registers, stack and CPL of a ring, unchecked.
  void ring(unsigned cpl) {
    const u16 code[] = {kCode0, kCode1, 0, kCode3}, data[] = {kData0, kData1, 0, kData3};
    const u32 stack[] = {kStack0, kStack1, 0, kStack3};
    for (SegReg reg : {kEs, kSs, kDs, kFs, kGs}) segment(reg, data[cpl]);
    segment(kCs, code[cpl]);
    cpu.s.r32(kEsp) = stack[cpl];
    cpu.s.eip = kCode;
    cpu.set_cpl(static_cast<u8>(cpl));
  }
  void segment(SegReg reg, u16 selector) {
    Descriptor d;
    fetch_descriptor(cpu, selector, d);
    cpu.s.seg[reg] = make_segment(selector, d);
  }
  // V86 mode at 0800:0000 (= kCode) with the stack below kStack3.
  void v86(unsigned iopl) {
    protect(3);
    CpuState& s = cpu.s;
    s.eflags = flag::kFixed | flag::kVm | iopl << 12 | flag::kIf;
    for (SegReg reg : {kEs, kDs, kFs, kGs}) cpu.set_real_segment(reg, kData >> 4);
    cpu.set_real_segment(kCs, kCode >> 4);
    cpu.set_real_segment(kSs, 0xb00);
    s.r32(kEsp) = 0x1000;
    s.eip = 0;
  }
  void real(u16 cs, u16 ip) {
    CpuState& s = cpu.s;
    for (SegReg reg : {kEs, kSs, kDs, kFs, kGs}) cpu.set_real_segment(reg, 0);
    cpu.set_real_segment(kCs, cs);
    s.eip = ip;
    s.r32(kEsp) = kStack0;
    for (unsigned v = 0; v < 256; ++v) put(v * 4, handler(static_cast<u8>(v)));
  }

  // --- paging -------------------------------------------------------------------------------------------------------
  static constexpr u32 kPresent = 1, kWritable = 2, kUser = 4;
  void paging() {
    put(kDirectory, kTable | 7);
    for (u32 page = 0; page < 1024; ++page) put(kTable + page * 4, page << 12 | 7);
    cpu.s.cr0 |= cr0::kPg | cr0::kWp;
    cpu.s.cr3 = kDirectory;
    cpu.update_paging();
  }
  void page(u32 linear, u32 flags) {
    put(kTable + (linear >> 12) * 4, (linear & ~kPageMask) | flags);
    cpu.mmu.invalidate(Linear(linear));
  }

  // --- running ------------------------------------------------------------------------------------------------------
  static u32 handler(u8 vector) { return kHandlers + vector * 16u; }
  // Puts an instruction at CS:EIP.
  void insn(std::initializer_list<u8> list) { bytes(cpu.s.seg[kCs].base + static_cast<u32>(cpu.s.eip), list); }
  Stop step() { return engine.step(cpu); }
  Arrival step_to_handler() {
    step();
    return arrival();
  }
  Arrival run_insn(std::initializer_list<u8> list) {
    insn(list);
    return step_to_handler();
  }
  // If EIP is at a handler: which, and the frame of a 32-bit gate.
  Arrival arrival() {
    Arrival a;
    const u32 eip = static_cast<u32>(cpu.s.eip);
    if (eip < kHandlers || eip >= kHandlers + 0x1000 || (eip & 15) != 0) return a;
    a.vector = static_cast<int>((eip - kHandlers) / 16);
    u32 at = cpu.s.seg[kSs].base + cpu.s.r32(kEsp);
    const bool error = a.vector == 8 || (a.vector >= 10 && a.vector <= 14) || a.vector == 17;
    if (error) a.error = get(at), at += 4;
    a.eip = get(at);
    a.cs = static_cast<u16>(get(at + 4));
    a.eflags = get(at + 8);
    return a;
  }
  // The instruction's handler alone: what it throws is not delivered, EIP goes back.
  std::optional<GuestFault> attempt() {
    CpuState& s = cpu.s;
    u8 raw[kMaxInsnLength];
    memory_->read(Phys(s.seg[kCs].base + static_cast<u32>(s.eip)), raw, sizeof raw);
    Insn decoded = decode(raw, cpu.code_size(), cpu.model).insn;
    decoded.handler = bind(decoded);
    s.insn_eip = s.eip;
    s.eip += decoded.length;
    try {
      decoded.handler(cpu, decoded);
      return std::nullopt;
    } catch (const GuestFault& fault) {
      s.eip = s.insn_eip;
      return fault;
    }
  }

  FakePorts ports;
  FakePic pic;
  FakeHost host;

 private:
  static std::unique_ptr<PhysicalMemory> make_memory() {
    auto memory = PhysicalMemory::create(kRam);
    if (!memory) throw std::runtime_error(memory.error());
    (*memory)->map_ram(Phys(0), kRam, 0, true);
    return std::move(*memory);
  }
  std::unique_ptr<PhysicalMemory> memory_;

 public:
  Cpu cpu;
  Interpreter engine;
};

}  // namespace umbra::test
