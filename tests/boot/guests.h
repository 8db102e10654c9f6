// The guests that must boot, and what each must show.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/boot/session.h"

namespace umbra::boot {

struct Step {
  enum class Kind { kScreen, kSerial, kType, kSend, kGraphics, kPause, kEnds } kind;
  std::string text;      // kScreen, kSerial: must appear; kType, kSend: is typed
  unsigned colours = 0;  // kGraphics: a picture of width x height with at least so many colours
  unsigned width = 0, height = 0;
};

struct Guest {
  const char* name;
  const char* what;  // the named sight: its time is the one reported
  double limit;      // seconds for the whole of it
  // $shared is the folder of guest images, $guests the one that roms/guests.sh fills; a file that is missing skips.
  std::vector<std::string> options;
  std::vector<Step> steps;
  std::size_t sight;  // index of the step that is the named sight
  const char* prepare =
      nullptr;  // a shell command that makes the images, run with roms/guests.sh and tests/boot/media.sh
};

std::span<const Guest> guests();
const Guest* find(const std::string& name);

struct Outcome {
  std::string skipped, failure;
  double seconds = 0;
};
struct Manner {
  bool show = false;        // say what was on screen and serial port
  double patience = 1;      // a factor on the guest's limit
  std::string screenshots;  // a folder: NAME.png is what the screen shows at the named sight
};
bool prepare(const Guest& guest);  // makes its images; false when its packages cannot be had
Outcome run(const Guest& guest, const std::string& emulator, const std::vector<std::string>& more_options,
            const Manner& manner);

}  // namespace umbra::boot
