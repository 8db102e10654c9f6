// What a host must implement to run blocks. The engine decides what to translate and where control goes next; the host
// emits code, and comes back to C++ through Entries. Every entry returns the host address at which to go on (guest
// registers are loaded first), so that leaving, dispatching and resuming are one mechanism.
#pragma once

#include <memory>
#include <string>

#include "translator/block.h"
#include "translator/code_cache.h"

namespace umbra {

// C++ functions that generated code calls. They never throw.
struct Entries {
  void* engine;
  u8* (*callout)(void* engine, Site* site);          // runs the instruction; null: go on behind the call
  Took (*shortcut)(void* engine, const Site* site);  // no vector registers are touched
  u8* (*missed)(void* engine, u32 site);             // a lane missed, or the host faulted, in this instruction
  u8* (*link)(void* engine, u32 exit);               // an exit, by its number, is taken for the first time
  u8* (*miss)(void* engine);                         // CpuState::eip has no entry in the dispatch table
  u8* (*resume)(void* engine);                       // CpuState::eip is where to go on: Took::kAway
  u8* (*poll)(void* engine);                         // somebody kicked
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual const char* name() const = 0;
  // Emits the stubs at the start of an empty code cache.
  virtual void start(CodeCache& cache, const Entries& entries) = 0;
  // Emits the block's code from the draft; fills Block::code, entry, host_size, the draft's marks and exits, and takes
  // the sites that it needs. False: no room in the cache.
  virtual bool emit(Block& block, Draft& draft) = 0;
  // Gives `to`, which is `from` at another EIP under another number, its code. False: no room in the cache.
  virtual bool copy(const Block& from, Block& to) = 0;
  // A copy of this block would be what emitting its draft there gives.
  virtual bool moves_well(const Block& block, const Draft& draft) const = 0;
  // The independent verifier's verdict on a block just emitted: empty, or the offence.
  virtual std::string verify(const Block& block) const = 0;
  // Points an exit at a block; back at its own cold path; or makes that path go through the dispatch table for good.
  virtual void chain(const Exit& exit, const Block& to) = 0;
  virtual void unchain(const Exit& exit) = 0;
  virtual void give_up(const Exit& exit) = 0;
  // Makes every way into a dead block lead to the dispatcher.
  virtual void redirect(const Block& block) = 0;
  // Runs from `code` until an entry returns exit_code().
  virtual void enter(CpuState& state, const u8* code) = 0;
  virtual u8* exit_code() const = 0;
  // Changes a signal frame that stopped in generated code so that it goes on in a C++ entry. `flags_saved` is the
  // instruction's Mark's.
  virtual void divert_to_missed(void* ucontext, u32 site, bool flags_saved) = 0;
  virtual bool was_write(const void* ucontext) const = 0;
  virtual void divert_to_poll(void* ucontext, u32 eip) = 0;
  // Points the window register there at once (in a signal handler).
  virtual void load_window(u64 base) = 0;
  virtual bool has_windows() const = 0;
  // Host code as text, one instruction a line.
  virtual std::string listing(std::span<const u8> code) const = 0;
};

}  // namespace umbra
