// Telnet (RFC 854) on a stream: tells the far end to send each key as it is pressed, echoes nothing itself and keeps
// the protocol's own bytes from the guest. What the far end would like to negotiate is not answered, which refuses it.
#pragma once

#include <memory>

#include "devices/serial/chardev.h"

namespace umbra {

std::unique_ptr<CharDev> telnet(std::unique_ptr<CharDev> stream);

}  // namespace umbra
