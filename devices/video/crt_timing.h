// Where the beam is. Retrace and display-enable are computed from the CRTC's registers and the machine's clock when
// the guest asks; nothing ticks.
#pragma once

#include "devices/video/vga_regs.h"

namespace umbra {

struct CrtTiming {
  u64 dot_hz;
  u32 line_dots, shown_dots;     // of one scan line
  u32 frame_lines, shown_lines;  // of one frame
  u32 retrace_line, retrace_lines;
};

struct Beam {
  u64 frame;   // since power-on
  bool shown;  // inside the picture
  bool vertical_retrace;
};

CrtTiming crt_timing(const VgaRegs& regs, const VbeRegs& vbe);
Beam beam_at(const CrtTiming& timing, u64 nanos);

}  // namespace umbra
