// The instruction table for people: what `umbra --list-insns` and the coverage figures are made of.
#pragma once

#include <string>
#include <vector>

namespace umbra {

struct InsnRow {
  const char* mnemonic;
  const char* interpreter;  // the function that binds its handlers
  const char* x64;          // how each translator lowers it
  const char* a64;
  const char* traits;
  bool ring3;  // runs in ring 3 of a Linux process: the host processor is its oracle
};

std::vector<InsnRow> list_insns();
std::string insn_table();  // as text: one line for each, then the totals

}  // namespace umbra
