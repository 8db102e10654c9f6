// The interpreter: runs decoded blocks from a cache keyed by physical address. It is the oracle of the translators, the
// tier for code that runs once, and through bind() the body of every callout.
//
// A block ends at a branch, at an instruction that changes mode or mapping, at the end of its page, or after
// kMaxBlock instructions. An instruction that reaches into a second page is a block of its own, keyed by both pages.
// A store to a block's bytes kills it (CodeWatcher); the running one stops after the instruction that stored. Memory
// for blocks is a fixed arena, emptied as a whole when it is full.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "cpu/cpu.h"
#include "cpu/engine.h"

namespace umbra {

class Interpreter final : public Engine, private CodeWatcher, private LayoutWatcher {
 public:
  explicit Interpreter(PhysicalMemory& memory);
  ~Interpreter() override;

  const char* name() const override { return "interp"; }
  Stop run(Cpu& cpu) override;
  Stop step(Cpu& cpu) override;
  Stop run_block(Cpu& cpu);  // to the end of one block, or one instruction where TF and its like ask for that
  void kick() override {}    // run() looks at cpu.pending after every block
  void flush() override { drop_all(); }
  std::string statistics(bool json) const override;
  u64 retired() const { return counts_.retired; }

 private:
  static constexpr u32 kMaxBlock = 64;            // instructions
  static constexpr u32 kArenaInsns = 128 * 1024;  // 8 MiB
  static constexpr u32 kArenaBlocks = 32 * 1024;
  static constexpr u32 kRecent = 4096;   // direct-mapped, by linear address
  static constexpr u32 kBuckets = 8192;  // by physical address
  static constexpr u32 kNoPage = 0xffffffff;

  struct Block {
    u64 context = 0;  // under which `linear` is known to lead here; kDead when the bytes have changed
    u32 linear = 0;
    u32 page = 0;  // physical page of the first byte, and of the last one where it differs
    u32 second_page = kNoPage;
    u16 offset = 0;  // of the first byte in its page
    u16 bytes = 0;
    u16 count = 0;
    CodeSize size = CodeSize::k16;
    Insn* insns = nullptr;
    Block* next_in_bucket = nullptr;
    Block* next_in_page[2] = {};  // as a block of `page`, of `second_page`
  };
  static constexpr u64 kDead = ~u64{0};

  struct Page {
    Block* blocks[2];  // that begin here, that end here
    u64 covered;       // one bit for 64 bytes
    bool holds_blocks() const { return blocks[0] != nullptr || blocks[1] != nullptr; }
  };
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  // Where the instruction bytes of a linear page are, under one context.
  struct Fetch {
    u64 context = kDead;
    u32 linear_page = 0;
    Phys page;
    const u8* host = nullptr;  // null: a device or nothing; such code is never cached
  };

  void code_written(u64 page, u32 offset, u32 size) override;
  bool holds_code(u64 page) const override { return pages_[page].holds_blocks(); }
  void layout_changed(Phys first, u64 size) override;

  template <class Part>
  Stop guarded(Cpu& cpu, Part part);
  bool odd(const Cpu& cpu) const { return cpu.trap_check_needed() || cpu.s.shadow != 0; }
  void run_blocks(Cpu& cpu, bool once);
  void execute(Cpu& cpu, Block& block);
  void execute_singly(Cpu& cpu);
  void count_until_fault(const Cpu& cpu);

  Block* find(Cpu& cpu);
  Block* find_slow(Cpu& cpu, Linear linear, u64 context);
  Block* build(Cpu& cpu, Linear linear, const Fetch& fetch);
  Block* build_crossing(Cpu& cpu, Linear linear, const Fetch& fetch);
  Insn decode_singly(Cpu& cpu);
  void fetch_bytes(Cpu& cpu, Linear from, u8* to, u32 count);
  const Fetch& fetch_page(Cpu& cpu, Linear a);

  Block* insert(const Block& block, const Insn* insns);
  void register_page(Block& block, u32 page, unsigned role, u32 first, u32 last);
  void kill(Block& block);
  void unlink_dead(u32 number);
  void drop_all();

  PhysicalMemory& memory_;
  const Insn* end_ = nullptr;  // of the running block; null makes it stop
  Block* running_ = nullptr;
  std::unique_ptr<Insn[], Free> insns_;
  std::unique_ptr<Page[], Free> pages_;
  std::vector<Block> blocks_;
  std::vector<Block*> recent_;
  std::vector<Block*> buckets_;
  std::vector<u32> used_pages_;
  u32 insns_used_ = 0;
  u32 blocks_used_ = 0;
  Fetch fetches_[64];
  struct {
    u64 retired = 0, built = 0, killed = 0, drops = 0, misses = 0, faults = 0;
  } counts_;
};

}  // namespace umbra
