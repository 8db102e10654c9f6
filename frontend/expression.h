// Numbers as the monitor's `print` and `x` take them: C operators, decimal, hexadecimal and octal, $register names.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cpu/base/result.h"
#include "cpu/base/types.h"
#include "cpu/regs.h"

namespace umbra {

using Names = std::function<std::optional<u64>(const std::string& name)>;  // without the $

Result<u64> evaluate(const std::string& text, const Names& names);
std::optional<u64> register_value(const CpuState& s, const std::string& name);

// "/10xw", QEMU's format for x, xp and print.
struct DumpFormat {
  u32 count = 1;
  char format = 'x';  // x d u o c i
  unsigned size = 4;
};
Result<DumpFormat> parse_dump_format(const std::string& text, DumpFormat previous);
std::string format_number(u64 value, const DumpFormat& f, bool in_columns = false);

}  // namespace umbra
