// A block: guest instructions that run one after another, all in one page (or one instruction that crosses into the
// next), translated for one mode. What generated code takes for granted is in the key; whatever changes a part of the
// key ends a block.
#pragma once

#include <compare>
#include <span>

#include "cpu/cpu.h"

namespace umbra {

struct Block;

// How much checking an access through a segment needs.
enum class SegClass : u32 {
  kFlat,    // base 0, 4 GiB, readable and writable
  kBased,   // only the base must be added
  kChecked  // limits and rights are compared at each access
};

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
  bool interrupt_flag() const { return (bits_ & 64) != 0; }  // CLI and STI just change IF
  bool lanes() const { return (bits_ & 128) != 0; }  // false: alignment checks are on, every access is a callout
  // CS, FS and GS are always checked: making their state part of the key would translate a kernel once per process.
  SegClass segment(unsigned seg) const { return static_cast<SegClass>((bits_ >> (8 + 2 * seg)) & 3); }
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
  auto operator<=>(const BlockKey&) const = default;
  CodeSize size() const { return mode.code_32() ? CodeSize::k32 : CodeSize::k16; }
  u32 eip_mask() const { return mode.code_32() ? 0xffffffff : 0xffff; }
};

// One instruction of a block; what a callout gets.
struct Site {
  Block* block = nullptr;
  u32 eip = 0;
  u32 host = 0;              // offset of its code in the block's
  bool inline_code = false;  // a callout here means that a lane missed
  bool checked = false;      // keeps missing in windows: stays with the table lane
  u16 hidden_faults = 0;     // signals taken here
  Insn insn;
};

// A direct transfer inside the page: a rel32 in the block's code that is pointed at the target once that exists.
struct Exit {
  u32 rel32 = 0;  // offset of the four bytes
  u32 eip = 0;
  bool poll = false;  // a backward transfer enters through the poll
};

struct Block {
  BlockKey key;
  u64 second_page = ~u64{0};  // physical page number, when the one instruction crosses
  u32 guest_size = 0;
  u32 host_size = 0;
  u32 count = 0;  // of sites
  u32 entry = 0;  // offset of the entry without a poll
  u32 cold = 0;   // offset of the out-of-line part, which cannot fault
  bool valid = true;
  bool window = false;  // reaches memory through the window lane
  u8 exit_count = 0;
  Exit exits[2];
  Site* sites = nullptr;
  u8* code = nullptr;  // starts with the poll

  std::span<Site> insns() const { return {sites, count}; }
  bool crosses() const { return second_page != ~u64{0}; }
  u32 end_eip() const { return (key.eip + guest_size) & key.eip_mask(); }
};

inline constexpr u32 kMaxBlockInsns = 64;

// Decodes from `code`, the bytes from the block's start to the end of its page, into `sites` (room for
// kMaxBlockInsns). `next_page` are the first bytes of the following page or empty; they are used only when the very
// first instruction crosses. Returns the number of instructions; 0 if the first one has to be interpreted.
u32 discover(Block& block, const CpuModel& model, std::span<const u8> code, std::span<const u8> next_page, Site* sites);

}  // namespace umbra
