#include "translator/stats.h"

#include <algorithm>
#include <vector>

#include "cpu/base/log.h"

namespace umbra {
namespace {

struct Named {
  const char* name;
  u64 value;
};

std::vector<Named> totals(const Statistics& s) {
  return {{"translations", s.translations},
          {"translations_copied", s.copies},
          {"guest_insns", s.guest_insns},
          {"guest_bytes", s.guest_bytes},
          {"host_bytes", s.host_bytes},
          {"translation_cycles", s.translation_cycles},
          {"code_bytes", s.code_bytes},
          {"dispatch_misses", s.dispatch_misses},
          {"dispatch_spaces", s.spaces},
          {"dispatch_bytes", s.dispatch_bytes},
          {"mappings_dropped", s.mappings_dropped},
          {"polls", s.polls},
          {"host_faults", s.host_faults},
          {"window_fixes", s.window_fixes},
          {"samples", s.samples},
          {"hot_pages", s.hot_pages},
          {"demoted_insns", s.demoted},
          {"window_blocks", s.window_blocks},
          {"guest_faults", s.guest_faults},
          {"code_writes", s.code_writes},
          {"invalidated_blocks", s.invalidated_blocks},
          {"far_links", s.far_links},
          {"views_copied", s.views_copied},
          {"views_shared", s.views_shared},
          {"flushes", s.flushes},
          {"interpreted", s.interpreted},
          {"callouts_made", s.callouts_made}};
}

std::vector<u16> busiest(const Statistics& s) {
  std::vector<u16> ops;
  for (u16 op = 0; op <= kOpCount; ++op)
    if (s.callouts[op].count + s.callouts[op].shortcuts + s.callouts[op].missed + s.callouts[op].inlined != 0)
      ops.push_back(op);
  std::sort(ops.begin(), ops.end(), [&](u16 a, u16 b) {
    const Statistics::Kind &x = s.callouts[a], &y = s.callouts[b];
    return x.count + x.shortcuts + x.missed > y.count + y.shortcuts + y.missed;
  });
  return ops;
}

const char* name_of(u16 op) { return op == kOpCount ? "Invalid" : info(static_cast<Op>(op)).name; }

}  // namespace

std::string Statistics::text() const {
  std::string out;
  for (const Named& n : totals(*this))
    out += format("%-20s %14llu\n", n.name, static_cast<unsigned long long>(n.value));
  out += format("%-20s %14s %14s %14s %16s %12s\n", "callout", "by design", "shortcuts", "inline missed", "cycles",
                "inlined");
  for (u16 op : busiest(*this)) {
    const Kind& k = callouts[op];
    out += format("%-20s %14llu %14llu %14llu %16llu %12llu\n", name_of(op), static_cast<unsigned long long>(k.count),
                  static_cast<unsigned long long>(k.shortcuts), static_cast<unsigned long long>(k.missed),
                  static_cast<unsigned long long>(k.cycles), static_cast<unsigned long long>(k.inlined));
  }
  return out;
}

std::string Statistics::json() const {
  std::string out = "{";
  for (const Named& n : totals(*this))
    out += format("\"%s\": %llu, ", n.name, static_cast<unsigned long long>(n.value));
  out += "\"callouts\": {";
  bool first = true;
  for (u16 op : busiest(*this)) {
    const Kind& k = callouts[op];
    out += format(
        "%s\"%s\": {\"count\": %llu, \"shortcuts\": %llu, \"missed\": %llu, \"cycles\": %llu, \"inlined\": %llu}",
        first ? "" : ", ", name_of(op), static_cast<unsigned long long>(k.count),
        static_cast<unsigned long long>(k.shortcuts), static_cast<unsigned long long>(k.missed),
        static_cast<unsigned long long>(k.cycles), static_cast<unsigned long long>(k.inlined));
    first = false;
  }
  return out + "}}";
}

}  // namespace umbra
