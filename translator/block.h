// A block: consecutive guest instructions, all in one page (or one instruction that crosses into the next), translated
// for one mode. What generated code takes for granted is in the key; whatever changes a part of the key ends a block.
// In the table lane the first transfer of control ends it, too. Hot code, in the window lane, is made in *regions*:
// they go on behind a branch, and branches forward within a region are jumps inside the block.
#pragma once

#include <bitset>
#include <compare>
#include <functional>
#include <span>

#include "cpu/cpu.h"

namespace umbra {

struct Block;

class Mode {
 public:
  Mode() = default;
  static Mode of(const Cpu& cpu);

  bool code_32() const { return (bits_ & 1) != 0; }
  bool stack_32() const { return (bits_ & 2) != 0; }
  bool user() const { return (bits_ & 4) != 0; }
  bool protected_mode() const { return (bits_ & 8) != 0; }
  bool x87() const { return (bits_ & 16) != 0; }             // no #NM, every exception masked: runs on the host's unit
  bool sse() const { return (bits_ & 32) != 0; }             // likewise
  bool interrupt_flag() const { return (bits_ & 64) != 0; }  // CLI and STI just change IF, and so does POPF
  bool window() const { return (bits_ & 1u << 20) != 0; }    // user code whose address space has earned its window
  bool lanes() const { return (bits_ & 128) != 0; }  // false: alignment checks are on, every access is a callout
  bool plain_flags() const { return (bits_ & 1u << 21) != 0; }  // PUSHF and POPF are nobody's business but ours
  bool tsc() const { return (bits_ & 1u << 22) != 0; }          // RDTSC is allowed, and the host's counter scaled
  // In protected mode CS is always checked, and in 32-bit code FS and GS are: making their state part of the key would
  // translate a kernel once per process.
  bool free_fs_gs() const { return protected_mode() && code_32(); }
  SegClass segment(unsigned seg) const { return static_cast<SegClass>((bits_ >> (8 + 2 * seg)) & 3); }
  Mode with(unsigned seg, SegClass c) const {
    Mode mode = *this;
    mode.bits_ = (bits_ & ~(3u << (8 + 2 * seg))) | static_cast<u32>(c) << (8 + 2 * seg);
    return mode;
  }
  u32 bits() const { return bits_; }
  auto operator<=>(const Mode&) const = default;

 private:
  u32 bits_ = 0;
};

struct BlockKey {
  u64 phys = 0;
  u32 linear = 0;
  u32 eip = 0;
  u32 cs_limit = 0;
  Mode mode;
  u32 copy = 0;  // several address spaces have one each (views.h)
  auto operator<=>(const BlockKey&) const = default;
  CodeSize size() const { return mode.code_32() ? CodeSize::k32 : CodeSize::k16; }
  u32 eip_mask() const { return mode.code_32() ? 0xffffffff : 0xffff; }
};

// An instruction on its way through C++: what a callout gets. Instructions that are callouts by design have one in an
// arena; for those whose lane missed it is made when it happens.
struct Site;

// What a shortcut came to (shortcuts.h).
enum class Took : u32 {
  kNext,       // done, and the block goes on
  kElsewhere,  // done: on from CpuState::eip, the Context is up to date
  kAway,       // done: on from CpuState::eip, wherever Translator::next() says
  kNothing     // not its case, nothing has changed
};
class Translator;
using Shortcut = Took (*)(Translator&, const Site&);

struct Site {
  Block* block = nullptr;
  u32 eip = 0;
  u32 index = 0;                        // in the block
  bool inline_code = false;             // a callout here means that a lane missed
  bool keeps_mode = false;              // whatever it does, the block's mode still holds behind it
  bool guarded = false;                 // Translator::guard_faults() is to be asked first
  SegClass loads = SegClass::kChecked;  // what the segment that it loads must be for the block's mode to hold
  Shortcut shortcut = nullptr;
  Insn insn;
};

// What is kept of each instruction: there are millions. Decoding its bytes again gives the rest.
struct Mark {
  u32 host : 15 = 0;   // offset of its code in the block's
  u32 guest : 10 = 0;  // offset of its bytes
  u32 inline_code : 1 = 0;
  u32 checked : 1 = 0;      // keeps missing in windows: stays with the table lane
  u32 flags_saved : 1 = 0;  // a host fault in it finds the guest's flags put aside
  i32 esp_ahead : 4 = 0;    // guest ESP less the register for it, in fours, where it begins
};
static_assert(sizeof(Mark) == 4);

// A field of a block's code that depends on where the block lies, in the guest or on the host: what it takes to copy
// the code of a library that another process has mapped elsewhere.
struct Relocation {
  enum class Kind : u16 {
    kStub,  // rel32 of something outside the block
    kEip,   // an EIP
    kSite   // the number of a site
  };
  static constexpr u32 kReach = (1u << 14) - 1;
  u16 offset : 14 = 0;
  u16 kind : 2 = 0;
};
static_assert(sizeof(Relocation) == 2);

// A direct transfer out of the block: a rel32 in the block's code. It leads to a cold path of its own, which asks the
// engine to point it at the target, until that has been done.
struct Exit {
  u16 rel32 = 0;  // offset of the four bytes
  u16 cold = 0;   // offset of the question to the engine in the cold path
  u32 eip = 0;
  u32 to = 0;    // the number + 1 of the block that it is linked to …
  u32 next = 0;  // … and of the next and the previous exit that lead there
  u32 previous = 0;
  bool poll = false;    // a backward transfer enters through the poll
  bool fpu = false;     // the guest's x87 and SSE state is in the host's units
  bool far = false;     // out of the block's page (views.h)
  u8 locator = kNoReg;  // a call to one: what it loads. When linked, the code behind the exit does that, and goes on
  Block* from = nullptr;
};
static_assert(sizeof(Exit) == 32);

// Position-independent code learns where it is by calling a function that loads its return address. Such a *locator*
// is two instructions, MOV reg,[ESP] and RET, and most functions of i386 libraries begin with a call of one.
inline constexpr u32 kLocatorBytes = 4;
inline u8 locator(const u8* code) {
  const bool is_one = code[0] == 0x8b && (code[1] & 0xc7) == 0x04 && code[2] == 0x24 && code[3] == 0xc3;
  const u8 reg = code[1] >> 3 & 7;
  return is_one && reg != kEsp ? reg : u8{kNoReg};
}

struct Block {
  BlockKey key;
  u64 second_page = ~u64{0};  // physical page number, when the one instruction crosses
  u32 id = 0;                 // its number since the last flush; stands before its code, too
  u32 view = 0;               // see views.h
  u32 guest_size = 0;
  u32 host_size = 0;
  u32 count = 0;  // of instructions
  u32 poll = 0;   // offset of the entry with the guest's x87 and SSE state in the host's units: the poll comes first
  u32 entry = 0;  // offset of the entry without a poll
  u32 cold = 0;   // offset of the out-of-line part, which cannot fault
  bool valid = true;
  bool window = false;      // reaches memory through the window lane
  bool movable = false;     // its code may be copied
  bool entered = false;     // dispatch tables are given it (views.h)
  bool far_target = false;  // it is in View::far_targets
  u8 exit_count = 0;
  u32 first_exit = 0;  // the number of exits[0] in generated code
  Exit* exits = nullptr;
  u32 incoming = 0;       // the number + 1 of the first exit that leads here
  Mark* marks = nullptr;  // shared by copies
  const Relocation* relocations = nullptr;
  u32 relocation_count = 0;
  u8* code = nullptr;  // starts with fetching the x87 and SSE state, if it is used, then the poll

  std::span<Mark> insns() const { return {marks, count}; }
  bool crosses() const { return second_page != ~u64{0}; }
  u32 eip_of(u32 index) const { return key.eip + marks[index].guest; }
};

inline constexpr u32 kMaxBlockInsns = 64;
inline constexpr u32 kMostRelocations = 256;

// Generated code names an instruction by one number.
inline constexpr u32 site_number(u32 block, u32 index) { return block * kMaxBlockInsns + index; }

// What blocks are made from; one is reused for all of them.
struct Draft {
  Insn insns[kMaxBlockInsns];
  u8 locators[kMaxBlockInsns];  // of direct calls: Exit::locator
  Mark marks[kMaxBlockInsns];
  u8 jumps[kMaxBlockInsns];  // instructions that may lead to one behind them
  u32 jump_count = 0;
  // Where these are to lie, with room for as many as there can be.
  Exit* exits = nullptr;
  Relocation* relocations = nullptr;
  u32 relocation_count = 0;
  Site* sites = nullptr;
  u32 site_count = 0;  // of which were taken
};

// Decodes from `code`, the bytes from the block's start to the end of its page, into `draft`, at most `most`
// instructions. `next_page` are the first bytes of the following page or empty; they are used only when the very first
// instruction crosses. With `made`, a region: it ends where a block begins that is there already, or where nothing in
// it leads on. `locator_at` tells whether there is one at a linear address just now. Returns the number of
// instructions; 0 if the first one has to be interpreted.
class BlockIndex;
struct Made {
  const BlockIndex& blocks;
  const std::bitset<kPageSize>& starts;  // where in the page some block begins; most instructions are not there
};
u32 discover(Block& block, const CpuModel& model, std::span<const u8> code, std::span<const u8> next_page, u32 most,
             const Made* made, const std::function<u8(Linear)>& locator_at, Draft& draft);

// Of a direct jump in a block, conditional or not: offset of its target from the block's start, which may be anywhere.
u32 target_offset(const Block& block, u32 at, const Insn& insn);

}  // namespace umbra
