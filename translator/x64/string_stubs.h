// Repeated MOVS, STOS, CMPS and SCAS: one passage for each operation, element size and form of addressing, shared by
// all blocks.
#pragma once

#include "translator/x64/regs.h"

namespace umbra::x64 {

enum class StringOp : u8 { kMovs, kStos, kCmpsWhileEqual, kCmpsWhileOther, kScasWhileEqual, kScasWhileOther, kCount };
enum class StringForm : u8 { kFlat, kSegments, kShort, kCount };  // kShort: any segments, 16-bit address size

inline constexpr u32 kStringStubs = 3 * static_cast<u32>(StringOp::kCount) * static_cast<u32>(StringForm::kCount);
inline constexpr u32 string_stub(StringOp op, StringForm form, u32 size) {
  return (static_cast<u32>(op) * static_cast<u32>(StringForm::kCount) + static_cast<u32>(form)) * 3 + size / 2;
}

// Fills `stubs`; `base` is where `a` began. What a passage does not like goes to `missed_saved`.
void emit_string_stubs(x86::Assembler& a, const u8* base, const asmjit::Label& missed_saved,
                       const u8* (&stubs)[kStringStubs]);

}  // namespace umbra::x64
