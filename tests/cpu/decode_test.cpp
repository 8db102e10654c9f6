#include <catch2/catch.hpp>

#include "cpu/insn.h"
#include "cpu/model.h"

namespace umbra {
namespace {

Decoded decode_as(const char* model, std::initializer_list<u8> bytes, CodeSize size = CodeSize::k16) {
  return decode({bytes.begin(), bytes.size()}, size, *find_cpu_model(model));
}

const char* name_as(const char* model, std::initializer_list<u8> bytes, CodeSize size = CodeSize::k16) {
  const Decoded d = decode_as(model, bytes, size);
  return d.truncated ? "truncated" : info(d.insn.op).name;
}

}  // namespace

TEST_CASE("memory operands are folded") {
  const Insn insn = decode_as("max", {0x64, 0x8b, 0x84, 0x8b, 0x78, 0x56, 0x34, 0x12}, CodeSize::k32).insn;
  CHECK(insn.operands[0].kind == OperandKind::kReg);
  CHECK(insn.operands[1].kind == OperandKind::kMem);
  CHECK(insn.segment == kFs);
  CHECK(insn.base == kEbx);
  CHECK(insn.index == kEcx);
  CHECK(insn.scale == 4);
  CHECK(insn.disp == 0x12345678);
  CHECK(insn.length == 8);
}

TEST_CASE("BP addresses the stack segment in 16-bit code") {
  const Insn insn = decode_as("max", {0x8a, 0x42, 0xff}).insn;
  CHECK(insn.segment == kSs);
  CHECK(insn.base == kEbp);
  CHECK(insn.index == kEsi);
  CHECK(insn.address_mask == 0xffff);
  CHECK(insn.disp == -1);
}

TEST_CASE("an instruction that is cut off asks for more, one that is too long is told from an invalid one") {
  CHECK(decode_as("max", {0x81, 0xc0, 0x01}, CodeSize::k32).truncated);
  CHECK(decode_as("max", {0x66, 0x67}, CodeSize::k32).truncated);
  CHECK(decode_as("max", {}, CodeSize::k32).truncated);
  const Decoded prefixes = decode_as(
      "max", {0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x90});
  CHECK(prefixes.insn.too_long());
  CHECK(
      decode_as("286", {0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x81, 0x06, 0x34, 0x12, 0x78, 0x56}).insn.too_long());
  CHECK_FALSE(decode_as("max", {0x0f, 0x0b}).insn.too_long());
}

TEST_CASE("a model has what it had and no more") {
  CHECK(name_as("286", {0x66, 0x90}) == std::string("Invalid"));
  CHECK(name_as("286", {0x0f, 0xa2}) == std::string("Invalid"));
  CHECK(name_as("386", {0x0f, 0xc8}) == std::string("Invalid"));
  CHECK(name_as("486", {0x0f, 0xc8}) == std::string("Bswap"));
  CHECK(name_as("486", {0x0f, 0x31}) == std::string("Invalid"));
  CHECK(name_as("pentium", {0x0f, 0x31}) == std::string("Rdtsc"));
  CHECK(name_as("pentium", {0x0f, 0x44, 0xc1}) == std::string("Invalid"));
  CHECK(name_as("pentium2", {0x0f, 0x44, 0xc1}) == std::string("Cmovz"));
  CHECK(name_as("max", {0xc5, 0xf8, 0x28, 0xc1}, CodeSize::k32) == std::string("Invalid"));  // VEX
  CHECK(name_as("max", {0xf3, 0x0f, 0xb8, 0xc1}, CodeSize::k32) == std::string("Invalid"));  // POPCNT
  CHECK(name_as("max", {0xf3, 0x0f, 0xbc, 0xc1}, CodeSize::k32) == std::string("Bsf"));      // TZCNT later
  CHECK(name_as("max", {0xf3, 0x0f, 0x1e, 0xfa}, CodeSize::k32) == std::string("Nop"));      // ENDBR32 later
}

TEST_CASE("the 8086 decodes what later ones left free") {
  CHECK(name_as("8086", {0x0f}) == std::string("Pop"));
  CHECK(name_as("8086", {0x65, 0x10}) == std::string("Jnz"));
  CHECK(name_as("8086", {0xc0, 0x04, 0x00}) == std::string("Ret"));
  CHECK(name_as("8086", {0xc9}) == std::string("RetFar"));
  CHECK(name_as("8086", {0xff, 0xf8}) == std::string("Push"));
  const Insn mov_cs = decode_as("8086", {0x8e, 0xc8}).insn;
  CHECK(mov_cs.operands[0].kind == OperandKind::kSeg);
  CHECK(mov_cs.operands[0].reg == kCs);
  const Insn locked = decode_as("8086", {0xf1, 0x26, 0x8b, 0x07}).insn;
  CHECK(locked.has(prefix::kLock));
  CHECK(locked.segment == kEs);
  CHECK(locked.length == 4);
  CHECK(name_as("286", {0x8e, 0xc8}) == std::string("Invalid"));
  CHECK(name_as("286", {0x8e, 0xe0}) == std::string("Invalid"));  // FS
}

TEST_CASE("LOCK is for memory destinations, from the 386 on") {
  CHECK(name_as("max", {0xf0, 0x01, 0x07}) == std::string("Add"));
  CHECK(name_as("max", {0xf0, 0x01, 0xc7}) == std::string("Invalid"));
  CHECK(name_as("max", {0xf0, 0x90}) == std::string("Invalid"));
  CHECK(name_as("286", {0xf0, 0x90}) == std::string("Nop"));
}

TEST_CASE("undocumented twins decode") {
  CHECK(name_as("max", {0x82, 0xc0, 0x01}, CodeSize::k32) == std::string("Add"));
  CHECK(name_as("max", {0xd6}, CodeSize::k32) == std::string("Salc"));
  CHECK(name_as("max", {0xd0, 0xf0}, CodeSize::k32) == std::string("Shl"));
  CHECK(name_as("max", {0xf6, 0xc8, 0x01}, CodeSize::k32) == std::string("Test"));
  CHECK(name_as("max", {0x0f, 0xff, 0xc0}, CodeSize::k32) == std::string("Ud0"));
  CHECK(name_as("max", {0x0f, 0xb9, 0xc0}, CodeSize::k32) == std::string("Ud1"));
  CHECK(name_as("max", {0x0f, 0x0b}, CodeSize::k32) == std::string("Ud2"));
}

TEST_CASE("the last repeat prefix counts") {
  CHECK(decode_as("max", {0xf2, 0xf3, 0xa6}).insn.has(prefix::kRep));
  CHECK_FALSE(decode_as("max", {0xf2, 0xf3, 0xa6}).insn.has(prefix::kRepne));
  CHECK(decode_as("286", {0xf3, 0xf2, 0xa6}).insn.has(prefix::kRepne));
}

}  // namespace umbra
