// Instructions to run, found by decoding every opcode under every prefix, and operands to run them with.
#pragma once

#include <functional>
#include <random>
#include <string>
#include <vector>

#include "cpu/insn.h"
#include "tests/cpu/float_values.h"
#include "tests/oracle/case.h"

namespace umbra::oracle {

struct Template {
  Insn insn;
  bool wide = true;
  std::span<const u8> bytes() const { return {insn.raw, insn.length}; }
};

// All encodings seen of one mnemonic × operand size × addressing form in one code size.
struct Group {
  std::string name;
  Op op = Op::kInvalid;
  std::vector<Template> templates;
  u32 seen = 0;
};

using Report = std::function<void(Op, const char* reason)>;
std::vector<Group> find_groups(const CpuModel& model, u64 seed, const std::string& only, const Report& left_out);

class Operands {
 public:
  explicit Operands(u64 seed) : floats_(seed) {}

  // Registers, flags and FPU state for one run; `poke` receives what must be in memory (region offset, bytes).
  using Poke = std::function<void(u32 at, const void* bytes, u32 size)>;
  Input make(const Template& t, const Poke& poke);

 private:
  u32 bits() { return static_cast<u32>(floats_.bits()); }
  unsigned below(unsigned n) { return floats_.below(n); }
  u32 edge();
  u32 code_target(const Template& t);
  u32 data_address(u32 size);
  void fill_fpu(FpuState& f);
  void fill_vector(u8* to);
  void place_memory(const Template& t, Input& in, const Poke& poke);
  void place_implied(const Template& t, Input& in, const Poke& poke);
  u32 solve_address(const Insn& insn, Input& in, u32 target);
  void fill_memory(const Template& t, u32 at, const Poke& poke);

  FloatValues floats_;
};

}  // namespace umbra::oracle
