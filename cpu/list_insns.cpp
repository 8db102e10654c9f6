#include "cpu/list_insns.h"

#include <string_view>

#include "cpu/base/log.h"
#include "cpu/insn.h"

namespace umbra {

std::vector<InsnRow> list_insns() {
  std::vector<InsnRow> rows = {
#define INSN(name, interp, x64, a64, traits) {#name, #interp, #x64, #a64, #traits, false},
#include "cpu/isa.def"
#undef INSN
  };
  for (u16 op = 0; op < kOpCount; ++op)
    rows[op].ring3 = (info(static_cast<Op>(op)).traits & (trait::privileged | trait::sensitive | trait::io)) == 0;
  return rows;
}

std::string insn_table() {
  std::string out =
      format("%-16s %-14s %-10s %-10s %-10s %s\n", "mnemonic", "interpreter", "x64", "a64", "oracle", "traits");
  unsigned host = 0, native = 0;
  const std::vector<InsnRow> rows = list_insns();
  for (const InsnRow& row : rows) {
    out += format("%-16s %-14s %-10s %-10s %-10s %s\n", row.mnemonic, row.interpreter, row.x64, row.a64,
                  row.ring3 ? "host" : "tables", row.traits);
    host += row.ring3;
    native += std::string_view(row.x64) != "callout";
  }
  return out + format("%zu mnemonics: %zu interpreted, %u lowered on x64; %u have the host processor as oracle\n",
                      rows.size(), rows.size(), native, host);
}

}  // namespace umbra
