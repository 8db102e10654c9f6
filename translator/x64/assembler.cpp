// SDM vol. 2: chapter 2 for prefixes, ModRM and SIB; appendix A for opcodes.
#include "translator/x64/assembler.h"

namespace umbra::x64 {

using namespace x86;

namespace {

constexpr unsigned kNone = 0;  // an index or base that sets no REX bit

unsigned base_of(const Mem& m) { return m.hasBaseReg() ? m.baseId() : kNone; }
unsigned index_of(const Mem& m) { return m.hasIndexReg() ? m.indexId() : kNone; }
// SPL, BPL, SIL and DIL need an empty REX to be told from AH-BH.
bool needs_rex(const Gp& r) { return r.isGpbLo() && r.id() >= 4; }

}  // namespace

void Assembler::prefix(u32 size, unsigned reg, unsigned index, unsigned base, bool force_rex) {
  if (size == 2) put(0x66);
  const u8 rex = static_cast<u8>(0x40 | (size == 8 ? 8 : 0) | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3);
  if (rex != 0x40 || force_rex) put(rex);
}

void Assembler::registers(const Gp& rm, u8 wide, u8 narrow, const Gp& reg) {
  prefix(rm.size(), reg.id(), kNone, rm.id(), needs_rex(rm) || needs_rex(reg));
  put(byte_sized(rm) ? narrow : wide);
  put(static_cast<u8>(0xc0 | (reg.id() & 7) << 3 | (rm.id() & 7)));
}

void Assembler::one_operand(u8 wide, u8 narrow, unsigned extension, const Gp& rm) {
  prefix(rm.size(), 0, kNone, rm.id(), needs_rex(rm));
  put(byte_sized(rm) ? narrow : wide);
  put(static_cast<u8>(0xc0 | extension << 3 | (rm.id() & 7)));
}

void Assembler::memory_head(u32 size, unsigned reg, bool force_rex, const Mem& m) {
  if (m.hasSegment()) {
    CHECK(m.segmentId() == gs.id());
    put(0x65);
  }
  const bool address_32 = (m.hasBaseReg() && m.baseType() == asmjit::RegType::kX86_Gpd) ||
                          (m.hasIndexReg() && m.indexType() == asmjit::RegType::kX86_Gpd);
  if (address_32) put(0x67);
  prefix(size, reg, index_of(m), base_of(m), force_rex);
}

void Assembler::modrm_memory(unsigned reg, const Mem& m) {
  const i32 displacement = m.offsetLo32();
  const u8 field = static_cast<u8>((reg & 7) << 3);
  const bool has_index = m.hasIndexReg();
  if (!m.hasBaseReg()) {  // absolute: always with a SIB byte, without one it would be relative to RIP
    put(field | 4);
    put(static_cast<u8>((has_index ? m.shift() << 6 | (m.indexId() & 7) << 3 : 4 << 3) | 5));
    put32(static_cast<u32>(displacement));
    return;
  }
  const unsigned base = m.baseId() & 7;
  const bool small = displacement >= -128 && displacement <= 127;
  const u8 mod = displacement == 0 && base != 5 ? 0 : small ? 0x40 : 0x80;
  if (has_index || base == 4) {
    put(mod | field | 4);
    put(static_cast<u8>((has_index ? m.shift() << 6 | (m.indexId() & 7) << 3 : 4 << 3) | base));
  } else {
    put(static_cast<u8>(mod | field | base));
  }
  if (mod == 0x40) put(static_cast<u8>(displacement));
  if (mod == 0x80) put32(static_cast<u32>(displacement));
}

void Assembler::memory(u8 wide, u8 narrow, const Gp& reg, const Mem& m) {
  memory_head(reg.size(), reg.id(), needs_rex(reg), m);
  put(byte_sized(reg) ? narrow : wide);
  modrm_memory(reg.id(), m);
}

void Assembler::movzx(const Gp& to, const Gp& from) {
  prefix(4, to.id(), kNone, from.id(), needs_rex(from));
  put(0x0f);
  put(byte_sized(from) ? 0xb6 : 0xb7);
  put(static_cast<u8>(0xc0 | (to.id() & 7) << 3 | (from.id() & 7)));
}

void Assembler::movzx(const Gp& to, const Mem& from) {
  memory_head(4, to.id(), false, from);
  put(0x0f);
  put(from.size() == 1 ? 0xb6 : 0xb7);
  modrm_memory(to.id(), from);
}

void Assembler::movsx(const Gp& to, const Gp& from) {
  prefix(8, to.id(), kNone, from.id(), false);
  if (from.size() == 2) put(0x0f);
  put(from.size() == 2 ? 0xbf : 0x63);
  put(static_cast<u8>(0xc0 | (to.id() & 7) << 3 | (from.id() & 7)));
}

void Assembler::move_immediate(const Gp& to, u64 value) {
  const bool wide = to.size() == 8 && value > 0xffffffff;
  prefix(wide ? 8 : to.size() == 2 ? 2 : 4, 0, kNone, to.id(), false);
  CHECK(to.size() != 1);
  put(static_cast<u8>(0xb8 | (to.id() & 7)));
  if (to.size() == 2) {
    put_immediate(2, static_cast<i32>(value));
    return;
  }
  put32(static_cast<u32>(value));
  if (wide) put32(static_cast<u32>(value >> 32));
}

void Assembler::put_immediate(u32 size, i32 value) {
  std::memcpy(at_, &value, 4);
  at_ += size == 8 ? 4 : size;
}

void Assembler::memory_immediate(u8 wide, u8 narrow, unsigned extension, const Mem& m, i32 value) {
  memory_head(m.size(), 0, false, m);
  put(m.size() == 1 ? narrow : wide);
  modrm_memory(extension, m);
  put_immediate(m.size(), value);
}

void Assembler::register_immediate(u8 wide, u8 narrow, unsigned extension, const Gp& r, i32 value) {
  one_operand(wide, narrow, extension, r);
  put_immediate(r.size(), value);
}

void Assembler::alu_immediate(unsigned number, const Gp& r, i32 value) {
  const bool small = value >= -128 && value <= 127;
  one_operand(small ? 0x83 : 0x81, 0x80, number, r);
  put_immediate(small ? 1 : r.size(), value);
}

void Assembler::alu_immediate(unsigned number, const Mem& m, i32 value) {
  const bool small = m.size() == 1 || (value >= -128 && value <= 127);
  memory_head(m.size(), 0, false, m);
  put(m.size() == 1 ? 0x80 : small ? 0x83 : 0x81);
  modrm_memory(number, m);
  put_immediate(small ? 1 : m.size(), value);
}

void Assembler::shift(unsigned extension, const Gp& r, unsigned count) {
  one_operand(0xc1, 0xc0, extension, r);
  put(static_cast<u8>(count));
}

void Assembler::rorx(const Gp& to, const Gp& from, unsigned count) {
  put(0xc4);
  put(static_cast<u8>(0x43 | (to.id() < 8 ? 0x80 : 0) | (from.id() < 8 ? 0x20 : 0)));
  put(to.size() == 8 ? 0xfb : 0x7b);
  put(0xf0);
  put(static_cast<u8>(0xc0 | (to.id() & 7) << 3 | (from.id() & 7)));
  put(static_cast<u8>(count));
}

void Assembler::pext(const Gp& to, const Gp& from, const Gp& mask) {
  put(0xc4);
  put(static_cast<u8>(0x42 | (to.id() < 8 ? 0x80 : 0) | (mask.id() < 8 ? 0x20 : 0)));
  put(static_cast<u8>((to.size() == 8 ? 0x82 : 0x02) | (~from.id() & 15) << 3));
  put(0xf5);
  put(static_cast<u8>(0xc0 | (to.id() & 7) << 3 | (mask.id() & 7)));
}

void Assembler::mulx(const Gp& high, const Gp& low, const Mem& by) {
  put(0xc4);
  put(static_cast<u8>(0x42 | (high.id() < 8 ? 0x80 : 0) | (by.baseId() < 8 ? 0x20 : 0)));
  put(static_cast<u8>(0x83 | (~low.id() & 15) << 3));
  put(0xf6);
  modrm_memory(high.id(), by);
}

void Assembler::bit_test(u8 opcode, const Gp& word, const Gp& bit) {
  prefix(word.size(), bit.id(), kNone, word.id(), false);
  put(0x0f);
  put(opcode);
  put(static_cast<u8>(0xc0 | (bit.id() & 7) << 3 | (word.id() & 7)));
}

void Assembler::bit_test(u8 opcode, const Mem& word, const Gp& bit) {
  memory_head(bit.size(), bit.id(), false, word);
  put(0x0f);
  put(opcode);
  modrm_memory(bit.id(), word);
}

void Assembler::setcc(CondCode cc, const Gp& byte) {
  prefix(1, 0, kNone, byte.id(), needs_rex(byte));
  put(0x0f);
  put(0x90 | static_cast<u8>(cc));
  put(static_cast<u8>(0xc0 | (byte.id() & 7)));
}

void Assembler::extended(unsigned extension, const Mem& m) {
  memory_head(4, 0, false, m);
  put(0x0f);
  put(0xae);
  modrm_memory(extension, m);
}

void Assembler::fldcw(const Mem& m) {
  memory_head(4, 0, false, m);
  put(0xd9);
  modrm_memory(5, m);
}

// --- transfers -------------------------------------------------------------------------------------------------------

void Assembler::bind(Label label) {
  CHECK(bound_[label.id] == kUnbound);
  bound_[label.id] = offset();
  for (u32 i = waiting_[label.id]; i != kNoFixup; i = pending_[i].next) {
    const Fixup f = pending_[i];
    const i32 distance = static_cast<i32>(offset() - f.at) - (f.near ? 1 : 4);
    if (f.near) {
      CHECK(distance <= 127);
      begin_[f.at] = static_cast<u8>(distance);
    } else {
      std::memcpy(begin_ + f.at, &distance, 4);
    }
  }
}

// A field for the distance to `to`, now or when that is bound.
void Assembler::refer(Label to, bool near) {
  const u32 at = offset(), size = near ? 1 : 4;
  const u32 target = bound_[to.id];
  const i32 distance = static_cast<i32>(target - at - size);
  if (target == kUnbound) {
    CHECK(fixups_ < kMaxFixups);
    pending_[fixups_] = {waiting_[to.id], at, near};
    waiting_[to.id] = fixups_++;
  }
  std::memcpy(at_, &distance, size);
  at_ += size;
}

void Assembler::jmp(Label to) {
  const u32 target = bound_[to.id];
  const bool near = target != kUnbound && offset() + 2 - target <= 128;
  put(near ? 0xeb : 0xe9);
  refer(to, near);
}

void Assembler::jmp(const Gp& to) {
  prefix(4, 0, kNone, to.id(), false);
  put(0xff);
  put(static_cast<u8>(0xe0 | (to.id() & 7)));
}

void Assembler::j(CondCode cc, Label to) {
  const u32 target = bound_[to.id];
  const bool near = target != kUnbound && offset() + 2 - target <= 128;
  if (near) {
    put(0x70 | static_cast<u8>(cc));
  } else {
    put(0x0f);
    put(0x80 | static_cast<u8>(cc));
  }
  refer(to, near);
}

void Assembler::jecxz(const Gp&, Label to) {
  put(0x67);
  put(0xe3);
  refer(to, true);
}

void Assembler::relative(u8 opcode, u64 absolute) {
  put(opcode);
  put32(static_cast<u32>(absolute - (address_ + offset() + 4)));
  note(Relocation::Kind::kStub);
}

}  // namespace umbra::x64
