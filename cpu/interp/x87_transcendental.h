// FSIN and family for hosts without an x87: see x87_transcendental.cpp.
#pragma once

#include "cpu/interp/x87_float.h"

namespace umbra {

Computed portable_f2xm1(Float80 st0, u16 fcw);
Computed portable_fsin(Float80 st0, u16 fcw);
Computed portable_fcos(Float80 st0, u16 fcw);
Computed portable_fsincos(Float80 st0, u16 fcw);
Computed portable_fptan(Float80 st0, u16 fcw);
Computed portable_fyl2x(Float80 st0, Float80 st1, u16 fcw);
Computed portable_fyl2xp1(Float80 st0, Float80 st1, u16 fcw);
Computed portable_fpatan(Float80 st0, Float80 st1, u16 fcw);

}  // namespace umbra
