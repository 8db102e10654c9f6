// Runs the bare-metal programs of this folder on any engine. A program's source opens with what it must come to:
//
//   ; expect: eax=00000001 ebx=…        registers at the final HLT
//   ; output: "text"                    what it has sent to port E9h
//   ; model: 386                        another processor than the default
#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "cpu/cpu.h"
#include "cpu/engine.h"

namespace umbra::test {

struct AsmProgram {
  std::string name;
  std::string model = kDefaultCpuModel;
  std::vector<std::pair<std::string, u32>> expected;
  std::string output;
  std::vector<u8> code;
};

inline AsmProgram load_asm(const std::filesystem::path& source, const std::filesystem::path& binary) {
  AsmProgram p;
  p.name = source.stem();
  std::ifstream text(source);
  for (std::string line; std::getline(text, line) && line.starts_with(";");) {
    if (line.starts_with("; model: ")) p.model = line.substr(9);
    if (line.starts_with("; output: \"")) p.output = line.substr(11, line.size() - 12);
    if (!line.starts_with("; expect: ")) continue;
    std::istringstream words(line.substr(10));
    for (std::string word; words >> word;) {
      const std::size_t equals = word.find('=');
      p.expected.emplace_back(word.substr(0, equals), std::stoul(word.substr(equals + 1), nullptr, 16));
    }
  }
  std::ifstream bytes(binary, std::ios::binary);
  p.code.assign(std::istreambuf_iterator<char>(bytes), {});
  return p;
}

// All programs, from the sources in `folder` and the binaries that the build made of them.
inline std::vector<AsmProgram> all_asm(const std::filesystem::path& folder, const std::filesystem::path& binaries) {
  std::vector<std::filesystem::path> sources;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".asm") sources.push_back(entry.path());
  }
  std::sort(sources.begin(), sources.end());
  std::vector<AsmProgram> programs;
  for (const auto& source : sources) {
    programs.push_back(load_asm(source, binaries / source.stem().replace_extension(".bin")));
  }
  return programs;
}

class AsmMachine final : public PortSpace, public InterruptController, public CpuHost {
 public:
  static constexpr u32 kLoad = 0x8000, kRam = 8 << 20;

  explicit AsmMachine(const AsmProgram& program)
      : memory(std::move(*PhysicalMemory::create(kRam))),
        cpu(*find_cpu_model(program.model), *memory, *this, *this, *this) {
    memory->map_ram(Phys(0), kRam, 0, true);
    memory->write(Phys(kLoad), program.code.data(), program.code.size());
    for (u8 reg = 0; reg < kSegCount; ++reg) cpu.set_real_segment(static_cast<SegReg>(reg), 0);
    cpu.s.eip = kLoad;
    cpu.s.r32(kEsp) = 0x7000;
    cpu.s.r32(kEdx) = 0;
  }
  u32 in(u16, unsigned) override { return 0xffffffff; }
  void out(u16 port, u32 value, unsigned) override {
    if (port == 0xe9) output += static_cast<char>(value);
  }
  u8 acknowledge() override { return 0xff; }
  u64 tsc() override { return ++time_; }

  std::string output;
  std::unique_ptr<PhysicalMemory> memory;
  Cpu cpu;

 private:
  u64 time_ = 0;
};

inline u32 register_named(const CpuState& s, const std::string& name) {
  constexpr const char* kNames[] = {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"};
  for (unsigned i = 0; i < 8; ++i) {
    if (name == kNames[i]) return static_cast<u32>(s.gpr[i]);
  }
  if (name == "eflags") return s.eflags;
  if (name == "cr0") return s.cr0;
  throw std::runtime_error("no register " + name);
}

// Empty if the program came to what it promises, or what is different.
inline std::string run_asm(const AsmProgram& program,
                           const std::function<std::unique_ptr<Engine>(PhysicalMemory&)>& make_engine) {
  if (program.code.empty()) return program.name + " has not been assembled";
  if (program.expected.empty()) return program.name + " expects nothing";
  AsmMachine machine(program);
  const std::unique_ptr<Engine> engine = make_engine(*machine.memory);
  std::mutex mutex;
  std::condition_variable ended;
  bool over = false;
  std::thread watchdog([&] {
    std::unique_lock lock(mutex);
    if (ended.wait_for(lock, std::chrono::seconds(20), [&] { return over; })) return;
    machine.cpu.pending |= attention::kExit;
    engine->kick();
  });
  const Stop stop = engine->run(machine.cpu);
  {
    const std::lock_guard lock(mutex);
    over = true;
  }
  ended.notify_one();
  watchdog.join();
  std::ostringstream difference;
  if (stop == Stop::kShutdown) difference << " triple fault";
  if (stop == Stop::kAttention) difference << " does not end";
  for (const auto& [name, value] : program.expected) {
    const u32 now = register_named(machine.cpu.s, name);
    if (now != value) difference << ' ' << name << " is " << std::hex << now << ", not " << value;
  }
  if (machine.output != program.output) difference << " output is \"" << machine.output << '"';
  if (difference.str().empty()) return "";
  difference << " (eip " << std::hex << machine.cpu.s.eip << ')';
  return program.name + ':' + difference.str();
}

}  // namespace umbra::test
