// What every device is. A device knows offsets, not addresses; lines, not interrupt controllers; the machine's clock,
// not the host's. All of it runs on the processor's thread; host I/O happens on workers that post back to the clock.
#pragma once

#include "cpu/base/archive.h"
#include "cpu/base/bus.h"
#include "cpu/base/log.h"
#include "devices/clock.h"
#include "devices/irq.h"

namespace umbra {

class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;  // as in the monitor's lists and in snapshots: "pic0", "ide0"
  virtual void reset() = 0;              // power-on and RESET#
  virtual void quiesce() {}  // before a snapshot of the machine: waits for host I/O in flight and takes it in
  virtual void state(Archive& a) = 0;
};

}  // namespace umbra
