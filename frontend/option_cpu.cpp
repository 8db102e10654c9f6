// -cpu MODEL,+feature,-feature,feature=on|off,property=value.
#include <algorithm>
#include <cstdlib>
#include <deque>

#include "cpu/base/log.h"
#include "frontend/option_handlers.h"

namespace umbra {
namespace {

struct Feature {
  const char* name;
  u32 CpuModel::*word;
  u32 bit;
};

// By QEMU's names. Each can be taken from a model that has it, and given to one with CPUID that has not.
constexpr Feature kFeatures[] = {
    {"fpu", &CpuModel::features_edx, cpuid::kFpu},
    {"vme", &CpuModel::features_edx, cpuid::kVme},
    {"de", &CpuModel::features_edx, cpuid::kDe},
    {"pse", &CpuModel::features_edx, cpuid::kPse},
    {"tsc", &CpuModel::features_edx, cpuid::kTsc},
    {"msr", &CpuModel::features_edx, cpuid::kMsr},
    {"pae", &CpuModel::features_edx, cpuid::kPae},
    {"mce", &CpuModel::features_edx, cpuid::kMce},
    {"cx8", &CpuModel::features_edx, cpuid::kCx8},
    {"apic", &CpuModel::features_edx, cpuid::kApic},
    {"sep", &CpuModel::features_edx, cpuid::kSep},
    {"mtrr", &CpuModel::features_edx, cpuid::kMtrr},
    {"pge", &CpuModel::features_edx, cpuid::kPge},
    {"mca", &CpuModel::features_edx, cpuid::kMca},
    {"cmov", &CpuModel::features_edx, cpuid::kCmov},
    {"pat", &CpuModel::features_edx, cpuid::kPat},
    {"pse36", &CpuModel::features_edx, cpuid::kPse36},
    {"clflush", &CpuModel::features_edx, cpuid::kClfsh},
    {"mmx", &CpuModel::features_edx, cpuid::kMmx},
    {"fxsr", &CpuModel::features_edx, cpuid::kFxsr},
    {"sse", &CpuModel::features_edx, cpuid::kSse},
    {"sse2", &CpuModel::features_edx, cpuid::kSse2},
    {"ss", &CpuModel::features_edx, cpuid::kSs},
    {"pni", &CpuModel::features_ecx, cpuid::kSse3},
    {"sse3", &CpuModel::features_ecx, cpuid::kSse3},
    {"ssse3", &CpuModel::features_ecx, cpuid::kSsse3},
    {"hypervisor", &CpuModel::features_ecx, cpuid::kHypervisor},
    {"nx", &CpuModel::extended_edx, cpuid::kNx},
};

// What QEMU knows and Umbra has not: without it is how every model is, with it is said and not done, as under TCG.
constexpr const char* kAbsent[] = {
    "3dnow",        "3dnowext", "abm",     "acpi",    "adx",        "aes",       "arat",     "avx",       "avx2",
    "avx512f",      "bmi1",     "bmi2",    "cid",     "clflushopt", "clwb",      "cx16",     "dca",       "ds",
    "ds-cpl",       "dtes64",   "erms",    "est",     "f16c",       "fma",       "fma4",     "fsgsbase",  "fxsr-opt",
    "ht",           "hle",      "ia64",    "invpcid", "invtsc",     "la57",      "lahf-lm",  "lm",        "lzcnt",
    "misalignsse",  "mmxext",   "monitor", "movbe",   "mpx",        "pbe",       "pcid",     "pclmulqdq", "pdcm",
    "pdpe1gb",      "pku",      "pmm",     "pn",      "popcnt",     "rdpid",     "rdrand",   "rdseed",    "rdtscp",
    "rtm",          "sha-ni",   "smap",    "smep",    "smx",        "spec-ctrl", "ssbd",     "sse4.1",    "sse4.2",
    "sse4_1",       "sse4_2",   "sse4a",   "svm",     "syscall",    "tbm",       "tm",       "tm2",       "tsc-adjust",
    "tsc-deadline", "umip",     "vmx",     "x2apic",  "xop",        "xsave",     "xsaveopt", "xtpr"};

constexpr const char* kProperties[] = {"family", "model",    "stepping", "level",
                                       "vendor", "model-id", "check",    "enforce"};

std::string spelled(std::string name) {  // QEMU takes both
  std::replace(name.begin(), name.end(), '_', '-');
  return name == "cmpxchg8b" ? "cx8" : name;
}

bool absent(const std::string& name) {
  return std::any_of(std::begin(kAbsent), std::end(kAbsent), [&](const char* known) { return spelled(known) == name; });
}

Error unknown(const std::string& name) {
  std::vector<std::string> names;
  for (const Feature& f : kFeatures) names.emplace_back(f.name);
  for (const char* p : kProperties) names.emplace_back(p);
  const std::string near = nearest(name, names);
  return Error{"-cpu: there is no feature '" + name + "'" +
               (near.empty() ? "; -cpu help lists them" : "; did you mean '" + near + "'?")};
}

Status switch_feature(Options& o, CpuModel& model, const std::string& name, bool on, bool enforce) {
  for (const Feature& f : kFeatures) {
    if (name != f.name) continue;
    if (on && model.vendor[0] == 0)
      return Error{std::string("-cpu: a ") + model.name + " has no CPUID, so '" + name + "' cannot be added to it"};
    model.*f.word = on ? model.*f.word | f.bit : model.*f.word & ~f.bit;
    if (on && f.word == &CpuModel::features_edx) model.max_leaf = std::max(model.max_leaf, 1u);
    return {};
  }
  if (!absent(name)) return unknown(name);
  if (!on) return {};
  if (enforce) return Error{"-cpu: '" + name + "' is not implemented, and 'enforce' is given"};
  o.notes.push_back("-cpu: '" + name + "' is not implemented; the guest does not get it");
  return {};
}

Status set_property(CpuModel& model, const KeyValue& kv) {
  if (kv.key == "vendor") {
    if (kv.value.size() != 12) return Error{"-cpu: vendor='" + kv.value + "' must have twelve characters"};
    std::copy(kv.value.begin(), kv.value.end(), model.vendor);
    return {};
  }
  if (kv.key == "model-id") {
    static std::deque<std::string> brands;  // models point into them for as long as the program runs
    if (kv.value.size() > 47) return Error{"-cpu: model-id='" + kv.value + "' is longer than 47 characters"};
    model.brand = brands.emplace_back(kv.value).c_str();
    return {};
  }
  const struct {
    const char* name;
    u32 most;
  } kNumbers[] = {{"family", 255}, {"model", 255}, {"stepping", 15}, {"level", 4}};
  for (const auto& known : kNumbers) {
    if (kv.key != known.name) continue;
    const auto n = parse_number(kv.value, known.most);
    if (!n) return Error{"-cpu: " + kv.key + "=" + n.error()};
    const auto byte = static_cast<u8>(*n);
    if (kv.key == "family") model.family = byte;
    if (kv.key == "model") model.model = byte;
    if (kv.key == "stepping") model.stepping = byte;
    if (kv.key == "level") model.max_leaf = byte;
  }
  return {};
}

// QEMU's models of processors later than ours begin so, whatever their variant and version.
bool is_later_model(const std::string& name) {
  static const char* const kLater[] = {"Conroe",      "Penryn",    "Nehalem",        "Westmere",  "SandyBridge",
                                       "IvyBridge",   "Haswell",   "Broadwell",      "Skylake",   "Cascadelake",
                                       "Cooperlake",  "Icelake",   "SapphireRapids", "Snowridge", "Denverton",
                                       "KnightsMill", "Opteron_G", "EPYC",           "Dhyana"};
  return std::any_of(std::begin(kLater), std::end(kLater), [&](const char* known) { return name.starts_with(known); });
}

Result<const CpuModel*> named_model(Options& o, const std::string& name) {
  static const KeyValue kAliases[] = {{"qemu32", "max"},   {"qemu64", "max"}, {"host", "max"},  {"kvm32", "max"},
                                      {"kvm64", "max"},    {"base", "max"},   {"n270", "max"},  {"coreduo", "max"},
                                      {"core2duo", "max"}, {"athlon", "max"}, {"phenom", "max"}};
  if (const CpuModel* model = find_cpu_model(name)) return model;
  const bool later = is_later_model(name);
  for (const KeyValue& alias : kAliases) {
    if (!later && name != alias.key) continue;
    o.notes.push_back("-cpu " + name + ": using the nearest model, " + alias.value);
    return find_cpu_model(alias.value);
  }
  std::string known;
  std::vector<std::string> names;
  for (const CpuModel& m : cpu_models()) {
    known += std::string(known.empty() ? "" : ", ") + m.name;
    names.emplace_back(m.name);
  }
  const std::string near = nearest(name, names);
  return Error{"-cpu: there is no model '" + name + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?") +
               "; there are " + known};
}

}  // namespace

std::string cpu_help() {
  std::string out = "Models:\n";
  for (const CpuModel& m : cpu_models()) out += format("  %-10s %s\n", m.name, m.brand != nullptr ? m.brand : "");
  out += "\nFeatures, as +feature, -feature, feature=on or feature=off:\n ";
  for (const Feature& f : kFeatures) out += std::string(" ") + f.name;
  out += "\n\nProperties, as property=value:\n ";
  for (const char* p : kProperties) out += std::string(" ") + p;
  return out + "\n";
}

Status option_cpu(Options& o, const std::string& text) {
  if (text == "help" || text == "?") {
    o.action = Options::Action::kListCpus;
    return {};
  }
  const auto items = parse_key_values(text);
  auto base = named_model(o, items.empty() ? text : items[0].key);
  if (!base) return base.take_error();
  CpuModel model = **base;
  const bool enforce = std::any_of(items.begin(), items.end(),
                                   [](const KeyValue& kv) { return kv.key == "enforce" && kv.value != "off"; });
  for (std::size_t i = 1; i < items.size(); ++i) {
    KeyValue kv{spelled(items[i].key), items[i].value};
    const char sign = kv.key[0];
    if (sign == '+' || sign == '-') {
      if (Status s = switch_feature(o, model, kv.key.substr(1), sign == '+', enforce); !s) return s;
    } else if (std::find(std::begin(kProperties), std::end(kProperties), kv.key) != std::end(kProperties)) {
      if (Status s = set_property(model, kv); !s) return s;
    } else if (kv.key == "kvm" || kv.key == "pmu" || kv.key == "migratable" || kv.key.starts_with("hv-")) {
      o.notes.push_back("-cpu: " + kv.key + " makes no difference here");
    } else {
      bool on = false;
      if (kv.value != "on" && kv.value != "off" && !kv.value.empty()) return unknown(kv.key);
      if (Status s = set_bool(on, "cpu", kv); !s) return s;
      if (Status s = switch_feature(o, model, kv.key, on, enforce); !s) return s;
    }
  }
  static std::deque<CpuModel> models;  // machines refer to them
  o.machine.cpu = items.size() > 1 ? &models.emplace_back(model) : *base;
  return {};
}

}  // namespace umbra
