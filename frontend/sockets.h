// Streams on sockets. `rest` is the specification after its first colon, `spec` all of it, for messages.
#pragma once

#include <memory>
#include <string>

#include "cpu/base/result.h"
#include "devices/serial/chardev.h"
#include "frontend/io_loop.h"

namespace umbra {

Result<std::unique_ptr<CharDev>> open_tcp(const std::string& rest, const std::string& spec, IoLoop& loop);
Result<std::unique_ptr<CharDev>> open_unix(const std::string& rest, const std::string& spec, IoLoop& loop);

}  // namespace umbra
