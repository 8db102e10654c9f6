// The monitor: commands typed by a person or a script, in QEMU's spelling. It looks and asks; everything that changes
// the machine goes through Control. All of it runs on the processor's thread, where its stream delivers.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cpu/base/bus.h"
#include "cpu/cpu.h"
#include "cpu/engine.h"
#include "devices/board/config.h"
#include "devices/board/control.h"
#include "devices/device.h"
#include "devices/input/input.h"
#include "devices/serial/chardev.h"
#include "devices/video/screen.h"
#include "frontend/expression.h"
#include "frontend/line_editor.h"

namespace umbra {

// What the monitor is connected to; what is null or empty is not there, and commands say so.
struct MonitorLinks {
  Control* control = nullptr;
  Cpu* cpu = nullptr;
  Engine* engine = nullptr;
  Clock* clock = nullptr;
  Screen* screen = nullptr;
  KeySink* keys = nullptr;
  PointerSink* pointer = nullptr;
  PortSpace* ports = nullptr;
  std::string name, uuid, streams;
  u64 ram_bytes = 0;
  std::vector<Device*> devices;
  std::function<std::string()> memory_tree, pci_tree, irq_counts, interrupt_controllers, local_apic, roms;
  std::function<std::string(const std::string& device)> block_list;  // "": all
  std::function<Status(const std::string& device, const MediumChange& change)> change;
  std::function<void(const std::string& order)> set_boot_order;
};

class Monitor {
 public:
  Monitor(std::unique_ptr<CharDev> stream, MonitorLinks links);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // One command line; what it has to say.
  std::string execute(const std::string& line);

 private:
  using Words = std::vector<std::string>;
  struct Command {
    const char* name;  // and others for the same, behind bars
    const char* arguments;
    const char* help;
    std::string (Monitor::*run)(const Words& words);
  };
  static const Command kCommands[];
  static const Command kInfos[];
  static bool called(const Command& c, const std::string& name);
  std::string run(std::span<const Command> list, const std::string& prefix, const std::string& name, const Words& w);

  std::string help(const Words& w);
  std::string info(const Words& w);
  std::string examine_virtual(const Words& w);
  std::string examine_physical(const Words& w);
  std::string print(const Words& w);
  std::string memsave(const Words& w);
  std::string pmemsave(const Words& w);
  std::string screendump(const Words& w);
  std::string sendkey(const Words& w);
  std::string mouse_move(const Words& w);
  std::string mouse_button(const Words& w);
  std::string stop(const Words& w);
  std::string cont(const Words& w);
  std::string reset(const Words& w);
  std::string powerdown(const Words& w);
  std::string wakeup(const Words& w);
  std::string nmi(const Words& w);
  std::string change(const Words& w);
  std::string eject(const Words& w);
  std::string log_items(const Words& w);
  std::string log_file(const Words& w);
  std::string port_in(const Words& w);
  std::string port_out(const Words& w);
  std::string physical_address(const Words& w);
  std::string sum(const Words& w);
  std::string boot_set(const Words& w);
  std::string choose_cpu(const Words& w);
  std::string quit(const Words& w);

  std::string info_registers(const Words& w);
  std::string info_mem(const Words& w);
  std::string info_tlb(const Words& w);
  std::string info_pic(const Words& w);
  std::string info_irq(const Words& w);
  std::string info_pci(const Words& w);
  std::string info_block(const Words& w);
  std::string info_mtree(const Words& w);
  std::string info_status(const Words& w);
  std::string info_screen(const Words& w);
  std::string info_jit(const Words& w);
  std::string info_exits(const Words& w);
  std::string info_devices(const Words& w);
  std::string info_device(const Words& w);
  std::string info_name(const Words& w);
  std::string info_version(const Words& w);
  std::string info_cpus(const Words& w);
  std::string info_kvm(const Words& w);
  std::string info_lapic(const Words& w);
  std::string info_roms(const Words& w);
  std::string info_chardev(const Words& w);
  std::string info_mice(const Words& w);
  std::string info_uuid(const Words& w);
  std::string info_memory_size(const Words& w);

  Result<u64> expression(const Words& w, std::size_t first) const;
  std::string examine(const Words& w, bool physical);
  std::string save(const Words& w, bool physical);
  bool read_guest(u64 address, bool physical, u8* to, u32 size);
  Result<u64> number(const std::string& text) const;
  std::string device_state(const std::string& name) const;
  std::vector<std::string> complete(const std::string& line) const;
  void say(const std::string& text);
  void send();

  std::unique_ptr<CharDev> stream_;
  MonitorLinks links_;
  LineEditor editor_;
  Timer release_;
  std::vector<Key> held_;
  std::string said_;
  DumpFormat last_format_;
};

}  // namespace umbra
