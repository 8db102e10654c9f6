// translate_bench FILE [OFFSET [BYTES [ROUNDS]]]: cycles that discovery and emission take per instruction of real code,
// read as a straight line of 32-bit code in regions of the window lane. The least of the rounds: what is left of caches
// that nobody else uses. What the engine does around that, and the misses of a running guest, `-d exits` tells
// (translation_cycles / guest_insns).
#include <x86intrin.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "cpu/model.h"
#include "tests/cpu/machine.h"
#include "translator/block_index.h"
#include "translator/x64/backend.h"

namespace umbra {
namespace {

Mode user_mode() {
  TestMachine m;
  m.flat32();
  m.cpu.s.cpl = 3;
  return Mode::of(m.cpu);
}

struct Totals {
  u64 blocks = 0, insns = 0, cycles = 0;
};

class Bench {
 public:
  Bench() {
    backend_.start(*cache_, Entries{});
    stubs_ = cache_->used();
  }

  Totals round(std::span<const u8> code) {
    Totals t;
    cache_->reset(stubs_);
    const u64 start = __rdtsc();
    for (u32 at = 0; at + kPageSize < code.size();) {
      Block block;
      block.key = {at, at, at, 0xffffffff, mode_};
      block.window = true;
      const u32 room = kPageSize - at % kPageSize;
      draft_.sites = sites_.data();
      draft_.exits = exits_.data();
      draft_.relocations = relocations_.data();
      draft_.site_count = 0;
      const u32 count = discover(
          block, *find_cpu_model(kDefaultCpuModel), code.subspan(at, room), code.subspan(at + room, 16), kMaxBlockInsns,
          &made_, [](Linear) { return u8{kNoReg}; }, draft_);
      if (!backend_.emit(block, draft_)) {
        cache_->reset(stubs_);
        continue;
      }
      at += block.guest_size;
      ++t.blocks;
      t.insns += count;
    }
    t.cycles = __rdtsc() - start;
    return t;
  }

 private:
  std::unique_ptr<CodeCache> cache_ = std::move(*CodeCache::create(4u << 20));
  x64::X64Backend backend_{true};
  u32 stubs_ = 0;
  const CpuModel& model_ = *find_cpu_model(kDefaultCpuModel);
  Mode mode_ = user_mode();
  Backing backing_;
  Arena<Block> blocks_{backing_, 1};
  BlockIndex index_{blocks_};
  std::bitset<kPageSize> starts_;
  Made made_{index_, starts_};
  Draft draft_;
  std::vector<Exit> exits_ = std::vector<Exit>(kMaxBlockInsns + 1);
  std::vector<Relocation> relocations_ = std::vector<Relocation>(kMostRelocations);
  std::vector<Site> sites_ = std::vector<Site>(kMaxBlockInsns);
};

int run(int argc, char** argv) {
  std::ifstream in(argc > 1 ? argv[1] : "", std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "translate_bench FILE [OFFSET [BYTES [ROUNDS]]]\n");
    return 1;
  }
  const std::vector<char> file{std::istreambuf_iterator<char>(in), {}};
  std::span<const u8> code(reinterpret_cast<const u8*>(file.data()), file.size());
  const auto number = [&](int i, std::size_t otherwise) {
    return argc > i ? static_cast<std::size_t>(std::strtoull(argv[i], nullptr, 0)) : otherwise;
  };
  code = code.subspan(std::min(number(2, 0), code.size()));
  code = code.first(std::min(number(3, code.size()), code.size()));
  const auto bench = std::make_unique<Bench>();
  Totals best;
  for (std::size_t i = number(4, 5); i-- > 0;) {
    const Totals now = bench->round(code);
    if (best.cycles == 0 || now.cycles < best.cycles) best = now;
  }
  const auto per = [](u64 what, u64 of) { return static_cast<double>(what) / static_cast<double>(of); };
  std::printf("%llu blocks, %.1f instructions each: %.1f cycles an instruction\n",
              static_cast<unsigned long long>(best.blocks), per(best.insns, best.blocks), per(best.cycles, best.insns));
  return 0;
}

}  // namespace
}  // namespace umbra

int main(int argc, char** argv) { return umbra::run(argc, argv); }
