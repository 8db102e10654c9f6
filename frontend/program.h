// What the program does once the command line is understood.
#pragma once

#include <memory>

#include "cpu/engine.h"
#include "frontend/options.h"
#include "mmu/phys.h"

namespace umbra {

int run_program(Options& options);  // returns the exit code

int run_pc(Options& options);
int run_bare(const Options& options);
bool wants_bare_board(const Options& options);

Result<std::unique_ptr<Engine>> make_engine(const Options& options, PhysicalMemory& memory);

}  // namespace umbra
