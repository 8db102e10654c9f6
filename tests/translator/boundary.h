// Streams under a kernel that grudges them every page and interrupts them: most accesses fault, some reach a device
// that asks for an interrupt. Whatever the translator stops for, the interpreter must be able to stop for at the same
// boundary of instructions, with the same registers, flags, frame, page tables and memory.
//
// The translator may take an interrupt later than it came up, so it runs first; the interpreter follows in single steps
// until it has the state that was interrupted, and is interrupted there.
#pragma once

#include <deque>
#include <unordered_set>

#include "tests/translator/streams.h"

namespace umbra::test {

struct BoundaryRun {
  enum Space : u32 { kFlat, kBased, kLimited, kV86, kSmallStack, kSupervisor, kSpaces };
  u32 seed = 1;
  u32 streams = 100;
  u32 space = kFlat;
  TranslatorOptions options = {};
  bool branches = false;  // between the instructions, so that hot code makes regions of them; not in V86 mode
  bool fpu = false;
  // The stream is a loop, its pages are there, and interrupts come when they like. Not in V86 mode.
  bool from_outside = false;
};

class Boundaries {
 public:
  explicit Boundaries(const BoundaryRun& run);
  // Runs one; empty, or what went wrong.
  std::string stream(u32 number);
  u32 faults = 0, interrupts = 0;  // seen
  Statistics statistics() const { return t_.translator->gather(); }

 private:
  struct Device final : BusTarget {
    Cpu* asks = nullptr;
    u32 last = 0;
    u32 read(u32 offset, unsigned) override { return ask(), last + offset; }
    void write(u32 offset, u32 value, unsigned) override { ask(), last = value ^ offset << 24; }
    void ask() const {
      if (asks != nullptr) asks->pending.fetch_or(attention::kInterrupt);
    }
  };
  struct Frame {
    u32 eip, cs, eflags, esp, ss;
  };

  bool supervisor() const { return run_.space == BoundaryRun::kSupervisor; }
  std::vector<u8> insn();
  std::vector<u8> make(u32 start);
  void enter(Machine& m, const std::vector<u8>& code, u32 start) const;
  void set_segments(Machine& m, u32 start) const;
  void set_page(u32 page, u32 rights);
  bool fix_page();
  std::string events();
  Stop run_b();
  u32 vector() const;
  void resume(Machine& m, const Frame& frame, u32 above) const;
  u32 frame_at() const;
  Frame frame() const;
  u32 blurred(u32 eip) const;  // flags
  void find_blurred(const std::vector<u8>& code, u32 start);
  bool follow();

  const BoundaryRun run_;
  Twins t_;
  Streams s_;
  Device device_a_, device_b_;
  u32 registers_[8] = {}, eflags_ = 0;
  u32 capacity_ = 1;
  std::deque<u32> resident_;         // pages that may be accessed just now
  std::unordered_set<u32> blurred_;  // EIPs
  u32 last_eip_ = 0, tries_ = 0;
};

// What a seed stands for: table or window lane, single instructions, chained blocks or regions, room for few blocks or
// many, every kind of address space, integers or not.
BoundaryRun boundary_run(u32 seed);
u32 check_boundaries(const BoundaryRun& run);  // the number of interrupts seen

}  // namespace umbra::test
