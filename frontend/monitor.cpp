#include "frontend/monitor.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "cpu/base/log.h"
#include "frontend/options.h"
#include "frontend/screendump.h"

namespace umbra {
namespace {

constexpr u64 kKeyHold = 100'000'000;  // ns

// Words are separated by spaces; in double quotes a space is part of the word and a backslash takes what follows.
std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false, begun = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"') {
      quoted = !quoted;
      begun = true;
    } else if (quoted && c == '\\' && i + 1 < line.size()) {
      word += line[++i];
    } else if (quoted || (c != ' ' && c != '\t')) {
      word += c;
      begun = true;
    } else if (begun) {
      words.push_back(std::exchange(word, ""));
      begun = false;
    }
  }
  if (begun) words.push_back(word);
  return words;
}

std::optional<int> whole_number(const std::string& text) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 0);
  if (text.empty() || *end != 0 || value < INT16_MIN || value > INT16_MAX) return {};
  return static_cast<int>(value);
}

std::string usage(const char* what) { return std::string("usage: ") + what + "\n"; }
std::string error(const std::string& what) { return "Error: " + what + "\n"; }
const char* const kNotHere = "this machine has none\n";

}  // namespace

const Monitor::Command Monitor::kCommands[] = {
    {"help|?", "[COMMAND]", "this list", &Monitor::help},
    {"info", "[SUBJECT]", "show something; 'help info' lists the subjects", &Monitor::info},
    {"x", "/FMT ADDRESS", "show memory at a linear address", &Monitor::examine_virtual},
    {"xp", "/FMT ADDRESS", "show memory at a physical address", &Monitor::examine_physical},
    {"print|p", "/FMT EXPRESSION", "evaluate; $eax and the other registers can be used", &Monitor::print},
    {"i", "/FMT PORT", "read an I/O port", &Monitor::port_in},
    {"o", "/FMT PORT VALUE", "write to an I/O port", &Monitor::port_out},
    {"gva2gpa", "ADDRESS", "the physical address of a linear one", &Monitor::physical_address},
    {"sum", "ADDRESS SIZE", "checksum of physical memory", &Monitor::sum},
    {"memsave", "ADDRESS SIZE FILE", "save linear memory to a file", &Monitor::memsave},
    {"pmemsave", "ADDRESS SIZE FILE", "save physical memory to a file", &Monitor::pmemsave},
    {"screendump", "FILE [-f FORMAT]", "save the screen as PNG (FILE.png) or PPM", &Monitor::screendump},
    {"sendkey", "KEYS [MS]", "press keys together, e.g. ctrl-alt-delete", &Monitor::sendkey},
    {"mouse_move", "DX DY [DZ]", "move the mouse", &Monitor::mouse_move},
    {"mouse_button", "MASK", "mouse buttons: 1 left, 2 right, 4 middle", &Monitor::mouse_button},
    {"stop|s", "", "pause the machine", &Monitor::stop},
    {"cont|c", "", "go on", &Monitor::cont},
    {"system_reset", "", "reset the machine", &Monitor::reset},
    {"system_powerdown", "", "press the power button", &Monitor::powerdown},
    {"system_wakeup", "", "wake the machine from sleep", &Monitor::wakeup},
    {"nmi", "", "raise a non-maskable interrupt", &Monitor::nmi},
    {"change", "DEVICE [-f] FILE [FORMAT [MODE]]", "put another medium in; -f even if the guest holds the old one",
     &Monitor::change},
    {"eject", "[-f] DEVICE", "take the medium out; -f even if the guest holds it", &Monitor::eject},
    {"log", "ITEM,…|none", "choose traces, as with -d", &Monitor::log_items},
    {"logfile", "FILE", "write traces there from now on", &Monitor::log_file},
    {"boot_set", "ORDER", "boot in that order from the next reset on, as with -boot", &Monitor::boot_set},
    {"cpu", "INDEX", "choose the processor that other commands mean: 0", &Monitor::choose_cpu},
    {"quit|q", "", "end Umbra", &Monitor::quit},
};

const Monitor::Command Monitor::kInfos[] = {
    {"registers", "[-a|INDEX]", "the processor", &Monitor::info_registers},
    {"mem", "", "linear memory that is mapped, as ranges", &Monitor::info_mem},
    {"tlb", "", "linear memory that is mapped, page by page", &Monitor::info_tlb},
    {"pic", "", "the interrupt controllers", &Monitor::info_pic},
    {"lapic", "[ID]", "the processor's local interrupt controller", &Monitor::info_lapic},
    {"irq", "", "how often each interrupt line was raised", &Monitor::info_irq},
    {"pci", "", "PCI functions and their ranges", &Monitor::info_pci},
    {"block", "[DEVICE]", "drives and their media", &Monitor::info_block},
    {"mtree", "", "what lies where in memory and port space", &Monitor::info_mtree},
    {"status", "", "running or paused", &Monitor::info_status},
    {"screen", "", "the text screen as text", &Monitor::info_screen},
    {"jit", "", "the engine's counters", &Monitor::info_jit},
    {"exits", "[-j]", "what left generated code, how often, how long; -j: as JSON", &Monitor::info_exits},
    {"devices", "", "the devices of the machine", &Monitor::info_devices},
    {"device", "NAME", "every register of a device", &Monitor::info_device},
    {"cpus", "", "the processor's host thread", &Monitor::info_cpus},
    {"kvm", "", "that hardware virtualization is not used", &Monitor::info_kvm},
    {"name", "", "the machine's name", &Monitor::info_name},
    {"uuid", "", "the machine's UUID", &Monitor::info_uuid},
    {"chardev", "", "streams and what they are connected to", &Monitor::info_chardev},
    {"mice", "", "the mouse", &Monitor::info_mice},
    {"memory_size_summary", "", "how much RAM there is", &Monitor::info_memory_size},
    {"roms", "", "firmware, and files for it", &Monitor::info_roms},
    {"version", "", "Umbra's version", &Monitor::info_version},
};

Monitor::Monitor(std::unique_ptr<CharDev> stream, MonitorLinks links)
    : stream_(std::move(stream)),
      links_(std::move(links)),
      editor_(
          "(qemu) ",  // what scripts wait for
          [this](const std::string& text) { say(text); }, [this](const std::string& line) { say(execute(line)); }),
      release_(*links_.clock, [this] {
        for (auto it = held_.rbegin(); it != held_.rend(); ++it) links_.keys->key(*it, false);
        held_.clear();
      }) {
  editor_.set_completion([this](const std::string& line) { return complete(line); });
  if (!stream_) return;
  // A byte at a time: no command is begun before what others have said is nearly gone, so it never has to be kept here.
  stream_->room = [this] { return std::size_t{stream_->full() ? 0u : 1u}; };
  stream_->receive = [this](std::span<const u8> bytes) {
    editor_.input(bytes);
    send();
  };
  stream_->drained = [this] { stream_->room_available(); };
  stream_->opened = [this] {
    say("Umbra 0.1 monitor - type 'help' for more information\n");
    editor_.show_prompt();
    send();
  };
  stream_->room_available();
  if (stream_->connected()) stream_->opened();
}

Monitor::~Monitor() {
  if (!stream_) return;
  stream_->receive = [](std::span<const u8>) {};
  stream_->room = [] { return std::size_t{0}; };
  stream_->drained = [] {};
}

// Text goes out with the line ends of a terminal, and in one piece all that one key has called forth.
void Monitor::say(const std::string& text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) said_ += '\r';
    said_ += text[i];
  }
}

void Monitor::send() {
  stream_->write({reinterpret_cast<const u8*>(said_.data()), said_.size()});
  said_.clear();
}

std::string Monitor::execute(const std::string& line) {
  Words words = split(line);
  if (words.empty()) return "";
  std::string name = words[0];
  if (const auto slash = name.find('/'); slash != std::string::npos && slash > 0) {  // x/10i, print/x
    words[0] = name.substr(slash);
    name.erase(slash);
  } else {
    words.erase(words.begin());
  }
  return run(kCommands, "", name, words);
}

bool Monitor::called(const Command& c, const std::string& name) {
  return ("|" + std::string(c.name) + "|").find("|" + name + "|") != std::string::npos;
}

std::string Monitor::run(std::span<const Command> list, const std::string& prefix, const std::string& name,
                         const Words& w) {
  std::vector<std::string> names;
  for (const Command& c : list) {
    if (called(c, name)) {
      if (*c.arguments == 0 && !w.empty()) return name + ": extraneous characters at the end of line\n";
      return (this->*c.run)(w);
    }
    names.emplace_back(c.name);
  }
  const std::string near = nearest(name, names);
  return "unknown command: '" + prefix + name + "'" +
         (near.empty()
              ? "; 'help" + (prefix.empty() ? "" : " " + prefix.substr(0, prefix.size() - 1)) + "' lists them\n"
              : "; did you mean '" + prefix + near + "'?\n");
}

std::vector<std::string> Monitor::complete(const std::string& line) const {
  std::vector<std::string> out;
  const bool in_info = line.rfind("info ", 0) == 0;
  for (const Command& c : in_info ? std::span<const Command>(kInfos) : std::span<const Command>(kCommands)) {
    const std::string name = c.name, whole = (in_info ? "info " : "") + name.substr(0, name.find('|'));
    if (whole.rfind(line, 0) == 0) out.push_back(whole);
  }
  return out;
}

std::string Monitor::help(const Words& w) {
  std::string out;
  const bool infos = !w.empty() && w[0] == "info";
  const std::string wanted = infos ? (w.size() > 1 ? w[1] : "") : (w.empty() ? "" : w[0]);
  for (const Command& c : infos ? std::span<const Command>(kInfos) : std::span<const Command>(kCommands)) {
    if (!wanted.empty() && !called(c, wanted)) continue;
    out += std::string(infos ? "info " : "") + c.name + " " + c.arguments + " -- " + c.help + "\n";
  }
  return out.empty() ? "unknown command: '" + wanted + "'\n" : out;
}

std::string Monitor::info(const Words& w) {
  if (w.empty()) return help({"info"});
  return run(kInfos, "info ", w[0], {w.begin() + 1, w.end()});
}

Result<u64> Monitor::number(const std::string& text) const {
  return evaluate(text, [this](const std::string& name) { return register_value(links_.cpu->s, name); });
}

std::string Monitor::screendump(const Words& w) {
  Words files;
  std::string wanted;
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (w[i] == "-f" && i + 1 < w.size()) {
      wanted = w[++i];
    } else {
      files.push_back(w[i]);
    }
  }
  if (files.size() != 1) return usage("screendump FILE [-f ppm|png]");
  if (links_.screen == nullptr) return kNotHere;
  auto kind = wanted.empty() ? Result<ImageFormat>(image_format_of(files[0])) : image_format(wanted);
  if (!kind) return error(kind.error());
  Frame frame;
  links_.screen->render(frame);
  const Status s = write_screendump(frame, files[0], *kind);
  return s ? "" : error(s.error());
}

std::string Monitor::sendkey(const Words& w) {
  if (w.empty() || w.size() > 2) return usage("sendkey KEY[-KEY…] [MILLISECONDS]");
  if (links_.keys == nullptr) return kNotHere;
  std::vector<Key> keys;
  for (std::size_t at = 0; at <= w[0].size();) {
    const std::size_t end = std::min(w[0].find('-', at), w[0].size());
    const std::string name = w[0].substr(at, end - at);
    const Key key = key_from_name(name);
    if (key == kKeyNone) return "invalid parameter: '" + name + "' is not the name of a key\n";
    keys.push_back(key);
    at = end + 1;
  }
  u64 hold = kKeyHold;
  if (w.size() == 2) {
    auto ms = number(w[1]);
    if (!ms || *ms > 60'000) return "the time to hold a key is in milliseconds, up to a minute\n";
    hold = *ms * 1'000'000;
  }
  for (auto it = held_.rbegin(); it != held_.rend(); ++it) links_.keys->key(*it, false);
  held_ = std::move(keys);
  for (const Key k : held_) links_.keys->key(k, true);
  release_.after(hold);
  return "";
}

std::string Monitor::mouse_move(const Words& w) {
  if (w.size() < 2 || w.size() > 3) return usage("mouse_move DX DY [DZ]");
  if (links_.pointer == nullptr) return kNotHere;
  const auto dx = whole_number(w[0]), dy = whole_number(w[1]), dz = whole_number(w.size() == 3 ? w[2] : "0");
  if (!dx || !dy || !dz) return "mouse_move: whole numbers from -32768 to 32767 are expected\n";
  links_.pointer->move(*dx, *dy, *dz);
  return "";
}

std::string Monitor::mouse_button(const Words& w) {
  if (w.size() != 1) return usage("mouse_button MASK");
  if (links_.pointer == nullptr) return kNotHere;
  const auto mask = whole_number(w[0]);
  if (!mask || *mask < 0 || *mask > 7) return "mouse_button: a number from 0 to 7 is expected\n";
  links_.pointer->buttons(static_cast<u32>(*mask));
  return "";
}

std::string Monitor::stop(const Words&) { return links_.control->stop(), ""; }
std::string Monitor::cont(const Words&) { return links_.control->cont(), ""; }
std::string Monitor::reset(const Words&) { return links_.control->reset(), ""; }
std::string Monitor::powerdown(const Words&) { return links_.control->powerdown(), ""; }
std::string Monitor::wakeup(const Words&) {
  if (std::string(links_.control->status()) != "paused (suspended)")
    return error("Unable to wake up: guest is not in suspended state");
  return links_.control->wakeup(), "";
}
std::string Monitor::nmi(const Words&) { return links_.control->nmi(), ""; }
std::string Monitor::quit(const Words&) { return links_.control->quit(0), ""; }

std::string Monitor::change(const Words& words) {
  MediumChange change;
  Words w;
  for (const std::string& word : words) {
    if (word == "-f")
      change.force = true;
    else
      w.push_back(word);
  }
  if (w.size() < 2 || w.size() > 4) return usage("change DEVICE [-f] FILE [raw [retain|read-only|read-write]]");
  if (!links_.change) return kNotHere;
  if (w.size() > 2 && w[2] != "raw")
    return error("images of format '" + w[2] + "' cannot be read; raw images can (convert with qemu-img)");
  if (w.size() > 3 && w[3] != "retain" && w[3] != "read-only" && w[3] != "read-write")
    return error("'" + w[3] + "' is not known; expected retain, read-only or read-write");
  change.file = w[1];
  change.read_only = w.size() > 3 && w[3] == "read-only";
  const Status s = links_.change(w[0], change);
  return s ? "" : error(s.error());
}

std::string Monitor::eject(const Words& w) {
  const bool force = !w.empty() && w[0] == "-f";
  if (w.size() != (force ? 2u : 1u)) return usage("eject [-f] DEVICE");
  if (!links_.change) return kNotHere;
  const Status s = links_.change(w.back(), {.file = "", .force = force});
  return s ? "" : error(s.error());
}

std::string Monitor::log_items(const Words& w) {
  if (w.size() != 1) return usage("log ITEM,…|none");
  if (w[0] == "none") return g_log_mask = 0, "";
  auto mask = parse_log_items(w[0]);
  if (!mask) return error(mask.error());
  g_log_mask = *mask;
  return "";
}

std::string Monitor::log_file(const Words& w) {
  if (w.size() != 1) return usage("logfile FILE");
  const Status s = set_log_file(w[0]);
  return s ? "" : error(s.error());
}

std::string Monitor::boot_set(const Words& w) {
  if (w.size() != 1) return usage("boot_set ORDER");
  if (!links_.set_boot_order) return kNotHere;
  for (const char c : w[0])
    if (std::string("abcdnop").find(c) == std::string::npos) return format("Invalid boot device '%c'\n", c);
  links_.set_boot_order(w[0]);
  return "boot device list now set to " + w[0] + "\n";
}

std::string Monitor::choose_cpu(const Words& w) {
  if (w.size() != 1) return usage("cpu INDEX");
  return w[0] == "0" ? "" : "invalid CPU index\n";
}

}  // namespace umbra
