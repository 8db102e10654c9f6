// Fills the 512 bytes that IDENTIFY DEVICE and IDENTIFY PACKET DEVICE answer with.
#pragma once

#include <cstring>
#include <string>

#include "cpu/base/types.h"

namespace umbra {

class IdentifyBlock {
 public:
  explicit IdentifyBlock(u8* at) : at_(at) { std::memset(at, 0, 512); }
  void word(unsigned index, u32 value) {
    at_[index * 2] = static_cast<u8>(value);
    at_[index * 2 + 1] = static_cast<u8>(value >> 8);
  }
  void dword(unsigned index, u32 value) {
    word(index, value);
    word(index + 1, value >> 16);
  }
  void text(unsigned word, unsigned words, const std::string& value);
  void transfer_modes(u8 mode);  // `mode` as given to SET FEATURES 03h
  void seal();                   // signature and checksum of word 255

 private:
  u8* at_;
};

}  // namespace umbra
