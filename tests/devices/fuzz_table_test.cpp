// Every device on its own under random traffic, for as long as is asked for: see tests/fuzz/run. Prints a table.
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>

#include "tests/devices/chipset_bench.h"
#include "tests/fuzz/targets.h"

using namespace umbra;

namespace {

struct Target {
  std::string name;
  std::function<void(const u8*, std::size_t)> run;
};

std::vector<Target> targets() {
  std::vector<Target> all{{"all chips together", fuzz_chipset},
                          {"IDE, disks and CD-ROM", fuzz_ide},
                          {"floppy controller", fuzz_fdc},
                          {"VGA", fuzz_vga}};
  ChipsetBench bench;
  std::vector<const Device*> chips(bench.devices.begin(), bench.devices.end());
  chips.push_back(&bench.debugcon);
  chips.push_back(&bench.debug_exit);
  for (const Device* d : chips)
    all.push_back({d->name(),
                   [name = std::string(d->name())](const u8* data, std::size_t size) { fuzz_chip(name, data, size); }});
  return all;
}

// UMBRA_FUZZ_SECONDS for each device, UMBRA_FUZZ_SEED to try others.
double number(const char* variable, double otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::atof(text) : otherwise;
}

u64 fuzz(const Target& target, double seconds, u32 seed) {
  using Clock = std::chrono::steady_clock;
  std::mt19937 random(seed);
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  u64 runs = 0;
  do {
    std::vector<u8> input(1 + random() % 3000);
    for (u8& byte : input) byte = static_cast<u8>(random());
    target.run(input.data(), input.size());
    ++runs;
  } while (Clock::now() < end);
  return runs;
}

}  // namespace

TEST_CASE("Every device stands random traffic on its own") {
  const double seconds = number("UMBRA_FUZZ_SECONDS", 0.05);
  const auto seed = static_cast<u32>(number("UMBRA_FUZZ_SEED", 1));
  std::printf("| device | executions in %g s |\n|---|---:|\n", seconds);
  for (const Target& t : targets()) {
    INFO(t.name);
    const u64 runs = fuzz(t, seconds, seed);
    std::printf("| %s | %llu |\n", t.name.c_str(), static_cast<unsigned long long>(runs));
    std::fflush(stdout);
    CHECK(runs > 0);
  }
}
