#include "devices/board/port_map.h"

#include <algorithm>

#include "cpu/base/log.h"

namespace umbra {
namespace {

u32 ones(unsigned size) { return size >= 4 ? 0xffffffffu : (1u << (size * 8)) - 1; }

}  // namespace

void PortMap::draw(std::size_t index) {
  const Range& r = ranges_[index];
  const u32 end = std::min<u32>(r.first + r.count, 0x10000);
  for (u32 port = r.first; port < end; ++port) map_[port] = static_cast<u16>(index);
}

void PortMap::add(u16 first, u32 count, BusTarget& target, const char* name, unsigned widest) {
  CHECK(fixed_ == ranges_.size());  // before anything movable
  ranges_.push_back({first, count, &target, widest, name});
  fixed_ = ranges_.size();
  draw(fixed_ - 1);
  fixed_map_ = map_;
}

void PortMap::set_movable(const std::vector<Range>& ranges) {
  ranges_.resize(fixed_);
  map_ = fixed_map_;
  for (const Range& r : ranges) {
    ranges_.push_back(r);
    draw(ranges_.size() - 1);
  }
}

// The range that takes this access in one piece, or null.
const PortMap::Range* PortMap::whole(u16 port, unsigned size) const {
  const Range& r = ranges_[map_[port]];
  if (r.target == nullptr || size > r.widest || port + size > r.first + r.count) return nullptr;
  return map_[static_cast<u16>(port + size - 1)] == map_[port] ? &r : nullptr;
}

u32 PortMap::in(u16 port, unsigned size) {
  u32 value = 0;
  if (const Range* r = whole(port, size)) {
    value = r->target->read(port - r->first, size) & ones(size);
  } else if (size == 1) {
    value = 0xff;
  } else {
    for (unsigned i = 0; i < size; ++i) value |= in(static_cast<u16>(port + i), 1) << (i * 8);
  }
  if (log_on(Log::kIo)) log(Log::kIo, "in  %04x/%u -> %x (%s)", port, size, value, ranges_[map_[port]].name);
  return value;
}

void PortMap::out(u16 port, u32 value, unsigned size) {
  if (log_on(Log::kIo)) log(Log::kIo, "out %04x/%u <- %x (%s)", port, size, value, ranges_[map_[port]].name);
  if (const Range* r = whole(port, size)) {
    r->target->write(port - r->first, value & ones(size), size);
  } else if (size > 1) {
    for (unsigned i = 0; i < size; ++i) out(static_cast<u16>(port + i), value >> (i * 8) & 0xff, 1);
  }
}

void PortMap::in_block(u16 port, u8* to, u32 count, unsigned size) {
  if (const Range* r = whole(port, size))
    r->target->read_block(port - r->first, to, count, size);
  else
    PortSpace::in_block(port, to, count, size);
}

void PortMap::out_block(u16 port, const u8* from, u32 count, unsigned size) {
  if (const Range* r = whole(port, size))
    r->target->write_block(port - r->first, from, count, size);
  else
    PortSpace::out_block(port, from, count, size);
}

std::string PortMap::describe() const {
  std::vector<Range> sorted(ranges_.begin() + 1, ranges_.end());
  std::ranges::stable_sort(sorted, {}, &Range::first);
  std::string text;
  for (const Range& r : sorted)
    text += format("    %016x-%016x (prio 0, i/o): %s\n", r.first, r.first + r.count - 1, r.name);
  return text;
}

}  // namespace umbra
