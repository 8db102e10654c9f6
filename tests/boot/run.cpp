#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/boot/guests.h"

namespace umbra::boot {
namespace {

using namespace std::chrono_literals;

std::string replace(std::string text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

std::string folder(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value != nullptr ? value : otherwise;
}

std::string guests_folder() { return folder("UMBRA_GUESTS", "build/guests"); }

struct Watch {
  Session& session;
  const Guest& guest;
  double limit;
  std::size_t serial_seen = 0;

  // Empty when the step came true in time.
  std::string step(const Step& s) {
    switch (s.kind) {
      case Step::Kind::kType:
        session.type(s.text);
        return "";
      case Step::Kind::kSend:
        session.send_serial(s.text);
        return "";
      case Step::Kind::kPause:
        std::this_thread::sleep_for(std::chrono::milliseconds(s.width));
        return "";
      default:
        break;
    }
    for (;;) {
      if (come_true(s)) return "";
      const bool ended = !session.running();
      if (ended && s.kind != Step::Kind::kEnds && !come_true(s))
        return "the emulator ended before it showed " + wanted(s);
      if (session.seconds() > limit) return "no sign of " + wanted(s) + format_limit();
      std::this_thread::sleep_for(50ms);
    }
  }

  bool come_true(const Step& s) {
    if (s.kind == Step::Kind::kEnds) return !session.running();
    if (s.kind == Step::Kind::kScreen) return session.screen().find(s.text) != std::string::npos;
    if (s.kind == Step::Kind::kGraphics) {
      const Session::Picture p = session.picture();
      const bool doubled = p.width == 2 * s.width && p.height == 2 * s.height;  // each pixel as the monitor shows it
      return (s.width == 0 || doubled || (p.width == s.width && p.height == s.height)) && p.colours() >= s.colours;
    }
    const auto at = session.serial().find(s.text, serial_seen);
    if (at == std::string::npos) return false;
    serial_seen = at + s.text.size();
    return true;
  }

  std::string wanted(const Step& s) const {
    if (s.kind == Step::Kind::kEnds) return "its end";
    if (s.kind == Step::Kind::kGraphics)
      return "a picture of " + std::to_string(s.width) + "x" + std::to_string(s.height);
    return "'" + s.text + "'";
  }
  std::string format_limit() const { return " within " + std::to_string(static_cast<int>(limit)) + " s"; }
};

}  // namespace

const Guest* find(const std::string& name) {
  for (const Guest& g : guests())
    if (name == g.name) return &g;
  return nullptr;
}

bool prepare(const Guest& guest) {
  if (guest.prepare == nullptr) return true;
  const std::string command =
      "guests='" + guests_folder() + "'; . roms/guests.sh; . tests/boot/media.sh; " + guest.prepare;
  return std::system(("bash -c '" + replace(command, "'", "'\\''") + "' >&2").c_str()) == 0;
}

Outcome run(const Guest& guest, const std::string& emulator, const std::vector<std::string>& more_options,
            const Manner& manner) {
  Outcome out;
  if (!prepare(guest)) {
    out.skipped = "its packages cannot be had";
    return out;
  }
  const std::string guests = guests_folder(), shared = folder("UMBRA_SHARED", "../shared/guests");
  std::vector<std::string> options = more_options;
  for (const std::string& o : guest.options) {
    std::string word = replace(replace(o, "$shared", shared), "$guests", guests);
    const auto file = word.find(o == word ? "\n" : "/");
    const auto path = word.substr(0, word.find(',', file == std::string::npos ? 0 : file));
    const auto from = path.find("file=");
    const std::string name = from == std::string::npos ? path : path.substr(from + 5);
    if (o != word && ::access(name.c_str(), R_OK) != 0) {
      out.skipped = "there is no " + name;
      return out;
    }
    options.push_back(word);
  }
  Session session(emulator, options);
  Watch watch{session, guest, guest.limit * manner.patience};
  for (std::size_t i = 0; i < guest.steps.size(); ++i) {
    out.failure = watch.step(guest.steps[i]);
    if (i == guest.sight) out.seconds = session.seconds();
    if (!out.failure.empty()) break;
    if (i == guest.sight && !manner.screenshots.empty())
      session.screendump(manner.screenshots + "/" + guest.name + ".png");
  }
  if (manner.show || !out.failure.empty()) {
    std::fprintf(stderr, "--- screen\n%s--- serial\n%s\n--- emulator\n",
                 session.running() ? session.screen().c_str() : "", session.serial().c_str());
    if (std::system(("cat '" + session.folder() + "/log' >&2").c_str()) != 0) std::fprintf(stderr, "(nothing)\n");
  }
  return out;
}

}  // namespace umbra::boot
