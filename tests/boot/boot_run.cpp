// boot_run [--emulator PROGRAM]... [--option WORD]... [--patience FACTOR] [--list] [--prepare] [--show] [--table]
// [--screenshots FOLDER] GUEST...
//
// Boots guests from the table in guests.cpp and says how long each took to the sight that it must show. Exit code 77
// when a guest's image is not there, 1 when it does not show what it must. --patience multiplies the time each is
// given.
// --prepare makes every image that can be made, and boots nothing. --table prints the times of all the named
// guests (without names: of all) as Markdown, for each emulator in turn: build/umbra and qemu-system-i386 unless others
// are named. --screenshots leaves FOLDER/GUEST.png, the screen at the named sight.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/boot/guests.h"

using namespace umbra::boot;

namespace {

// One row for each guest: the seconds to its sight under each emulator, and how often the first fits into the last.
int table(std::vector<std::string> names, std::vector<std::string> emulators, const std::vector<std::string>& options,
          const Manner& manner) {
  if (names.empty())
    for (const Guest& g : guests()) names.emplace_back(g.name);
  if (emulators.empty()) emulators = {"build/umbra", "qemu-system-i386"};
  std::printf("| guest | sight |");
  for (const std::string& e : emulators) std::printf(" %s |", e.substr(e.rfind('/') + 1).c_str());
  std::printf(" ratio |\n|---|---|");
  for (std::size_t i = 0; i <= emulators.size(); ++i) std::printf("---:|");
  std::printf("\n");
  int result = 0;
  for (const std::string& name : names) {
    const Guest* guest = find(name);
    std::printf("| %s | %s |", guest->name, guest->what);
    double first = 0, last = 0;
    for (std::size_t i = 0; i < emulators.size(); ++i) {
      const Outcome o = run(*guest, emulators[i], options, manner);
      last = o.skipped.empty() && o.failure.empty() ? o.seconds : 0;
      if (i == 0) first = last;
      if (!o.failure.empty()) result = 1;
      if (last > 0) {
        std::printf(" %.2f s |", last);
      } else {
        std::printf(" %s |", o.skipped.empty() ? "failed" : "skipped");
      }
      std::fflush(stdout);
    }
    if (first > 0 && last > 0 && emulators.size() > 1)
      std::printf(" %.2f |\n", last / first);
    else
      std::printf(" |\n");
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> names, options, emulators;
  Manner manner;
  bool as_table = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--emulator" && i + 1 < argc) {
      emulators.emplace_back(argv[++i]);
    } else if (word == "--option" && i + 1 < argc) {
      options.emplace_back(argv[++i]);
    } else if (word == "--show") {
      manner.show = true;
    } else if (word == "--screenshots" && i + 1 < argc) {
      manner.screenshots = argv[++i];
    } else if (word == "--patience" && i + 1 < argc) {
      manner.patience = std::atof(argv[++i]);
    } else if (word == "--prepare") {
      for (const Guest& g : guests())
        if (!prepare(g)) std::printf("%s: its packages cannot be had\n", g.name);
      return 0;
    } else if (word == "--table") {
      as_table = true;
    } else if (word == "--list") {
      for (const Guest& g : guests()) std::printf("%-20s %s\n", g.name, g.what);
      return 0;
    } else {
      names.push_back(word);
    }
  }
  for (const std::string& name : names) {
    if (find(name) != nullptr) continue;
    std::fprintf(stderr, "boot_run: there is no guest '%s'; --list shows them\n", name.c_str());
    return 2;
  }
  if (as_table) return table(names, emulators, options, manner);
  if (names.empty()) {
    std::fprintf(stderr,
                 "usage: boot_run [--emulator PROGRAM]... [--option WORD]... [--patience FACTOR] [--list] [--prepare]"
                 " [--show] [--table] [--screenshots FOLDER] GUEST...\n");
    return 2;
  }
  const std::string emulator = emulators.empty() ? "build/umbra" : emulators.back();
  int result = 0;
  for (const std::string& name : names) {
    const Guest* guest = find(name);
    const Outcome o = run(*guest, emulator, options, manner);
    if (!o.skipped.empty()) {
      std::printf("%-20s skipped: %s\n", guest->name, o.skipped.c_str());
      if (result == 0) result = 77;
    } else if (o.failure.empty()) {
      std::printf("%-20s %6.2f s to %s\n", guest->name, o.seconds, guest->what);
    } else {
      std::printf("%-20s FAILED: %s\n", guest->name, o.failure.c_str());
      result = 1;
    }
  }
  return result;
}
