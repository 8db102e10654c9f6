// Bytes as a script of register, data port, bus master and memory traffic on an IDE function with two disks and a
// CD-ROM drive, with media changes, slow and failing media, and saved states between.
#include "tests/devices/ide_rig.h"
#include "tests/devices/state_check.h"
#include "tests/fuzz/targets.h"

namespace umbra {

void fuzz_ide(const u8* data, std::size_t size) {
  IdeRig rig;
  SlowMedium* media[3] = {&rig.add_disk(0, 3000), &rig.add_disk(1, 100), &rig.add_cd(2, 500)};
  std::vector<u8> saved = saved_state(rig.ide);
  std::size_t at = 0;
  const auto take = [&](unsigned count) {
    u32 value = 0;
    for (unsigned i = 0; i < count; ++i) value |= (at < size ? u32{data[at++]} : 0u) << (8 * i);
    return value;
  };
  std::vector<u8> block(8192);
  while (at < size) {
    const u32 op = take(1);
    rig.channel = op >> 7;
    IdeChannel& channel = rig.ide.channel(rig.channel);
    const unsigned width = 1u << (op >> 5 & 3) % 3;
    switch (op & 31) {
      case 0 ... 5:
        rig.out(op & 7, static_cast<u8>(take(1)));
        break;
      case 6:
        channel.command().write(take(1) % 8, take(width), width);
        break;
      case 7:
        (void)channel.command().read(take(1) % 8, width);
        break;
      case 8 ... 11:
        rig.command(static_cast<u8>(take(1)));
        break;
      case 12 ... 13:
        channel.command().read_block(0, block.data(), take(2) % (8192 / width), width);
        break;
      case 14 ... 15:
        channel.command().write_block(0, block.data(), take(2) % (8192 / width), width);
        break;
      case 16: {  // a packet
        rig.command(0xa0);
        std::vector<u8> cdb(12);
        for (u8& b : cdb) b = static_cast<u8>(take(1));
        rig.write_data(cdb);
        break;
      }
      case 17:
        rig.control(static_cast<u8>(take(1)));
        break;
      case 18:
        rig.ide.bus_master().write(take(1) % 13, take(width), width);
        break;
      case 19:
        (void)rig.ide.bus_master().read(take(1) % 13, width);
        break;
      case 20 ... 21:
        rig.prd(take(2) & ~7u, take(4), take(2), (op & 0x40) != 0);
        break;
      case 22:
        rig.start_dma(take(2), (op & 0x40) != 0);
        break;
      case 23 ... 25:
        rig.run_due();
        break;
      case 26:
        if (media[op >> 5 & 1] != nullptr) media[op >> 5 & 1]->slow = (op & 0x40) != 0;
        break;
      case 27:
        for (SlowMedium* m : media)
          if (m != nullptr) m->step();
        break;
      case 28:
        if (media[0] != nullptr) media[0]->status = static_cast<BlockStatus>(take(1) % 5);
        break;
      case 29:
        if ((op & 0x20) != 0)
          media[2] = rig.ide.cdrom(2)->eject((op & 0x40) != 0) ? nullptr : media[2];
        else
          rig.ide.cdrom(2)->insert(memory_image(std::vector<u8>(take(1) * 2048), rig.clock));
        if ((op & 0x20) == 0) media[2] = nullptr;
        break;
      case 30:
        saved = saved_state(rig.ide);
        break;
      case 31:
        saved[take(2) % saved.size()] ^= static_cast<u8>(take(1));
        (void)load_state(rig.ide, saved).error();
        break;
    }
  }
}

}  // namespace umbra
