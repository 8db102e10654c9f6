// The processor: state, the way to memory and ports, exceptions and interrupts. Engines run it; handlers change it.
#pragma once

#include <algorithm>
#include <atomic>

#include "cpu/base/bus.h"
#include "cpu/base/tsc_scale.h"
#include "cpu/insn.h"
#include "cpu/model.h"
#include "cpu/regs.h"
#include "mmu/shadow.h"

namespace umbra {

enum Vector : u8 {
  kDivideError = 0,
  kDebug = 1,
  kNmi = 2,
  kBreakpoint = 3,
  kOverflow = 4,
  kBound = 5,
  kInvalidOpcode = 6,
  kDeviceNotAvailable = 7,
  kDoubleFault = 8,
  kCoprocessorOverrun = 9,
  kInvalidTss = 10,
  kNotPresent = 11,
  kStackFault = 12,
  kGeneralProtection = 13,
  kPageFault = 14,
  kMathFault = 16,
  kAlignmentCheck = 17,
  kMachineCheck = 18,
  kSimdFault = 19,
};

// Thrown inside handlers, caught at the step and at a callout's edge. Everything committed before it stays.
struct GuestFault {
  u8 vector;
  bool has_error = false;
  u32 error = 0;
};

// A descriptor that has been loaded, and the segment that it made (quick.cpp). Generated code looks here, too.
struct KnownDescriptor {
  static constexpr u32 kCount = 64;
  u64 raw = 0;
  Segment segment;
  i8 reach = -1;  // the highest CPL that may load it into ES, DS, FS or GS
};
static_assert(sizeof(KnownDescriptor) == 40);

struct Cpuid {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Answers of CPUID that depend on nothing but EAX, for generated code, as they were asked for.
struct CpuidAnswers {
  static constexpr u32 kCount = 16;
  static constexpr u64 kValid = u64{1} << 63;
  struct Answer {
    u64 asked = 0;  // the leaf and kValid
    Cpuid said;
    u64 unused = 0;
  } at[kCount];
  static u32 place(u32 leaf) { return (leaf + (leaf >> 28)) % kCount; }  // basic leaves and extended ones
};
static_assert(sizeof(CpuidAnswers::Answer) == 32);

// Reasons for an engine to leave its loop, set by any thread or by device lines.
namespace attention {
inline constexpr u32 kInterrupt = 1;  // INTR is high
inline constexpr u32 kNmi = 2;        // an NMI edge is latched
inline constexpr u32 kExit = 4;       // run() returns Stop::kAttention
inline constexpr u32 kInit = 8;       // INIT or RESET of the processor alone
}  // namespace attention

// The other end of INTR: acknowledges and gives the vector.
class InterruptController {
 public:
  virtual ~InterruptController() = default;
  virtual u8 acknowledge() = 0;
};

// What the processor hands out besides memory and ports.
class CpuHost {
 public:
  virtual ~CpuHost() = default;
  virtual u64 tsc() = 0;                // from the virtual clock
  virtual void ferr(bool /*level*/) {}  // FERR#: IRQ13 with CR0.NE = 0
  virtual void set_apic_base(u64 /*msr*/) {}
};

class Cpu {
 public:
  Cpu(const CpuModel& model, PhysicalMemory& memory, PortSpace& ports, InterruptController& pic, CpuHost& host);

  CpuState s;
  // Read by generated code too, at their distance from `s`.
  std::atomic<u32> pending{0};  // attention:: bits
  TscScale tsc_scale;           // how the TSC follows the host's; multiplier 0: ask `host`
  CpuidAnswers cpuid_answers;
  const CpuModel& model;
  Mmu mmu;
  PortSpace& ports;
  InterruptController& pic;
  CpuHost& host;
  KnownDescriptor known_descriptors[KnownDescriptor::kCount];  // by index in their table

  void reset();
  void state(Archive& a);

  // --- memory by segment: limit, type and alignment checks, then by linear address. T is u8 u16 u32 u64. -------------
  template <class T>
  T read(SegReg seg, u32 offset);
  template <class T>
  void write(SegReg seg, u32 offset, T value);
  // Checks that a later write cannot fault (for read-modify-write and commit-at-the-end); returns the linear address.
  Linear check(SegReg seg, u32 offset, u32 size, Access access);
  template <class T, class Change>
  void modify(SegReg seg, u32 offset, Change change);

  // --- memory by linear address, current privilege; crosses pages --------------------------------------------------
  template <class T>
  T read_linear(Linear a);
  template <class T>
  void write_linear(Linear a, T value);
  // The device that an access would reach, if it has been met lately and nothing else stands in the way; or none.
  PhysicalMemory::Device device_at(SegReg seg, u32 offset, u32 size, Access access);
  // Throws the #PF that such an access would, and otherwise makes sure that it cannot fault.
  void probe(Linear a, u32 size, Access access);
  // --- implicit supervisor accesses: descriptor tables, TSS, stacks of inner rings
  // ------------------------------------
  template <class T>
  T read_system(Linear a);
  template <class T>
  void write_system(Linear a, T value);

  // --- exceptions and control transfers (exceptions.cpp, segments.cpp, tasks.cpp)
  // -------------------------------------
  [[noreturn]] void fault(u8 vector) { throw GuestFault{vector}; }
  [[noreturn]] void fault(u8 vector, u32 error) { throw GuestFault{vector, true, error}; }
  // Delivers what a handler threw, the instruction at s.insn_eip to be restarted; escalates to #DF and shutdown.
  void deliver(const GuestFault& fault);
  // INT n, INT3, INTO, ICEBP: s.eip is the return address.
  enum class Source : u8 { kSoftware, kIcebp, kHardware, kException };
  void interrupt(u8 vector, Source source);
  // INT n (CD ib) alone: as above, with the checks and redirections of V86 mode.
  void int_n(u8 vector);
  // Takes NMI, INTR, INIT if they can be taken now; called between instructions. True if control went elsewhere.
  bool service();

  // --- debug traps (debug.cpp): when trap_check_needed(), the engine runs instructions singly between begin_insn and
  // end_of_insn_traps -------------------------------------------------------------------------------------------------
  bool trap_check_needed() const { return ((s.eflags & (flag::kTf | flag::kRf)) | s.armed | s.pending_debug) != 0; }
  // s.eip is at the instruction: delivers a code breakpoint or a trap left over from a task switch, and then is true:
  // control went elsewhere. Otherwise takes note of TF.
  bool begin_insn();
  // s.eip is at the next instruction and the shadow of the one before has been lifted: TF, data and I/O breakpoints.
  void end_of_insn_traps();
  // A data access or an IN/OUT took place: notes a breakpoint that it meets. Slow paths call it while s.armed.
  void note_access(Linear a, u32 size, bool write);
  void note_port(u16 port, u32 size);
  void set_dr7(u32 value);
  void icebp();                    // INT1
  u32 debug_register(unsigned n);  // MOV DR, with its checks
  void set_debug_register(unsigned n, u32 value);

  void load_segment(SegReg reg, u16 selector);  // MOV/POP/LES…: real, V86 or protected, with all checks
  void set_real_segment(SegReg reg, u16 selector);
  void set_flags(u32 value, u32 mask);
  void set_cr0(u32 value);
  u32 cr0_image() const;  // as MOV and SMSW read it
  void set_cr3(u32 value);
  void set_cr4(u32 value);
  void set_cpl(u8 cpl);  // tells the MMU when the user side changes
  void update_paging();  // after anything in PagingState or CPL changed

  // May the current program use these ports? #GP(0) if not: IOPL, then the TSS's bitmap. Notes I/O breakpoints.
  void check_port(u16 port, u32 size);
  // CPUID, RDMSR and WRMSR (cpuid.cpp, msr.cpp). An MSR that the model lacks is #GP(0).
  Cpuid cpuid(u32 leaf, u32 subleaf) const;
  void identify();  // the instruction
  u64 read_msr(u32 index);
  void write_msr(u32 index, u64 value);
  u64 tsc() { return board_tsc() + s.tsc_offset; }
  u64 board_tsc();

  bool real() const { return (s.cr0 & cr0::kPe) == 0; }
  bool v86() const { return (s.eflags & flag::kVm) != 0; }
  bool protected_mode() const { return (s.cr0 & cr0::kPe) != 0 && !v86(); }
  CodeSize code_size() const { return s.seg[kCs].big() ? CodeSize::k32 : CodeSize::k16; }
  u32 stack_mask() const { return s.seg[kSs].big() ? 0xffffffffu : 0xffffu; }
  bool checks_alignment() const { return s.cpl == 3 && (s.eflags & flag::kAc) != 0 && (s.cr0 & cr0::kAm) != 0; }
  // Of an access outside SS. A 286 in real mode knows one "segment overrun exception", SS or not.
  Vector stack_fault_vector() const {
    return model.generation == Generation::k286 && real() ? kGeneralProtection : kStackFault;
  }
  unsigned iopl() const { return (s.eflags & flag::kIopl) >> 12; }

 private:
  void check_debug_register(unsigned& n);
  u64 read_slow(Linear a, unsigned size, bool user);
  void write_slow(Linear a, u64 value, unsigned size, bool user);
  u64 read_outside(SegReg seg, u32 offset, unsigned size);
  void write_outside(SegReg seg, u32 offset, u64 value, unsigned size);
  bool wraps_in_segment(SegReg seg) const;
  u64 addend(Linear a, Access access, bool user) const;
  Fill fill_or_fault(Linear a, Access access, bool user);
  void check_alignment(Linear a, unsigned size);
  [[noreturn]] void page_fault(Linear a, u32 error_code);
  [[noreturn]] void segment_fault(SegReg seg);
};

// Where generated code finds what lies behind CpuState.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // Cpu has neither bases nor virtual functions
namespace cpu_at {
inline constexpr std::size_t kPending = offsetof(Cpu, pending) - offsetof(Cpu, s);
inline constexpr std::size_t kTscScale = offsetof(Cpu, tsc_scale) - offsetof(Cpu, s);
inline constexpr std::size_t kCpuidAnswers = offsetof(Cpu, cpuid_answers) - offsetof(Cpu, s);
inline constexpr std::size_t kKnownDescriptors = offsetof(Cpu, known_descriptors) - offsetof(Cpu, s);
}  // namespace cpu_at
#pragma GCC diagnostic pop

}  // namespace umbra

#include "cpu/memory.h"
