// Which device sits where: constructors take wires, the port map takes ports, the memory map ranges, the bus slots.
#include <chrono>
#include <ctime>

#include "devices/board/layout.h"
#include "devices/board/machine.h"
#include "roms/firmware.h"

namespace umbra {

using namespace board;

namespace {

constexpr u64 kMinBios = 64 << 10, kMaxBios = 8 << 20, kMaxVgaBios = 256 << 10;
constexpr u64 kBiosAlignment = 64 << 10;

// What the RTC shows at power-on, in seconds since 1970 of the guest's time zone.
i64 rtc_base(const MachineConfig& config) {
  if (config.rtc_start) return *config.rtc_start;
  const std::time_t now = std::time(nullptr);
  if (!config.rtc_localtime) return now;
  std::tm local{};
  localtime_r(&now, &local);
  return now + local.tm_gmtoff;
}

// Where things begin in the memory file: RAM, then video memory, then the firmware.
u64 ram_size(const MachineConfig& config) {
  return std::min<u64>(std::max<u64>(config.ram_bytes, mem::kMegabyte) & ~u64{kPageMask}, mem::kMostRam);
}
u64 vga_offset(const MachineConfig& config) { return ram_size(config); }
u64 bios_offset(const MachineConfig& config) { return vga_offset(config) + (config.vga ? Vga::kDefaultMemory : 0); }

}  // namespace

Result<std::unique_ptr<Machine>> Machine::create(MachineConfig config) {
  auto path = find_firmware(config.bios.empty() ? kSystemBios : config.bios, config.firmware_dirs);
  if (!path) return path.take_error();
  auto bios = read_rom(*path, "firmware", kMinBios, kMaxBios);
  if (!bios) return bios.take_error();
  if (bios->size() % kBiosAlignment != 0)
    return Error{format("the firmware '%s' is not a multiple of 64 KiB", path->c_str())};
  std::vector<u8> vga_rom;
  if (config.vga) {
    auto vga_path = find_firmware(config.vga_bios.empty() ? kVgaBios : config.vga_bios, config.firmware_dirs);
    if (!vga_path) return vga_path.take_error();
    auto rom = read_rom(*vga_path, "VGA BIOS", 512, kMaxVgaBios);
    if (!rom) return rom.take_error();
    vga_rom = std::move(*rom);
  }
  auto memory = PhysicalMemory::create(bios_offset(config) + bios->size());
  if (!memory) return memory.take_error();
  std::unique_ptr<Machine> machine(
      new Machine(std::move(config), std::move(*memory), std::move(*bios), std::move(vga_rom)));
  if (Status s = machine->open_drives(); !s) return s.take_error();
  if (Status s = machine->load_firmware_files(); !s) return s.take_error();
  machine->set_cmos();
  machine->describe_to_firmware();
  machine->reset_devices();
  return machine;
}

u64 Machine::bios_bytes() const { return memory_->size() - bios_offset(config_); }

Machine::Machine(MachineConfig config, std::unique_ptr<PhysicalMemory> memory, std::vector<u8> bios,
                 std::vector<u8> vga_rom)
    : config_(std::move(config)),
      memory_(std::move(memory)),
      ram_(ram_size(config_)),
      vga_rom_(std::move(vga_rom)),
      map_(*memory_, ram_, vga_offset(config_), bios_offset(config_), bios.size()),
      cpu_(*config_.cpu, *memory_, ports_, *this, *this),
      lapic_(clock_, {wire(kIntr), wire(kNmi), wire(kInit)}),
      pic_(Line(lint0_, 0)),
      ioapic_([this](const ApicMessage& m) {
        if (!lapic_.accepts(m)) return false;
        lapic_.deliver(m);
        return true;
      }),
      isa_(pic_, ioapic_),
      pit_(clock_, isa_.line(irq::kPit)),
      system_b_(clock_, pit_),
      system_a_(wire(kA20), wire(kProcessorReset)),
      rtc_(clock_, Line(rtc_irq_, 0), rtc_base(config_)),
      dma_(*memory_),
      i8042_(clock_, {isa_.line(irq::kKeyboard), isa_.line(irq::kMouse), wire(kA20), wire(kProcessorReset)}),
      keyboard_(clock_, [this] { i8042_.device_ready(); }),
      mouse_([this] { i8042_.device_ready(); }),
      hpet_(
          clock_, [this](unsigned n) { return n < 16 ? isa_.line(n, IrqSource::kHpet) : Line(ioapic_, n); },
          [this](bool on) {
            pit_.disconnect_irq0(on);
            isa_.cut_rtc(on);
          }),
      fw_cfg_(*memory_),
      piix3_(piix_irqs_, wire(kReset)),
      ide_(clock_, *memory_, isa_.line(irq::kIde[0]), isa_.line(irq::kIde[1])),
      ide_function_(ide_.bus_master(), [this](bool on) { ide_.grant_bus(on); }),
      pm_(clock_, isa_.line(irq::kSci, IrqSource::kSci), [this](Piix4Pm::Sleep sleep) { sleep_state(sleep); }),
      fdc_(clock_, isa_.line(irq::kFloppy)) {
  std::copy(bios.begin(), bios.end(), memory_->base() + bios_offset(config_));
  clock_.set_kick([this] { kick(); });
  clock_.set_rearm([this] {
    if (alarm_) alarm_->set_by(next_wakeup());
  });
  i8042_.connect(keyboard_, mouse_);
  lapic_.on_eoi([this](u8 vector) { ioapic_.eoi(vector); });
  dma_.connect(dma::kFloppy, fdc_);
  fdc_.connect_dma(dma_.line(dma::kFloppy));
  if (config_.vga) {
    vga_ = std::make_unique<Vga>(clock_, memory_->base() + vga_offset(config_), Vga::kDefaultMemory);
    vga_function_ = std::make_unique<PciVga>(*vga_, vga_rom_);
    map_.set_vga(vga_.get());
    vga_->on_window_change([this] { map_.update_vga(bridge_); });
  }
  wire_ports();
  wire_pci();
  wire_memory();
  list_devices();
}

Machine::~Machine() {
  clock_.set_kick({});
  clock_.set_rearm({});
}

void Machine::wire_ports() {
  ports_.add(port::kDmaLow, 16, dma_.low_ports(), "dma");
  ports_.add(port::kPicMaster, 2, pic_.master_ports(), "pic");
  ports_.add(port::kPicSlave, 2, pic_.slave_ports(), "pic");
  ports_.add(port::kElcr, 2, pic_.elcr_ports(), "elcr");
  ports_.add(port::kPit, 4, pit_, "pit");
  ports_.add(port::kKeyboardData, 1, i8042_.data_port(), "i8042");
  ports_.add(port::kSystemB, 1, system_b_, "port61");
  ports_.add(port::kKeyboardCommand, 1, i8042_.command_port(), "i8042");
  ports_.add(port::kRtc, 2, rtc_, "rtc");
  ports_.add(port::kDmaPages, 16, dma_.page_ports(), "dma pages");
  ports_.add(port::kPost, 1, post_, "post");
  ports_.add(port::kSystemA, 1, system_a_, "port92");
  ports_.add(port::kDmaHigh, 32, dma_.high_ports(), "dma");
  ports_.add(port::kFerr, 2, ferr_ports_, "ferr");
  for (unsigned i = 0; i < 2; ++i) {
    ports_.add(port::kIde[i], 8, ide_.channel(i).command(), "ide", 4);
    ports_.add(port::kIdeControl[i], 1, ide_.channel(i).control(), "ide control");
  }
  ports_.add(port::kFloppy, 6, fdc_.registers(), "fdc");  // 3F6h is IDE's
  ports_.add(port::kFloppyDigital, 1, floppy_digital_, "fdc");
  ports_.add(port::kFwCfg, 2, fw_cfg_.ports(), "fw_cfg", 2);
  ports_.add(port::kFwCfgDma, 8, fw_cfg_.dma_ports(), "fw_cfg dma", 4);
  ports_.add(port::kPciConfig, 8, pci_.config_ports(), "pci config", 4);
  if (config_.acpi) {
    ports_.add(port::kApm, 2, pm_.apm_ports(), "apm");
    ports_.add(port::kGpe, 4, pm_.gpe_ports(), "gpe", 4);
    ports_.add(port::kPciHotPlug, 16, pm_.hot_plug_ports(), "pci hot-plug", 4);
  }
  if (vga_) {
    ports_.add(port::kVga, 0x30, vga_->ports(), "vga");
    ports_.add(port::kDispi, 3, vga_->dispi_ports(), "vbe", 2);
  }
  static constexpr const char* kSerialNames[4] = {"serial0", "serial1", "serial2", "serial3"};
  for (unsigned i = 0; i < std::min<std::size_t>(config_.serial.size(), 4); ++i) {
    if (config_.serial[i] == nullptr) continue;
    const Line irq = isa_.line(irq::kSerial[i], i < 2 ? IrqSource::kIsa : IrqSource::kIsaSecond);
    serial_.push_back(std::make_unique<Uart16550>(clock_, irq, kSerialNames[i]));
    serial_.back()->connect(config_.serial[i].get());
    ports_.add(port::kSerial[i], 8, *serial_.back(), kSerialNames[i]);
  }
  static constexpr const char* kParallelNames[3] = {"parallel0", "parallel1", "parallel2"};
  for (unsigned i = 0; i < std::min<std::size_t>(config_.parallel.size(), 3); ++i) {
    if (config_.parallel[i] == nullptr) continue;
    const Line irq = isa_.line(irq::kParallel[i], i < 2 ? IrqSource::kIsa : IrqSource::kIsaSecond);
    parallel_.push_back(std::make_unique<Parallel>(irq, kParallelNames[i]));
    parallel_.back()->connect(config_.parallel[i].get());
    ports_.add(port::kParallel[i], 3, *parallel_.back(), kParallelNames[i]);
  }
  const auto has = [](const auto& ports, std::size_t n) { return n < ports.size() && ports[n] != nullptr; };
  pm_.set_ports(
      {.parallel = has(config_.parallel, 0), .serial_a = has(config_.serial, 0), .serial_b = has(config_.serial, 1)});
  if (config_.testdev) {
    testdev_ = std::make_unique<TestDevice>(
        [this](unsigned n, bool level) {
          if (n < 16)
            isa_.line(n, IrqSource::kTest).set(level);
          else
            ioapic_.set_line(n, level);
        },
        [this](Phys) {
          if (Engine* engine = engine_) engine->flush();
        });
    ports_.add(port::kTestIo, 4, testdev_->io_port(), "testdev", 4);
    ports_.add(port::kTestFlush, 4, testdev_->flush_port(), "testdev flush", 4);
    ports_.add(port::kTestBytes, 4, testdev_->io_port(), "testdev bytes");
    ports_.add(port::kTestIrqs, 24, testdev_->irq_ports(), "testdev");
  }
  if (config_.debugcon != nullptr) {
    debug_console_ = std::make_unique<DebugConsole>([this](u8 byte) { debug_output(byte); });
    ports_.add(config_.debugcon_port, 1, *debug_console_, "debugcon");
  }
  if (config_.debug_exit) {
    debug_exit_ = std::make_unique<DebugExit>([this](int code) {
      if (!exit_code_) exit_code_ = code;
      kick();
    });
    ports_.add(config_.debug_exit->port, config_.debug_exit->size, *debug_exit_, "debug exit",
               config_.debug_exit->size);
  }
}

void Machine::wire_pci() {
  unsigned next_wire = 0;
  const auto put = [&](slot::Slot at, PciFunction& f) {
    pci_.add(at.device, at.function, f);
    const u8 pin = f.config_byte(0x3d);
    if (pin != 0) f.connect_interrupt(Line(piix3_, next_wire++ * 4 + Piix3::pirq_of(at.device, pin - 1u)));
  };
  put(slot::kHostBridge, bridge_);
  put(slot::kIsaBridge, piix3_);
  put(slot::kIde, ide_function_);
  if (config_.acpi) put(slot::kPower, pm_);
  if (vga_function_) put(slot::kVga, *vga_function_);
  if (config_.pci_testdev) {
    pci_testdev_ = std::make_unique<PciTestDevice>();
    put(vga_function_ ? slot::kAdded : slot::kVga, *pci_testdev_);
  }
  pci_.connect_reset_control(piix3_.reset_control());
  pci_.on_ranges_changed([this] { move_bars(); });
  pci_.on_mechanism2_changed([this] { move_bars(); });
  bridge_.on_layout_changed([this] { map_.update_shadow(bridge_); });
}

void Machine::move_bars() {
  std::vector<PortMap::Range> io;
  pci_.each([&](unsigned, unsigned, PciFunction& f) {
    for (const PciRange& r : f.ranges())
      if (r.space == PciSpace::kIo) io.push_back({static_cast<u16>(r.base), r.size, r.target, 4, r.name});
  });
  if (pci_.mechanism2_enabled())
    io.push_back({port::kPciMechanism2, 0x1000, &pci_.mechanism2_ports(), 4, "pci mechanism 2"});
  ports_.set_movable(io);
  map_.update_bars(pci_);
}

void Machine::wire_memory() {
  map_.add_fixed(mem::kIoApic, IoApic::kSize, ioapic_, "io apic");
  if (config_.hpet) map_.add_fixed(mem::kHpet, Hpet::kSize, hpet_, "hpet");
  if (testdev_) map_.add_fixed(mem::kTestMemory, TestDevice::kMemorySize, testdev_->memory(), "testdev");
  map_.lay(bridge_);
}

// In the order in which they are reset and saved: those that raise interrupts before those that take them.
void Machine::list_devices() {
  devices_ = {&pit_,   &system_b_, &system_a_, &post_,   &rtc_, &dma_, &keyboard_,
              &mouse_, &i8042_,    &hpet_,     &fw_cfg_, &fdc_, &ide_};
  for (auto& d : serial_) devices_.push_back(d.get());
  for (auto& d : parallel_) devices_.push_back(d.get());
  if (vga_) devices_.insert(devices_.end(), {vga_.get(), vga_function_.get()});
  if (testdev_) devices_.push_back(testdev_.get());
  if (pci_testdev_) devices_.push_back(pci_testdev_.get());
  devices_.insert(devices_.end(), {&ide_function_, &pm_, &piix3_, &bridge_, &pci_, &pic_, &ioapic_, &lapic_});
}

}  // namespace umbra
