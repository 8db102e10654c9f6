// The monitor's `info` subjects.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "cpu/base/log.h"
#include "cpu/show.h"
#include "frontend/monitor.h"

namespace umbra {
namespace {

const char* const kNotHere = "this machine has none\n";

std::string ask(const std::function<std::string()>& question) { return question ? question() : kNotHere; }

// Fields are shown as numbers of their own width, longer ones as bytes.
std::string show_field(const std::string& path, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const u8*>(data);
  constexpr std::size_t kShown = 64;
  std::string out;
  if (size <= 8) {
    u64 value = 0;
    for (std::size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
    out = format("%0*llx", static_cast<int>(size * 2), static_cast<unsigned long long>(value));
  } else {
    for (std::size_t i = 0; i < std::min(size, kShown); ++i) out += format(i == 0 ? "%02x" : " %02x", bytes[i]);
    if (size > kShown) out += format(" … (%zu bytes)", size);
  }
  return format("  %-28s %s\n", path.c_str(), out.c_str());
}

std::string rights(const Walk& w) { return format("%c%c%c", w.user ? 'u' : '-', 'r', w.writable ? 'w' : '-'); }

}  // namespace

std::string Monitor::info_registers(const Words& w) {
  if (!w.empty() && w[0] != "-a" && w[0] != "0") return "CPU#" + w[0] + " not available\n";
  return "\nCPU#0\n" + show_registers(links_.cpu->s, links_.cpu->mmu.memory().a20()) + show_fpu(links_.cpu->s);
}

std::string Monitor::info_mem(const Words&) {
  Cpu& cpu = *links_.cpu;
  if ((cpu.s.cr0 & cr0::kPg) == 0) return "PG disabled\n";
  std::string out, last;
  u64 start = 0;
  for (u64 a = 0; a <= u64{1} << 32; a += kPageSize) {
    std::string now;
    if (a < u64{1} << 32) {
      const Walk w = umbra::probe(cpu.mmu.memory(), cpu.mmu.state(), Linear(static_cast<u32>(a)));
      if (w.ok) now = rights(w);
    }
    if (now == last) continue;
    if (!last.empty())
      out += format("%016llx-%016llx %016llx %s\n", static_cast<unsigned long long>(start),
                    static_cast<unsigned long long>(a), static_cast<unsigned long long>(a - start), last.c_str());
    start = a;
    last = now;
  }
  return out;
}

std::string Monitor::info_tlb(const Words&) {
  constexpr unsigned kMaxLines = 65536;
  Cpu& cpu = *links_.cpu;
  if ((cpu.s.cr0 & cr0::kPg) == 0) return "PG disabled\n";
  std::string out;
  unsigned lines = 0;
  for (u64 a = 0; a < u64{1} << 32;) {
    const Walk w = umbra::probe(cpu.mmu.memory(), cpu.mmu.state(), Linear(static_cast<u32>(a)));
    const u64 step = w.ok ? u64{1} << w.page_bits : kPageSize;
    if (w.ok) {
      if (++lines > kMaxLines) return out + "…\n";
      const u64 entry = w.entry[w.levels - 1];
      out += format("%016llx: %016llx %c%c%c%c%c%c%c%c%c\n", static_cast<unsigned long long>(a),
                    static_cast<unsigned long long>(w.address.value), w.executable ? '-' : 'X', w.global ? 'G' : '-',
                    w.page_bits > 12 ? 'P' : '-', w.dirty ? 'D' : '-', (entry & 0x20) != 0 ? 'A' : '-',
                    (entry & 0x10) != 0 ? 'C' : '-', (entry & 8) != 0 ? 'T' : '-', w.user ? 'U' : '-',
                    w.writable ? 'W' : '-');
    }
    a = (a & ~(step - 1)) + step;
  }
  return out;
}

std::string Monitor::device_state(const std::string& name) const {
  for (Device* d : links_.devices) {
    if (name != d->name()) continue;
    std::string out = name + ":\n";
    Archive list = Archive::lister(
        [&](const std::string& path, const void* data, std::size_t size) { out += show_field(path, data, size); });
    d->state(list);
    return out;
  }
  return "";
}

std::string Monitor::info_pic(const Words&) { return ask(links_.interrupt_controllers); }

std::string Monitor::info_devices(const Words&) {
  std::string out;
  for (Device* d : links_.devices) out += std::string(d->name()) + "\n";
  return out;
}

std::string Monitor::info_device(const Words& w) {
  if (w.size() != 1) return "usage: info device NAME\n";
  const std::string out = device_state(w[0]);
  return out.empty() ? "there is no device '" + w[0] + "'; 'info devices' lists them\n" : out;
}

std::string Monitor::info_irq(const Words&) { return ask(links_.irq_counts); }
std::string Monitor::info_pci(const Words&) { return ask(links_.pci_tree); }
std::string Monitor::info_block(const Words& w) {
  Words names;
  std::ranges::copy_if(w, std::back_inserter(names), [](const std::string& s) { return s != "-v" && s != "-n"; });
  if (names.size() > 1) return "usage: info block [DEVICE]\n";
  if (!links_.block_list) return kNotHere;
  const std::string out = links_.block_list(names.empty() ? "" : names[0]);
  return out.empty() && !names.empty() ? "Error: Device '" + names[0] + "' not found\n" : out;
}
std::string Monitor::info_mtree(const Words&) { return ask(links_.memory_tree); }

std::string Monitor::info_status(const Words&) { return std::string("VM status: ") + links_.control->status() + "\n"; }

std::string Monitor::info_screen(const Words&) {
  if (links_.screen == nullptr) return kNotHere;
  const TextScreen text = links_.screen->text();
  return text.columns == 0 ? "the screen is in a graphics mode; screendump saves it\n" : to_utf8(text) + "\n";
}

std::string Monitor::info_jit(const Words&) { return links_.engine->statistics(false); }
std::string Monitor::info_exits(const Words& w) {
  return links_.engine->statistics(!w.empty() && w[0] == "-j") + (w.empty() ? "" : "\n");
}
std::string Monitor::info_name(const Words&) { return links_.name + "\n"; }
std::string Monitor::info_cpus(const Words&) { return format("* CPU #0: thread_id=%ld\n", ::syscall(SYS_gettid)); }
std::string Monitor::info_kvm(const Words&) { return "kvm support: disabled\n"; }
std::string Monitor::info_version(const Words&) { return "Umbra 0.1\n"; }

std::string Monitor::info_lapic(const Words& w) {
  return w.empty() || w[0] == "0" ? ask(links_.local_apic) : "No local APIC " + w[0] + "\n";
}
std::string Monitor::info_roms(const Words&) { return ask(links_.roms); }
std::string Monitor::info_chardev(const Words&) { return links_.streams; }
std::string Monitor::info_mice(const Words&) {
  return links_.pointer != nullptr ? "* Mouse #0: PS/2 mouse\n" : kNotHere;
}
std::string Monitor::info_uuid(const Words&) { return links_.uuid + "\n"; }
std::string Monitor::info_memory_size(const Words&) {
  return format("base memory: %llu\nplugged memory: 0\n", static_cast<unsigned long long>(links_.ram_bytes));
}

}  // namespace umbra
