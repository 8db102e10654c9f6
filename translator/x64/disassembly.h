// Emitted code as Capstone reads it: the verifier's view, independent of what emitted it.
#pragma once

#include <capstone/capstone.h>

#include <span>

#include "cpu/base/log.h"

namespace umbra::x64 {

class Disassembly {
 public:
  explicit Disassembly(std::span<const u8> code) {
    CHECK(cs_open(CS_ARCH_X86, CS_MODE_64, &handle_) == CS_ERR_OK);
    cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
    count_ = cs_disasm(handle_, code.data(), code.size(), reinterpret_cast<u64>(code.data()), 0, &insns_);
  }
  ~Disassembly() {
    if (insns_ != nullptr) cs_free(insns_, count_);
    cs_close(&handle_);
  }
  Disassembly(const Disassembly&) = delete;
  Disassembly& operator=(const Disassembly&) = delete;
  std::span<const cs_insn> insns() const { return {insns_, count_}; }
  bool in_group(const cs_insn& insn, u8 group) const { return cs_insn_group(handle_, &insn, group); }
  // Registers written, whether the instruction's text names them or not.
  std::span<const u16> writes(const cs_insn& insn) {
    cs_regs read;
    u8 reads = 0, writes = 0;
    if (cs_regs_access(handle_, &insn, read, &reads, written_, &writes) != CS_ERR_OK) writes = 0;
    return {written_, writes};
  }

 private:
  csh handle_ = 0;
  cs_insn* insns_ = nullptr;
  std::size_t count_ = 0;
  cs_regs written_ = {};
};

}  // namespace umbra::x64
