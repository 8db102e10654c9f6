// I/O ports: which target hears which. An access that is wider than the device, or that crosses its end, is split
// into bytes as the ISA bridge would do it. What nobody hears reads as ones.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "cpu/base/bus.h"

namespace umbra {

class PortMap final : public PortSpace {
 public:
  // `widest`: the largest access the device takes in one piece. Later calls win.
  void add(u16 first, u32 count, BusTarget& target, const char* name, unsigned widest = 1);
  // PCI I/O BARs and the like: replaced as a whole each time one moves, on top of the fixed ranges.
  struct Range {
    u16 first = 0;
    u32 count = 0;
    BusTarget* target = nullptr;
    unsigned widest = 4;
    const char* name = "";
  };
  void set_movable(const std::vector<Range>& ranges);

  u32 in(u16 port, unsigned size) override;
  void out(u16 port, u32 value, unsigned size) override;
  void in_block(u16 port, u8* to, u32 count, unsigned size) override;
  void out_block(u16 port, const u8* from, u32 count, unsigned size) override;

  std::string describe() const;  // one line for each range, for `info mtree`

 private:
  void draw(std::size_t index);
  const Range* whole(u16 port, unsigned size) const;

  std::vector<Range> ranges_{Range{}};  // index 0: nobody
  std::size_t fixed_ = 1;
  std::array<u16, 0x10000> map_{};
  std::array<u16, 0x10000> fixed_map_{};
};

}  // namespace umbra
