#include "devices/video/crt_timing.h"

#include <algorithm>

#include "devices/clock.h"

namespace umbra {

CrtTiming crt_timing(const VgaRegs& r, const VbeRegs& vbe) {
  if (vbe.enabled()) {  // dispi has no timing registers; say 60 Hz with the blanking of common monitors
    const u32 lines = vbe.reg[VbeRegs::kYres], dots = vbe.reg[VbeRegs::kXres];
    CrtTiming t{0, dots + dots / 4, dots, lines + lines / 16 + 8, lines, lines + 3, 4};
    t.dot_hz = u64{60} * t.line_dots * t.frame_lines;
    return t;
  }
  const u64 hz = bits(r.misc, 3, 2) == 1 ? 28'322'000 : 25'175'000;
  const u32 dots = bit(r.seq[1], 0) ? 8 : 9;
  CrtTiming t{};
  t.dot_hz = r.half_dot_clock() ? hz / 2 : hz;
  t.shown_dots = r.columns() * dots;
  t.line_dots = std::max((r.crtc[0] + 5) * dots, t.shown_dots + dots);
  t.shown_lines = r.display_lines();
  // Registers half way through a mode set must not make a retrace that never comes.
  t.frame_lines = std::max(r.vertical_total(), t.shown_lines + 2);
  t.retrace_line = std::clamp(r.retrace_start(), t.shown_lines, t.frame_lines - 1);
  const u32 length = (r.crtc[0x11] - r.retrace_start()) & 15;  // the end register holds four bits only
  t.retrace_lines = length == 0 ? 16 : length;
  return t;
}

Beam beam_at(const CrtTiming& t, u64 nanos) {
  const u64 dots = ticks_at(nanos, t.dot_hz), line = dots / t.line_dots;
  const auto x = static_cast<u32>(dots % t.line_dots), y = static_cast<u32>(line % t.frame_lines);
  return {line / t.frame_lines, x < t.shown_dots && y < t.shown_lines,
          y >= t.retrace_line && y < t.retrace_line + t.retrace_lines};
}

}  // namespace umbra
