// The ISA DMA handshake, between a device with a DREQ wire (floppy, sound card) and an 8237 channel. Who implements
// which: the device is the DmaRequester, the 8237 hands out one DmaLine per channel, the board introduces them.
//
//   device                                    8237
//   line.set_dreq(true)                  -->  if the channel is unmasked and the controller enabled (at once, or later
//                                             when the guest programs it): moves blocks while DREQ stays up
//   dma_transfer(data, size, ...)        <--  size <= bytes left in the programmed count
//   returns n <= size                    -->  address and count move on by n
//   line.set_dreq(false)                 -->  (any time, inside dma_transfer too) stops asking
//
// Rules that keep it bounded: dma_transfer that returns 0 ends the round, and the 8237 asks again only after the next
// set_dreq(true) or the next programming of the channel; set_dreq inside dma_transfer is noted, never recursed into.
#pragma once

#include "cpu/base/types.h"

namespace umbra {

class DmaRequester {
 public:
  virtual ~DmaRequester() = default;
  // Moves up to `size` bytes and returns how many. `to_memory`: the device fills `data` (8237 "write transfer");
  // otherwise it consumes `data` ("read transfer"). `terminal_count`: the byte at data[size-1] is the last of the
  // programmed count, so TC is asserted if all of `size` is taken. A verify transfer calls with to_memory set and
  // drops the bytes.
  virtual std::size_t dma_transfer(u8* data, std::size_t size, bool to_memory, bool terminal_count) = 0;
};

class DmaLine {
 public:
  virtual ~DmaLine() = default;
  virtual void set_dreq(bool level) = 0;
};

}  // namespace umbra
