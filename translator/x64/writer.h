// One block being emitted: the assembler, the cold paths that wait for the end, and the passages every emitter uses.
#pragma once

#include <array>

#include "cpu/raw.h"
#include "translator/block.h"
#include "translator/x64/assembler.h"
#include "translator/x64/stubs.h"

namespace umbra::x64 {

class Writer {
 public:
  // What a block can take at most.
  static constexpr u32 kMostBytes = kMaxBlockInsns * 512;
  static constexpr u32 kLeadBytes = 4;    // of an exit's cold path that moves ESP for a call
  static_assert(kMostBytes <= 1u << 15);  // Mark::host

  Writer(const Stubs& stubs, Block& block, Draft& draft, bool bmi2)
      : stubs_(stubs), block_(block), draft_(draft), bmi2_(bmi2) {}

  void block();  // the whole: poll, instructions, exits, cold paths

  Assembler a;
  u32 size() const { return a.offset(); }

 private:
  // How the instruction being emitted is seen by its emitter.
  struct Now {
    u32 index;  // in the block
    u32 eip;
    const Insn* insn;
    RawLayout raw;
    u32 next_eip;
    bool last;
  };
  enum class Way : u8 { kLoad, kStore };
  struct Cold {
    enum class Kind : u8 { kMiss, kMisaligned, kExit, kFpu, kPartial } kind;
    Label enter;
    Label back;
    Label miss;  // kMisaligned
    u32 index;   // kMiss: of the instruction; kExit: of the exit
    bool flags_saved;
    u32 size;
    unsigned seg;  // kPartial
    Way way;
  };

  void find_inner();
  void instruction();
  bool native();  // false: nothing was emitted, a callout must be
  // rewrite.cpp: the guest's own instruction, its memory operand (if any) at [kEntry + kLinear].
  bool copy();
  enum class Form : u8 { kRegisters, kTable, kWindow, kWindowLinear };
  void emit_raw(Form form);
  bool verbatim();
  void lea();
  // memory.cpp: the table lane.
  void effective_address(const x86::Gp& to);
  bool direct(unsigned seg) const;  // the window lane without any glue
  // Offsets in 16 bits need no comparison with the end of 64 KiB, but for what sticks out.
  enum class Offset : u8 { kShort, kLong };
  Offset offset_of_operand() const { return now_.insn->address_size == 2 ? Offset::kShort : Offset::kLong; }
  Offset offset_on_stack() const { return block_.key.mode.stack_32() ? Offset::kLong : Offset::kShort; }
  void lane(unsigned seg, u32 size, Way way, Offset offset, bool table_only = false);
  void memory_lane(u32 size, Way way);
  void check_segment(unsigned seg, u32 size, Way way, const Label& miss);
  void check_short(u32 size);
  void check_partial(unsigned seg, u32 size, Way way);
  void partial_segment(const Cold& cold);
  // Where the guest's arithmetic flags are. Every instruction may fault and show them, so glue that changes the host's
  // puts them aside first, and only who reads them or changes some of them brings them back.
  void spare_flags();
  void want_flags();
  void want_flags_again();
  void overwrite_flags();
  void take_flags();  // rewrite.cpp
  bool changes_nothing(unsigned seg) const;
  // stack.cpp
  bool stack();
  bool push();
  bool pop();
  bool pop_to_memory();
  bool leave();
  bool push_all();
  bool pop_all();
  void eight_slots(i32 displacement, Way way);
  void stack_slot(i32 displacement);
  void stack_lane(i32 displacement, u32 size, Way way);
  void move_esp(i32 by);
  void settle_esp();
  bool bears_esp_ahead() const;
  // branch.cpp
  bool branch();
  bool jump_or_call();
  void call_locator(u8 reg);
  bool ret();
  bool conditional();
  bool loop();
  bool reachable(u32 eip) const { return eip <= block_.key.cs_limit; }
  bool indirect_allowed() const;
  u32 target() const;
  bool inside_page(u32 eip) const;
  u32 add_exit(u32 eip);
  void exit_to(u32 eip);
  void later_exit(u32 eip);
  Label inside(u32 index);  // to that instruction of this block
  void exit_if(x86::CondCode cc, u32 eip);
  void dispatch();  // EIP in kTarget
  // string.cpp
  bool string();
  void single(u32 size);
  void string_operand(unsigned index, unsigned seg, u32 size, Way way);
  void advance(unsigned index, u32 by);
  void repeated(StringOp op, u32 size);
  void require_upwards(const Label& miss);
  // system.cpp
  bool system();
  void change_flag(u32 bit, bool on);
  bool sti();
  void miss_if_pending();
  bool pushf();
  bool popf();
  void take_popped_flags(u32 size, const Label& miss);
  bool rdtsc();
  void cpuid();
  void gather_flags();
  void spread_flags();
  bool flag_instruction();
  // bits.cpp
  bool reaches_bits() const;
  bool bit_string();
  // segment.cpp
  bool segment_is_base(unsigned seg) const;
  bool segment_is_known(unsigned seg) const;
  void begin_load();
  void load_known(unsigned seg, x86::Gp to, x86::Gp value);
  void set_segment(unsigned seg);
  bool shields_stack();
  bool move_to_segment();
  bool pop_segment();
  bool far_pointer(unsigned seg);
  bool far_allowed() const;
  bool far_jump_or_call();
  bool far_ret();
  bool far_iret();
  void keep_pointer();
  void to_kept_pointer();
  void far_transfer();
  // move.cpp
  bool move_special();
  bool move_from_segment();
  bool move_from_control();
  bool xlat();
  // x87, MMX, SSE
  bool fpu_instruction();
  bool fpu_allowed(const Insn& insn) const;
  bool uses_fpu() const;
  void need_fpu();
  bool load_control_word();  // x87_control.cpp

  void callout();
  Site& take_site();
  void call_with(const Site& site, const u8* stub);
  bool checked() const { return draft_.marks[now_.index].checked; }
  void cold_paths();
  void name_site(u32 index);
  void cold_path(const Cold& cold);
  Label miss_label();
  void later(const Cold& cold) {
    CHECK(cold_count_ < kMaxCold);
    cold_[cold_count_++] = cold;
  }

  const Stubs& stubs_;
  Block& block_;
  Draft& draft_;
  const bool bmi2_;  // RORX and MULX, which leave the flags alone; what needs them is a callout otherwise
  Now now_{};
  x86::Mem operand_;  // where the lane leads
  // Of direct jumps forward to an instruction of this block: its index.
  static constexpr u8 kOut = 0xff;
  std::array<u8, kMaxBlockInsns> inner_;
  std::array<bool, kMaxBlockInsns> is_target_;
  std::array<Label, kMaxBlockInsns> target_;
  std::array<bool, kMaxBlockInsns> fpu_at_target_;  // fpu_checked_ on all the ways there
  i32 esp_ahead_ = 0;                               // guest ESP less the register for it
  Insn shifted_;                                    // the instruction with that in its displacement
  bool fpu_checked_ = false;
  bool flags_saved_ = false;  // in kSaved, beside RAX, and not in the host's
  bool ended_ = false;        // control has been transferred: nothing falls through
  static constexpr u32 kMaxCold = 8 * kMaxBlockInsns;
  std::array<Cold, kMaxCold> cold_;
  u32 cold_count_ = 0;
};

}  // namespace umbra::x64
