// boot_run [--emulator PROGRAM] [--option WORD]... [--list] [--show] GUEST...
//
// Boots guests from the table in guests.cpp and says how long each took to the sight that it must show. Exit code 77
// when a guest's image is not there, 1 when it does not show what it must.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/boot/guests.h"

using namespace umbra::boot;

int main(int argc, char** argv) {
  std::string emulator = "build/umbra";
  std::vector<std::string> names, options;
  bool show = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--emulator" && i + 1 < argc) {
      emulator = argv[++i];
    } else if (word == "--option" && i + 1 < argc) {
      options.emplace_back(argv[++i]);
    } else if (word == "--show") {
      show = true;
    } else if (word == "--list") {
      for (const Guest& g : guests()) std::printf("%-20s %s\n", g.name, g.what);
      return 0;
    } else {
      names.push_back(word);
    }
  }
  if (names.empty()) {
    std::fprintf(stderr, "usage: boot_run [--emulator PROGRAM] [--option WORD]... [--list] [--show] GUEST...\n");
    return 2;
  }
  int result = 0;
  for (const std::string& name : names) {
    const Guest* guest = find(name);
    if (guest == nullptr) {
      std::fprintf(stderr, "boot_run: there is no guest '%s'; --list shows them\n", name.c_str());
      return 2;
    }
    const Outcome o = run(*guest, emulator, options, show);
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
