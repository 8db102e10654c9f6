// Host code as text, by Capstone: for -d out_asm and for the golden table in tests/codegen.
#include <capstone/capstone.h>

#include "cpu/base/log.h"
#include "translator/x64/backend.h"

namespace umbra::x64 {

std::string X64Backend::listing(std::span<const u8> code) const {
  static const csh handle = [] {
    csh h = 0;
    CHECK(cs_open(CS_ARCH_X86, CS_MODE_64, &h) == CS_ERR_OK);
    return h;
  }();
  cs_insn* insns = nullptr;
  const std::size_t count = cs_disasm(handle, code.data(), code.size(), reinterpret_cast<u64>(code.data()), 0, &insns);
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    if (i != 0) out += '\n';
    out += format("    %s %s", insns[i].mnemonic, insns[i].op_str);
  }
  if (count != 0) cs_free(insns, count);
  return out;
}

}  // namespace umbra::x64
