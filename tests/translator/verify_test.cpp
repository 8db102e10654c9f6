// The verifier must refuse what the translator would never emit. Everything it does emit passes through the verifier
// in all other tests of this folder.
#include "translator/x64/verify.h"

#include <catch2/catch.hpp>

#include <vector>

using namespace umbra;

namespace {

std::string verdict(const std::vector<u8>& code) { return x64::verify(code, x64::Stubs{}); }

}  // namespace

TEST_CASE("Code that keeps to its cage is accepted") {
  CHECK(verdict({0x01, 0xd8}) == "");                                // add eax, ebx
  CHECK(verdict({0x65, 0x67, 0x8b, 0x03}) == "");                    // mov eax, gs:[ebx]
  CHECK(verdict({0x43, 0x89, 0x04, 0x08}) == "");                    // mov [r8+r9], eax
  CHECK(verdict({0x4f, 0x8d, 0x04, 0x04, 0x41, 0xff, 0xe0}) == "");  // lea r8, [r12+r8]; jmp r8
  CHECK(verdict({0xeb, 0xfe}) == "");                                // to itself
}

TEST_CASE("Memory outside window, shadow entry and processor state is refused") {
  CHECK(verdict({0x89, 0x03}) != "");                                // mov [rbx], eax
  CHECK(verdict({0x65, 0x89, 0x03}) != "");                          // mov gs:[rbx], eax: no wrap
  CHECK(verdict({0x43, 0x89, 0x44, 0x08, 0x04}) != "");              // mov [r8+r9+4], eax
  CHECK(verdict({0x41, 0x89, 0x87, 0x00, 0x00, 0x10, 0x00}) != "");  // mov [r15+1 MiB], eax
  CHECK(verdict({0x43, 0x89, 0x44, 0x9d, 0x00}) != "");              // mov [r13+r11*4], eax
  CHECK(verdict({0x89, 0x06}) != "");                                // mov [rsi], eax
  CHECK(verdict({0x48, 0xa3, 0, 0, 0, 0, 0, 0, 0, 0}) != "");        // mov [0], rax
}

TEST_CASE("System and stack instructions are refused") {
  CHECK(verdict({0x0f, 0x05}) != "");                    // syscall
  CHECK(verdict({0x0f, 0x34}) != "");                    // sysenter
  CHECK(verdict({0xcd, 0x80}) != "");                    // int 80h
  CHECK(verdict({0xf4}) != "");                          // hlt
  CHECK(verdict({0xe4, 0x60}) != "");                    // in al, 60h
  CHECK(verdict({0x50}) != "");                          // push rax
  CHECK(verdict({0xc3}) != "");                          // ret
  CHECK(verdict({0xaa}) != "");                          // stosb
  CHECK(verdict({0xf3, 0x48, 0x0f, 0xae, 0xd8}) != "");  // wrgsbase rax
}

TEST_CASE("Transfers to unknown places are refused") {
  CHECK(verdict({0xff, 0xe0}) != "");                    // jmp rax
  CHECK(verdict({0x41, 0xff, 0xe0}) != "");              // jmp r8 without the dispatcher's base
  CHECK(verdict({0xe8, 0, 0, 0, 0}) != "");              // call
  CHECK(verdict({0xeb, 0x10}) != "");                    // out of the block
  CHECK(verdict({0xeb, 0x01, 0xb8, 1, 0, 0, 0}) != "");  // into the middle of an instruction
  CHECK(verdict({0xff, 0x24, 0x25, 0, 0, 0, 0}) != "");  // jmp [0]
}

TEST_CASE("The registers that hold the cage up are not to be changed") {
  CHECK(verdict({0x49, 0x89, 0xc4}) != "");  // mov r12, rax
  CHECK(verdict({0x41, 0xff, 0xc5}) != "");  // inc r13d
  CHECK(verdict({0x4d, 0x31, 0xff}) != "");  // xor r15, r15
}

namespace {

using Bytes = std::vector<u8>;
const Bytes kSpare{0x49, 0x89, 0xc2, 0x9f, 0x0f, 0x90, 0xc0, 0x49, 0x87, 0xc2};
const Bytes kWant{0x49, 0x87, 0xc2, 0x80, 0xc0, 0x7f, 0x9e, 0x4c, 0x89, 0xd0};
const Bytes kLoad{0x65, 0x67, 0x8b, 0x03};                               // mov eax, gs:[ebx]
const Bytes kLoadAside{0x65, 0x67, 0x44, 0x8b, 0x1b};                    // mov r11d, gs:[ebx]
const Bytes kStore{0x65, 0x67, 0x89, 0x03};                              // mov gs:[ebx], eax
const Bytes kAdd{0x01, 0xc8};                                            // add eax, ecx
const Bytes kInc{0xff, 0xc0};                                            // inc eax
const Bytes kGlue{0x41, 0x83, 0xf9, 0x07};                               // cmp r9d, 7
const Bytes kKeepCount{0x49, 0x89, 0xca}, kCountBack{0x4c, 0x89, 0xd1};  // mov r10, rcx; mov rcx, r10

struct Part {
  std::vector<Bytes> code;
  bool flags_saved = false;
};

// Of a block whose instructions have become these.
std::string verdict(const std::vector<Part>& parts, bool window = true) {
  Bytes code;
  std::vector<Mark> marks;
  for (const Part& part : parts) {
    Mark& mark = marks.emplace_back();
    mark.host = static_cast<u16>(code.size());
    mark.flags_saved = part.flags_saved;
    for (const Bytes& bytes : part.code) code.insert(code.end(), bytes.begin(), bytes.end());
  }
  Block block;
  block.window = window;
  block.code = code.data();
  block.host_size = block.cold = static_cast<u32>(code.size());
  block.marks = marks.data();
  block.count = static_cast<u32>(marks.size());
  return x64::verify(block, x64::Stubs{});
}

}  // namespace

TEST_CASE("Instructions that can be given up at each access are accepted") {
  CHECK(verdict({{{kAdd}}, {{kLoad}}, {{kStore}}}) == "");
  CHECK(verdict({{{kAdd}}, {{kSpare, kGlue, kLoad}, true}, {{kStore}, true}, {{kWant, kInc}}, {{kLoad}}}) == "");
  CHECK(verdict({{{kSpare, kGlue, kLoad}, true}, {{kAdd}}, {{kLoad}}}) == "");  // it writes all flags
  CHECK(verdict({{{kKeepCount, kCountBack, kLoad}}}) == "");
  CHECK(verdict({{{kLoadAside, kStore}}}) == "");
}

TEST_CASE("Accesses are refused if the guest's flags are elsewhere than their mark says") {
  CHECK(verdict({{{kSpare, kLoad}, false}}) != "");
  CHECK(verdict({{{kLoad}, true}}) != "");
  CHECK(verdict({{{kSpare, kLoadAside, kWant, kStore}, true}}) != "");  // one of both
  CHECK(verdict({{{kGlue, kLoad}}}) != "");
  CHECK(verdict({{{kAdd, kLoad}}}) != "");  // too new
  CHECK(verdict({{{kSpare, kKeepCount, kCountBack, kWant}}}) != "");
  CHECK(verdict({{{kSpare}}, {{kInc}}}) != "");  // CF is kept
  CHECK(verdict({{{kWant}}}) != "");
  CHECK(verdict({{{kSpare, kSpare}}}) != "");
  CHECK(verdict({{{kGlue}}, {{kAdd}}}) != "");
}

TEST_CASE("Accesses are refused once the instruction has begun") {
  CHECK(verdict({{{kLoad, kStore}}}) != "");
  CHECK(verdict({{{kStore, kLoad}}}) != "");
  CHECK(verdict({{{kKeepCount, kLoad, kCountBack}}}) != "");
  CHECK(verdict({{{kLoad}}}, false) != "");  // in a block without a window
}
