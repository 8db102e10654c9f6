// The pc: a processor and all its chips, wired as QEMU's `pc`, and the loop that runs it.
//
//   auto machine = Machine::create(std::move(config));
//   auto engine = make_engine(options, (*machine)->memory());
//   int code = (*machine)->run(*engine);            // on the processor's thread, until the guest or somebody ends it
//
// Other threads reach it through Control (or Clock::post) only; device accessors are for the processor's thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cpu/cpu.h"
#include "cpu/engine.h"
#include "devices/board/config.h"
#include "devices/board/control.h"
#include "devices/board/host_time.h"
#include "devices/board/isa_irqs.h"
#include "devices/board/memory_map.h"
#include "devices/board/port_map.h"
#include "devices/board/sleeper.h"
#include "devices/chipset/debug_ports.h"
#include "devices/chipset/dma.h"
#include "devices/chipset/fw_cfg.h"
#include "devices/chipset/pit.h"
#include "devices/chipset/rtc.h"
#include "devices/chipset/system_ports.h"
#include "devices/input/i8042.h"
#include "devices/input/ps2_keyboard.h"
#include "devices/input/ps2_mouse.h"
#include "devices/pci/pci_testdev.h"
#include "devices/pci/piix3.h"
#include "devices/pci/piix3_ide.h"
#include "devices/pci/piix4_pm.h"
#include "devices/serial/parallel.h"
#include "devices/serial/uart16550.h"
#include "devices/storage/fdc.h"
#include "devices/storage/piix_ide.h"
#include "devices/video/pci_vga.h"

namespace umbra {

// A sink of wires made of a function, for the few that cross the board in an odd way.
class Junction final : public LineSink {
 public:
  explicit Junction(std::function<void(unsigned, bool)> set) : set_(std::move(set)) {}
  void set_line(unsigned input, bool level) override { set_(input, level); }

 private:
  std::function<void(unsigned, bool)> set_;
};

class Machine final : public Control, private LineSink, private InterruptController, private CpuHost, private KeySink {
 public:
  static Result<std::unique_ptr<Machine>> create(MachineConfig config);
  ~Machine() override;

  int run(Engine& engine);  // returns the exit code

  // Control
  void stop() override;
  void cont() override;
  void reset() override;
  void powerdown() override;
  void wakeup() override;
  void nmi() override;
  void quit(int exit_code) override;
  bool running() const override { return running_; }
  const char* status() const override;
  void post(std::function<void()> work) override { clock_.post(std::move(work)); }
  // Called on the processor's thread. One listener; the front end passes it on.
  void on_event(std::function<void(MachineEvent)> f) { event_ = std::move(f); }

  // The parts.
  const MachineConfig& config() const { return config_; }
  Cpu& cpu() { return cpu_; }
  PhysicalMemory& memory() { return *memory_; }
  u64 ram_bytes() const { return ram_; }
  Clock& clock() { return clock_; }
  u64 halted_nanos() const { return halted_nanos_; }   // machine time that the processor has slept; any thread
  bool told_to_quit() const { return told_to_quit_; }  // the last run ended by quit(), not by the guest
  Engine* engine() { return engine_; }
  PortMap& ports() { return ports_; }
  const PortMap& ports() const { return ports_; }
  const MemoryMap& memory_map() const { return map_; }
  PciBus& pci() { return pci_; }
  const PciBus& pci() const { return pci_; }
  PicPair& pic() { return pic_; }
  const PicPair& pic() const { return pic_; }
  LocalApic& lapic() { return lapic_; }
  IoApic& ioapic() { return ioapic_; }
  const IoApic& ioapic() const { return ioapic_; }
  const IsaIrqs& isa_irqs() const { return isa_; }
  Rtc& rtc() { return rtc_; }
  SystemControlB& speaker() { return system_b_; }
  PiixIde& ide() { return ide_; }
  Fdc& fdc() { return fdc_; }
  KeySink& keys() { return *this; }
  PointerSink& pointer() { return mouse_; }
  Screen* screen() { return vga_.get(); }  // null with -vga none
  const std::vector<Device*>& devices() const { return devices_; }

  // Drives are named as in QEMU: ide0-cd0 … ide1-cd1, floppy0, floppy1.
  Status change_medium(const std::string& drive, const MediumChange& change);
  struct Drive {
    std::string name, medium;  // medium: as its image describes itself, "" for none
    bool removable = false, locked = false, tray_open = false;
  };
  std::vector<Drive> drives();

  void set_boot_order(const std::string& order);  // from the next reset on
  std::vector<std::pair<std::string, std::size_t>> firmware_files() const { return fw_cfg_.files(); }
  u64 bios_bytes() const;

  // Everything but the host's side of streams and images. Quiesces first.
  void state(Archive& a);

 private:
  enum Input : unsigned { kIntr, kNmi, kInit, kReset, kProcessorReset, kA20 };  // wires that end here
  Machine(MachineConfig config, std::unique_ptr<PhysicalMemory> memory, std::vector<u8> bios, std::vector<u8> vga_rom);

  // machine_wiring.cpp
  void wire_ports();
  void wire_pci();
  void wire_memory();
  void list_devices();
  void move_bars();
  // machine_firmware.cpp
  Status open_drives();
  Status load_firmware_files();
  void set_cmos();
  void describe_to_firmware();
  // machine_media.cpp
  Status open_drive(const DriveConfig& drive);

  enum class Power : u8 { kOn, kResume };
  void reset_devices(Power power = Power::kOn);
  Stop run_engine(Alarm& alarm);
  void sleep_while_halted();
  Alarm::TimePoint next_wakeup() const;
  void kick();
  void ring();
  void now(std::function<void()> work);
  void perform_reset();
  bool reset_processor();
  void sleep_state(Piix4Pm::Sleep sleep);
  void sleep_state_end();
  void rtc_interrupt(bool level);
  void shut_down();
  void pause(MachineEvent why);
  void resume();
  void tell(MachineEvent event);

  void debug_output(u8 byte);
  bool output_full() const { return config_.debugcon != nullptr && config_.debugcon->full(); }
  void set_line(unsigned input, bool level) override;
  u8 acknowledge() override;
  u64 tsc() override { return ticks_at(clock_.now(), board_tsc_hz()); }
  void ferr(bool level) override;
  void set_apic_base(u64 msr) override;
  void key(Key key, bool down) override;
  static u64 board_tsc_hz();
  Line wire(Input input) { return Line(*this, input); }

  u32 floppy_digital_read(u32, unsigned size) { return fdc_.registers().read(7, size); }
  void floppy_digital_write(u32, u32 value, unsigned size) { fdc_.registers().write(7, value, size); }
  u32 ferr_read(u32, unsigned) { return 0xff; }
  void ferr_write(u32 offset, u32 value, unsigned size);

  MachineConfig config_;
  std::unique_ptr<PhysicalMemory> memory_;
  u64 ram_;
  std::vector<u8> vga_rom_;
  HostTime time_;
  Clock clock_{time_};
  PortMap ports_;
  MemoryMap map_;

  Cpu cpu_;
  LocalApic lapic_;
  Junction lint0_{[this](unsigned, bool level) { lapic_.set_lint0(level); }};  // the 8259s' INT
  PicPair pic_;
  IoApic ioapic_;
  IsaIrqs isa_;
  Pit pit_;
  SystemControlB system_b_;
  SystemControlA system_a_;
  PostCode post_;
  Junction rtc_irq_{[this](unsigned, bool level) { rtc_interrupt(level); }};
  Rtc rtc_;
  Dma dma_;
  I8042 i8042_;
  Ps2Keyboard keyboard_;
  Ps2Mouse mouse_;
  Hpet hpet_;
  FwCfg fw_cfg_;
  PciBus pci_;
  I440fx bridge_;
  Junction piix_irqs_{[this](unsigned irq, bool level) { isa_.line(irq, IrqSource::kPci).set(level); }};
  Piix3 piix3_;
  PiixIde ide_;
  Piix3Ide ide_function_;
  Piix4Pm pm_;
  Fdc fdc_;
  std::vector<std::unique_ptr<Uart16550>> serial_;
  std::vector<std::unique_ptr<Parallel>> parallel_;
  std::unique_ptr<Vga> vga_;
  std::unique_ptr<PciVga> vga_function_;
  std::unique_ptr<DebugConsole> debug_console_;
  std::unique_ptr<DebugExit> debug_exit_;
  std::unique_ptr<TestDevice> testdev_;
  std::unique_ptr<PciTestDevice> pci_testdev_;
  Region<Machine> ferr_ports_{this, &Machine::ferr_read, &Machine::ferr_write};
  Region<Machine> floppy_digital_{this, &Machine::floppy_digital_read, &Machine::floppy_digital_write};  // 3F7h
  std::vector<Device*> devices_;

  std::atomic<Engine*> engine_{nullptr};
  std::atomic<std::thread::id> thread_{};  // that runs it
  std::function<void(MachineEvent)> event_;
  std::atomic<bool> running_{false};
  std::atomic<bool> suspended_{false};
  std::atomic<u64> halted_nanos_{0};
  bool powered_off_ = false;
  bool ever_ran_ = false;
  std::optional<std::chrono::steady_clock::time_point> paused_since_;
  bool reset_requested_ = false;
  bool processor_reset_requested_ = false;  // by a road that resets nothing else on a PC
  std::optional<int> exit_code_;
  bool told_to_quit_ = false;

  std::mutex engine_mutex_;  // who kicks the engine from another thread
  Sleeper sleeper_;
  Alarm* alarm_ = nullptr;  // while the engine runs
};

}  // namespace umbra
