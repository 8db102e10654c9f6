// Golden host code: what each operand form becomes, in the table lane and in the window lane, so that a change of the
// code generator is a visible diff. UMBRA_UPDATE_GOLDEN=1 writes the file anew.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/translator/twin.h"

using namespace umbra;
using namespace umbra::test;

namespace {

constexpr const char* kGolden = "tests/codegen/x64.txt";

// Flags are dead after each of these: a CMP follows.
const std::vector<std::vector<u8>> kForms = {
    {0x01, 0xd8},                                // add eax, ebx
    {0x40},                                      // inc eax
    {0x66, 0x4b},                                // dec bx
    {0x83, 0xc4, 0x08},                          // add esp, 8
    {0x8b, 0x03},                                // mov eax, [ebx]
    {0x8b, 0x44, 0x8b, 0x10},                    // mov eax, [ebx+ecx*4+16]
    {0xa1, 0x00, 0x90, 0x00, 0x00},              // mov eax, [0x9000]
    {0x8b, 0x05, 0x00, 0x90, 0x00, 0xf0},        // mov eax, [0xf0009000]
    {0x8b, 0x44, 0x24, 0x04},                    // mov eax, [esp+4]
    {0x88, 0x63, 0x05},                          // mov [ebx+5], ah
    {0x89, 0x03},                                // mov [ebx], eax
    {0xc7, 0x03, 0x78, 0x56, 0x34, 0x12},        // mov dword [ebx], 0x12345678
    {0x01, 0x03},                                // add [ebx], eax
    {0x13, 0x03},                                // adc eax, [ebx]: flags are live
    {0xf0, 0x0f, 0xb1, 0x0b},                    // lock cmpxchg [ebx], ecx
    {0x0f, 0xb6, 0x03},                          // movzx eax, byte [ebx]
    {0x65, 0xa1, 0x14, 0x00, 0x00, 0x00},        // mov eax, gs:[0x14]
    {0x67, 0x8b, 0x07},                          // mov eax, [bx]
    {0x8d, 0x44, 0x8b, 0x10},                    // lea eax, [ebx+ecx*4+16]
    {0x50},                                      // push eax
    {0x6a, 0xff},                                // push -1
    {0xff, 0x33},                                // push dword [ebx]
    {0xff, 0x74, 0x8b, 0x10},                    // push dword [ebx+ecx*4+16]
    {0x5b},                                      // pop ebx
    {0x56, 0x53, 0x8b, 0x44, 0x24, 0x0c, 0x54},  // push esi; push ebx; mov eax, [esp+12]; push esp
    {0x5b, 0x5e, 0xc3},                          // pop ebx; pop esi; ret
    {0xc9},                                      // leave
    {0xfd},                                      // std
    {0xfa},                                      // cli
    {0xfb},                                      // sti
    {0x9c},                                      // pushfd
    {0x9d},                                      // popfd
    {0x66, 0x9d},                                // popf
    {0x0f, 0x31},                                // rdtsc
    {0x8c, 0xd8},                                // mov eax, ds
    {0x8c, 0x1b},                                // mov [ebx], ds
    {0x1e},                                      // push ds
    {0x0f, 0x20, 0xd0},                          // mov eax, cr2
    {0x60},                                      // pushad
    {0x61},                                      // popad
    {0xd7},                                      // xlatb
    {0x0f, 0xa3, 0x03},                          // bt [ebx], eax
    {0xf0, 0x0f, 0xab, 0x03},                    // lock bts [ebx], eax
    {0xa4},                                      // movsb
    {0xae},                                      // scasb
    {0xf3, 0xa5},                                // rep movsd
    {0xf2, 0xae},                                // repne scasb
    {0xd9, 0x2b},                                // fldcw [ebx]
    {0xdf, 0xe0},                                // fnstsw ax
    {0x9b},                                      // fwait
    {0xd9, 0x03},                                // fld dword [ebx]
    {0x0f, 0x58, 0x03},                          // addps xmm0, [ebx]
    {0x0f, 0x0b},                                // ud2: a callout
    {0x74, 0x10},                                // jz
    {0xe8, 0x10, 0x00, 0x00, 0x00},              // call
    {0xc3},                                      // ret
    {0xff, 0xe0},                                // jmp eax
    {0xff, 0x24, 0x85, 0x00, 0x90, 0x00, 0x00},  // jmp [eax*4+0x9000]
    {0xe2, 0x10},                                // loop
};

Mode flat_mode() {
  Machine m;
  m.flat_32();
  m.cpu.tsc_scale.multiplier = 1;
  return Mode::of(m.cpu);
}

u32 count_of(const std::vector<u8>& form, std::string* text = nullptr) {
  u32 count = 0;
  for (std::size_t at = 0; at < form.size(); ++count) {
    const Decoded d = decode(std::span(form).subspan(at), CodeSize::k32, *find_cpu_model("max"));
    if (text != nullptr)
      *text += (at == 0 ? "" : "; ") + disassemble(d.insn, 0x40000 + static_cast<u32>(at), CodeSize::k32);
    at += d.insn.length;
  }
  return count;
}

std::string host_code(const std::vector<u8>& form, bool window) {
  auto cache = std::move(*CodeCache::create(1 << 16));
  x64::X64Backend backend(true);
  backend.start(*cache, Entries{});
  std::vector<u8> code = form;
  code.insert(code.end(), {0x39, 0xc0, 0xf4});  // cmp eax, eax; hlt
  Block block;
  block.key = {0x40000, 0x40000, 0x40000, 0xffffffff, flat_mode()};
  block.window = window;
  Draft draft;
  std::vector<Site> sites(kMaxBlockInsns);
  std::vector<Exit> exits(kMaxBlockInsns + 1);
  std::vector<Relocation> relocations(kMostRelocations);
  draft.sites = sites.data();
  draft.exits = exits.data();
  draft.relocations = relocations.data();
  discover(
      block, *find_cpu_model("max"), code, {}, kMaxBlockInsns, nullptr, [](Linear) { return u8{kNoReg}; }, draft);
  REQUIRE(backend.emit(block, draft));
  const u32 behind = count_of(form), end = block.count > behind ? draft.marks[behind].host : block.cold;
  const std::string listing = backend.listing({block.code + draft.marks[0].host, end - draft.marks[0].host});
  // Where the code happens to lie is not part of it.
  return std::regex_replace(listing, std::regex("0x[0-9a-f]{8,}|(r10d?), 0x[0-9a-f]+|(mov|movabs) (r10), 0x[0-9a-f]+"),
                            "$1$2 …");
}

std::string table() {
  std::string out;
  for (const auto& form : kForms) {
    count_of(form, &out);
    out += "\n";
    for (bool window : {false, true}) {
      const std::string code = host_code(form, window);
      const auto lines = code.empty() ? 0 : std::count(code.begin(), code.end(), '\n') + 1;
      out += format("  %s, %lld\n%s%s", window ? "window" : "table", static_cast<long long>(lines), code.c_str(),
                    code.empty() ? "" : "\n");
    }
  }
  return out;
}

}  // namespace

TEST_CASE("Host code is what the golden table says") {
  const std::string now = table();
  if (std::getenv("UMBRA_UPDATE_GOLDEN") != nullptr) std::ofstream(kGolden) << now;
  std::ifstream file(kGolden);
  std::stringstream golden;
  golden << file.rdbuf();
  REQUIRE(!golden.str().empty());
  CHECK(now == golden.str());
}
