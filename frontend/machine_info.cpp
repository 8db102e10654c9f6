#include "frontend/machine_info.h"

#include "cpu/base/bits.h"
#include "cpu/base/log.h"
#include "roms/firmware.h"

namespace umbra {
namespace {

const char* class_name(u16 id) {
  switch (id) {
    case 0x0101:
      return "IDE controller";
    case 0x0300:
      return "VGA controller";
    case 0x0600:
      return "Host bridge";
    case 0x0601:
      return "ISA bridge";
    case 0x0680:
      return "Bridge";
    default:
      return "PCI device of another class";
  }
}

std::string show_function(const PciFunction& f) {
  constexpr u8 kSubsystem = 0x2c, kLine = 0x3c, kPin = 0x3d;
  const auto word = [&](u8 at) { return f.config_byte(at) | f.config_byte(at + 1) << 8; };
  std::string out = format("    %s: PCI device %04x:%04x\n", class_name(f.class_id()), f.vendor_id(), f.device_id());
  if (word(kSubsystem) != 0) out += format("      PCI subsystem %04x:%04x\n", word(kSubsystem), word(kSubsystem + 2));
  if (const u8 pin = f.config_byte(kPin); pin != 0)
    out += format("      IRQ %u, pin %c\n", f.config_byte(kLine), 'A' + pin - 1);
  for (unsigned i = 0; i <= PciFunction::kRomBar; ++i) {
    const auto bar = f.bar(i);
    if (!bar) continue;
    const char* kind = bar->space == PciSpace::kIo ? "I/O"
                       : bar->prefetchable         ? "32 bit prefetchable memory"
                                                   : "32 bit memory";
    out += format("      BAR%u: %s at 0x%04x [0x%04x].\n", i, kind, bar->base, bar->base + (bar->size - 1));
  }
  return out + "      id \"\"\n";
}

std::string show_pic(const char* name, const Pic::Regs& r) {
  return format("%s: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n", name, r.irr,
                r.imr, r.isr, (r.lowest + 1) & 7, r.icw2, r.read_isr ? 1 : 0, r.elcr, (r.icw4 & 0x10) != 0 ? 1 : 0);
}

std::string show_pins(const char* name, u32 pins) {
  std::string out = std::string("  ") + name;
  for (unsigned pin = 0; pin < IoApic::kPins; ++pin)
    if (bit(pins, pin)) out += format(" %u", pin);
  return out + (pins == 0 ? " (none)\n" : "\n");
}

constexpr const char* kModes[] = {"fixed", "lowest", "SMI", "...", "NMI", "INIT", "...", "ExtINT"};

std::string show_lvt(const char* name, u32 lvt, bool timer) {
  return format("%s\t 0x%08x active-%s %-5s %-6s %-12s %-6s (vec %u)\n", name, lvt, bit(lvt, 13) ? "lo" : "hi",
                bit(lvt, 15) ? "level" : "edge", bit(lvt, 16) ? "masked" : "",
                !timer         ? ""
                : bit(lvt, 17) ? "periodic"
                               : "one-shot",
                kModes[lvt >> 8 & 7], lvt & 0xff);
}

std::string show_vectors(const char* name, const std::array<u32, 8>& vectors) {
  std::string out = name;
  bool any = false;
  for (unsigned v = 0; v < 256; ++v) {
    if (!bit(vectors[v / 32], v % 32)) continue;
    out += format(" %u", v);
    any = true;
  }
  return out + (any ? "\n" : " (none)\n");
}

std::string show_ioapic(const IoApic::Regs& r) {
  std::string out = format("ioapic0: ver=0x20 id=0x%02x sel=0x%02x", r.id, r.select);
  out += r.select >= 0x10 ? format(" (redir[%u])\n", (r.select - 0x10) / 2u) : "\n";
  u32 remote = 0;
  for (unsigned pin = 0; pin < IoApic::kPins; ++pin) {
    const u64 e = r.redirection[pin];
    remote |= (bit(e, 14) ? 1u : 0u) << pin;
    out += format("  pin %-2u 0x%016llx dest=%x vec=%-3u active-%s %-5s %-6s %-6s %s\n", pin,
                  static_cast<unsigned long long>(e), static_cast<unsigned>(e >> 56), static_cast<unsigned>(e & 0xff),
                  bit(e, 13) ? "lo" : "hi", bit(e, 15) ? "level" : "edge", bit(e, 16) ? "masked" : "",
                  kModes[e >> 8 & 7], bit(e, 11) ? "logical" : "physical");
  }
  return out + show_pins("IRR     ", r.pending) + show_pins("Remote IRR", remote);
}

}  // namespace

std::string show_drives(Machine& m, const std::string& only) {
  std::string out;
  for (const Machine::Drive& d : m.drives()) {
    if (!only.empty() && only != d.name) continue;
    if (!out.empty()) out += "\n";
    out += d.name + ": " + (d.medium.empty() ? "[not inserted]" : d.medium) + "\n";
    if (d.removable)
      out += format("    Removable device: %s, tray %s\n", d.locked ? "locked" : "not locked",
                    d.tray_open ? "open" : "closed");
    if (!d.medium.empty()) out += "    Cache mode:       writeback\n";
  }
  return out;
}

std::string show_pci(const Machine& m) {
  std::string out;
  m.pci().each([&](unsigned device, unsigned function, const PciFunction& f) {
    out += format("  Bus  0, device %3u, function %u:\n", device, function) + show_function(f);
  });
  return out;
}

// Every wire runs to both controllers.
std::string show_irq_counts(const Machine& m) {
  std::string counts;
  for (unsigned irq = 0; irq < 16; ++irq)
    if (const u64 n = m.isa_irqs().count(irq); n != 0)
      counts += format("%2u: %llu\n", irq, static_cast<unsigned long long>(n));
  return "IRQ statistics for ioapic:\n" + counts + "IRQ statistics for isa-i8259:\n" + counts;
}

std::string show_interrupt_controllers(const Machine& m) {
  return show_ioapic(m.ioapic().regs()) + show_pic("pic1", m.pic().slave().regs()) +
         show_pic("pic0", m.pic().master().regs());
}

std::string show_local_apic(Machine& m) {
  constexpr u32 kPpr = 0xa0, kTimerCount = 0x390;
  const LocalApic::Regs& r = m.lapic().regs();
  static constexpr struct {
    const char* name;
    unsigned entry;
  } kEntries[] = {{"LVT0", 3}, {"LVT1", 4}, {"LVTPC", 2}, {"LVTERR", 5}, {"LVTTHMR", 1}, {"LVTT", 0}};
  std::string out = "dumping local APIC state for CPU 0\n\n";
  for (const auto& e : kEntries) out += show_lvt(e.name, r.lvt[e.entry], e.entry == 0);
  const u32 code = (r.divide & 3) | (r.divide & 8) >> 1;
  out += format("Timer\t DCR=0x%x (divide by %u) initial_count = %u current_count = %u\n", r.divide,
                1u << ((code + 1) & 7), r.initial_count, m.lapic().read(kTimerCount, 4));
  out +=
      format("SPIV\t 0x%08x APIC %s, spurious vec %u\n", r.svr, bit(r.svr, 8) ? "enabled" : "disabled", r.svr & 0xff);
  out += format("ICR\t 0x%08x\nICR2\t 0x%08x\nESR\t 0x%08x\n", r.icr_low, r.icr_high, r.esr);
  out += show_vectors("ISR\t", r.isr) + show_vectors("IRR\t", r.irr);
  return out + format("\nTPR 0x%02x DFR 0x%02x LDR 0x%02x PPR 0x%02x\n", r.tpr, r.dfr >> 4, r.ldr, m.lapic().read(kPpr, 4));
}

std::string show_roms(const Machine& m) {
  std::string out;
  for (const auto& [name, size] : m.firmware_files()) out += format("fw=%s size=0x%06zx\n", name.c_str(), size);
  return out + format("addr=%016llx size=0x%06llx mem=rom name=\"%s\"\n",
                      static_cast<unsigned long long>((u64{1} << 32) - m.bios_bytes()),
                      static_cast<unsigned long long>(m.bios_bytes()),
                      m.config().bios.empty() ? kSystemBios : m.config().bios.c_str());
}

std::string show_uuid(const std::array<u8, 16>& uuid) {
  std::string out;
  for (unsigned i = 0; i < 16; ++i) out += format(i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
  return out;
}

std::string show_address_spaces(const Machine& m) {
  return "address-space: memory\n  0000000000000000-ffffffffffffffff (prio 0, i/o): system\n" +
         m.memory_map().describe() + "\naddress-space: I/O\n  0000000000000000-000000000000ffff (prio 0, i/o): io\n" +
         m.ports().describe();
}

}  // namespace umbra
