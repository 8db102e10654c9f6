#include "frontend/options.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"
#include "frontend/option_table.h"

namespace umbra {
namespace {

const Option* find_option(const std::string& name) {
  for (const Option& o : option_table())
    if (name == o.name) return &o;
  return nullptr;
}

unsigned distance(const std::string& a, const std::string& b) {
  std::vector<unsigned> row(b.size() + 1);
  for (unsigned j = 0; j <= b.size(); ++j) row[j] = j;
  for (unsigned i = 1; i <= a.size(); ++i) {
    unsigned diagonal = std::exchange(row[0], i);
    for (unsigned j = 1; j <= b.size(); ++j) {
      const unsigned change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({change, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  unsigned best_distance = std::max<unsigned>(1, static_cast<unsigned>(word.size()) / 3) + 1;
  for (const std::string& c : candidates) {
    if (const unsigned d = distance(word, c); d < best_distance) {
      best_distance = d;
      best = c;
    }
  }
  return best;
}

std::vector<KeyValue> parse_key_values(const std::string& text) {
  std::vector<KeyValue> out;
  std::string item;
  const auto finish = [&] {
    if (item.empty()) return;
    const auto equals = item.find('=');
    out.push_back(equals == std::string::npos ? KeyValue{item, ""}
                                              : KeyValue{item.substr(0, equals), item.substr(equals + 1)});
    item.clear();
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != ',') {
      item += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == ',') {
      item += text[++i];
    } else {
      finish();
    }
  }
  finish();
  return out;
}

Result<u64> parse_size(const std::string& text, u64 default_unit) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  u64 unit = default_unit;
  std::string suffix = end;
  if (suffix.size() == 2 && (suffix[1] == 'B' || suffix[1] == 'b')) suffix.pop_back();
  if (suffix == "k" || suffix == "K") unit = u64{1} << 10;
  if (suffix == "m" || suffix == "M") unit = u64{1} << 20;
  if (suffix == "g" || suffix == "G") unit = u64{1} << 30;
  if (suffix == "b" || suffix == "B") unit = 1;
  const bool known =
      suffix.empty() || (suffix.size() == 1 && std::string("bBkKmMgG").find(suffix) != std::string::npos);
  if (text.empty() || end == text.c_str() || !known || !(number > 0) || number * static_cast<double>(unit) > 1e15)
    return Error{"'" + text + "' is not a size; expected a number with an optional K, M or G"};
  return static_cast<u64>(number * static_cast<double>(unit));
}

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options o;
  o.machine.cpu = find_cpu_model(kDefaultCpuModel);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word.size() < 2 || word[0] != '-') {
      if (Status s = find_option("hda")->apply(o, word); !s) return s.take_error();
      continue;
    }
    const std::string name = word.substr(word[1] == '-' ? 2 : 1);
    const Option* option = find_option(name);
    if (option == nullptr) {
      std::vector<std::string> names;
      for (const Option& known : option_table()) names.emplace_back(known.name);
      const std::string near = nearest(name, names);
      return Error{"there is no option '" + word + "'" +
                   (near.empty() ? "; -help lists them" : "; did you mean '-" + near + "'?")};
    }
    if (option->apply == nullptr) return Error{"-" + name + " is not supported yet: " + option->help};
    std::string value;
    if (option->argument != nullptr) {
      if (++i == arguments.size()) return Error{"-" + name + " wants an argument: " + option->argument};
      value = arguments[i];
    }
    if (Status s = option->apply(o, value); !s) return s.take_error();
    constexpr std::string_view kAccepted = "accepted: ";
    if (const std::string_view help = option->help; help.starts_with(kAccepted))
      o.notes.push_back("-" + name + " makes no difference: " + std::string(help.substr(kAccepted.size())));
  }
  if (Status s = connect_drives(o); !s) return s.take_error();
  if (o.machine.kernel.empty() && !o.machine.initrd.empty()) return Error{"-initrd is for a kernel given with -kernel"};
  if (o.machine.kernel.empty() && !o.machine.append.empty()) return Error{"-append is for a kernel given with -kernel"};
  if (o.snapshot)
    for (DriveConfig& d : o.machine.drives) d.snapshot = true;
  return o;
}

std::string options_help() {
  std::string out = "usage: umbra [options] [disk image]\n\n";
  for (const Option& o : option_table()) {
    if (o.apply == nullptr) continue;
    std::string left = std::string("  -") + o.name + (o.argument != nullptr ? std::string(" ") + o.argument : "");
    const auto is_character = [](char c) { return (c & 0xc0) != 0x80; };  // and not a later byte of one, in UTF-8
    const auto width = static_cast<std::size_t>(std::ranges::count_if(left, is_character));
    constexpr std::size_t kColumn = 25;
    left += width < kColumn ? std::string(kColumn - width, ' ') : "\n" + std::string(kColumn, ' ');
    out += left + o.help + "\n";
  }
  return out;
}

std::string options_table() {
  std::string out = "| option | | |\n|---|---|---|\n";
  for (const Option& o : option_table())
    out += format("| `-%s` | %s | %s |\n", o.name, o.apply != nullptr ? "supported" : "refused", o.help);
  return out;
}

}  // namespace umbra
