// moo_run [-cpu MODEL] [-engine interp|jit|windows] FILE|DIR…: runs hardware-captured single-instruction tests.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

#include "cpu/base/log.h"
#include "tests/cpu/engines.h"
#include "tests/cpu/machine.h"
#include "tests/cpu/moo.h"

namespace umbra {
namespace {

constexpr u64 kMemory = 16 << 20;
constexpr unsigned kShown = 5;  // failures shown in full for each file

struct Totals {
  u64 passed = 0, failed = 0, revoked = 0;
};

// Ends a test that runs wild: asks the engine to stop when the same test is still running after some seconds, which on
// a busy host may pass without it.
class Watchdog {
 public:
  explicit Watchdog(Cpu& cpu) : thread_([this, &cpu] { watch(cpu); }) {}
  ~Watchdog() {
    done_ = true;
    thread_.join();
  }
  void next() { ++test_; }

 private:
  static constexpr unsigned kPatience = 5000;
  void watch(Cpu& cpu) {
    u64 last = 0;
    for (unsigned tick = 1; !done_; ++tick) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      if (tick % kPatience != 0) continue;
      if (const u64 now = test_; now == last) cpu.pending.fetch_or(attention::kExit);
      last = test_;
    }
  }
  std::atomic<u64> test_{0};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

class Runner {
 public:
  Runner(const CpuModel& model, const std::string& engine)
      : machine_(model.name, kMemory), engine_(make_engine(engine, *machine_.memory)), watchdog_(machine_.cpu) {
    if (model.generation == Generation::k8086)  // twenty address lines
      for (u64 at = 1 << 20; at < kMemory; at += 1 << 20) machine_.memory->map_ram(Phys(at), 1 << 20, 0, true);
  }
  bool has_engine() const { return engine_ != nullptr; }

  // `flags_mask` counts where the file has no masks of its own.
  void run(const MooFile& file, const std::string& name, u32 flags_mask, const std::set<std::string>& revoked,
           Totals& totals) {
    u64 failed = 0;
    wide_ = file.cpu.starts_with("386");
    machine_.ports.remapped = wide_ ? 0x427f : 0xffff;
    for (const MooTest& test : file.tests) {
      if (revoked.contains(test.hash)) {
        ++totals.revoked;
        continue;
      }
      watchdog_.next();
      set_up(test);
      execute(file);
      const std::string difference = compare(test, file.masks, flags_mask);
      if (difference.empty()) {
        ++totals.passed;
        continue;
      }
      ++totals.failed;
      if (++failed <= kShown) show(test, name, difference);
    }
    if (failed > kShown) std::printf("%s: %llu more failures\n", name.c_str(), (unsigned long long)(failed - kShown));
  }

 private:
  using R = MooRegs;

  void set_up(const MooTest& test) {
    Cpu& cpu = machine_.cpu;
    cpu.reset();
    const MooRegs& regs = test.initial.regs;
    const auto get = [&](R::Name n) { return regs.value[n].value_or(0); };
    constexpr R::Name kGeneral[] = {R::kEax, R::kEcx, R::kEdx, R::kEbx, R::kEsp, R::kEbp, R::kEsi, R::kEdi};
    constexpr R::Name kSegments[] = {R::kEs, R::kCs, R::kSs, R::kDs, R::kFs, R::kGs};
    for (unsigned i = 0; i < 8; ++i) cpu.s.gpr[i] = get(kGeneral[i]);
    for (unsigned i = 0; i < kSegCount; ++i)
      cpu.set_real_segment(static_cast<SegReg>(i), static_cast<u16>(get(kSegments[i])));
    cpu.s.eip = get(R::kEip);
    cpu.s.eflags = (get(R::kFlags) & flags_here() & cpu.model.flags_mask) | flag::kFixed;
    if (regs.value[R::kCr0]) cpu.s.cr0 = get(R::kCr0) & (cr0::kMp | cr0::kEm | cr0::kTs | cr0::kEt);
    for (const MooByte& b : test.initial.ram) machine_.memory->write(Phys(b.address), &b.value, 1);
  }

  // 16-bit sets have no upper flags; those of the 386 have ones where it has no flags at all.
  u32 flags_here() const { return wide_ ? 0x17fff : 0x0fff; }

  // Sets of later processors end every test with HLT; those of the 8086 family are one instruction.
  void execute(const MooFile& file) {
    Cpu& cpu = machine_.cpu;
    const bool one = file.cpu.starts_with("8") || file.cpu.starts_with("V");
    if (!one) {
      stop_ = engine_->run(cpu);
      return;
    }
    const u64 start = cpu.s.eip;
    const u32 cs = cpu.s.seg[kCs].base;
    do engine_->step(cpu);
    while (repeats(file) && cpu.s.eip == start && cpu.s.seg[kCs].base == cs && cpu.pending == 0);
  }
  bool repeats(const MooFile&) {
    const u32 at = machine_.cpu.s.seg[kCs].base + static_cast<u32>(machine_.cpu.s.eip);
    u8 bytes[kMaxInsnLength];
    machine_.memory->read(Phys(at & 0xfffff), bytes, sizeof bytes);
    const Insn insn = decode(bytes, CodeSize::k16, machine_.cpu.model).insn;
    return insn.has(prefix::kRep | prefix::kRepne) && insn.op != Op::kInvalid &&
           (info(insn.op).traits & trait::string) != 0;
  }

  u32 reg_now(unsigned n) {
    CpuState& s = machine_.cpu.s;
    switch (n) {
      case R::kEax:
        return s.r32(kEax);
      case R::kEbx:
        return s.r32(kEbx);
      case R::kEcx:
        return s.r32(kEcx);
      case R::kEdx:
        return s.r32(kEdx);
      case R::kCs:
        return s.seg[kCs].selector;
      case R::kSs:
        return s.seg[kSs].selector;
      case R::kDs:
        return s.seg[kDs].selector;
      case R::kEs:
        return s.seg[kEs].selector;
      case R::kEsp:
        return s.r32(kEsp);
      case R::kEbp:
        return s.r32(kEbp);
      case R::kEsi:
        return s.r32(kEsi);
      case R::kEdi:
        return s.r32(kEdi);
      case R::kEip:
        return static_cast<u32>(s.eip);
      case R::kFlags:
        return s.eflags;
      case R::kFs:
        return s.seg[kFs].selector;
      case R::kGs:
        return s.seg[kGs].selector;
      default:
        return 0;
    }
  }

  // Empty when the test passed, else what differs.
  std::string compare(const MooTest& test, const MooRegs& masks, u32 flags_mask) {
    std::string out;
    if (test.final.shutdown != (stop_ == Stop::kShutdown)) out += "  only one of the two has shut down\n";
    if (test.final.shutdown) return out;
    const auto mask_of = [&](unsigned n) {
      const auto& own = test.final.masks.value[n] ? test.final.masks.value[n] : masks.value[n];
      if (n == R::kFlags) return own.value_or(flags_mask) & flags_here();
      return own.value_or(0xffffffff) & (is_segment(n) ? 0xffff : 0xffffffff);
    };
    for (unsigned n = 0; n <= R::kGs; ++n) {
      if (!test.initial.regs.value[n]) continue;
      const u32 mask = mask_of(n);
      const u32 want = test.final.regs.value[n].value_or(*test.initial.regs.value[n]);
      if (((want ^ reg_now(n)) & mask) != 0)
        out += format("  %s is %x, hardware has %x%s\n", R::name(n), reg_now(n), want, mask == ~0u ? "" : " (masked)");
    }
    const u32 cr0 = machine_.cpu.s.cr0, flags = mask_of(R::kFlags);
    if (const auto want = test.final.regs.value[R::kCr0]; want && ((*want ^ cr0) & 0x8000000f) != 0)
      out += format("  cr0 is %x, hardware has %x\n", cr0, *want);
    const u32 sp = test.final.regs.value[R::kEsp].value_or(0);
    const u32 pushed_flags = test.initial.regs.value[R::kSs].value_or(0) * 16 + ((sp + 4) & 0xffff);
    for (const MooByte& b : test.final.ram) {
      u8 mask = 0xff;
      if (test.exception && b.address == pushed_flags) mask = static_cast<u8>(flags);
      if (test.exception && b.address == pushed_flags + 1) mask = static_cast<u8>(flags >> 8);
      const u8 now = machine_.peek<u8>(b.address);
      if (((now ^ b.value) & mask) != 0)
        out += format("  [%06x] is %02x, hardware has %02x\n", b.address, now, b.value);
    }
    return out;
  }

  void show(const MooTest& test, const std::string& file, const std::string& difference) {
    std::printf("%s test %u: %s  (", file.c_str(), test.index, test.name.c_str());
    for (u8 b : test.bytes) std::printf(" %02x", b);
    std::printf(" )%s\n", test.exception ? format(", exception %u", *test.exception).c_str() : "");
    for (unsigned n = 0; n < R::kCount; ++n)
      if (test.initial.regs.value[n]) std::printf(" %s=%x", R::name(n), *test.initial.regs.value[n]);
    std::printf("\n expected:");
    for (unsigned n = 0; n < R::kCount; ++n)
      if (test.final.regs.value[n]) std::printf(" %s=%x", R::name(n), *test.final.regs.value[n]);
    for (const MooByte& b : test.final.ram) std::printf(" [%06x]=%02x", b.address, b.value);
    std::printf("\n%s", difference.c_str());
  }

  static bool is_segment(unsigned n) {
    return n == R::kCs || n == R::kSs || n == R::kDs || n == R::kEs || n == R::kFs || n == R::kGs;
  }

  TestMachine machine_;
  std::unique_ptr<Engine> engine_;
  bool wide_ = false;          // 32-bit registers
  Stop stop_ = Stop::kHalted;  // how the last test ended
  Watchdog watchdog_;
};

std::vector<std::string> files_of(const std::string& path) {
  std::vector<std::string> files;
  if (!std::filesystem::is_directory(path)) return {path};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".MOO") || name.ends_with(".MOO.gz")) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

const char* model_for(const std::string& cpu) {
  if (cpu.find("286") != std::string::npos) return "286";
  if (cpu.find("386") != std::string::npos) return "386";
  return "8086";
}

int fail(const std::string& sentence) {
  std::fprintf(stderr, "moo_run: %s\n", sentence.c_str());
  return 1;
}

int main_with(std::vector<std::string> args) {
  std::string model_name, engine = "interp";
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if ((args[i] == "-cpu" || args[i] == "-engine") && i + 1 < args.size()) {
      (args[i] == "-cpu" ? model_name : engine) = args[i + 1];
      ++i;
    } else if (args[i].starts_with("-")) {
      return fail("usage: moo_run [-cpu MODEL] [-engine interp|jit|windows] FILE|DIR...");
    } else {
      paths.push_back(args[i]);
    }
  }
  if (paths.empty()) return fail("usage: moo_run [-cpu MODEL] [-engine interp|jit|windows] FILE|DIR...");
  if (!model_name.empty() && find_cpu_model(model_name) == nullptr)
    return fail("there is no model '" + model_name + "'");
  Totals totals;
  for (const std::string& path : paths) {
    if (!std::filesystem::exists(path)) return fail("there is no file or folder '" + path + "'");
    const std::vector<std::string> files = files_of(path);
    if (files.empty()) return fail("there are no .MOO or .MOO.gz files in '" + path + "'");
    for (const std::string& name : files) {
      auto file = read_moo(name);
      if (!file) return fail(file.error());
      const std::filesystem::path at(name);
      auto masks = FlagMasks::for_folder(at.parent_path().string());
      if (!masks) return fail(masks.error());
      const std::string model = model_name.empty() ? model_for(file->cpu) : model_name;
      // An engine of its own for each file: what it learns of one set of addresses would hold for the next.
      Runner runner(*find_cpu_model(model), engine);
      if (!runner.has_engine()) return fail("there is no engine '" + engine + "' in this build");
      const std::string short_name = at.filename().string();
      const auto revoked = revoked_tests(at.parent_path().string());
      runner.run(*file, short_name, masks->of(short_name), revoked, totals);
    }
  }
  std::printf("%llu passed, %llu failed", (unsigned long long)totals.passed, (unsigned long long)totals.failed);
  std::printf(totals.revoked != 0 ? ", %llu revoked\n" : "\n", (unsigned long long)totals.revoked);
  return totals.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace umbra

int main(int argc, char** argv) { return umbra::main_with({argv + 1, argv + argc}); }
