// Descriptors, the checks of loading them, and the stack of a transfer in progress. SDM vol. 3 chapters 3 and 5.
#pragma once

#include "cpu/cpu.h"

namespace umbra {

// Types of system descriptors (S = 0).
namespace system_type {
inline constexpr u8 kTss16 = 1, kLdt = 2, kBusyTss16 = 3, kCallGate16 = 4, kTaskGate = 5, kInterruptGate16 = 6,
                    kTrapGate16 = 7, kTss32 = 9, kBusyTss32 = 11, kCallGate32 = 12, kInterruptGate32 = 14,
                    kTrapGate32 = 15;
}

struct Descriptor {
  u32 low = 0;
  u32 high = 0;
  Linear at;  // where it lies

  u32 base() const { return (low >> 16) | ((high & 0xff) << 16) | (high & 0xff000000); }
  u32 limit() const {
    const u32 raw = (low & 0xffff) | (high & 0xf0000);
    return (high & 0x800000) != 0 ? (raw << 12) | 0xfff : raw;
  }
  u16 rights() const { return static_cast<u16>((high >> 8) & 0xf0ff); }
  u8 type() const { return (high >> 8) & 0xf; }
  u8 dpl() const { return (high >> 13) & 3; }
  bool present() const { return (high & 0x8000) != 0; }
  bool segment() const { return (high & 0x1000) != 0; }  // code or data
  bool code() const { return (high & 0x1800) == 0x1800; }
  bool conforming() const { return (high & 0x1c00) == 0x1c00; }
  bool writable_data() const { return (high & 0x1a00) == 0x1200; }
  bool readable() const { return segment() && (high & 0xa00) != 0x800; }  // data, or readable code

  u16 gate_selector() const { return static_cast<u16>(low >> 16); }
  u32 gate_offset() const { return (type() & 8) != 0 ? (high & 0xffff0000) | (low & 0xffff) : low & 0xffff; }
  u8 gate_parameters() const { return high & 0x1f; }
  bool gate32() const { return (type() & 8) != 0; }
};

inline bool null_selector(u16 selector) { return (selector & 0xfffc) == 0; }
inline u32 selector_error(u16 selector, u32 ext = 0) { return (selector & 0xfffcu) | ext; }

// False where the selector points outside its table.
bool fetch_descriptor(Cpu& cpu, u16 selector, Descriptor& d);
// The same, but a fault `vector` with the selector as its error code; also for a null selector.
Descriptor require_descriptor(Cpu& cpu, u16 selector, u8 vector, u32 ext = 0);
// Writes the accessed bit into the table if it is clear, as hardware does.
void set_accessed(Cpu& cpu, Descriptor& d);
Segment make_segment(u16 selector, const Descriptor& d);
Segment null_segment(u16 selector);

// Checked loads. `vector` is what a failed check raises: #GP, or #TS where a TSS gave the selector.
Segment stack_segment(Cpu& cpu, u16 selector, unsigned cpl, u8 vector, u32 ext = 0);
Segment data_segment(Cpu& cpu, u16 selector, unsigned cpl, u8 vector, u32 ext = 0);

// Supervisor rights in the MMU while CPL is still 3: descriptor tables and inner stacks are then found in the shadow
// table of the supervisor, and nothing needs undoing when the transfer faults.
class SupervisorScope {
 public:
  explicit SupervisorScope(Cpu& cpu) : cpu_(cpu), changed_(cpu.mmu.user()) {
    if (changed_) cpu.mmu.set_user(false);
  }
  ~SupervisorScope() { end(); }
  SupervisorScope(const SupervisorScope&) = delete;
  SupervisorScope& operator=(const SupervisorScope&) = delete;
  void end() {
    if (changed_ && cpu_.s.cpl == 3 && !cpu_.mmu.user()) cpu_.mmu.set_user(true);
    changed_ = false;
  }

 private:
  Cpu& cpu_;
  bool changed_;
};

// Pushes and pops move a copy of ESP: nothing is committed before the transfer has succeeded. A push or pop outside
// the segment is #SS(fault_code). Accesses are made with the MMU's current rights.
class Stack {
 public:
  Stack(Cpu& cpu, const Segment& segment, u32 esp, u32 fault_code)
      : cpu_(cpu), segment_(segment), esp_(esp), mask_(segment.big() ? 0xffffffff : 0xffff), fault_code_(fault_code) {}
  static Stack current(Cpu& cpu, u32 fault_code = 0) { return Stack(cpu, cpu.s.seg[kSs], cpu.s.r32(kEsp), fault_code); }

  void push(u32 value, unsigned size) {
    const u32 offset = (esp_ - size) & mask_;
    store(offset, value, size);
    set(offset);
  }
  u32 pop(unsigned size) {
    const u32 value = load(esp_ & mask_, size);
    set((esp_ + size) & mask_);
    return value;
  }
  void skip(u32 bytes) { set((esp_ + bytes) & mask_); }
  // #SS now, before anything is written, if `bytes` more do not fit.
  void require_room(u32 bytes) const;
  u32 esp() const { return esp_; }

 private:
  void set(u32 offset) { esp_ = (esp_ & ~mask_) | offset; }
  void check(u32 offset, unsigned size) const {
    if (offset < segment_.low || offset + size - 1 > segment_.high || offset + size - 1 < offset) outside();
  }
  [[noreturn]] void outside() const { cpu_.fault(cpu_.stack_fault_vector(), fault_code_); }
  void store(u32 offset, u32 value, unsigned size);
  u32 load(u32 offset, unsigned size);

  Cpu& cpu_;
  const Segment segment_;
  u32 esp_;
  u32 mask_;
  u32 fault_code_;
};

}  // namespace umbra
