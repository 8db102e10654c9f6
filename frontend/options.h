// The command line, in QEMU's spelling and meaning. One table: what is supported, what is not yet and what to use
// instead. Nothing is silently ignored.
#pragma once

#include <string>
#include <vector>

#include "cpu/base/result.h"
#include "devices/board/config.h"

namespace umbra {

// -chardev: a stream with a name, for `chardev:ID` elsewhere. With `shared` several ends may use it, by turns.
struct NamedStream {
  std::string id;
  std::string stream;  // as in -serial
  bool shared = false;
  bool signals = true;  // on a terminal, Ctrl-C ends Umbra
};

// -drive if=none: a drive with a name, for a -device.
struct NamedDrive {
  std::string id;
  DriveConfig drive;
  bool connected = false;
};

struct Options {
  MachineConfig machine;  // its streams still closed: the specs are below
  std::vector<NamedStream> streams;
  std::vector<NamedDrive> named_drives;
  std::vector<std::string> drive_devices;  // -device ide-hd,…: connected once every -drive is known
  std::vector<std::string> serial, parallel;
  std::string debugcon;
  std::vector<std::string> monitors;
  std::string pid_file;
  std::string display;  // "" = sdl where there is a display, else none
  bool nographic = false;
  bool full_screen = false;
  bool no_defaults = false;
  bool vga_given = false;  // -vga or -device VGA: without, -nodefaults has none
  std::string accel = "jit";
  bool verify = false;       // check every block that the translator emits
  u64 code_cache_bytes = 0;  // 0: the engine's own default
  bool snapshot = false;     // -snapshot: for every drive
  u32 log_mask = 0;
  std::string log_file;
  bool bare = false;               // -machine bare: the board without a PC around it
  std::string machine_named;       // any other -machine
  std::vector<std::string> notes;  // one line each, for stderr: "kvm: …"

  enum class Action {
    kRun,
    kHelp,
    kVersion,
    kListInsns,
    kListCpus,
    kListMachines,
    kListAccels,
    kListDevices,
    kListLog,
    kListOptions
  };
  Action action = Action::kRun;
};

Result<Options> parse_options(const std::vector<std::string>& arguments);
std::string options_help();
std::string options_table();  // every option: what it is for, or what to use instead

Result<u64> parse_size(const std::string& text, u64 default_unit);  // "64", "64M", "1G", "512k"

// "a=b,c,d=e" with ",," for a comma; the first item may stand without a key.
struct KeyValue {
  std::string key, value;
};
std::vector<KeyValue> parse_key_values(const std::string& text);

// The candidate nearest to `word`, or "" when none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace umbra
