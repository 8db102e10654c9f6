#pragma once

#include <span>

#include "cpu/insn.h"

namespace umbra {

// Fails the test unless decode() and bind() on one side and decode_bound() on the other agree on everything.
void expect_same(std::span<const u8> bytes, CodeSize size, const CpuModel& model);
void compare_noise(u64 seed, unsigned rounds);
void compare_opcodes(u64 seed, std::span<const u8> prefixes, const CpuModel& model, CodeSize size);

}  // namespace umbra
