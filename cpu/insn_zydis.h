// Between cpu/insn and cpu/effects, the only two places that know Zydis.
#pragma once

#include <Zydis/Zydis.h>

#include "cpu/insn.h"

namespace umbra {

const ZydisDecoder& zydis_decoder(CodeSize size);
Op zydis_row(const ZydisDecodedInstruction& z);

}  // namespace umbra
