// What the translator did and what left generated code: `info jit`, `-d exits`, and JSON for tools.
#pragma once

#include <array>
#include <string>

#include "cpu/insn.h"

namespace umbra {

struct Statistics {
  // Per row of isa.def (the last is for op kInvalid): instructions executed by C++, and host cycles while -d exits is
  // on.
  struct Kind {
    u64 count = 0;   // by design
    u64 missed = 0;  // a lane missed: shadow entry empty, page crossed, segment limit
    u64 cycles = 0;
    u64 shortcuts = 0;  // done by a shortcut instead
    u64 inlined = 0;    // sites translated without a callout, of sensitive instructions
  };
  std::array<Kind, kOpCount + 1> callouts{};
  u64 translations = 0;
  u64 copies = 0;  // of them, of code translated for another address before
  u64 guest_insns = 0;
  u64 guest_bytes = 0;
  u64 host_bytes = 0;
  u64 translation_cycles = 0;
  u64 dispatch_misses = 0;
  u64 polls = 0;
  u64 host_faults = 0;   // signals turned into callouts
  u64 window_fixes = 0;  // signals that mapped a page into a window
  u64 samples = 0;
  u64 hot_pages = 0;
  u64 demoted = 0;  // instructions taken back to the table lane
  u64 window_blocks = 0;
  u64 guest_faults = 0;  // exceptions delivered
  u64 invalidated_blocks = 0;
  u64 code_writes = 0;   // stores to pages that hold code
  u64 far_links = 0;     // exits pointed at another page
  u64 views_copied = 0;  // pages given to another program that runs for long (views.h)
  u64 views_shared = 0;  // that lost their links to other pages
  u64 flushes = 0;
  u64 interpreted = 0;    // instructions given to the interpreter
  u64 callouts_made = 0;  // instructions translated into callouts

  // Gauges, filled in when asked.
  u64 code_bytes = 0;
  u64 spaces = 0;
  u64 dispatch_bytes = 0;
  u64 mappings_dropped = 0;

  std::string text() const;
  std::string json() const;
};

}  // namespace umbra
