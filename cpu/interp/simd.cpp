// The binder of every MMX and SSE row, and their memory operands.
#include "cpu/interp/simd.h"

#include <array>

namespace umbra::interp {

namespace simd {

Vec load(Cpu& cpu, const Insn& insn, unsigned size, Alignment alignment) {
  const u32 at = effective_address(cpu.s, insn);
  const SegReg seg = segment(insn);
  Vec v{};
  switch (size) {
    case 1:
      v.set<u8>(0, cpu.read<u8>(seg, at));
      break;
    case 2:
      v.set<u16>(0, cpu.read<u16>(seg, at));
      break;
    case 4:
      v.set<u32>(0, cpu.read<u32>(seg, at));
      break;
    case 8:
      v.set<u64>(0, cpu.read<u64>(seg, at));
      break;
    default:
      if (alignment == Alignment::kChecked) check_alignment(cpu, insn, at);
      v.set<u64>(0, cpu.read<u64>(seg, at));
      v.set<u64>(1, cpu.read<u64>(seg, at + 8));
      break;
  }
  return v;
}

void store(Cpu& cpu, const Insn& insn, const Vec& v, unsigned size, Alignment alignment) {
  const u32 at = effective_address(cpu.s, insn);
  const SegReg seg = segment(insn);
  switch (size) {
    case 4:
      return cpu.write<u32>(seg, at, v.get<u32>(0));
    case 8:
      return cpu.write<u64>(seg, at, v.get<u64>(0));
    default:
      break;
  }
  if (alignment == Alignment::kChecked) check_alignment(cpu, insn, at);
  prove_store(cpu, seg, at, 16);
  cpu.write<u64>(seg, at, v.get<u64>(0));
  cpu.write<u64>(seg, at + 8, v.get<u64>(1));
}

}  // namespace simd

Handler simd_row(const Insn& insn) {
  using simd::Row;
  static const auto table = [] {
    std::array<const Row*, kOpCount> rows{};
    for (auto part :
         {simd::integer_rows(), simd::shuffle_rows(), simd::move_rows(), simd::float_rows(), simd::convert_rows()}) {
      for (const Row& row : part) rows[static_cast<u16>(row.op)] = &row;
    }
    return rows;
  }();
  const Row* row = table[static_cast<u16>(insn.op)];
  if (row == nullptr) return [](Cpu& cpu, const Insn&) { cpu.fault(kInvalidOpcode); };  // no host unit for it
  bool mmx = false;
  for (const Operand& o : insn.operands) mmx |= o.kind == OperandKind::kMmx;
  return mmx ? row->mmx : row->xmm;
}

}  // namespace umbra::interp
