// decode_bench FILE [OFFSET [BYTES]]: cycles that decoding takes per instruction of real code, read as a straight line
// of 32-bit code: by the decoder alone, and with remembered shapes (cold, then warm).
#include <x86intrin.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

#include "cpu/interp/bind.h"
#include "cpu/interp/shapes.h"
#include "cpu/model.h"

namespace umbra {
namespace {

template <class Decode>
void measure(const char* name, std::span<const u8> code, Decode decode_one) {
  const u64 start = __rdtsc();
  u64 count = 0;
  for (std::size_t at = 0; at + kMaxInsnLength < code.size(); ++count) at += decode_one(code.subspan(at));
  const double cycles = static_cast<double>(__rdtsc() - start);
  std::printf("%-18s %10llu instructions %8.1f cycles each\n", name, static_cast<unsigned long long>(count),
              cycles / static_cast<double>(count));
}

int run(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "decode_bench FILE [OFFSET [BYTES]]\n");
    return 1;
  }
  std::ifstream in(argv[1], std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "decode_bench: cannot read %s\n", argv[1]);
    return 1;
  }
  const std::vector<char> file{std::istreambuf_iterator<char>(in), {}};
  std::span<const u8> code(reinterpret_cast<const u8*>(file.data()), file.size());
  code = code.subspan(std::min<std::size_t>(argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 0, code.size()));
  code = code.first(std::min<std::size_t>(argc > 3 ? std::strtoull(argv[3], nullptr, 0) : code.size(), code.size()));
  const CpuModel& model = *find_cpu_model(kDefaultCpuModel);
  static Insn insn;
  const auto step = [] { return insn.op == Op::kInvalid ? std::size_t{1} : insn.length; };
  measure("decoder", code, [&](std::span<const u8> at) {
    insn = decode(at, CodeSize::k32, model).insn;
    insn.handler = bind(insn);
    return step();
  });
  for (const char* name : {"shapes, cold", "shapes, warm"}) {
    const ShapeCounts before = shape_counts();
    measure(name, code, [&](std::span<const u8> at) {
      decode_bound(at, CodeSize::k32, model, insn);
      return step();
    });
    const u64 hits = shape_counts().hits - before.hits, misses = shape_counts().misses - before.misses;
    std::printf("%-18s %9.3f %% found\n", "", 100.0 * static_cast<double>(hits) / static_cast<double>(hits + misses));
  }
  return 0;
}

}  // namespace
}  // namespace umbra

int main(int argc, char** argv) { return umbra::run(argc, argv); }
