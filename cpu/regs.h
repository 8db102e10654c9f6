// The processor's state, laid out for generated code (fixed offsets from one pointer) and with room for long mode:
// 16 x 64-bit general registers, 16 x 512-bit vector registers. Nothing here is global; a machine may have several.
#pragma once

#include <cstddef>

#include "cpu/base/archive.h"
#include "cpu/base/types.h"

namespace umbra {

enum Gpr : u8 { kEax, kEcx, kEdx, kEbx, kEsp, kEbp, kEsi, kEdi, kGprCount = 16, kNoReg = 16 };
enum SegReg : u8 { kEs, kCs, kSs, kDs, kFs, kGs, kSegCount };

namespace flag {
inline constexpr u32 kCf = 1u << 0, kPf = 1u << 2, kAf = 1u << 4, kZf = 1u << 6, kSf = 1u << 7, kTf = 1u << 8,
                     kIf = 1u << 9, kDf = 1u << 10, kOf = 1u << 11, kIopl = 3u << 12, kNt = 1u << 14, kRf = 1u << 16,
                     kVm = 1u << 17, kAc = 1u << 18, kVif = 1u << 19, kVip = 1u << 20, kId = 1u << 21;
inline constexpr u32 kArithmetic = kCf | kPf | kAf | kZf | kSf | kOf;
inline constexpr u32 kFixed = 2;  // bit 1 reads as one
}  // namespace flag

namespace cr0 {
inline constexpr u32 kPe = 1u << 0, kMp = 1u << 1, kEm = 1u << 2, kTs = 1u << 3, kEt = 1u << 4, kNe = 1u << 5,
                     kWp = 1u << 16, kAm = 1u << 18, kNw = 1u << 29, kCd = 1u << 30, kPg = 1u << 31;
}
namespace cr4 {
inline constexpr u32 kVme = 1u << 0, kPvi = 1u << 1, kTsd = 1u << 2, kDe = 1u << 3, kPse = 1u << 4, kPae = 1u << 5,
                     kMce = 1u << 6, kPge = 1u << 7, kPce = 1u << 8, kOsfxsr = 1u << 9, kOsxmmexcpt = 1u << 10;
}
namespace dr6 {
inline constexpr u32 kBd = 1u << 13, kBs = 1u << 14, kBt = 1u << 15;  // bits 0-3: the breakpoints
inline constexpr u32 kFixed = 0xffff0ff0;
}  // namespace dr6
namespace dr7 {
inline constexpr u32 kLocal = 0x55, kLe = 1u << 8, kGe = 1u << 9, kGd = 1u << 13;
inline constexpr u32 kFixed = 0x400;
}  // namespace dr7
namespace efer {
inline constexpr u64 kSce = 1u << 0, kNxe = 1u << 11;
}

// How much checking an access through a segment needs.
enum class SegClass : u8 {
  kFlat,     // base 0, 4 GiB, readable and writable
  kBased,    // only the base must be added
  kChecked,  // limits and rights are compared at each access
  kShort     // 64 KiB, readable and writable: what real and V86 mode mostly have
};

// A segment register with its hidden part. The rights are the descriptor's second dword, bits 8-23, shifted down by 8:
// type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15. What follows the limit is derived (see derive()).
struct Segment {
  u16 selector = 0;
  u16 rights = 0;
  u32 base = 0;
  u32 limit = 0;  // in bytes, granularity applied
  // Derived: an access of n bytes at `offset` is inside when offset >= low && offset + n - 1 <= high without wrapping.
  // One of 4 GiB has no end: it wraps, which SDM vol. 3 section 5.3 leaves to the processor.
  u32 low = 0;
  u32 high = 0;
  enum : u8 { kReadable = 1, kWritable = 2, kFlat = 4 };  // kFlat: base 0, low 0, high 4 GiB - 1, readable and writable
  u8 access = 0;
  u8 partial = 1;  // 0: 4 GiB, readable and writable, wherever the base is
  SegClass checks = SegClass::kChecked;

  bool present() const { return (rights & 0x80) != 0; }
  bool code() const { return (rights & 0x18) == 0x18; }
  bool big() const { return (rights & 0x4000) != 0; }
  u8 type() const { return rights & 0xf; }
  u8 dpl() const { return (rights >> 5) & 3; }
  bool whole() const { return low == 0 && high == 0xffffffff; }
  bool inside(u32 offset, u32 size) const { return offset >= low && (u64{offset} + (size - 1) <= high || whole()); }
  // Recomputes them from the other fields; unusable: every access fails.
  void derive(bool usable);
  void state(Archive& a);

 private:
  SegClass classify() const;
};

struct TableReg {
  u32 base = 0;
  u16 limit = 0;
  void state(Archive& a);
};

// x87, MMX and SSE in the layout of the FXSAVE image, so that a host unit loads it in one instruction.
struct alignas(64) FpuState {
  u16 fcw = 0x37f;
  u16 fsw = 0;
  u8 ftw = 0;  // abridged: 1 = not empty, by physical register
  u8 reserved0 = 0;
  u16 fop = 0;
  u32 fip = 0;
  u16 fcs = 0;
  u16 reserved1 = 0;
  u32 fdp = 0;
  u16 fds = 0;
  u16 reserved2 = 0;
  u32 mxcsr = 0x1f80;
  u32 mxcsr_mask = 0xffff;
  u8 st[8][16] = {};  // ST(0) first, 10 bytes each
  u8 xmm[16][16] = {};
  u8 reserved3[96] = {};
};
static_assert(sizeof(FpuState) == 512);

// Model-specific registers that only store what was written.
struct MsrState {
  u64 pat = 0x0007040600070406;
  u64 misc_enable = 1;  // fast strings
  u64 mtrr_default = 0;
  u64 mtrr_fixed[11] = {};
  u64 mtrr_variable[16] = {};  // base and mask in turn
  u64 mcg_status = 0;
  u64 debug_control = 0;
  u64 feature_control = 1;  // locked
  void state(Archive& a);
};

// What DR7 has enabled, by the way it is noticed.
namespace debug_arm {
inline constexpr u8 kCode = 1, kData = 2, kIo = 4;
}

enum class Activity : u8 { kRunning, kHalted, kShutdown };

struct alignas(64) CpuState {
  u64 gpr[kGprCount + 1] = {};  // the last one, gpr[kNoReg], is always zero: an absent base or index needs no test
  u64 eip = 0;                  // while a handler runs: of the next instruction
  u64 insn_eip = 0;             // of the instruction being executed
  u32 eflags = flag::kFixed;
  u8 cpl = 0;
  Activity activity = Activity::kRunning;
  u8 shadow = 0;             // kInhibit… : cleared after the next instruction
  bool nmi_blocked = false;  // from the delivery of an NMI to the next IRET
  u8 armed = 0;              // debug_arm:: kinds of breakpoints that DR7 enables; derived by set_dr7
  u32 pending_debug = 0;     // DR6 bits of traps that the running instruction has met
  Segment seg[kSegCount];
  Segment ldtr, tr;
  TableReg gdtr, idtr;
  u32 cr0 = 0, cr2 = 0, cr3 = 0, cr4 = 0;
  u64 efer = 0;
  u64 pdpte[4] = {};
  u32 dr[8] = {};
  u32 sysenter_cs = 0, sysenter_esp = 0, sysenter_eip = 0;
  u64 apic_base = 0;
  u64 tsc_offset = 0;
  MsrState msr;
  FpuState fpu;
  u8 vector_high[16][48] = {};  // bits 128-511 of the vector registers, for later
  void state(Archive& a);

  u32& r32(unsigned r) { return reinterpret_cast<u32&>(gpr[r]); }
  u16& r16(unsigned r) { return reinterpret_cast<u16&>(gpr[r]); }
  u8& r8(unsigned r) { return reinterpret_cast<u8*>(&gpr[r & 3])[r >> 2]; }  // AL CL DL BL AH CH DH BH
};
enum : u8 { kInhibitInterrupts = 1, kInhibitDebug = 2 };  // STI sets the first, MOV SS and POP SS both

// Little-endian hosts only: r32 and friends alias the 64-bit registers. A write to r32 leaves bits 63-32 alone, and
// these stay zero for every guest we run.

}  // namespace umbra
