// The program: reads the command line, builds the machine that it describes, and runs it.
#include <cstdio>

#include "frontend/options.h"
#include "frontend/program.h"

using namespace umbra;

int main(int argc, char** argv) {
  auto options = parse_options({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "umbra: %s\n", options.error().c_str());
    return 1;
  }
  return run_program(*options);
}
