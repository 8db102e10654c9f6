// A machine whose firmware is a few bytes of a test's own, put where the reset vector leads.
#pragma once

#include "tests/board/board_rig.h"
#include "tests/devices/temp_folder.h"

namespace umbra {

// 64 KiB that start with `code` (real mode, F000:0000) and end with a jump to it.
inline std::vector<u8> rom_of(std::vector<u8> code) {
  code.resize(0x10000, 0xf4);
  const u8 jump[] = {0xea, 0x00, 0x00, 0x00, 0xf0};
  std::copy(std::begin(jump), std::end(jump), code.begin() + 0xfff0);
  return code;
}

struct RomRig {
  TempFolder folder;
  BoardRig board;

  explicit RomRig(const std::vector<u8>& code, MachineConfig config = BoardRig::config())
      : board(with_rom(code, config)) {
    if (board.machine == nullptr) throw std::runtime_error(board.error);
  }
  Machine& machine() { return *board.machine; }
  void out(u16 port, u32 value, unsigned size) { machine().ports().out(port, value, size); }
  u32 in(u16 port, unsigned size) { return machine().ports().in(port, size); }
  void config(unsigned device, unsigned function, u8 reg, u32 value, unsigned size) {
    out(0xcf8, 0x80000000 | device << 11 | function << 8 | (reg & 0xfc), 4);
    out(static_cast<u16>(0xcfc + (reg & 3)), value, size);
  }
  u64 load(u64 at, unsigned size) { return machine().memory().load(Phys(at), size); }
  void store(u64 at, u64 value, unsigned size) { machine().memory().store(Phys(at), value, size); }

 private:
  MachineConfig with_rom(const std::vector<u8>& code, MachineConfig& config) {
    const std::vector<u8> rom = rom_of(code);
    config.bios = folder.write("test.rom", std::string(rom.begin(), rom.end()));
    config.debug_exit = DebugExitConfig{0x501, 2};
    return std::move(config);
  }
};

}  // namespace umbra
