// The rows of the command line, for the parser and for the lists made of them.
#pragma once

#include <span>

#include "frontend/options.h"

namespace umbra {

using Apply = Status (*)(Options&, const std::string&);

struct Option {
  const char* name;
  const char* argument;  // null: takes none
  Apply apply;           // null: not supported
  const char* help;      // or, when not supported, what to use instead
};

std::span<const Option> option_table();

}  // namespace umbra
