// Runs ring-3 instructions on the host's processor and on an engine, and compares everything.
//
//   oracle_run [--seed N] [--count N] [--only Mnemonic] [--engine interp] [--verbose]
//
// `count` is the number of runs for each mnemonic × operand size × addressing form.
#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "cpu/base/log.h"
#include "tests/oracle/guest_cpu.h"
#include "tests/oracle/host_cpu.h"
#include "tests/oracle/rules.h"
#include "tests/oracle/streams.h"

namespace umbra::oracle {
namespace {

struct Options {
  u64 seed = 1;
  u32 count = 1000;
  std::string only;
  std::string engine = "interp";
  u32 show = 20;
};

class Comparison {
 public:
  Comparison(const Options& options, HostCpu& host, GuestCpu& guest)
      : options_(options), host_(host), guest_(guest), operands_(options.seed) {
    std::mt19937_64 random(options.seed);
    for (u32 at = 0; at < kRegionSize; ++at) {
      if (in_memory(at)) host.memory(0)[at] = static_cast<u8>(random());
    }
    copy_memory();
  }

  void run(const Group& group) {
    HostCpu::name_run(group.name.c_str());
    const u32 each =
        (options_.count + static_cast<u32>(group.templates.size()) - 1) / static_cast<u32>(group.templates.size());
    for (const Template& t : group.templates) {
      const bool branches = (info(t.insn.op).traits & trait::branch) != 0;
      host_.set_code(t.bytes(), t.wide, branches);
      guest_.set_code(t.bytes());
      for (u32 i = 0; i < each; ++i) one(group, t);
    }
  }

  u64 cases = 0, mismatches = 0;
  std::map<std::string, u64> undefined;  // by mnemonic: runs whose undefined flags differ
  std::map<std::string, u64> failed;     // by group

 private:
  static bool in_memory(u32 at) {
    return (at >= kDataAt && at < kDataAt + kDataSize) || (at >= kStackAt && at < kStackAt + kStackSize);
  }
  void copy_memory() {
    std::memcpy(guest_.memory(kDataAt), host_.memory(kDataAt), kDataSize);
    std::memcpy(guest_.memory(kStackAt), host_.memory(kStackAt), kStackSize);
  }
  bool same_memory() {
    return std::memcmp(guest_.memory(kDataAt), host_.memory(kDataAt), kDataSize) == 0 &&
           std::memcmp(guest_.memory(kStackAt), host_.memory(kStackAt), kStackSize) == 0;
  }

  void one(const Group& group, const Template& t) {
    const auto poke = [&](u32 at, const void* bytes, u32 size) {
      for (u32 i = 0; i < size; ++i) {
        if (!in_memory(at + i)) continue;
        host_.memory(0)[at + i] = guest_.memory(0)[at + i] = static_cast<const u8*>(bytes)[i];
      }
    };
    const Input in = operands_.make(t, poke);
    const Outcome h = host_.run(in);
    const Outcome g = guest_.run(in);
    ++cases;
    if (undefined_result(t.insn, in)) return copy_memory();
    std::string difference = compare(t, in, h, g);
    for (const Hole& hole : holes(t.insn)) mend(t, in, hole);
    if (partial_memory(t.insn, h.vector)) copy_memory();
    if (!same_memory()) {
      difference += memory_difference();
      copy_memory();
    }
    if (difference.empty()) return;
    ++mismatches;
    if (++failed[group.name] <= 2 && failed.size() <= options_.show) print(group, t, in, difference);
  }

  // What may differ in memory is taken from the host.
  void mend(const Template& t, const Input& in, const Hole& hole) {
    const auto reg = [&](u8 r) { return r == kNoReg ? 0 : in.gpr[r]; };
    const Insn& i = t.insn;
    u32 at = (reg(i.base) + reg(i.index) * i.scale + static_cast<u32>(i.disp)) & i.address_mask;
    if (t.wide) at -= kRegion;
    for (u32 k = hole.offset; k < hole.offset + hole.size; ++k) {
      if (in_memory(at + k)) guest_.memory(0)[at + k] = host_.memory(0)[at + k];
    }
  }

  std::string memory_difference() {
    for (u32 at = 0; at < kRegionSize; ++at) {
      if (!in_memory(at) || host_.memory(0)[at] == guest_.memory(0)[at]) continue;
      std::string text = format("\n    memory at %08x: host", at);
      for (u32 i = 0; i < 16 && in_memory(at + i); ++i) text += format(" %02x", host_.memory(0)[at + i]);
      text += " guest";
      for (u32 i = 0; i < 16 && in_memory(at + i); ++i) text += format(" %02x", guest_.memory(0)[at + i]);
      return text;
    }
    return "";
  }

  std::string compare(const Template& t, const Input& in, const Outcome& h, const Outcome& g) {
    std::string text;
    const auto check = [&](const char* name, u32 host, u32 guest) {
      if (host != guest) text += format("\n    %s: host %08x guest %08x", name, host, guest);
    };
    check("vector", h.vector, g.vector);
    if (h.vector == kPageFault && g.vector == kPageFault) {
      constexpr u32 kFetch = 0x10;  // only reported where no-execute is on
      check("page fault error", h.error & ~kFetch, g.error & ~kFetch);
      // The long images of the x87 are read and written in an order of the processor's choice.
      bool image = false;
      for (const Operand& o : t.insn.operands)
        image |= o.kind == OperandKind::kMem && (o.size > 16 || o.size == 14 || o.size == 0);
      check("cr2", image ? h.cr2 >> kPageBits : h.cr2, image ? g.cr2 >> kPageBits : g.cr2);
    } else if (h.vector != kBreakpoint && h.vector == g.vector) {
      check("error", h.error, g.error);
    }
    constexpr const char* kNames[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
    if (!partial_registers(t.insn, h.vector)) {
      for (unsigned i = 0; i < 8; ++i) check(kNames[i], h.gpr[i], g.gpr[i]);
    }
    check("eip", h.eip, g.eip);
    const u32 loose = undefined_flags(t.insn, in);
    const u32 ignored = flag::kRf | loose;
    check("eflags", h.eflags & ~ignored, g.eflags & ~ignored);
    if (((h.eflags ^ g.eflags) & loose) != 0) ++undefined[info(t.insn.op).name];
    const u16 codes = undefined_codes(t.insn);
    check("fcw", h.fpu.fcw, g.fpu.fcw);
    check("fsw", h.fpu.fsw & ~codes, g.fpu.fsw & ~codes);
    check("ftw", h.fpu.ftw, g.fpu.ftw);
    const u32 loose_mxcsr = undefined_mxcsr(in, h.fpu.mxcsr);
    check("mxcsr", h.fpu.mxcsr & ~loose_mxcsr, g.fpu.mxcsr & ~loose_mxcsr);
    for (unsigned i = 0; i < 8; ++i) {
      if (std::memcmp(h.fpu.st[i], g.fpu.st[i], 10) != 0) {
        text += format("\n    st%u: host %s guest %s", i, show(h.fpu.st[i], 10).c_str(), show(g.fpu.st[i], 10).c_str());
      }
    }
    for (unsigned i = 0; i < 8; ++i) {
      if (std::memcmp(h.fpu.xmm[i], g.fpu.xmm[i], 16) != 0) {
        text +=
            format("\n    xmm%u: host %s guest %s", i, show(h.fpu.xmm[i], 16).c_str(), show(g.fpu.xmm[i], 16).c_str());
      }
    }
    return text;
  }

  static std::string show(const u8* bytes, unsigned size) {  // most significant first
    std::string text;
    for (unsigned i = size; i-- > 0;) text += format("%02x", bytes[i]);
    return text;
  }

  void print(const Group& group, const Template& t, const Input& in, const std::string& difference) {
    std::printf("%s: %s  [", group.name.c_str(),
                disassemble(t.insn, offset_in(t.wide, kEntry), t.wide ? CodeSize::k32 : CodeSize::k16).c_str());
    for (u8 b : t.bytes()) std::printf(" %02x", b);
    std::printf(" ]\n    in: ");
    for (u32 r : in.gpr) std::printf("%08x ", r);
    std::printf("eflags %08x fcw %04x fsw %04x ftw %02x mxcsr %04x", in.eflags, in.fpu.fcw, in.fpu.fsw, in.fpu.ftw,
                in.fpu.mxcsr);
    const u32 traits = info(t.insn.op).traits;
    if ((traits & trait::fpu) != 0) {
      for (unsigned i = 0; i < 8; ++i)
        std::printf("%s%s", i % 4 == 0 ? "\n    st " : " ", show(in.fpu.st[i], 10).c_str());
    }
    if ((traits & trait::sse) != 0) {
      for (unsigned i = 0; i < 8; ++i) {
        std::printf("%s%s", i % 4 == 0 ? "\n    xmm " : " ", show(in.fpu.xmm[i], 16).c_str());
      }
    }
    std::printf("%s\n", difference.c_str());
  }

  const Options& options_;
  HostCpu& host_;
  GuestCpu& guest_;
  Operands operands_;
};

int usage() {
  std::fprintf(stderr, "usage: oracle_run [--seed N] [--count N] [--only Mnemonic] [--engine NAME] [--show GROUPS]\n");
  return 1;
}

int run(const Options& options) {
  // The engine first: what it does not know of signals it never sees, and what the host's side does not, it passes on.
  auto guest = GuestCpu::create(options.engine);
  if (!guest) {
    std::fprintf(stderr, "oracle_run: %s\n", guest.error().c_str());
    return 1;
  }
  auto host = HostCpu::create();
  if (!host) {
    std::printf("skipped: %s\n", host.error().c_str());
    return 77;
  }
  std::map<std::string, std::set<std::string>> left_out;
  const auto groups = find_groups((*guest)->model(), options.seed, options.only,
                                  [&](Op op, const char* reason) { left_out[reason].insert(info(op).name); });
  Comparison c(options, **host, **guest);
  std::set<Op> mnemonics;
  for (const Group& group : groups) {
    c.run(group);
    mnemonics.insert(group.op);
  }
  for (const auto& [reason, names] : left_out) {
    std::printf("left out, %s:", reason.c_str());
    for (const std::string& name : names) std::printf(" %s", name.c_str());
    std::printf("\n");
  }
  for (const auto& [name, count] : c.undefined)
    std::printf("undefined flags differ: %s %" PRIu64 "\n", name.c_str(), count);
  for (const auto& [name, count] : c.failed) std::printf("MISMATCH %s: %" PRIu64 "\n", name.c_str(), count);
  std::printf("engine %s, seed %" PRIu64 ": %" PRIu64 " cases in %zu forms of %zu mnemonics, %" PRIu64 " mismatches\n",
              options.engine.c_str(), options.seed, c.cases, groups.size(), mnemonics.size(), c.mismatches);
  return c.mismatches == 0 && !groups.empty() ? 0 : 1;
}

}  // namespace
}  // namespace umbra::oracle

int main(int argc, char** argv) {
  umbra::oracle::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 == argc) return umbra::oracle::usage();
    const char* value = argv[i + 1];
    if (name == "--seed") {
      options.seed = std::strtoull(value, nullptr, 0);
    } else if (name == "--count") {
      options.count = static_cast<umbra::u32>(std::strtoul(value, nullptr, 0));
    } else if (name == "--only") {
      options.only = value;
    } else if (name == "--engine") {
      options.engine = value;
    } else if (name == "--show") {
      options.show = static_cast<umbra::u32>(std::strtoul(value, nullptr, 0));
    } else {
      return umbra::oracle::usage();
    }
  }
  return umbra::oracle::run(options);
}
