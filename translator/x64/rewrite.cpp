// The guest's own instruction with another address in it. Traps: 40h-4Fh are REX here; mod=00 rm=101 is RIP-relative
// here; a REX prefix hides AH-BH; an F2 or F3 that the guest's processor ignores may mean another instruction here.
#include <cstring>

#include "translator/x64/writer.h"

namespace umbra::x64 {

using namespace x86;

namespace {

// Byte instructions whose ModRM reg field names AH, CH, DH or BH.
bool names_high_byte(const RawLayout& r) {
  if (r.reg() < 4) return false;
  if (r.map == 0)
    return (r.opcode < 0x40 && (r.opcode & 5) == 0) || r.opcode == 0x84 || r.opcode == 0x86 || r.opcode == 0x88 ||
           r.opcode == 0x8a;
  return r.map == 1 && (r.opcode == 0xb0 || r.opcode == 0xc0);
}

// Shifts and rotates by one, an immediate or CL.
bool shifts(const RawLayout& r) { return (r.opcode & 0xee) == 0xc0 || (r.opcode & 0xfe) == 0xd2; }

bool needs_mandatory_prefix(const Insn& insn) { return (info(insn.op).traits & (trait::sse | trait::fpu)) != 0; }

// Operand kinds that make a MOV something else than data movement.
bool touches_special_register(const Insn& insn) {
  for (const Operand& o : insn.operands)
    if (o.kind == OperandKind::kCr || o.kind == OperandKind::kDr || o.kind == OperandKind::kSeg) return true;
  return false;
}

bool is_hint(const RawLayout& r) {
  const bool nop = r.map == 0 && r.opcode == 0x90;
  return nop || (r.map == 1 && (r.opcode == 0x0d || (r.opcode >= 0x18 && r.opcode <= 0x1f)));
}

}  // namespace

// What most instructions are, if memory is reached through the window: their own bytes behind other prefixes.
bool Writer::verbatim() {
  const Insn& insn = *now_.insn;
  if (!insn.verbatim || &insn == &shifted_) return false;
  const bool memory = insn.memory_use != 0;
  if (memory && !(direct(insn.segment) && block_.key.mode.lanes())) return false;
  if (flags_saved_) {
    now_.raw = layout(insn);
    take_flags();
  }
  u32 prefixes = memory ? 0x6765 : 0, n = memory ? 2 : 0;  // as in emit_raw()
  prefixes |= 0x66u << 8 * n;
  a.embed(prefixes, n + (insn.operand_size == 2 ? 1 : 0));
  const u32 first = insn.opcode_at - insn.map;  // with the 0F
  a.embed(reinterpret_cast<const u8*>(&insn) + offsetof(Insn, raw) + first, insn.length - first);
  return true;
}

void Writer::emit_raw(Form form) {
  const Insn& insn = *now_.insn;
  const RawLayout& r = now_.raw;
  u8 out[32];
  std::size_t n = 0;
  const auto put = [&](u8 byte) { out[n++] = byte; };
  const auto put_from = [&](u8 first, u8 end) {
    for (u8 i = first; i < end; ++i) put(insn.raw[i]);
  };
  const bool through_rsi = form == Form::kTable && names_high_byte(r);
  if (form == Form::kWindow || form == Form::kWindowLinear) put(0x65);  // GS
  if (form == Form::kWindow) put(0x67);                 // the address wraps at 4 GiB, as the guest's does
  if (r.lock && !(r.map == 0 && shifts(r))) put(0xf0);  // processors before the 386 lock those, too
  // In 16-bit code the prefix means the opposite of what it does here.
  const bool sse = needs_mandatory_prefix(insn);
  if (sse ? r.operand_16 : insn.operand_size == 2) put(0x66);
  if (sse && r.mandatory != 0) put(r.mandatory);
  if (form == Form::kTable && !through_rsi) put(0x43);  // REX.XB: r9 and r8
  if (form == Form::kWindowLinear) put(0x41);           // REX.B: r9
  if (r.map >= 1) put(0x0f);
  if (r.map == 2) put(0x38);
  if (r.map == 3) put(0x3a);
  const bool moffs = r.map == 0 && r.opcode >= 0xa0 && r.opcode <= 0xa3;
  if (moffs) {
    constexpr u8 kMov[] = {0x8a, 0x8b, 0x88, 0x89};
    put(kMov[r.opcode & 3]);
  } else if (r.map == 0 && r.opcode >= 0x40 && r.opcode <= 0x4f) {
    put(0xff);
    put(static_cast<u8>(0xc0 | (r.opcode & 0xf)));  // bit 3 tells INC from DEC in both encodings
  } else if (r.map == 0 && r.opcode == 0x82) {
    put(0x80);
  } else {
    put(r.opcode);
  }
  const u8 reg = moffs ? 0 : static_cast<u8>(r.reg() << 3);
  if (form == Form::kTable) {
    put(static_cast<u8>(through_rsi ? reg | 6 : reg | 4));
    if (!through_rsi) put(0x08);
  } else if (form == Form::kWindowLinear) {
    put(static_cast<u8>(reg | 1));
  } else if (form == Form::kWindow && (moffs || (r.modrm & 0xc7) == 0x05)) {
    put(static_cast<u8>(reg | 4));  // an absolute address needs a SIB byte here
    put(0x25);
    put_from(static_cast<u8>(r.tail_at - 4), r.tail_at);
  } else if (form == Form::kWindow && &insn == &shifted_) {
    const bool none = insn.disp == 0, small = insn.disp >= -128 && insn.disp <= 127;
    put(static_cast<u8>((r.modrm & 0x3f) | (none ? 0 : small ? 0x40 : 0x80)));
    put(insn.raw[r.modrm_at + 1]);
    for (u32 i = 0; i < (none ? 0 : small ? 1 : 4); ++i) put(static_cast<u8>(static_cast<u32>(insn.disp) >> 8 * i));
  } else if (form == Form::kWindow) {
    put_from(r.modrm_at, r.tail_at);
  } else if (r.has_modrm) {
    const bool fence = r.map == 1 && r.opcode == 0xae;  // aliases with other rm fields become the documented one
    put(fence ? r.modrm & 0xf8 : r.modrm);
  }
  put_from(r.tail_at, insn.length);
  if (through_rsi) {
    a.mov(kSaved, rsi);
    a.lea(rsi, ptr(kEntry, kLinear));
  }
  CHECK(n <= 16);
  a.embed(out, n);
  if (through_rsi) a.mov(rsi, kSaved);
}

// The guest's own instruction comes next: the host's flags must be the guest's if it reads some or may keep some.
// Multiplication and division count among these, which leave flags as they please.
void Writer::take_flags() {
  const RawLayout& r = now_.raw;
  const FlagUse use = flag_use(*now_.insn, r);
  const bool shift = r.map == 0 ? shifts(r) : r.map == 1 && (r.opcode & 0xf6) == 0xa4;
  const bool multiplies = r.map == 0 && (r.opcode & 0xfe) == 0xf6 && r.reg() >= 4;
  if (use.read == 0 && use.killed == flag::kArithmetic && !multiplies) return overwrite_flags();
  if (use.read != 0 || use.killed != 0 || shift) want_flags();
}

void Writer::lea() {
  const Insn& insn = *now_.insn;
  const unsigned to = now_.raw.reg();
  if (insn.operand_size == 4 && insn.address_size == 4) {
    effective_address(guest32(to));
  } else {
    effective_address(kLinear32);
    if (insn.operand_size == 2) {
      a.mov(gpw(to), kLinear.r16());
    } else {
      a.mov(guest32(to), kLinear32);
    }
  }
}

bool Writer::copy() {
  const Insn& insn = *now_.insn;
  const RawLayout& r = now_.raw;
  if (touches_special_register(insn)) return move_special();
  if (is_hint(r)) return r.lock ? false : true;
  if (r.map == 0 && r.opcode == 0x8d) {
    if (!r.is_memory()) return false;
    lea();
    return true;
  }
  if (reaches_bits()) return bmi2_ && bit_string();
  if (insn.op == Op::kXlat) return xlat();
  const MemoryUse use = memory_use(insn, r);
  if (use == MemoryUse::kNone) {
    if (r.is_memory() || r.lock) return false;  // LOCK with registers is #UD
    const bool bswap_16 = r.map == 1 && r.opcode >= 0xc8 && r.opcode <= 0xcf && insn.operand_size == 2;
    if (bswap_16) return false;
    take_flags();
    emit_raw(Form::kRegisters);
    return true;
  }
  if (!block_.key.mode.lanes()) return false;
  // LOCK is #UD on all but modifying instructions; the handler knows the list.
  if (r.lock && use != MemoryUse::kModify) return false;
  u32 size = 0;
  for (const Operand& o : insn.operands)
    if (o.kind == OperandKind::kMem) size = o.size;
  if (size == 0 || size > 16) return false;
  if (direct(insn.segment) && insn.address_size == 4) {
    take_flags();
    emit_raw(Form::kWindow);
    return true;
  }
  effective_address(kLinear32);
  // AH-BH beside a scratch register: RSI takes its place, and no fault may show that.
  const bool table_only = names_high_byte(r);
  lane(insn.segment, size, use == MemoryUse::kLoad ? Way::kLoad : Way::kStore, offset_of_operand(), table_only);
  take_flags();
  if (table_only) want_flags();  // kSaved is needed
  emit_raw(block_.window && !checked() && !table_only ? Form::kWindowLinear : Form::kTable);
  return true;
}

}  // namespace umbra::x64
