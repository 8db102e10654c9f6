#include "frontend/monitor.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "cpu/base/log.h"
#include "frontend/options.h"
#include "frontend/screendump.h"

namespace umbra {
namespace {

constexpr u64 kKeyHold = 100'000'000;  // ns
constexpr std::size_t kMaxUnsent = 4u << 20;

std::vector<std::string> split(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  std::string word;
  while (in >> word) words.push_back(word);
  return words;
}

std::string usage(const char* what) { return std::string("usage: ") + what + "\n"; }
const char* const kNotHere = "this machine has none\n";

}  // namespace

const Monitor::Command Monitor::kCommands[] = {
    {"help", "[COMMAND]", "this list", &Monitor::help},
    {"info", "SUBJECT", "show something; 'help info' lists the subjects", &Monitor::info},
    {"x", "/FMT ADDRESS", "show memory at a linear address", &Monitor::examine_virtual},
    {"xp", "/FMT ADDRESS", "show memory at a physical address", &Monitor::examine_physical},
    {"print", "/FMT EXPRESSION", "evaluate; $eax and the other registers can be used", &Monitor::print},
    {"p", "/FMT EXPRESSION", "the same", &Monitor::print},
    {"memsave", "ADDRESS SIZE FILE", "save linear memory to a file", &Monitor::memsave},
    {"pmemsave", "ADDRESS SIZE FILE", "save physical memory to a file", &Monitor::pmemsave},
    {"screendump", "FILE [-f FORMAT]", "save the screen as PNG (FILE.png) or PPM", &Monitor::screendump},
    {"sendkey", "KEYS [MS]", "press keys together, e.g. ctrl-alt-delete", &Monitor::sendkey},
    {"mouse_move", "DX DY [DZ]", "move the mouse", &Monitor::mouse_move},
    {"mouse_button", "MASK", "mouse buttons: 1 left, 2 right, 4 middle", &Monitor::mouse_button},
    {"stop", "", "pause the machine", &Monitor::stop},
    {"cont", "", "go on", &Monitor::cont},
    {"c", "", "the same", &Monitor::cont},
    {"system_reset", "", "reset the machine", &Monitor::reset},
    {"system_powerdown", "", "press the power button", &Monitor::powerdown},
    {"system_wakeup", "", "wake the machine from sleep", &Monitor::wakeup},
    {"nmi", "", "raise a non-maskable interrupt", &Monitor::nmi},
    {"change", "DEVICE FILE", "put another medium in", &Monitor::change},
    {"eject", "[-f] DEVICE", "take the medium out", &Monitor::eject},
    {"log", "ITEM,…|none", "choose traces, as with -d", &Monitor::log_items},
    {"quit", "", "end Umbra", &Monitor::quit},
    {"q", "", "the same", &Monitor::quit},
};

const Monitor::Command Monitor::kInfos[] = {
    {"registers", "", "the processor", &Monitor::info_registers},
    {"mem", "", "linear memory that is mapped, as ranges", &Monitor::info_mem},
    {"tlb", "", "linear memory that is mapped, page by page", &Monitor::info_tlb},
    {"pic", "", "the interrupt controllers", &Monitor::info_pic},
    {"irq", "", "how often each interrupt line was raised", &Monitor::info_irq},
    {"pci", "", "PCI functions and their ranges", &Monitor::info_pci},
    {"block", "", "drives and their media", &Monitor::info_block},
    {"mtree", "", "what lies where in memory and port space", &Monitor::info_mtree},
    {"status", "", "running or paused", &Monitor::info_status},
    {"screen", "", "the text screen as text", &Monitor::info_screen},
    {"jit", "", "the engine's counters", &Monitor::info_jit},
    {"exits", "[-j]", "what left generated code, how often, how long; -j: as JSON", &Monitor::info_exits},
    {"devices", "", "the devices of the machine", &Monitor::info_devices},
    {"device", "NAME", "every register of a device", &Monitor::info_device},
    {"name", "", "the machine's name", &Monitor::info_name},
    {"version", "", "Umbra's version", &Monitor::info_version},
};

Monitor::Monitor(std::unique_ptr<CharDev> stream, MonitorLinks links)
    : stream_(std::move(stream)),
      links_(std::move(links)),
      editor_(
          "(umbra) ", [this](const std::string& text) { say(text); },
          [this](const std::string& line) { say(execute(line)); }),
      release_(*links_.clock, [this] {
        for (auto it = held_.rbegin(); it != held_.rend(); ++it) links_.keys->key(*it, false);
        held_.clear();
      }) {
  editor_.set_completion([this](const std::string& line) { return complete(line); });
  if (!stream_) return;
  stream_->room = [] { return std::size_t{1024}; };
  stream_->receive = [this](std::span<const u8> bytes) { editor_.input(bytes); };
  stream_->opened = [this] {
    say("Umbra monitor - type 'help' for the commands\n");
    editor_.show_prompt();
  };
  stream_->room_available();
  if (stream_->connected()) stream_->opened();
}

Monitor::~Monitor() {
  if (!stream_) return;
  stream_->receive = [](std::span<const u8>) {};
  stream_->room = [] { return std::size_t{0}; };
}

// Text goes out with the line ends of a terminal; what a slow reader has not taken yet is kept, up to a bound.
void Monitor::say(const std::string& text) {
  if (!stream_) return;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) unsent_ += '\r';
    unsent_ += text[i];
  }
  const std::size_t sent = stream_->write({reinterpret_cast<const u8*>(unsent_.data()), unsent_.size()});
  unsent_.erase(0, sent);
  if (unsent_.size() > kMaxUnsent) unsent_.clear();
  if (!unsent_.empty()) links_.control->post([this] { say(""); });
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
  std::vector<std::string> names;
  for (const Command& c : kCommands) {
    if (name == c.name) return (this->*c.run)(words);
    names.emplace_back(c.name);
  }
  const std::string near = nearest(name, names);
  return "there is no command '" + name + "'" +
         (near.empty() ? "; 'help' lists them\n" : "; did you mean '" + near + "'?\n");
}

std::vector<std::string> Monitor::complete(const std::string& line) const {
  std::vector<std::string> out;
  const bool in_info = line.rfind("info ", 0) == 0;
  for (const Command& c : in_info ? std::span<const Command>(kInfos) : std::span<const Command>(kCommands)) {
    const std::string whole = (in_info ? "info " : "") + std::string(c.name);
    if (whole.rfind(line, 0) == 0) out.push_back(whole);
  }
  return out;
}

std::string Monitor::help(const Words& w) {
  std::string out;
  const bool infos = !w.empty() && w[0] == "info";
  for (const Command& c : infos ? std::span<const Command>(kInfos) : std::span<const Command>(kCommands)) {
    if (!infos && !w.empty() && w[0] != c.name) continue;
    const std::string left = (infos ? "info " : "") + std::string(c.name) + " " + c.arguments;
    out += format("%-30s %s\n", left.c_str(), c.help);
  }
  return out.empty() ? "there is no command '" + w[0] + "'\n" : out;
}

std::string Monitor::info(const Words& w) {
  if (w.empty()) return help({"info"});
  std::vector<std::string> names;
  for (const Command& c : kInfos) {
    if (w[0] == c.name) return (this->*c.run)({w.begin() + 1, w.end()});
    names.emplace_back(c.name);
  }
  const std::string near = nearest(w[0], names);
  return "there is no 'info " + w[0] + "'" +
         (near.empty() ? "; 'help info' lists the subjects\n" : "; did you mean '" + near + "'?\n");
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
  if (!kind) return kind.error() + "\n";
  Frame frame;
  links_.screen->render(frame);
  const Status s = write_screendump(frame, files[0], *kind);
  return s ? "" : s.error() + "\n";
}

std::string Monitor::sendkey(const Words& w) {
  if (w.empty() || w.size() > 2) return usage("sendkey KEY[-KEY…] [MILLISECONDS]");
  if (links_.keys == nullptr) return kNotHere;
  std::vector<Key> keys;
  std::istringstream in(w[0]);
  std::string name;
  while (std::getline(in, name, '-')) {
    const Key key = key_from_name(name);
    if (key == kKeyNone) return "there is no key '" + name + "'\n";
    keys.push_back(key);
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
  links_.pointer->move(std::atoi(w[0].c_str()), std::atoi(w[1].c_str()), w.size() == 3 ? std::atoi(w[2].c_str()) : 0);
  return "";
}

std::string Monitor::mouse_button(const Words& w) {
  if (w.size() != 1) return usage("mouse_button MASK");
  if (links_.pointer == nullptr) return kNotHere;
  links_.pointer->buttons(static_cast<u32>(std::atoi(w[0].c_str())) & 7);
  return "";
}

std::string Monitor::stop(const Words&) { return links_.control->stop(), ""; }
std::string Monitor::cont(const Words&) { return links_.control->cont(), ""; }
std::string Monitor::reset(const Words&) { return links_.control->reset(), ""; }
std::string Monitor::powerdown(const Words&) { return links_.control->powerdown(), ""; }
std::string Monitor::wakeup(const Words&) { return links_.control->wakeup(), ""; }
std::string Monitor::nmi(const Words&) { return links_.control->nmi(), ""; }
std::string Monitor::quit(const Words&) { return links_.control->quit(0), ""; }

std::string Monitor::change(const Words& w) {
  if (w.size() < 2) return usage("change DEVICE FILE");
  if (!links_.change) return kNotHere;
  const Status s = links_.change(w[0], w[1]);
  return s ? "" : s.error() + "\n";
}

std::string Monitor::eject(const Words& w) {
  const bool force = !w.empty() && w[0] == "-f";
  if (w.size() != (force ? 2u : 1u)) return usage("eject [-f] DEVICE");
  if (!links_.eject) return kNotHere;
  const Status s = links_.eject(w.back(), force);
  return s ? "" : s.error() + "\n";
}

std::string Monitor::log_items(const Words& w) {
  if (w.size() != 1) return usage("log ITEM,…|none");
  if (w[0] == "none") return g_log_mask = 0, "";
  auto mask = parse_log_items(w[0]);
  if (!mask) return mask.error() + "\n";
  g_log_mask = *mask;
  return "";
}

}  // namespace umbra
