// The program: reads the command line, builds the machine that it describes, and runs it.
#include <fcntl.h>

#include <cstdio>

#include "frontend/options.h"
#include "frontend/program.h"

using namespace umbra;

int main(int argc, char** argv) {
  // Where a standard stream is closed, the next file that is opened would get what is said there.
  for (const int standard : {0, 1, 2})
    if (::fcntl(standard, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != standard) return 1;
  auto options = parse_options({argv + 1, argv + argc});
  if (!options) {
    std::fprintf(stderr, "umbra: %s\n", options.error().c_str());
    return 1;
  }
  return run_program(*options);
}
