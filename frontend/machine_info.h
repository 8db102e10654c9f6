// What the monitor shows of a PC's parts, in the layout of QEMU's `info`.
#pragma once

#include <string>

#include "devices/board/machine.h"

namespace umbra {

std::string show_drives(Machine& m, const std::string& only);  // "": all
std::string show_pci(const Machine& m);
std::string show_irq_counts(const Machine& m);
std::string show_interrupt_controllers(const Machine& m);
std::string show_local_apic(Machine& m);
std::string show_roms(const Machine& m);
std::string show_uuid(const std::array<u8, 16>& uuid);
std::string show_address_spaces(const Machine& m);

}  // namespace umbra
