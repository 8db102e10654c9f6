// The host ends of -serial, -parallel, -debugcon and -monitor, in QEMU's spelling:
//   stdio  mon:stdio  null  none  file:PATH  pipe:PATH  pty  tcp:HOST:PORT[,server][,nowait]
//   telnet:HOST:PORT[,server][,nowait]  unix:PATH[,server][,nowait]  /dev/NAME
#pragma once

#include <memory>
#include <string>

#include "cpu/base/result.h"
#include "devices/serial/chardev.h"
#include "frontend/io_loop.h"

namespace umbra {

// `none` gives a null pointer. `label` ("serial0") is for messages. Only one stream may use stdio (mon: shares it).
Result<std::unique_ptr<CharDev>> open_chardev(const std::string& spec, const std::string& label, IoLoop& loop);

// Terminal settings of stdin: raw while a guest has it, put back at exit however that comes about.
// With `signals`, Ctrl-C still ends Umbra.
void use_raw_terminal(bool signals);
void restore_terminal();

}  // namespace umbra
