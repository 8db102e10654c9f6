// Decoding at the price of a table lookup. The shape of an instruction is its prefixes, opcode, addressing form and
// what of ModRM belongs to the opcode; registers, scale, displacement and immediates are data. decode() is asked once
// per shape, and again with other data to see how these come back; from then on they are taken from the bytes. A shape
// that behaves otherwise is never kept.
#pragma once

#include "cpu/insn.h"

namespace umbra {

// Those of the calling thread, which are of one model at a time.
class Shapes;
Shapes& shapes_of(const CpuModel& model);

// decode() and bind() in one: `insn` is what they give, to the last field. False when more bytes are needed; `insn` is
// undefined then.
bool decode_bound(std::span<const u8> bytes, CodeSize size, Shapes& shapes, Insn& insn);
inline bool decode_bound(std::span<const u8> bytes, CodeSize size, const CpuModel& model, Insn& insn) {
  return decode_bound(bytes, size, shapes_of(model), insn);
}

// Of the calling thread. `refused` are decodings of valid instructions whose shape could not be kept.
struct ShapeCounts {
  u64 hits = 0, misses = 0, refused = 0;
};
const ShapeCounts& shape_counts();

}  // namespace umbra
