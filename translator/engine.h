// Umbra's translator: guest code is rewritten block by block into host code that keeps guest registers in host
// registers, and runs there until something needs C++.
//
// One loop, next(), decides where control goes: it takes interrupts, gives odd situations (single-step, armed debug
// registers, code in device memory, blocks that cannot be cached) to the interpreter one instruction at a time, finds
// or makes the block for the current EIP and mode, and returns its host address. Everything that leaves generated code
// (a callout that changed control, a dispatch miss, a poll, a host fault) ends in next(), and generated code jumps
// wherever it says; run() only starts and stops that.
//
// The rule that keeps it right: an instruction either runs natively with all its checks passed, or has changed nothing
// and is run as a whole by the interpreter's handler. So every fault, limit, page crossing, device and code page is
// the handler's business, and a guest fault is always precise. Code that needs the host's flags for itself has put the
// guest's aside before.
//
// Stores to translated code reach us as CodeWatcher. The blocks that own the bytes are redirected to the dispatcher at
// once; their memory stays until the next flush, so a block that kills itself can finish its callout and leave.
#pragma once

#include <array>
#include <bitset>
#include <csignal>
#include <functional>
#include <unordered_map>
#include <vector>

#include "cpu/engine.h"
#include "cpu/interp/interp.h"
#include "translator/arena.h"
#include "translator/block_index.h"
#include "translator/device_access.h"
#include "translator/link.h"
#include "translator/lowering.h"
#include "translator/sampler.h"
#include "translator/smc.h"
#include "translator/stats.h"
#include "translator/views.h"

namespace umbra {

class Translator;
namespace test {
class Disturber;
}

struct TranslatorOptions {
  u32 code_bytes = 64u << 20;
  u32 max_block_insns = kMaxBlockInsns;
  bool chain = true;
  bool windows = true;          // hot code reaches memory through windows, where the host can
  bool always_windows = false;  // all code does, from its first translation (tests)
  bool bmi2 = true;             // false: as if the host had none (tests)
  bool verify = false;          // every block through the independent verifier
  std::function<void(Translator&, const u8* where)> disturb;  // called before generated code goes on (tests)
};

class Translator final : public Engine, private CodeWatcher, private LayoutWatcher, private InvalidationWatcher {
 public:
  Translator(std::unique_ptr<CodeCache> cache, std::unique_ptr<Backend> backend, PhysicalMemory& memory,
             const TranslatorOptions& options);
  ~Translator() override;

  const char* name() const override { return backend_->name(); }
  Stop run(Cpu& cpu) override;
  Stop step(Cpu& cpu) override;
  void kick() override;
  void flush() override { flush_wanted_ = true; }
  std::string statistics(bool json) const override;

  // A host signal: true if it came from generated code and the frame has been diverted.
  bool handle_fault(const siginfo_t& info, void* ucontext, const void* pc);
  Statistics gather() const;

 private:
  // Of a lane miss, decoded again when that happens.
  struct Missed {
    u32 number = ~u32{0};
    DeviceAccess device = nullptr;
    Site site;
  };
  // Entries from generated code (callouts.cpp).
  static u8* callout_entry(void* self, Site* site);
  static u8* missed_entry(void* self, u32 site);
  static u8* link_entry(void* self, u32 exit);
  static u8* miss_entry(void* self);
  static u8* poll_entry(void* self);
  static u8* resume_entry(void* self);
  // The ways in and out of shortcuts (shortcuts.cpp).
  static Took shortcut_entry(void* self, const Site* site);
  Took land(Mode mode);
  Took land_in_ring(const Site& site);
  void note_far_target(const DispatchTable& table, DispatchKey key);
  Context& give_tables(const DispatchTable& table);  // to generated code; the window is the caller's
  friend struct Shortcuts;
  friend class test::Disturber;
  u8* callout(const Site& site);
  u8* done(const Site& site);
  bool stays(const Site& site) const;  // generated code may go on behind it
  bool page_faults(const Site& site);  // true: delivered
  bool fetch_faults();                 // likewise
  bool guard_faults(const Site& site);
  void deliver(const GuestFault& fault);
  bool execute(const Site& site);  // false: a fault was delivered
  u8* go(u8* where);               // last thing before generated code
  u8* next();
  u8* stop(Stop why);
  bool attend();  // true: run() has to return
  void interpret();

  void code_written(u64 page, u32 offset, u32 size) override;
  bool holds_code(u64 page) const override { return code_pages_.holds(page); }
  void layout_changed(Phys first, u64 size) override;
  void page_invalidated(Linear address) override { spaces_.page_invalidated(address); }

  u8* find_code();
  Block* translate(const BlockKey& key);
  // Code that has been translated for another address before (copy.cpp).
  Block* copy(const BlockKey& key);
  bool may_be_copied(const Block& block);
  bool has_room_for(std::span<const u32> blocks) const;
  Block* copy_all(const BlockKey& page);
  Block& copy_one(const Block& from, const BlockKey& page);
  void link_inside(std::span<Block> blocks);
  void verify(const Block& block, const std::string& offence) const;
  void add(Block& block);
  static BlockKey target_key(const Exit& exit);
  u8 locator_at(const BlockKey& key, Linear target) const;
  bool leads_on(const Exit& exit, const Block& to) const;  // where it is pointed when it is linked
  Block* follow(const Exit& exit);
  void link(Exit& exit, Block& to);
  void point(Exit& exit, Block& to);
  void unlist(Exit& exit);
  u32 choose_copy(const DispatchTable& table, const BlockKey& key) const;
  void unlink_out(const View& view, bool for_good);
  void adopt(const Block& block, const DispatchTable& table);
  void unlink_dropped();
  Missed& missed(u32 number);
  Block& block_of(const u8* code) { return blocks_[CodeCache::number(code)]; }
  void flush_now();
  void trace(const Block& block) const;
  Block* block_at(const u8* pc) const;
  void kill(Block& block);

  // Hot code (hot.cpp): sampled, then translated again for the window lane.
  static Sampler::Told sample_entry(void* self, void* ucontext, u32 weight);
  Sampler::Told sample(const void* pc, u32 weight);
  void promote();
  void demote(Block& block, u32 index);
  void note_refusal(u64 instruction, bool guest_fault);
  bool is_hot(u64 page) const;
  bool suits_window(const BlockKey& key) const;
  bool fix_window_fault(const Block& block, u32 index, const siginfo_t& info, bool write);

  std::unique_ptr<CodeCache> cache_;
  std::unique_ptr<Backend> backend_;
  PhysicalMemory& memory_;
  TranslatorOptions options_;
  Interpreter interpreter_;
  Views views_;
  DispatchTables spaces_{views_};
  CodePages code_pages_;
  Statistics stats_;

  Cpu* cpu_ = nullptr;  // while running
  Stop stop_ = Stop::kAttention;
  const Mmu* mmu_ = nullptr;  // the last one seen, and how it was left
  u64 mmu_epoch_ = 0;
  volatile std::sig_atomic_t in_generated_ = 0;
  volatile std::sig_atomic_t kicked_ = 0;
  pthread_t thread_{};
  bool flush_wanted_ = false;

  std::unique_ptr<Sampler> sampler_;
  static constexpr u32 kSamples = 16;
  u64 sampled_pages_[kSamples] = {};  // written by the signal handler, emptied by promote()
  volatile std::sig_atomic_t sampled_ = 0;
  // What else the tables in FarTargets were chosen by.
  DispatchKey far_key_;
  DispatchTables::Version far_version_;
  std::unordered_map<u64, u32> heat_;  // physical page of supervisor code: samples
  // Signals at one instruction that ended in a callout, lately.
  struct Refusals {
    u64 instruction = 0;  // physical address
    u64 since = 0;        // ticks
    u32 count = 0;
  };
  std::array<std::array<Refusals, 4>, 256> refusals_{};
  bool demote_wanted_ = false;  // the instruction that just had one

  Backing backing_;
  Arena<Block> blocks_{backing_, 1u << 21};  // in the order of their code
  BlockIndex by_key_{blocks_};
  std::array<u32, kPageSize> begins_{};  // while a view is given copies: the number + 1 of the block that begins there
  std::vector<u32> to_copy_;
  Draft draft_;
  Arena<Mark> marks_{backing_, 1u << 24};
  Arena<Relocation> relocations_{backing_, 1u << 25};
  Arena<Exit> exits_{backing_, 1u << 22};
  Arena<Site> sites_{backing_, 1u << 20};  // of callouts by design
  std::array<Missed, 1024> missed_;
  u32 stub_bytes_ = 0;
  u32 copies_apart_ = 0;  // bytes of code that is there because several run it (views.h)
  bool windows_ = false;
};

}  // namespace umbra
